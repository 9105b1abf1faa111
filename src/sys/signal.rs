//! Signals.
#![allow(unsafe_code)] // signal(2) has no wrapper in the crates that are used here

/// Requests to end (SIGTERM, SIGHUP, SIGINT) have no effect from here on.
pub fn ignore_requests_to_end() {
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        // SAFETY: SIG_IGN is no function of ours that could run at a bad time; the call takes two numbers.
        unsafe {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}
