#!/bin/sh
# Sourced before the emergency shell opens: what the agent did, why it stopped or holds, and what to do.

diskless status 2> /dev/null
echo "diskless retry, resume or release goes on with the boot; diskless --help lists what there is."
