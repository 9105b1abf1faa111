//! TOUCH: the only place that calls the kernel directly, and the only one with `unsafe`.

pub mod address;
pub mod block;
pub mod clock;
pub mod dm;
pub mod ethtool;
pub mod events;
pub mod ext4;
pub mod flag;
pub mod http;
pub mod in_root;
pub mod ipmi;
pub mod iscsi_netlink;
pub mod keyring;
pub mod kmsg;
pub mod memory;
pub mod module;
pub mod mount;
pub mod namespace;
#[cfg(test)]
pub mod old_kernel;
pub mod packets;
pub mod program;
pub mod random;
pub mod resolve;
pub mod routes;
pub mod shutdown;
pub mod signal;
pub mod systemd_bus;
pub mod tcp;
pub mod terminal;
pub mod tls;
pub mod wake;
pub mod whole_file;
pub mod xattr;
