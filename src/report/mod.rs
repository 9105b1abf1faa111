//! TELL: what happens, to the console and to the kernel's log.

pub mod console;
pub mod event;
pub mod kernel_log;
