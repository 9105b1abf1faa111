//! READ: kernel command line, boot plan, secrets. Text in, types out; nothing here acts.

pub mod document;
pub mod secret;
