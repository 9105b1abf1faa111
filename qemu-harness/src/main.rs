//! Boots real virtual machines against real iSCSI targets.
fn main() {}
