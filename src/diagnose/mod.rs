//! DIAGNOSE: the second opinion. What is wrong with this boot, whatever the agent itself said or did not say about it.
//!
//! [`observe`](observe::observe) gathers evidence along the chain that a boot hangs on, from the cable to the mounted
//! root; it changes nothing. [`judge`] makes causes of it: it is pure, and reads recorded evidence as well.
//! [`collect`](collect::collect) runs the first in a process of its own, for what dead hardware makes hang: its time is
//! over after [`collect::LIMIT`] whatever that process does.

mod chain;
pub mod collect;
mod evidence;
#[cfg(fuzzing)]
pub mod fuzz;
mod judge;
pub mod observe;

pub use chain::{CHAIN, Link};
pub use evidence::{Check, Of, Outcome, Stage};
pub use judge::{Cause, judge};
