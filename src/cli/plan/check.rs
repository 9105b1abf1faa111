//! `diskless plan check`: everything that is wrong with a plan.

use std::fmt::Write as _;

use lexopt::Parser;
use serde_json::json;

use super::given::{Options, found, print_json};
use crate::cli::{Failed, print};
use crate::engine::host::Host;
use crate::error::Error;
use crate::input::document::Document;

/// Says all that is wrong with a plan.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let Some(options) = Options::parse(args, &["json"], 1)? else { return Ok(()) };
    let mut findings = Vec::new();
    for place in &options.words {
        findings.extend(Document::findings(&found(host, place, false)?.text));
    }
    if options.json {
        let finding = |error: &Error| json!({ "code": error.code().as_str(), "text": error.to_string(), "advice": error.advice() });
        print_json(&findings.iter().map(finding).collect::<Vec<_>>())?;
    } else {
        print(&describe(&findings))?;
    }
    if findings.is_empty() { Ok(()) } else { Err(Failed::Told) }
}

fn describe(findings: &[Error]) -> String {
    if findings.is_empty() {
        return "nothing is wrong with it\n".to_owned();
    }
    let mut text = String::new();
    for error in findings {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "[{}] {error}; {}", error.code().as_str(), error.advice());
    }
    text
}
