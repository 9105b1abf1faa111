#!/bin/sh
# Makes the disks in this folder: 2 MiB, partitioned by parted, sgdisk and sfdisk. Those with blocks of 4096 bytes are made as
# root, by a loop device that has them.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
loops=
trap 'for loop in $loops; do losetup -d "$loop"; done; rm -rf "$work"' EXIT
for disk in mbr gpt mbr-4096 gpt-4096; do
	truncate -s 2M "$work/$disk"
done
# Numbers and places do not go together: partition 3 comes after the logical ones.
parted -s "$work/mbr" -- mklabel msdos mkpart primary 64s 255s mkpart extended 512s 3071s \
	mkpart logical 600s 799s mkpart logical 1000s 1999s mkpart primary 3072s 4000s
sgdisk -a 1 -n 1:64:255 -n 3:1000:1999 "$work/gpt" >&2
# large NAME: a loop device of 512 blocks of 4096 bytes, in $loop.
large() {
	loop=$(losetup -f --show -b 4096 "$work/$1")
	loops="$loops $loop"
}
large mbr-4096
sfdisk -q "$loop" <<-'SFDISK'
	label: dos
	1: start=16, size=16, type=83
	2: start=300, size=212, type=83
	3: start=36, size=210, type=f
	5: start=40, size=20, type=83
	6: start=70, size=50, type=83
	7: start=130, size=100, type=8e
SFDISK
large gpt-4096
sgdisk -a 1 -n 1:16:47 -n 3:100:299 "$loop" >&2
sync
for disk in mbr gpt mbr-4096 gpt-4096; do
	python3 - "$work/$disk" "$disk.deflate" <<'PYTHON'
import sys, zlib
deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
open(sys.argv[2], "wb").write(deflate.compress(open(sys.argv[1], "rb").read()) + deflate.flush())
PYTHON
done
