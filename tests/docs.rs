//! The reference documents say what the code says. To bring them up to date: `UPDATE_DOCS=1 cargo test --test docs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use diskless::bundle::source::{SOURCES, Source};
use diskless::diagnose::{CHAIN, Link};
use diskless::error::{Class, Code};
use diskless::input::cmdline::Cmdline;
use diskless::input::conf::Conf;
use diskless::input::config::Config;
use diskless::input::document::Document;
use diskless::input::parameters;
use diskless::input::settings::{Lands, SETTINGS};
use diskless::input::trap::{OnFailure, Trap};
use diskless::input::words::{PARAMETERS, Parameter};
use diskless::steps::handover::{OWN, Own, RIVALS, Rival, WRITTEN, Written};
use serde_json::Value;

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
            Class::Warning => "warns and goes on",
        };
        writeln!(table, "| `{}` | {class} | {} | {} |", code.as_str(), code.meaning(), code.advice())
            .unwrap();
    }
    table.push('\n');
    check("errors.md", &table);
}

#[test]
fn the_chain_of_diagnose_is_described() {
    let mut text = String::from("\n| link | what is looked at | codes |\n| --- | --- | --- |\n");
    let mut codes: Vec<Code> = Vec::new();
    for Link { stage, looked_at, codes: of_link } in CHAIN {
        let stage = serde_json::to_value(stage).unwrap();
        let names: Vec<String> = of_link.iter().map(|code| format!("`{}`", code.as_str())).collect();
        writeln!(text, "| `{}` | {looked_at} | {} |", stage.as_str().unwrap(), names.join(", ")).unwrap();
        codes.extend(of_link.iter().filter(|code| !codes.contains(code)).copied().collect::<Vec<_>>());
    }
    text.push_str("\n| code | what it means | hint |\n| --- | --- | --- |\n");
    for code in codes {
        writeln!(text, "| `{}` | {} | {} |", code.as_str(), code.meaning(), code.advice()).unwrap();
    }
    text.push('\n');
    check("diagnose.md", &text);
}

#[test]
fn every_parameter_is_described() {
    let mut table = String::from("\n| parameter | whose | default | meaning |\n| --- | --- | --- | --- |\n");
    for Parameter { name, whose, default, doc } in PARAMETERS {
        writeln!(table, "| `{name}=` | {whose} | {default} | {doc} |").unwrap();
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
fn the_example_of_a_configuration_is_one() {
    let text = std::fs::read_to_string(doc("diskless.conf")).unwrap();
    assert!(text.len() < 4096, "dpkg would compress it");
    assert!(Conf::parse(&text).behind(Cmdline::default()) == Cmdline::default(), "a line of it is in force");
    // What stands right behind its # is a line to be put in force.
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase()) => setting,
        _ => line,
    });
    let conf = Conf::parse(&lines.collect::<Vec<_>>().join("\n"));
    assert!(conf.wrong().is_empty(), "{:?}", conf.wrong());
    let cmdline = conf.behind(Cmdline::default());
    let (trap, wrong) = Trap::read(&cmdline);
    assert!(wrong.is_none() && trap.on_failure == OnFailure::Retry(Some(5)), "{wrong:?}");
    Config::from_cmdline(&cmdline).unwrap();
    parameters::document(&cmdline).unwrap();
    for name in ["rd.diskless", "rd.diskless.plan", "rd.diskless.on_failure", "netroot"] {
        assert!(cmdline.last(name).is_some(), "{name} is not in the example");
    }
}

#[test]
fn every_file_of_the_new_root_is_described() {
    let mut table = String::from("\n| file | when | why |\n| --- | --- | --- |\n");
    for Written { path, when, why } in WRITTEN {
        writeln!(table, "| `{path}` | {when} | {why} |").unwrap();
    }
    table.push_str(
        "\nWhat makes the node itself, beside its name and the initiator's above. What is not written is removed where \
         the image has it.\n\n| file | what it is | what is done | with what, or why |\n| --- | --- | --- | --- |\n",
    );
    for Own { path, what, done, why } in OWN {
        writeln!(table, "| `{path}` | {what} | {done} | {why} |").unwrap();
    }
    table.push_str("\nWhat else of an image would lay hands on the root's disk:\n\n");
    table
        .push_str("| what the image has | what it would do | what is done about it |\n| --- | --- | --- |\n");
    for Rival { name, would, done, .. } in RIVALS {
        writeln!(table, "| {name} | {would} | {done} |").unwrap();
    }
    table.push('\n');
    check("handover.md", &table);
}

#[test]
fn every_source_of_a_bundle_is_described() {
    let mut table = String::from("\n| file | what | at most |\n| --- | --- | --- |\n");
    for Source { name, what, most, .. } in SOURCES {
        writeln!(table, "| `{name}` | {what} | {} KiB |", most >> 10).unwrap();
    }
    table.push('\n');
    check("bundle.md", &table);
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

#[test]
fn the_example_command_lines_are_plans() {
    let text = std::fs::read_to_string(doc("parameters.md")).unwrap();
    let examples: Vec<&str> =
        text.split("```text\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let cmdline = Cmdline::parse(example);
        let read = Config::from_cmdline(&cmdline).and_then(|_| parameters::document(&cmdline));
        if let Err(error) = read {
            panic!("{error}:\n{example}");
        }
    }
}

#[test]
fn every_setting_is_described() {
    let mut table = String::from("\n| member | `single-path` | `multipath` | may be | where it lands |\n");
    table.push_str("| --- | --- | --- | --- | --- |\n");
    for setting in SETTINGS {
        let value = |preset: Option<&str>| preset.map_or("not set".to_owned(), |value| format!("`{value}`"));
        let (single, multi) = (value(setting.single_path), value(setting.multipath));
        let lands = match setting.lands {
            Lands::Negotiated(key, attribute) => format!("negotiated as `{key}`; `{attribute}` in sysfs"),
            Lands::NegotiatedConnection(key, attribute) => {
                format!("negotiated as `{key}`; `{attribute}` of the connection in sysfs")
            }
            Lands::Session(attribute) => format!("`{attribute}` of the session in sysfs"),
            Lands::Connection(attribute) => format!("`{attribute}` of the connection in sysfs"),
            Lands::ScsiHost(attribute) => format!("`{attribute}` of the SCSI host in sysfs"),
            Lands::ScsiDevice(attribute) => format!("`{attribute}` of the SCSI device in sysfs"),
            Lands::Agent(how) => how.to_owned(),
            Lands::Image(why) => format!("only in the new root: {why}"),
        };
        writeln!(table, "| `{}` | {single} | {multi} | {} | {lands} |", setting.key, setting.kind).unwrap();
    }
    table.push('\n');
    check("plan.md", &table);
}

/// The members of the schema `of`, as `overlay.mounts[].at`; each named schema is entered once.
fn members(schema: &Value, of: &Value, path: &str, entered: &mut Vec<String>, found: &mut Vec<String>) {
    if let Some(name) = of.get("$ref").and_then(Value::as_str) {
        if !entered.contains(&name.to_owned()) {
            entered.push(name.to_owned());
            let named = schema.pointer(name.trim_start_matches('#')).expect("a schema of this name");
            members(schema, named, path, entered, found);
        }
        return;
    }
    for choice in ["anyOf", "oneOf"].iter().filter_map(|kind| of.get(kind)?.as_array()).flatten() {
        members(schema, choice, path, entered, found);
    }
    if let Some(items) = of.get("items") {
        members(schema, items, &format!("{path}[]"), entered, found);
    }
    for (name, member) in of.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        found.push(path.clone());
        members(schema, member, &path, entered, found);
    }
}

#[test]
fn every_member_of_a_plan_is_described() {
    let schema: Value = serde_json::from_slice(&std::fs::read(doc("plan.schema.json")).unwrap()).unwrap();
    let mut found = Vec::new();
    members(&schema, &schema, "", &mut Vec::new(), &mut found);
    assert!(found.len() > 50, "{found:?}");
    let text = std::fs::read_to_string(doc("plan.md")).unwrap();
    for member in found {
        // The settings have a table of their own.
        let name = member.strip_prefix("iscsi.settings.").unwrap_or(&member);
        let row = if name == "preset" { "`preset` is ".to_owned() } else { format!("\n| `{name}` |") };
        assert!(text.contains(&row), "{member} is not in docs/plan.md");
    }
}
