//! END: how a node goes down. `/run/initramfs/shutdown` is this program: systemd's own end of a system pivots to
//! /run/initramfs and executes it as process 1 with what is asked for, the old root at /oldroot (systemd-shutdown(8),
//! bootup(7)). It takes apart what the boot put together, in the reverse order, and starts the machine anew or ends it.
//!
//! Reading order: `plan` (what is to be done, pure), `observe` (what there is), `perform` (doing it, each with its
//! deadline), `first` (process 1), `guard` and `watch` (a node whose target is gone goes down too), `prepare` (what the
//! boot leaves in memory for all that), `keep` (what of systemd's stays readable without the target).
//! `undo` takes the boot's work apart while there is no new root yet.

mod asked;
mod end;
mod first;
mod guard;
mod keep;
mod library;
mod observe;
mod perform;
mod plan;
mod prepare;
mod processes;
pub mod undo;
mod verb;
mod watch;

pub use end::{dry_run, work};
pub use first::{is_called_by, main as as_first_process, verb};
pub use guard::main as guard;
pub use keep::main as keep;
pub use prepare::Step;
pub use verb::Verb;
pub use watch::main as watch;

/// Where the old root is when process 1 is this program.
const OLD_ROOT: &str = "/oldroot";
/// What a process is called that systemd is to spare when it ends all others
/// (<https://systemd.io/ROOT_STORAGE_DAEMONS>).
const SPARED: &str = "@diskless";
