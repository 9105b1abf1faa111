#!/bin/bash
# The dracut module of diskless: the agent, its units, and the kernel modules and udev rules that it uses.
#
# From the environment, for those who build without installing first:
#   DISKLESS_BIN    the agent (default: /usr/bin/diskless)
#   DISKLESS_UNITS  the folder of its systemd units (default: /usr/lib/systemd/system)

diskless_bin=${DISKLESS_BIN:-/usr/bin/diskless}
diskless_units=${DISKLESS_UNITS:-/usr/lib/systemd/system}

check() {
    if [[ ! -x $diskless_bin ]]; then
        derror "diskless: there is no agent at $diskless_bin; install it, or set DISKLESS_BIN"
        return 1
    fi
    # Only when asked for: dracut --add diskless.
    return 255
}

depends() {
    # dm brings dmsetup and the device-mapper rules: udev needs them to see maps, the agent does not.
    echo systemd-initrd dracut-systemd network dm
}

installkernel() {
    # hostonly is emptied: the machine that builds is not the machine that boots.
    hostonly='' instmods \
        iscsi_tcp libiscsi scsi_transport_iscsi sd_mod crc32c_generic crc32c_intel \
        dm_mod dm_crypt xts aes_generic aesni_intel ecb cryptd sha256_generic sha512_generic \
        zram lzo lzo-rle lz4 zstd \
        overlay ext4 xfs squashfs erofs
}

install() {
    inst_simple "$diskless_bin" /usr/bin/diskless
    inst_simple "$diskless_units/diskless.service" "$systemdsystemunitdir/diskless.service"
    # The generator adds the unit to the boot of those nodes whose command line asks for it.
    mkdir -p "$initdir/usr/lib/systemd/system-generators"
    ln -sfn /usr/bin/diskless "$initdir/usr/lib/systemd/system-generators/diskless-generator"
    # The CAs that https servers are checked by; without them there is no https.
    if [[ -e /etc/diskless/ca.pem ]]; then
        inst_simple /etc/diskless/ca.pem
    fi
    # Put to use by the command line hook; other back ends than systemd-networkd have a default of their own.
    inst_simple "$moddir/zz-diskless.network" /usr/share/diskless/zz-diskless.network
    inst_hook cmdline 30 "$moddir/cmdline.sh"
    inst_hook emergency 10 "$moddir/emergency.sh"
}
