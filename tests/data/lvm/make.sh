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

# Two groups, one over two physical volumes, with tags wherever there can be some.
devices=
pv os1 8 --metadatasize 60k --dataalignment 64k
first=$loop
pv os2 8 --metadatasize 60k --dataalignment 64k
second=$loop
pv data 8 --metadatasize 60k --dataalignment 64k
lvm vgcreate -s 128k --addtag site --addtag rack=1 os "$first" "$second"
lvm vgcreate -s 128k data "$loop"
create -Zn -Wn -l 40 -n root --addtag root.lv os "$first"
create -Zn -Wn -l 32 -i 2 -I 64k -n var --addtag var_lv os
create -Zn -Wn -l 10 -n srv data
lvm pvchange --addtag disk=one "$first"
keep os1
keep os2
keep data

# What needs more than linear and striped maps. lvm2 does not make it without device-mapper, but it reads, checks and
# writes the description of a group that has it.
devices=
pv types 16 --metadatasize 60k --dataalignment 64k
lvm vgcreate -s 128k types "$loop"
uuid=$(lvm pvs --noheadings -o pv_uuid "$loop" | tr -d ' ')
python3 - "$uuid" >"$work/types.text" <<'PYTHON'
import sys
number = 0


def volume(name, kind, members, visible=True, extents=4):
    """A volume of one segment."""
    global number
    number += 1
    status = '"READ", "WRITE"' + (', "VISIBLE"' if visible else "")
    members = "".join(f"\n{key} = {value}" for key, value in members.items())
    return f"""{name} {{
id = "{number:06d}-aaaa-bbbb-cccc-dddd-eeee-ffffff"
status = [{status}]
flags = []
segment_count = 1
segment1 {{
start_extent = 0
extent_count = {extents}
type = "{kind}"{members}
}}
}}
"""


place = 0


def plain(name, visible=False):
    global place
    place += 4
    return volume(name, "striped", {"stripe_count": 1, "stripes": f'["pv0", {place - 4}]'}, visible)


volumes = [
    plain("origin", True),
    plain("snap", True),
    volume(
        "snapshot0", "snapshot", {"chunk_size": 8, "origin": '"origin"', "cow_store": '"snap"'}, visible=False
    ),
    plain("pool_tdata"),
    plain("pool_tmeta"),
    volume(
        "pool",
        "thin-pool",
        {
            "metadata": '"pool_tmeta"',
            "pool": '"pool_tdata"',
            "transaction_id": 1,
            "chunk_size": 128,
            "discards": '"passdown"',
            "zero_new_blocks": 1,
        },
    ),
    volume("thin", "thin", {"thin_pool": '"pool"', "transaction_id": 0, "device_id": 1}, extents=32),
    plain("fast_cdata"),
    plain("fast_cmeta"),
    volume(
        "fast",
        "cache-pool",
        {
            "data": '"fast_cdata"',
            "metadata": '"fast_cmeta"',
            "chunk_size": 128,
            "metadata_format": 2,
            "cache_mode": '"writethrough"',
            "policy": '"smq"',
        },
        visible=False,
    ),
    plain("cached_corig"),
    volume("cached", "cache", {"cache_pool": '"fast"', "origin": '"cached_corig"'}),
    *(plain(f"raid_{part}_{leg}") for part in ("rmeta", "rimage") for leg in (0, 1)),
    volume(
        "raid",
        "raid1",
        {
            "device_count": 2,
            "region_size": 1024,
            "raids": '["raid_rmeta_0", "raid_rimage_0", "raid_rmeta_1", "raid_rimage_1"]',
        },
    ),
    plain("mirror_mimage_0"),
    plain("mirror_mimage_1"),
    volume(
        "mirror",
        "mirror",
        {"mirror_count": 2, "region_size": 1024, "mirrors": '["mirror_mimage_0", 0, "mirror_mimage_1", 0]'},
    ),
]
print(f"""contents = "Text Format Volume Group"
version = 1
description = ""
creation_time = 1
types {{
id = "typesx-aaaa-bbbb-cccc-dddd-eeee-ffffff"
seqno = 2
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = 256
max_lv = 0
max_pv = 0
metadata_copies = 0
physical_volumes {{
pv0 {{
id = "{sys.argv[1]}"
device = "/dev/loop0"
status = ["ALLOCATABLE"]
flags = []
dev_size = 32768
pe_start = 128
pe_count = 127
}}
}}
logical_volumes {{
{"".join(volumes)}}}
}}""")
PYTHON
lvm vgcfgrestore --force -f "$work/types.text" types
keep types
