//! The page and the numbers, as a browser and Prometheus get them from a server with a thousand nodes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "that is how a test fails"
)]

mod browser;
mod looked_at;
mod metrics;
mod routes;
mod scripts;
mod site;

use std::io::Write;

/// Says what was not tested, past the test runner, which keeps what a good test prints to itself.
fn skipped(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: {why}");
}
