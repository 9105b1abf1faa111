//! DRIVE: the loop that brings each step to its end, the list of steps, and the journal.

pub mod configured;
pub mod converge;
pub mod emergency;
pub mod generator;
pub mod host;
pub mod lock;
pub mod orders;
pub mod policy;
pub mod run;
pub mod skip;
pub mod state;
pub mod trap;
