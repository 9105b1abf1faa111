//! The reference documents say what the code says. To bring them up to date: `UPDATE_DOCS=1 cargo test --test docs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use diskless::error::{Class, Code};
use diskless::input::config::PARAMETERS;
use diskless::input::document::Document;

const BEGIN: &str = "<!-- generated from the code -->\n";
const END: &str = "<!-- end of what is generated -->\n";

fn doc(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// Holds the part of a document between the marks to `generated`.
fn check(name: &str, generated: &str) {
    let path = doc(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the mark where generated text begins");
    let (written, after) = rest.split_once(END).expect("the mark where generated text ends");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{generated}{END}{after}")).unwrap();
    } else {
        assert_eq!(
            written, generated,
            "docs/{name} is behind the code: UPDATE_DOCS=1 cargo test --test docs"
        );
    }
}

#[test]
fn every_error_code_is_described() {
    let mut table =
        String::from("\n| code | what the agent does | meaning | what to do |\n| --- | --- | --- | --- |\n");
    for code in Code::ALL {
        let class = match code.class() {
            Class::Retry => "tries again until the step's time is over",
            Class::Config => "stops: something must be changed",
            Class::Fatal => "stops",
        };
        writeln!(table, "| `{}` | {class} | {} | {} |", code.as_str(), code.meaning(), code.advice())
            .unwrap();
    }
    table.push('\n');
    check("errors.md", &table);
}

#[test]
fn every_parameter_is_described() {
    let mut table = String::from("\n| parameter | default | meaning |\n| --- | --- | --- |\n");
    for parameter in PARAMETERS {
        writeln!(table, "| `{}=` | {} | {} |", parameter.name, parameter.default, parameter.doc).unwrap();
    }
    table.push('\n');
    check("parameters.md", &table);
    let manual = std::fs::read_to_string(doc("diskless.8.md")).unwrap();
    for parameter in PARAMETERS {
        assert!(
            manual.contains(&format!("`{}=`", parameter.name)),
            "{} is not in the manual",
            parameter.name
        );
    }
}

#[test]
fn the_example_of_a_plan_is_a_plan() {
    let text = std::fs::read_to_string(doc("plan.md")).unwrap();
    let examples: Vec<&str> =
        text.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        if let Err(error) = Document::parse(example.as_bytes()) {
            panic!("{error}:\n{example}");
        }
    }
}
