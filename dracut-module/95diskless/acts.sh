#!/bin/sh
# Sourced: whether the agent acts on this node, as the agent's own generator decides it. A kernel with /proc/vmcore is
# there to save the memory of one that crashed.

diskless_acts() {
    local word line
    [ ! -e /proc/vmcore ] || return 1
    read -r line < /proc/cmdline
    for word in $line; do
        case $word in
            rd.diskless.plan=* | netroot=iscsi | netroot=iscsi:*) return 0 ;;
        esac
    done
    return 1
}
