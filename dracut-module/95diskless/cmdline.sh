#!/bin/sh
# Sourced by dracut's command line parser, before udev and the network start, and before the hooks of other modules.

# For a boot, and for a person who logs in to one that holds.
if diskless acts; then
    echo 'rd.neednet=1' > /etc/cmdline.d/30-diskless.conf
    if [ -e /lib/nm-lib.sh ]; then
        # NetworkManager tries DHCP for so many times 90 seconds, and then never again.
        echo 'rd.net.dhcp.retry=1000' >> /etc/cmdline.d/30-diskless.conf
    fi
    if ! getarg ip= > /dev/null; then
        mkdir -p /run/systemd/network
        ln -sf /usr/share/diskless/zz-diskless.network /run/systemd/network/
    fi
    # Without a root= a person is to bring the root, or a plan that comes later.
    if [ -z "$(getarg root=)" ]; then
        # shellcheck disable=SC2034 # dracut reads them
        root=diskless rootok=1
        export rootok
    fi
fi

if diskless acts --root; then
    # The agent mounts the root: whatever root= says is not dracut's business, nor is waiting for it.
    # shellcheck disable=SC2034 # dracut reads them
    root=diskless rootok=1
    export rootok
    rm -f "$hookdir"/initqueue/finished/devexists-*.sh "$hookdir"/emergency/80-*.sh

    # Nor are the ways to it: the session, the encrypted disk and its volumes. All but the first have a switch; one that
    # is on the kernel command line itself wins over these.
    echo 'rd.luks=0 rd.lvm=0 rd.md=0 rd.dm=0' >> /etc/cmdline.d/30-diskless.conf
    rm -f "$hookdir"/cmdline/90-parse-iscsiroot.sh
    # Network back ends call this for each interface; without a handler for netroot=iscsi: it would end the boot.
    if [ -e /sbin/netroot ]; then
        printf '#!/bin/sh\nexit 0\n' > /sbin/netroot
    fi

    if [ -e /sbin/ifup ]; then
        # network-legacy sets interfaces up by the initqueue: it goes on until the root is there.
        mkdir -p "$hookdir/initqueue/finished"
        # shellcheck disable=SC2016 # for the initqueue to expand
        echo '[ -d "$NEWROOT/proc" ]' > "$hookdir/initqueue/finished/diskless.sh"
    fi
fi
