# Inside the builder: unpacks the kernel. Installing it would make an initramfs nobody needs.
set -eu
package=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
cd /tmp
apt-get -q -o APT::Sandbox::User=root download "$package"
# Not into / itself: tar would put a folder in place of the link /lib.
dpkg-deb -x ./*.deb /unpacked
version=${package#linux-image-}
# Since Debian 13 modules are packed below /usr.
for folder in /unpacked/lib/modules /unpacked/usr/lib/modules; do
    [ ! -d "$folder" ] || mv "$folder" /usr/lib/
done
mv "/unpacked/boot/vmlinuz-$version" /boot/
rm -r /unpacked
# A virtual machine has no such hardware; without them the builder is half as big and dracut twice as fast.
cd "/lib/modules/$version/kernel"
rm -rf sound drivers/gpu drivers/media drivers/staging drivers/iio drivers/infiniband drivers/isdn \
    drivers/net/wireless drivers/usb/gadget net/bluetooth net/mac80211 net/wireless
depmod "$version"
