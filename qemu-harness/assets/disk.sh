# Inside the builder: makes the image $4 in the layout $1 (gpt, mbr, lvm, bare, unclean, many) from the folder $2, with the
# modules $5... of kernel $3.
set -eu
layout=$1 root=$2 version=$3 image=$4
shift 4

modprobe -S "$version" -D -a "$@" | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u | cpio --quiet -pdm "$root"
cp "/lib/modules/$version/modules.builtin" "/lib/modules/$version/modules.order" "$root/lib/modules/$version/"
depmod -b "$root" "$version"
# The image's own initramfs, as an installed kernel would have one, for who looks for it at shutdown.
if [ -e "$root/run/initramfs/shutdown" ]; then
    mkdir -p "$root/boot" "$root/run/initramfs/bin"
    cp "$root/bin/busybox" "$root/run/initramfs/bin/"
    ln -s busybox "$root/run/initramfs/bin/sh"
    (cd "$root/run/initramfs" && find . | cpio --quiet -o -H newc | gzip) > "$root/boot/initrd.img-$version"
fi
rm -rf "$root"/run/*
# What systemd would bring up to date at each boot, for nodes keep nothing, is so since the packages were installed.
touch "$root/etc/.updated" "$root/var/.updated"
rm -rf "$root"/usr/share/doc/* "$root"/usr/share/locale/* "$root"/usr/share/man/* "$root"/var/cache/apt/*

# Labels of SELinux, where the image has a policy: last of all. setfiles goes to files by /proc.
if [ -x "$root/sbin/setfiles" ]; then
    type=$(sed -n 's/^SELINUXTYPE=//p' "$root/etc/selinux/config")
    mount --bind /proc "$root/proc"
    chroot "$root" /sbin/setfiles -F "/etc/selinux/$type/contexts/files/file_contexts" /
    chroot "$root" /sbin/matchpathcon -V /etc /etc/passwd /bin/bash
    umount "$root/proc"
fi

# Of a disk with large blocks a file system cannot have smaller ones.
blocks=
[ "$layout" != many ] || blocks="-b 4096"
# file_system FOLDER LABEL FILE OFFSET: ext4 with a sixth and 32 MiB of slack; its size in MiB is in $size.
file_system() {
    size=$(du -sm "$1" | cut -f 1)
    size=$((size + size / 6 + 32))
    # shellcheck disable=SC2086 # no word, or two
    mkfs.ext4 -q $blocks -L "$2" -m 0 -E "offset=$4,lazy_itable_init=0,lazy_journal_init=0" -d "$1" "$3" ${size}M
}

# loop FILE OPTIONS...: a loop device in $loop. Given back to the kernel at once, it lives as long as something has it open,
# which is the file descriptor $handle: until this script ends, however it does.
handle=3
loop() {
    handle=$((handle + 1))
    file=$1
    shift
    loop=$(losetup --find --show "$@" "$file")
    eval "exec $handle< $loop"
    losetup --detach "$loop"
}
# lvm DEVICES VERB...: no device-mapper, no udev, and nothing is written into /etc.
lvm() {
    devices=$1
    shift
    command lvm "$@" --devices "$devices" --config 'global{activation=0} backup{backup=0 archive=0}
        devices{obtain_device_list_from_udev=0 external_device_info_source="none"}'
}

# The folder /var is a file system of its own, in a logical volume. Its name says that it is the right one.
case $layout in
    lvm | many)
        mkdir /tmp/root
        mv "$root/var" /tmp/root/var
        mkdir "$root/var"
        touch /tmp/root/var/this-is-the-logical-volume
        truncate -s 1M /tmp/var.ext4
        file_system /tmp/root/var var /tmp/var.ext4 0
        var=$size
        ;;
esac

if [ "$layout" = many ]; then
    cd /tmp
    for part in opt srv home; do
        mkdir -p "$part" "$root/$part"
        touch "$part/this-is-$part"
    done
    mkfs.erofs --quiet root.part "$root"
    mksquashfs opt opt.part -quiet -no-progress
    truncate -s 128M srv.part
    mkfs.btrfs -q -m single --rootdir srv --shrink srv.part
    # Nobody is to use it for long: so it may be smaller than others. Its content is what this says.
    printf '/\n0 0\nd--755 0 0\nthis-is-home ---644 0 0 /dev/null\n$\n' > home.content
    truncate -s 64M home.part
    mkfs.xfs --unsupported -q -s size=4096 -l size=12m -p home.content home.part
    # In stripes of a MiB over two physical volumes, whose first extents begin behind a MiB for the metadata.
    each=$(((var + 7) / 8))
    truncate -s $((4 * (each + 1)))M one.part two.part
    loop one.part
    one=$loop
    loop two.part
    both=$one,$loop
    lvm "$both" pvcreate "$one" "$loop"
    lvm "$both" vgcreate system "$one" "$loop"
    lvm "$both" lvcreate -an -Zn -Wn -n var -i 2 -I 1m -l $((2 * each)) system
    lvm "$both" pvs --segments -o pv_name,pe_start,pvseg_start,pvseg_size,lv_name
    sync one.part two.part
    stripe=0
    while [ $stripe -lt "$var" ]; do
        for part in one two; do
            dd if=var.ext4 of=$part.part bs=1M count=1 skip=$stripe seek=$((1 + stripe / 2)) conv=notrunc status=none
            stripe=$((stripe + 1))
        done
    done
    # One behind the other, each from a MiB on.
    end=1
    table=
    for part in root opt srv home one two; do
        size=$((($(stat -c %s $part.part) + 1048575) / 1048576))
        dd if=$part.part of="$image" bs=1M seek=$end conv=notrunc,sparse status=none
        table="$table --new=0:$((end * 256)):$(((end + size) * 256 - 1)) --change-name=0:$part"
        end=$((end + size))
    done
    truncate -s $((end + 1))M "$image"
    loop "$image" --sector-size 4096
    # shellcheck disable=SC2086 # a list of words
    sgdisk $table "$loop"
    sync "$loop"
    # A byte of the first header is another one.
    printf x | dd of="$image" bs=1 seek=$((4096 + 40)) conv=notrunc status=none
    exit
fi

if [ "$layout" = bare ]; then
    truncate -s 1M "$image"
    file_system "$root" root "$image" 0
    exit
fi

# A MiB before and after for the partition tables.
truncate -s 1M "$image"
file_system "$root" root "$image" 1048576
truncate -s $((size + 2))M "$image"
sgdisk --new=1:2048:+${size}M --typecode=1:8304 --change-name=1:root "$image"

case $layout in
    mbr)
        sgdisk --gpttombr=1 "$image"
        ;;
    unclean)
        # A transaction that is in the journal alone, as of a machine that was switched off: it would write zeros into a
        # block that is free.
        free=$(debugfs -R 'ffb 1' "$image?offset=1048576" | grep -o '[0-9]*' | tail -n 1)
        printf 'jo\njw -b %s /dev/zero\njc\n' "$free" | debugfs -w -f - "$image?offset=1048576"
        dumpe2fs -h "$image?offset=1048576" | grep needs_recovery
        ;;
    lvm)
        # The volume's extents of 4 MiB, and one for the metadata before them.
        start=$((size + 2)) extents=$(((var + 3) / 4))
        size=$((4 * (extents + 1)))
        truncate -s $((start + size + 1))M "$image"
        sgdisk --move-second-header "$image"
        sgdisk --new=2:$((start * 2048)):+${size}M --typecode=2:8e00 --change-name=2:system "$image"
        loop "$image" --offset $((start * 1048576)) --sizelimit $((size * 1048576))
        lvm "$loop" pvcreate "$loop"
        lvm "$loop" vgcreate system "$loop"
        lvm "$loop" lvcreate -an -Zn -Wn -n var -l "$extents" system
        lvm "$loop" pvs --segments -o pe_start,pvseg_start,pvseg_size,lv_name
        begin=$(lvm "$loop" pvs --noheadings --nosuffix --units m -o pe_start "$loop" | tr -d ' ' | cut -d . -f 1)
        first=$(lvm "$loop" lvs --noheadings -o seg_pe_ranges system/var | sed 's/.*:\([0-9]*\)-[0-9]*$/\1/')
        dd if=/tmp/var.ext4 of="$image" bs=1M seek=$((start + begin + first * 4)) conv=notrunc
        sync "$image"
        ;;
esac
