# Inside an image: what the virtual machine that it was made on left in it, and what all nodes would have in common. The disk
# gets these files last.
set -eu
put() {
    mkdir -p "/usr/share/harness/root${1%/*}"
    cat > "/usr/share/harness/root$1"
}
id=0123456789abcdef0123456789abcdef
echo $id | put /etc/machine-id
echo $id | put /var/lib/dbus/machine-id
printf '127.0.0.1\tlocalhost\n127.0.1.1\tvm.example vm\n' | put /etc/hosts
uuid=01234567-89ab-cdef-0123-456789abcdef
echo nqn.2014-08.org.nvmexpress:uuid:$uuid | put /etc/nvme/hostnqn
echo $uuid | put /etc/nvme/hostid
head -c 512 /usr/bin/env | put /var/lib/systemd/random-seed
echo secret | put /var/lib/systemd/credential.secret
echo 'lease { interface "eth0"; fixed-address 192.0.2.1; }' | put /var/lib/dhcp/dhclient.eth0.leases
echo 'ADDRESS=192.0.2.1' | put /var/lib/NetworkManager/internal-vm-eth0.lease
echo secret | put /var/lib/NetworkManager/secret_key
echo 'SUBSYSTEM=="net", ATTR{address}=="52:54:00:aa:bb:cc", NAME="eth0"' | put /etc/udev/rules.d/70-persistent-net.rules
# Host keys are made when the package is installed.
ls /etc/ssh/ssh_host_rsa_key /etc/ssh/ssh_host_ed25519_key
