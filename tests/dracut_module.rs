//! The dracut module does what its page says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

const SETUP: &str = include_str!("../dracut-module/95diskless/module-setup.sh");
const PAGE: &str = include_str!("../docs/dracut-module.md");

/// The words between backquotes.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_page_lists_the_network_drivers() {
    let (_, list) = SETUP.split_once("\ndiskless_nics=\"").unwrap();
    let installed: BTreeSet<&str> = list.split('"').next().unwrap().split_whitespace().collect();
    let (_, table) = PAGE.split_once("| maker | drivers |").unwrap();
    let listed = quoted(table.split("\n\n").next().unwrap());
    assert!(installed.len() > 50);
    assert_eq!(installed, listed);
}

#[test]
fn the_page_names_what_can_be_set() {
    for name in ["DISKLESS_BIN", "DISKLESS_UNITS", "diskless_mkfs_xfs"] {
        assert!(SETUP.contains(&format!("{{{name}")), "{name} in the module");
        assert!(PAGE.contains(name), "{name} on the page");
    }
}
