//! READ: kernel command line, boot plan, facts of the node, secrets. Text in, types out; nothing here acts.

pub mod account_settings;
pub mod authorized_key;
pub mod cmdline;
pub mod conf;
pub mod config;
pub mod console_shell;
pub mod document;
pub mod facts;
#[cfg(fuzzing)]
pub mod fuzz;
pub mod identity;
pub mod memory;
pub mod multipath_settings;
pub mod netroot;
pub mod parameters;
pub mod portal;
pub mod redact;
pub mod secret;
pub mod settings;
pub mod shown;
pub mod signature;
pub mod size;
pub mod ssh_key;
pub mod time;
pub mod trap;
pub mod url;
pub mod words;
