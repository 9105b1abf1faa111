//! docs/site.md says what the code says.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "that is how a test fails")]

use std::path::Path;

use diskless::input::document::{Document, VERSIONS};
use disklessd::site::Site;
use disklessd::site::aside::Aside;
use disklessd::site::file::File;
use disklessd::site::plan::render;

fn doc() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/site.md");
    std::fs::read_to_string(path).unwrap()
}

/// The members that a table of the file may have: those that the error of an unknown one names.
fn members(table: &str) -> Vec<String> {
    let error = File::parse(&format!("{table}\nno_such_member = 1\n")).unwrap_err();
    let (_, expected) = error.split_once("expected ").unwrap_or_else(|| panic!("{table}: {error}"));
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The first column of the first table below a heading.
fn described(doc: &str, heading: &str) -> Vec<String> {
    let (_, section) = doc.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("{heading}"));
    let section = section.split("\n## ").next().unwrap();
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    section.lines().filter_map(cell).collect()
}

#[test]
fn every_member_is_described() {
    let doc = doc();
    let layer = described(&doc, "`[defaults]` and `[profiles.NAME]`");
    let cases = [
        ("`[server]`", "[server]", false),
        ("`[server.paths]`", "[server.paths]", false),
        ("`[[webhooks]]`", "[[webhooks]]", false),
        ("`[networks.NAME]`", "[networks.a]", false),
        ("`[links.NAME]`", "[links.a]", false),
        ("`[links.NAME.bond]`", "[links.a.bond]", false),
        ("`[images.NAME]`", "[images.a]", false),
        ("`[servers.NAME]`", "[servers.a]", false),
        ("`[defaults]` and `[profiles.NAME]`", "[defaults]", false),
        ("`[defaults]` and `[profiles.NAME]`", "[profiles.a]", false),
        ("`[groups.NAME]`", "[groups.a]", true),
        ("`[[nodes]]`", "[[nodes]]", true),
        ("`[nodes.interfaces.NAME]`", "[[nodes]]\n[nodes.interfaces.a]", false),
    ];
    for (heading, table, is_layer) in cases {
        let mut described = described(&doc, heading);
        if is_layer {
            described.extend(layer.iter().cloned());
        }
        assert_eq!(described, members(table), "docs/site.md, {heading}");
    }
    for member in members("") {
        let described =
            [format!("\n## `[{member}"), format!("\n## `[[{member}"), format!("`[{member}.NAME]`")];
        assert!(described.iter().any(|heading| doc.contains(heading)), "{member}");
    }
}

#[test]
fn the_examples_are_sites() {
    let doc = doc();
    let examples: Vec<&str> =
        doc.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 3);
    // The others are parts of the first.
    for part in ["", examples[1], examples[2]] {
        let text = format!("{}\n{part}", examples[0]).replace("secret_file", "secret");
        let site = Site::of(File::parse(&text).unwrap(), Aside::default());
        assert_eq!((site.nodes.len(), &site.remarks), (1000, &Vec::new()));
        let plan = render(&site, &site.nodes["ocean7"], VERSIONS[0]).unwrap();
        Document::parse(plan.document.to_string().as_bytes()).map(drop).unwrap();
    }
}

#[test]
fn every_variable_is_described() {
    let doc = doc();
    let variables = described(&doc, "Variables");
    assert_eq!(variables.len(), 6);
    for (table, missing) in [("groups.a]\nnodes = \"n1\"", "server"), ("defaults]", "group server")] {
        let file = format!("[{table}\ncmdline = \"{}\"", variables.join(" "));
        let remarks = Site::of(File::parse(&file).unwrap(), Aside::default()).remarks;
        let variable =
            |message: &str| message.split_once("${")?.1.split_once('}').map(|(name, _)| name.to_owned());
        let unknown: Vec<_> = remarks.iter().filter_map(|remark| variable(&remark.message)).collect();
        assert_eq!(unknown.join(" "), missing, "{table}");
    }
}
