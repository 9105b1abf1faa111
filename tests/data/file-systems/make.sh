#!/bin/sh
# Makes the files in this folder, as root, with each file system's own mkfs and the kernel: the first 66 KiB of small file
# systems, clean ones and ones that were copied while they were mounted.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'umount -q "$work/mnt" || true; rm -rf "$work"' EXIT
mkdir "$work/mnt" "$work/root"
echo content >"$work/root/file"

# keep NAME: the beginning of the file, deflated.
keep() {
	python3 - "$work/$1" "$1.deflate" <<'PYTHON'
import sys, zlib
deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
start = open(sys.argv[1], "rb").read(66 << 10)
open(sys.argv[2], "wb").write(deflate.compress(start) + deflate.flush())
PYTHON
}
# while_mounted NAME COPY: a copy of the file system while it is in use, with something synced.
while_mounted() {
	mount -o loop "$work/$1" "$work/mnt"
	echo "$2" >"$work/mnt/synced"
	sync "$work/mnt/synced"
	cp "$work/$1" "$work/$2"
	umount "$work/mnt"
}

for kind in ext2 ext4; do
	truncate -s 8M "$work/$kind"
	"mkfs.$kind" -q "$work/$kind"
	while_mounted "$kind" "$kind-in-use"
done
truncate -s 128M "$work/btrfs"
mkfs.btrfs -q "$work/btrfs"
while_mounted btrfs btrfs-in-use
truncate -s 300M "$work/xfs"
mkfs.xfs -q -K "$work/xfs"
mksquashfs "$work/root" "$work/squashfs" -quiet -no-progress
mkfs.erofs --quiet "$work/erofs" "$work/root"
for kind in ext2 ext2-in-use ext4 ext4-in-use btrfs btrfs-in-use xfs squashfs erofs; do
	keep "$kind"
done
