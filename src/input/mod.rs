//! READ: kernel command line, boot plan, secrets. Text in, types out; nothing here acts.

pub mod cmdline;
pub mod config;
pub mod document;
pub mod secret;
pub mod size;
