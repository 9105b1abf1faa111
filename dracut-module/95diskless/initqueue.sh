#!/bin/sh
# Sourced in every turn of dracut's initqueue. It would end with the first interface that is up, or open a shell after
# rd.retry; how long the boot waits, or holds, and what for, is for the agent to say.

if diskless acts; then
    # shellcheck disable=SC2034 # it counts the turns
    main_loop=0
    # An interface that never came up is not waited for once the root is there.
    if [ -d "$NEWROOT/proc" ]; then
        rm -f "$hookdir"/initqueue/finished/*.sh
    fi
fi
