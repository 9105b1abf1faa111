//! Signals.
#![allow(unsafe_code)] // signal(2) has no wrapper in the crates that are used here

use std::thread;

use nix::sys::signal::{SigSet, Signal};

use super::flag::Flag;

/// Requests to end (SIGTERM, SIGHUP, SIGINT) have no effect from here on.
pub fn ignore_requests_to_end() {
    ignore(&[libc::SIGTERM, libc::SIGHUP, libc::SIGINT]);
}

/// What a terminal can send has no effect from here on, on this process and those that it starts: keys, a hang-up, and
/// reading or writing in the background.
pub fn ignore_keyboard() {
    ignore(&[libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU]);
}

/// The flag that is raised when the process is requested to end (SIGTERM). To be called before there are other threads: they
/// would get the signal.
pub fn on_request_to_end() -> Flag {
    let flag = Flag::default();
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    // It cannot fail for a signal that there is; without it the request ends the process at once, which is as good.
    if signals.thread_block().is_ok() {
        let raised = flag.clone();
        thread::spawn(move || {
            if signals.wait().is_ok() {
                raised.raise();
            }
        });
    }
    flag
}

fn ignore(signals: &[libc::c_int]) {
    for &signal in signals {
        // SAFETY: SIG_IGN is no function of ours that could run at a bad time; the call takes two numbers.
        unsafe {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}
