#!/bin/sh
# Makes the disks in this folder: 2 MiB, partitioned by parted and sgdisk.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
truncate -s 2M "$work/mbr" "$work/gpt"
# Numbers and places do not go together: partition 3 comes after the logical ones.
parted -s "$work/mbr" -- mklabel msdos mkpart primary 64s 255s mkpart extended 512s 3071s \
	mkpart logical 600s 799s mkpart logical 1000s 1999s mkpart primary 3072s 4000s
sgdisk -a 1 -n 1:64:255 -n 3:1000:1999 "$work/gpt" >&2
for disk in mbr gpt; do
	python3 - "$work/$disk" "$disk.deflate" <<'PYTHON'
import sys, zlib
deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
open(sys.argv[2], "wb").write(deflate.compress(open(sys.argv[1], "rb").read()) + deflate.flush())
PYTHON
done
