//! docs/ipxe.md shows what nodes and DHCP servers get.
#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a test fails")]

use std::path::Path;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_script_and_the_lines_for_dnsmasq_are_as_they_are_given() {
    let doc = read("../docs/ipxe.md");
    let examples: Vec<&str> =
        doc.split("```text\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(
        examples.contains(&read("tests/data/ipxe/boot.ipxe").as_str()),
        "docs/ipxe.md is behind boot.ipxe"
    );
    let dnsmasq = read("tests/data/dhcp/dnsmasq.conf");
    assert!(
        examples.iter().any(|example| example.starts_with("dhcp-userclass") && dnsmasq.contains(example)),
        "docs/ipxe.md is behind dnsmasq.conf"
    );
}

#[test]
fn every_kind_of_answer_is_described() {
    let doc = read("../docs/ipxe.md");
    let source = read("src/ipxe/mod.rs");
    let (_, kinds) = source.split_once("In one word, for the store and the log: ").unwrap();
    let kinds = kinds.lines().next().unwrap();
    let kinds: Vec<&str> = kinds.split('`').skip(1).step_by(2).collect();
    assert_eq!(kinds.len(), 7);
    for kind in kinds {
        assert!(doc.contains(&format!("\n| `{kind}` | ")), "{kind} is not in docs/ipxe.md");
    }
}
