# Inside a root: installs the packages named, from the host's mirror, without starting anything.
set -eu
apt="apt-get -q -y --no-install-recommends -o APT::Sandbox::User=root -o Dir::Cache::archives=/mnt/packages"
mkdir -p /mnt/packages/partial
$apt update
$apt install "$@"
