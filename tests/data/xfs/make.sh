#!/bin/sh
# Makes the files in this folder, as root. `superblock`: the first 128 bytes of the file system that mkfs.xfs makes with the
# agent's options. The others: the first sector of a file system, and its log as mkfs and the kernel wrote it, clean and
# copied while it was mounted; of the `wrapped` ones the log was gone through more than once. All that is not looked at
# is blanked in those: of a block without header all but its first 12 bytes.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'umount -q "$work/mnt" || true; rm -rf "$work"' EXIT
mkdir "$work/mnt"
truncate -s 300M "$work/disk"
mkfs.xfs -q -f -K -L diskless-rw "$work/disk"
head -c 128 "$work/disk" >superblock

# log NAME: that of the disk, deflated; fails if NAME begins with "wrapped" and it has not wrapped.
log() {
	python3 - "$work/$1" "$1.deflate" <<'PYTHON'
import struct, sys, zlib
disk = open(sys.argv[1], "rb")
sector = disk.read(512)
size, first, group = (struct.unpack_from(">" + kind, sector, at)[0] for kind, at in (("L", 4), ("Q", 48), ("L", 84)))
blocks, bits = struct.unpack_from(">L", sector, 96)[0], sector[124]
disk.seek(((first >> bits) * group + (first & (1 << bits) - 1)) * size)
log = [disk.read(512) for _ in range(blocks * size // 512)]
log = [block if block[:4] == b"\xfe\xed\xba\xbe" else block[:12] + bytes(500) for block in log]
if sys.argv[1].rpartition("/")[2].startswith("wrapped") and int.from_bytes(log[0][4:8], "big") < 2:
    sys.exit("the log did not wrap")
deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
open(sys.argv[2], "wb").write(deflate.compress(sector + b"".join(log)) + deflate.flush())
PYTHON
}
# work COUNT: so many files are made and removed again.
work() {
	i=0
	while [ $i -lt "$1" ]; do
		echo $i >"$work/mnt/$i"
		rm -f "$work/mnt/$((i - 20))"
		[ $((i % 10)) -ne 0 ] || sync "$work/mnt/$i"
		i=$((i + 1))
	done
}

rm "$work/disk"
truncate -s 300M "$work/clean"
# Nobody is to use it: so the log may be small.
mkfs.xfs --unsupported -q -K -l size=6m "$work/clean" 2>/dev/null
log clean
mount -o loop "$work/clean" "$work/mnt"
work 30
cp "$work/clean" "$work/dirty"
log dirty
work 8000
cp "$work/clean" "$work/wrapped-dirty"
log wrapped-dirty
umount "$work/mnt"
mv "$work/clean" "$work/wrapped-clean"
log wrapped-clean
