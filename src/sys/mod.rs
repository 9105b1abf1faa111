//! TOUCH: the only place that calls the kernel directly, and the only one with `unsafe`.

pub mod clock;
pub mod dm;
pub mod events;
pub mod iscsi_netlink;
pub mod module;
