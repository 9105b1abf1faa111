#!/bin/sh
# Sourced by dracut's command line parser, before udev and the network start.

if getarg rd.diskless.plan= > /dev/null; then
    # The agent will mount the root: whatever root= says is not dracut's business.
    # shellcheck disable=SC2034 # dracut reads it
    rootok=1
    echo 'rd.neednet=1' > /etc/cmdline.d/30-diskless.conf
    if ! getarg ip= > /dev/null; then
        mkdir -p /run/systemd/network
        ln -sf /usr/share/diskless/zz-diskless.network /run/systemd/network/
    fi
fi
