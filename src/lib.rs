//! `diskless` boots a diskless compute node from its initramfs.
//!
//! ```text
//!   kernel command line ── input ──┐
//!   boot plan document ────────────┼── plan.rs ──> [step, step, step, ...]
//!                                  │                        │
//!                                  │             engine: observe, plan, apply
//!                                  │             until done, or its time is over
//!                                  │                        │
//!   console, /dev/kmsg <── report ─┴── state.json      sys: the kernel
//! ```
//!
//! [`keeper`] is the other process: it outlives the initramfs, and drives two of the steps again whenever a connection is
//! lost. [`exit`] is the last one: it takes the node apart when it goes down. [`access`] lets operators in meanwhile, and
//! [`diagnose`] is the second opinion: what is wrong with a boot, whatever the agent itself says of it.
//! For whoever stands in front of a node that does not boot, [`inspect`] says what it is made of, and [`bundle`] gathers what
//! helps.
//!
//! Six folders, six verbs: [`input`] reads, [`plan`] decides, [`engine`] drives, [`steps`] do, [`report`] tells, [`sys`]
//! touches. To learn it, read [`plan`], then [`engine::converge`], then the smallest step, [`steps::zram`]; the other
//! steps have the same files.

pub mod access;
pub mod bundle;
pub mod cli;
pub mod diagnose;
pub mod engine;
pub mod error;
pub mod exit;
#[cfg(fuzzing)]
pub mod fuzz;
pub mod input;
pub mod inspect;
pub mod keeper;
pub mod plan;
pub mod report;
pub mod steps;
pub mod sys;
