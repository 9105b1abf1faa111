#!/bin/sh
# Sourced after network-legacy has written its udev rules, and before udev starts.

if diskless acts --root; then
    for rules in /etc/udev/rules.d/90-net.rules /etc/udev/rules.d/91-default-net.rules; do
        [ ! -e "$rules" ] || sed -i 's| /sbin/ifup | /usr/lib/diskless/ifup |' "$rules"
    done
fi
