//! `disklessd check`, as it is called; and docs/checks.md, which says what the code says. To bring it up to date:
//! `UPDATE_DOCS=1 cargo test -p disklessd --test checks`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use diskless::error::Code;
use disklessd::check::{Run, rules};

const BEGIN: &str = "<!-- generated from the code -->\n";
const END: &str = "<!-- end of what is generated -->\n";

fn doc() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/checks.md")
}

#[test]
fn every_rule_is_described() {
    let mut table = String::from(
        "\n| code | level | looks at | what must hold | what to do when it does not |\n| --- | --- | --- | --- | --- |\n",
    );
    for rule in rules() {
        let looks = match rule.run {
            Run::Reader | Run::Site(_) => "site",
            Run::Files(_) => "files",
            Run::Network(_) => "servers",
        };
        let (code, level) = (rule.code, rule.level.as_str());
        writeln!(table, "| `{code}` | {level} | {looks} | {} | {} |", rule.doc, rule.advice).unwrap();
    }
    table.push('\n');
    let text = std::fs::read_to_string(doc()).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the mark where generated text begins");
    let (written, after) = rest.split_once(END).expect("the mark where generated text ends");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(doc(), format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(
            written, table,
            "docs/checks.md is behind the code: UPDATE_DOCS=1 cargo test --test checks"
        );
    }
}

#[test]
fn every_code_beside_drydocks_is_one() {
    let mut codes: BTreeSet<&str> = rules().map(|rule| rule.code).collect();
    codes.extend(Code::ALL.iter().map(|code| code.as_str()));
    let text = std::fs::read_to_string(doc()).unwrap();
    let (_, section) = text.split_once("## Drydock's ValidateDesign").unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert!(rows.len() > 15, "{}", rows.len());
    for row in rows {
        let named: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        for code in &named {
            assert!(codes.contains(code), "{code} is no code: {row}");
        }
        assert!(!named.is_empty() || row.contains("Does not apply:"), "{row}");
    }
}

#[test]
fn the_example_is_of_findings() {
    let text = std::fs::read_to_string(doc()).unwrap();
    let example = text.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let (last, findings) =
        example.lines().collect::<Vec<_>>().split_last().map(|(a, b)| (*a, b.to_vec())).unwrap();
    assert_eq!(last, "1 errors, 1 warnings");
    assert_eq!(findings.len(), 2);
    for line in findings {
        let known = rules().any(|rule| {
            line.starts_with(&format!("{} {} ", rule.level.as_str(), rule.code))
                && line.ends_with(rule.advice)
        });
        assert!(known, "{line}");
    }
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_disklessd")).arg("check").args(args).output().unwrap()
}

/// The text of standard output, and the exit code.
fn checked(text: &str, args: &[&str]) -> (String, Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let output = run(&[&[path], args].concat());
    (String::from_utf8(output.stdout).unwrap().replace(path, "site.toml"), output.status.code())
}

const GOOD: &str = "server.url = \"http://198.18.0.2:32001\"\n[[nodes]]\nnames = \"node[1-4]\"\n";

#[test]
fn the_exit_code_says_whether_there_are_errors() {
    let warned = "warning node-unrecognized node[1-4]: has neither MAC address nor UUID; \
                  give it one: without, only the name that DHCP gives it tells which node it is\n";
    assert_eq!(checked(GOOD, &[]), (format!("{warned}0 errors, 1 warnings\n"), Some(0)));
    let (text, code) = checked(&GOOD.replace("http:", "ftp:"), &[]);
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("error server-url server url: "), "{text}");
    assert!(text.ends_with("1 errors, 1 warnings\n"), "{text}");
    assert_eq!(code, Some(1));
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_with_its_place() {
    let (text, code) = checked("[server]\nurl = \"http://h\"\ncolour = \"blue\"\n", &[]);
    assert!(text.starts_with("error site-file site.toml: line 3: server.colour: unknown field"), "{text}");
    assert_eq!(code, Some(1));
    let missing = run(&["/nonexistent/site.toml"]);
    let text = String::from_utf8(missing.stdout).unwrap();
    assert!(text.starts_with("error site-file /nonexistent/site.toml: No such file"), "{text}");
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn scripts_get_json() {
    let (text, code) = checked(GOOD, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((json["errors"].as_u64(), json["warnings"].as_u64(), code), (Some(0), Some(1), Some(0)));
    assert_eq!(json["findings"][0]["code"], "node-unrecognized");
    assert_eq!(json["findings"][0]["level"], "warning");
}

#[test]
fn what_is_no_command_line_is_refused() {
    for args in [&["--loud"][..], &["a", "b"]] {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
}
