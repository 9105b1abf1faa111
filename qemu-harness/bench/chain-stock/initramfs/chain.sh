#!/bin/sh
# What a site would write that has these programs and nobody to put them together. It says how long it took from the
# moment at which both networks are there, in hundredths of a second.
set -e
exec 2>&1

# Destination and mask of /proc/net/route: 198.18.0.0/24 and 198.18.1.0/24.
for subnet in 000012C6 000112C6; do
    until grep -q "$subnet.*00FFFFFF" /proc/net/route; do
        sleep 0.1
    done
done

now() {
    read -r up _ < /proc/uptime
    up=${up%.*}${up#*.}
}
now
start=$up
modprobe -a iscsi_tcp dm_multipath dm_service_time dm_crypt
for portal in 198.18.0.1 198.18.1.1; do
    iscsistart -i iqn.2026-01.org.example:node1 -t iqn.2026-01.org.example:image -g 1 -a $portal -p 3260 \
        -u node -w 0123456789abcdef
done
udevadm settle
multipath -v1
set -- /dev/mapper/3*
cryptsetup open --readonly --key-file /key --key-slot 1 "$1" root
mkdir -p /run/chain
mount -o ro /dev/mapper/root /run/chain
now
# To the kernel's log, which nobody else's line comes in the middle of.
echo "chain: took $((up - start)) hundredths" > /dev/kmsg
umount /run/chain
