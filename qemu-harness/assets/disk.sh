# Inside the builder: makes the image $3 from the folder $1, with the modules $4... of kernel $2.
set -eu
root=$1 version=$2 image=$3
shift 3

modprobe -S "$version" -D -a "$@" | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u | cpio --quiet -pdm "$root"
cp "/lib/modules/$version/modules.builtin" "/lib/modules/$version/modules.order" "$root/lib/modules/$version/"
depmod -b "$root" "$version"
rm -rf "$root"/usr/share/doc/* "$root"/usr/share/locale/* "$root"/usr/share/man/* "$root"/var/cache/apt/*

# A sixth and 32 MiB of slack; a MiB before and after for the partition tables.
size=$(du -sm "$root" | cut -f 1)
size=$((size + size / 6 + 32))
truncate -s $((size + 2))M "$image"
mkfs.ext4 -q -L root -m 0 -E offset=1048576,lazy_itable_init=0,lazy_journal_init=0 -d "$root" "$image" ${size}M
sgdisk --new=1:2048:+${size}M --typecode=1:8304 --change-name=1:root "$image"
