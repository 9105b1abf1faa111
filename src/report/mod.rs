//! TELL: what happens, to the console, to the kernel's log and to the report server.

pub mod after_pivot;
pub mod brief;
pub mod console;
pub mod consoles;
pub mod event;
pub mod form;
#[cfg(fuzzing)]
pub mod fuzz;
pub mod kernel_log;
pub mod pace;
pub mod phone_home;
pub mod record;
pub mod spool;
pub mod timeline;
pub mod told;
pub mod up;
pub mod watch;
pub mod watermark;
