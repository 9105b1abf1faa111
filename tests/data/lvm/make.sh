#!/bin/sh
# Makes the physical volumes in this folder with lvm2 itself, as root, by loop devices and without device-mapper.
#
# The UUIDs are new each time. Metadata areas of 60 KiB make the ring wrap after some dozens of changes.
set -eu
export LVM_SUPPRESS_FD_WARNINGS=1
cd "$(dirname "$0")"
work=$(mktemp -d)
loops=
trap 'for loop in $loops; do losetup -d "$loop"; done; rm -rf "$work"' EXIT

lvm() {
	command lvm "$@" --devices "$devices" -qq \
		--config 'global{activation=0 use_lvmlockd=0} backup{backup=0 archive=0} devices{scan_lvs=0}'
}
create() { lvm lvcreate -an -y "$@"; }
# pv NAME MIB OPTIONS...: a physical volume in a file, its loop device in $loop.
pv() {
	truncate -s "$2M" "$work/$1"
	loop=$(losetup -f --show "$work/$1")
	loops="$loops $loop"
	devices=${devices:+$devices,}$loop
	shift 2
	lvm pvcreate "$@" "$loop"
}
# over_the_end NAME: whether the text that the first metadata area's header names does not end before the area does.
over_the_end() {
	python3 - "$work/$1" <<'PYTHON'
import struct, sys
area = open(sys.argv[1], "rb").read(8192)[4096:]
size, offset, length = struct.unpack("<QQQ", area[32:56])
sys.exit(offset + length <= size)
PYTHON
}
# keep NAME: the file, deflated.
keep() {
	python3 - "$work/$1" "$1.deflate" <<'PYTHON'
import sys, zlib
deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
open(sys.argv[2], "wb").write(deflate.compress(open(sys.argv[1], "rb").read()) + deflate.flush())
PYTHON
}

# Linear, in two segments, with dashes in names, one that is to be skipped by those who activate all.
devices=
pv single 24 --metadatasize 60k --dataalignment 64k --metadatacopies 2
lvm vgcreate -s 128k system "$loop"
create -Zn -Wn -l 16 -n var system
create -Zn -Wn -l 8 -n between system
lvm lvextend -l +8 system/var
create -Zn -Wn -l 4 -n root-lv system
create -Zn -Wn -l 2 -n skipped -k y system
# Changed until the ring has wrapped and the newest text goes over its end.
i=0
while [ $i -lt 30 ] || ! over_the_end single; do
	lvm lvrename system between "other$i"
	lvm lvrename system "other$i" between
	i=$((i + 1))
done
keep single

# A group over two physical volumes, the second without metadata: striped, and linear over both.
devices=
pv first 8 --metadatasize 60k --dataalignment 64k
pv second 8 --metadatasize 60k --dataalignment 64k --metadatacopies 0
lvm vgcreate -s 128k two-disks $(echo "$devices" | tr , ' ')
create -l 16 -i 2 -I 64k -Zn -Wn -n striped two-disks
create -l 60 -Zn -Wn -n both two-disks
keep first
keep second

# Exported: nobody is to use it until it is imported.
devices=
pv exported 8 --metadatasize 60k --dataalignment 64k
lvm vgcreate -s 128k gone "$loop"
create -l 4 -Zn -Wn -n data gone
lvm vgexport gone
keep exported
