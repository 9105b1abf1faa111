# Inside an image: SELinux enforces. The scripts of the harness are labelled as programs, which makes initrc_t of what systemd
# starts: it may do anything, for it is not what is looked at. The policy knows /usr/local as /usr.
set -eu
sed -i 's/^SELINUX=.*/SELINUX=enforcing/' /etc/selinux/config
. /etc/selinux/config
echo '/usr/lib/diskless-.* -- system_u:object_r:bin_t:s0' \
    >> "/etc/selinux/$SELINUXTYPE/contexts/files/file_contexts.local"
# An overlay opens the files below it as who mounted it: the kernel, where that was before a policy was there. Each process
# gets such files by mmap(2), which Debian's policy refuses (Fedora's has the boolean domain_fd_use for it, and it is on).
echo '(allow domain kernel_t (fd (use)))' > /tmp/overlay_root.cil
semodule --noreload --install /tmp/overlay_root.cil
rm /tmp/overlay_root.cil
