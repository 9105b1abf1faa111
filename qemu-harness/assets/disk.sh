# Inside the builder: makes the image $4 in the layout $1 (gpt, mbr, lvm, bare) from the folder $2, with the modules $5... of
# kernel $3.
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
    umount "$root/proc"
fi

# file_system FOLDER LABEL FILE OFFSET: ext4 with a sixth and 32 MiB of slack; its size in MiB is in $size.
file_system() {
    size=$(du -sm "$1" | cut -f 1)
    size=$((size + size / 6 + 32))
    mkfs.ext4 -q -L "$2" -m 0 -E "offset=$4,lazy_itable_init=0,lazy_journal_init=0" -d "$1" "$3" ${size}M
}

# The folder /var is a file system of its own, in a logical volume. Its name says that it is the right one.
if [ "$layout" = lvm ]; then
    mkdir /tmp/root
    mv "$root/var" /tmp/root/var
    mkdir "$root/var"
    touch /tmp/root/var/this-is-the-logical-volume
    truncate -s 1M /tmp/var.ext4
    file_system /tmp/root/var var /tmp/var.ext4 0
    var=$size
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
    lvm)
        # The volume's extents of 4 MiB, and one for the metadata before them.
        start=$((size + 2)) extents=$(((var + 3) / 4))
        size=$((4 * (extents + 1)))
        truncate -s $((start + size + 1))M "$image"
        sgdisk --move-second-header "$image"
        sgdisk --new=2:$((start * 2048)):+${size}M --typecode=2:8e00 --change-name=2:system "$image"
        # Given back to the kernel at once, it lives as long as something has it open: until this script ends, however
        # it does.
        loop=$(losetup --find --show --offset $((start * 1048576)) --sizelimit $((size * 1048576)) "$image")
        exec 9< "$loop"
        losetup --detach "$loop"
        # No device-mapper, no udev, and nothing is written into /etc.
        lvm() {
            command lvm "$@" --devices "$loop" --config 'global{activation=0} backup{backup=0 archive=0}
                devices{obtain_device_list_from_udev=0 external_device_info_source="none"}'
        }
        lvm pvcreate "$loop"
        lvm vgcreate system "$loop"
        lvm lvcreate -an -Zn -Wn -n var -l "$extents" system
        lvm pvs --segments -o pe_start,pvseg_start,pvseg_size,lv_name
        begin=$(lvm pvs --noheadings --nosuffix --units m -o pe_start "$loop" | tr -d ' ' | cut -d . -f 1)
        first=$(lvm lvs --noheadings -o seg_pe_ranges system/var | sed 's/.*:\([0-9]*\)-[0-9]*$/\1/')
        dd if=/tmp/var.ext4 of="$image" bs=1M seek=$((start + begin + first * 4)) conv=notrunc
        sync "$image"
        ;;
esac
