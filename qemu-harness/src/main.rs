//! Boots real virtual machines against real iSCSI targets, and asks the booted root what it has become.
//!
//! ```text
//! caller   cli ── builds the agent ── raise ─ sudo ─┐
//! root     raise ── own pid and mount namespaces ───┤  the host read-only, but for the cache
//! inside   recipe: what a scenario needs, cached    │
//!          run: one scenario after the other ───────┘
//!            lab: own network namespace, DHCP, tgtd, HTTP, QEMU
//!            verdict: console and facts against the scenario's expectation
//! ```

mod bench;
mod cache;
mod chroot;
mod cli;
mod command;
mod cpio;
mod error;
mod key;
mod lab;
mod namespace;
mod raise;
mod recipe;
mod report;
mod run;
mod scenario;
mod trace;
mod tree;
mod verdict;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::main(std::env::args_os()) {
        Ok(code) => ExitCode::from(code),
        Err(error::Error::Usage(message)) => {
            eprintln!("qemu-harness: {message}\n\n{}", cli::USAGE);
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("qemu-harness: {error}");
            ExitCode::FAILURE
        }
    }
}
