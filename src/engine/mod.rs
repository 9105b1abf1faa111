//! DRIVE: the loop that brings each step to its end, the list of steps, and the journal.

pub mod converge;
pub mod generator;
pub mod host;
pub mod lock;
pub mod run;
pub mod state;
