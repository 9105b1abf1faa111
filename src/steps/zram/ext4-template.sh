#!/bin/sh
# Makes ext4-template.deflate: a file system of 8 MiB that the kernel grows to any size when it is mounted.
#
# No journal and no check sums: the disk is memory and is gone with the node. Growing keeps the ratio of 16384 inodes a
# group of 128 MiB, one for 8 KiB: trees of small files (sources, Python's packages) take 12 KiB a file and more, and so
# fill the layer before its inodes run out. That is twice as many as mke2fs makes by itself, for 3 % of the size, and
# takes no memory before they are used. The reserved group descriptors (resize=) are for growing up to 1 TiB.
set -eu
cd "$(dirname "$0")"
image=$(mktemp)
trap 'rm -f "$image"' EXIT
truncate -s 8M "$image"
mke2fs -q -F -t ext4 -b 4096 -I 256 -N 16384 -m 0 -L diskless-rw -U 6469736b-6c65-4373-a000-000000000000 \
	-O ^has_journal,^metadata_csum,^orphan_file,uninit_bg,resize_inode \
	-E resize=268435456,lazy_itable_init=1,nodiscard,root_owner=0:0 "$image"
python3 - "$image" ext4-template.deflate <<'PYTHON'
import sys, zlib
deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
open(sys.argv[2], "wb").write(deflate.compress(open(sys.argv[1], "rb").read()) + deflate.flush())
PYTHON
