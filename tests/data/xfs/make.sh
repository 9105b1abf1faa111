#!/bin/sh
# Makes `superblock`, the first 128 bytes of the file system that mkfs.xfs makes with the agent's options.
set -eu
cd "$(dirname "$0")"
disk=$(mktemp)
trap 'rm -f "$disk"' EXIT
truncate -s 300M "$disk"
mkfs.xfs -q -f -K -L diskless-rw "$disk"
head -c 128 "$disk" >superblock
