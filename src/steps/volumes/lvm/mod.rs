//! LVM2: the logical volumes on physical volumes, as device-mapper maps. Linear and striped ones; what needs more
//! than these two targets is told apart and named, but not activated.

#[cfg(fuzzing)]
pub mod fuzz;
mod group;
mod label;
mod read;
mod table;
mod text;

pub use read::{Physical, read};
pub use table::{Logical, Refusal, group_of, volumes};

#[cfg(test)]
mod tests;
