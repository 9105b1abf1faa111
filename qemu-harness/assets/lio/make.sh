# Inside the builder: makes the initramfs $1 of a target machine with kernel $2, whose first process is the file $3.
set -eu
initramfs=$1 version=$2 init=$3
root=/tmp/lio
mkdir -p "$root/bin" "$root/lib/modules/$version"
modprobe -S "$version" -D -a virtio_pci virtio_blk virtio_net iscsi_target_mod target_core_iblock crc32c_generic md5 |
    sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u | cpio --quiet -pdm "$root"
cp "/lib/modules/$version/modules.builtin" "/lib/modules/$version/modules.order" "$root/lib/modules/$version/"
depmod -b "$root" "$version"
cp /bin/busybox "$root/bin/"
cp "$init" "$root/init"
chmod 755 "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc) > "$initramfs"
