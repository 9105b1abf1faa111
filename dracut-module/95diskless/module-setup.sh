#!/bin/bash
# The dracut module of diskless: the agent, its units, and the kernel modules and udev rules that it uses.
# docs/dracut-module.md describes what a site can set.
#
# From the environment, for those who build without installing first:
#   DISKLESS_BIN    the agent (default: /usr/bin/diskless)
#   DISKLESS_UNITS  the folder of its systemd units (default: /usr/lib/systemd/system)
# From dracut.conf(5):
#   diskless_mkfs_xfs=yes   mkfs.xfs as well, for plans with a writable layer of xfs
#   diskless_sshd=yes       OpenSSH's sshd, by which operators log in with their keys
#   diskless_tools=yes      what puts a root together by hand: open-iscsi, multipath-tools, cryptsetup, lvm and others

diskless_bin=${DISKLESS_BIN:-/usr/bin/diskless}
diskless_units=${DISKLESS_UNITS:-/usr/lib/systemd/system}

# Network cards of servers and clusters, and of virtual machines. Firmware comes with them.
diskless_nics="
    mlx4_en mlx5_core mlxsw_pci bnx2 bnx2x bnxt_en tg3 i40e ice iavf ixgbe ixgbevf igb igbvf igc e1000e e1000 fm10k
    qed qede qlcnic netxen_nic cxgb3 cxgb4 cxgb4vf be2net sfc sfc_falcon enic ena gve mana atlantic nfp ionic hinic hns3
    octeontx2 thunderx nicvf r8169 r8152 8139cp 8139too sky2 skge forcedeth alx atl1c jme pcnet32
    virtio_net virtio_pci virtio_mmio vmxnet3 hv_netvsc hv_vmbus pci-hyperv xen-netfront
    ib_ipoib mlx4_ib mlx5_ib hfi1 irdma
    bonding 8021q"

# The login, the disk, its encryption, and what is mounted.
diskless_modules="
    iscsi_tcp libiscsi scsi_transport_iscsi sd_mod crc32c crc32c_generic crc32c_intel
    scsi_dh_alua dm_multipath dm_round_robin dm_queue_length dm_service_time dm_historical_service_time
    dm_mod dm_crypt xts cbc ecb essiv authenc aes_generic aesni_intel cryptd sha256_generic sha512_generic
    zram lzo lzo-rle lz4 lz4hc zstd 842 deflate
    overlay ext4 xfs squashfs erofs btrfs"

# Programs for who boots a node by hand. Not in it are udev's rules and units for them: they would lay hands on the agent's
# disks by themselves.
diskless_tools_programs="
    iscsiadm iscsid iscsistart multipath multipathd kpartx cryptsetup lvm dmsetup mkfs.xfs partprobe blockdev blkid kexec
    ip ping udevadm modprobe mount umount mkdir cp mv rm ln ls cat echo chmod grep sed cut head tail sleep touch dd sync df
    lsblk hostname pkill ps dmesg"

check() {
    if [[ ! -x $dracutsysrootdir$diskless_bin ]]; then
        derror "diskless: there is no agent at $dracutsysrootdir$diskless_bin; install it, or set DISKLESS_BIN"
        return 1
    fi
    # Only when asked for: dracut --add diskless.
    return 255
}

# Whether this initramfs is for the kernel that saves the memory of one that crashed, into which a site's dracut.conf.d
# may have brought us: kdump's module of EL and Fedora, that of SUSE, and what EL's mkdumprd sets.
diskless_for_kdump() {
    local modules=" $dracutmodules $add_dracutmodules $force_add_dracutmodules "
    [[ ${IN_KDUMP-} || $modules == *\ kdumpbase\ * || $modules == *\ kdump\ * ]]
}

depends() {
    # Not by check(): dracut ends with an error where a module that it is told to add is refused, and there would be no
    # initramfs for kdump at all.
    if diskless_for_kdump; then return 0; fi
    # dm brings dmsetup and the device-mapper rules: udev needs them to see maps, the agent does not.
    echo systemd-initrd dracut-systemd network dm
}

# Those of the modules named that this kernel has as files. What is built in, of another kernel or of another machine is
# left out without a word.
diskless_available() {
    local module
    for module; do
        grep -q "/${module//[-_]/[-_]}\.ko" "$srcmods/modules.dep" && echo "$module"
    done
}

installkernel() {
    if diskless_for_kdump; then return 0; fi
    # hostonly is emptied: the machine that builds is not the machine that boots.
    # shellcheck disable=SC2046,SC2086 # lists of words
    hostonly='' instmods $(diskless_available $diskless_modules $diskless_nics)
}

install() {
    local file generator
    if diskless_for_kdump; then
        dinfo "diskless: left out, this initramfs is for kdump"
        return 0
    fi
    inst_simple "$diskless_bin" /usr/bin/diskless
    inst_simple "$diskless_units/diskless.service" "$systemdsystemunitdir/diskless.service"
    inst_simple "$diskless_units/diskless-keeper.service" "$systemdsystemunitdir/diskless-keeper.service"
    # The generator adds the unit to the boot of those nodes whose command line, or /etc/diskless.conf, asks for it.
    mkdir -p "$initdir/usr/lib/systemd/system-generators" "$initdir/etc/systemd/system-generators"
    ln -sfn /usr/bin/diskless "$initdir/usr/lib/systemd/system-generators/diskless-generator"
    # What rd.luks.* and root= say is the agent's business then: the boot would wait for disks that others know no way to. So
    # it would for the swap of resume=.
    for generator in systemd-cryptsetup-generator dracut-rootfs-generator systemd-hibernate-resume-generator; do
        inst_simple "$moddir/unless-acting" "/etc/systemd/system-generators/$generator"
    done
    # Put to use by the command line hook; other back ends than systemd-networkd have a default of their own.
    inst_simple "$moddir/zz-diskless.network" /usr/share/diskless/zz-diskless.network
    # Nothing else brings a profile, as a rule; one that does reads the folder.
    inst_simple "$moddir/profile.sh" /etc/profile.d/diskless.sh
    [[ -e $initdir/etc/profile ]] || ln -sfn profile.d/diskless.sh "$initdir/etc/profile"
    inst_hook cmdline 01 "$moddir/cmdline.sh"
    inst_hook emergency 10 "$moddir/emergency.sh"
    inst_hook initqueue/settled 10 "$moddir/initqueue.sh"
    if dracut_module_included network-legacy; then
        inst_simple "$moddir/ifup" /usr/lib/diskless/ifup
        inst_hook pre-udev 65 "$moddir/net-rules.sh"
        inst_multiple grep ip mkdir rmdir sed sleep
    fi
    # The authority of HTTPS servers, keys, plans: with their modes. dracut makes the archive readable by root alone.
    # And the keys that plans are to be signed with.
    for file in "$dracutsysrootdir"/etc/diskless/* "$dracutsysrootdir"/etc/diskless/trusted.d/*.pub; do
        [[ ! -f $file ]] || inst_simple "${file#"$dracutsysrootdir"}"
    done
    if [[ -f $dracutsysrootdir/etc/diskless.conf ]]; then
        inst_simple /etc/diskless.conf
    fi
    if [[ ${diskless_mkfs_xfs-} == yes ]]; then
        inst_multiple mkfs.xfs
    fi
    if [[ ${diskless_sshd-} == yes ]]; then diskless_install_sshd; fi
    if [[ ${diskless_tools-} == yes ]]; then diskless_install_tools; fi
}

# sshd with what it cannot do without: its helpers, its user, its empty folders. Configuration and keys are the agent's.
diskless_install_sshd() {
    local file wants
    if ! find_binary sshd > /dev/null; then
        derror "diskless: diskless_sshd=yes, and there is no sshd; install OpenSSH's server"
        return 1
    fi
    inst_multiple sshd
    # Since OpenSSH 9.8 and 10.0 these do what sshd did.
    for file in sshd-session sshd-auth; do
        inst_multiple -o "/usr/lib/openssh/$file" "/usr/libexec/openssh/$file" "/usr/lib/ssh/$file"
    done
    # Before glibc 2.34 it is by this that names of users are found.
    inst_libdir_file "libnss_files.so*"
    inst_multiple cat ls

    mkdir -p "$initdir/root" "$initdir/var/empty/sshd" "$initdir/usr/share/empty.sshd"
    chmod 0700 "$initdir/root"
    chmod 0711 "$initdir/var/empty/sshd" "$initdir/usr/share/empty.sshd"
    diskless_add_account passwd 'sshd:x:74:74::/var/empty/sshd:/sbin/nologin'
    diskless_add_account group 'sshd:x:74:'
    # dracut's base, whose turn is later, adds root where nobody has.

    inst_simple "$diskless_units/diskless-sshd.service" "$systemdsystemunitdir/diskless-sshd.service"
    inst_simple "$diskless_units/diskless-sshd.path" "$systemdsystemunitdir/diskless-sshd.path"
    # Beside the agent, and only where it acts.
    wants=$initdir$systemdsystemunitdir/diskless.service.wants
    mkdir -p "$wants"
    for file in diskless-sshd.service diskless-sshd.path; do
        ln -sfn "../$file" "$wants/$file"
    done

    # Files of /etc/diskless are in it already. dracut leaves a file that it replaces its permissions.
    for file in "$dracutsysrootdir"/etc/diskless/ssh_host_*_key; do
        [[ -f $file ]] || continue
        if [[ $(find "$outfile" -maxdepth 0 -perm /004 2> /dev/null) ]]; then
            dwarn "diskless: everybody can read $outfile, and with it the host keys that it gets: chmod 0600 $outfile"
        fi
        break
    done
    [[ -f $dracutsysrootdir/etc/diskless/authorized_keys ]] \
        || dinfo "diskless: no /etc/diskless/authorized_keys: only rd.diskless.authorized_key= and plans let somebody in"
}

# The line of sshd's in the database $1 of users or groups, or $2.
diskless_add_account() {
    grep -qs '^sshd:' "$initdir/etc/$1" || grep -s '^sshd:' "$dracutsysrootdir/etc/$1" >> "$initdir/etc/$1" \
        || echo "$2" >> "$initdir/etc/$1"
}

# The field's own tools, for who types.
diskless_install_tools() {
    local tool missing=
    for tool in $diskless_tools_programs; do
        if find_binary "$tool" > /dev/null; then
            inst_multiple "$tool"
        else
            missing+=" $tool"
        fi
    done
    if [[ $missing ]]; then
        dwarn "diskless: diskless_tools=yes, and these are not installed:$missing"
    fi

    # multipath loads its parts by name, and both daemons what threads need at their end.
    inst_libdir_file "multipath/*" "libgcc_s.so*"
    for tool in "$dracutsysrootdir"/lib/multipath/*.so; do
        [[ ! -f $tool ]] || inst_simple "${tool#"$dracutsysrootdir"}"
    done
    # Where they keep what they know. No configuration of theirs: it would be that of the machine that builds.
    for tool in etc/iscsi etc/multipath etc/lvm var/lib/iscsi/nodes overlay; do
        mkdir -p "$initdir/$tool"
    done

    # In front of the distribution's, which want scripts and targets of a whole system.
    inst_simple "$moddir/iscsid.service" /etc/systemd/system/iscsid.service
    inst_simple "$moddir/iscsid.socket" /etc/systemd/system/iscsid.socket
}
