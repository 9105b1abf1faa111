//! DO: one folder a step, with the same three files in each: `observe.rs` looks, `plan.rs` decides, `apply.rs`
//! acts; `mod.rs` is the step itself. What else is in a folder is the trade of that step. `modules` only looks, and has no
//! `apply.rs`. [`layer`] is no step: two of them decide by it.

pub mod fetch;
pub mod handover;
pub mod iscsi;
pub mod layer;
pub mod luks;
pub mod modules;
pub mod multipath;
pub mod network;
pub mod overlay;
pub mod volumes;
pub mod zram;
