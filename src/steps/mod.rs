//! DO: one folder a step, with the same three files in each: `observe.rs` looks, `plan.rs` decides, `apply.rs`
//! acts; `mod.rs` is the step itself. What else is in a folder is the trade of that step.

pub mod iscsi;
