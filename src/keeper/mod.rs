//! The keeper: a process of the agent's that outlives the switch to the new root, and keeps the sessions of its disk
//! and the map over them alive as long as nobody else does.
//!
//! Reading order: `process` (how it survives), `wire` (what it is told), `serve` (when it wakes up), `keep` (what it does
//! then), `owner` (whether it may), `daemons` (how it sees the image's own), `journal` (what it tells). `client` and
//! `step` are the other end: the boot, which hands its sessions over.

mod client;
mod daemons;
mod journal;
mod keep;
mod look;
mod owner;
mod process;
mod serve;
mod step;
mod unit;
mod wire;

pub use client::{ask, hand_over};
pub use journal::{Doing, Event, FILE, Journal};
pub use process::main;
pub use step::Step;
pub use wire::{Answer, Request};

/// Where it listens: for root alone.
pub const SOCKET: &str = "/run/diskless/keeper.socket";
