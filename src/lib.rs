//! `diskless` boots diskless compute nodes.

pub mod engine;
pub mod error;
pub mod input;
pub mod report;
pub mod steps;
pub mod sys;
