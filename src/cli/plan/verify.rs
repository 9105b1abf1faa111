//! `diskless plan verify`: whether a plan may be used.

use std::ffi::OsStr;
use std::path::Path;

use lexopt::Parser;
use serde_json::json;

use super::given::{Options, facts, found, place, print_json};
use super::show::window;
use crate::cli::{Failed, print};
use crate::engine::host::Host;
use crate::error::{Code, Error, Result};
use crate::input::time::{Clock, Time};
use crate::steps::fetch::{self, Rules, TRUSTED, Trusted};

/// Verifies a plan as a node does that asks for signed ones.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let known = ["keys", "now", "least-serial", "facts", "json"];
    let Some(options) = Options::parse(args, &known, 1)? else { return Ok(()) };
    let least_serial = options.parsed("least-serial", |text| text.parse().ok())?.unwrap_or_default();
    let now = options.parsed("now", Time::parse)?;
    let trusted = trusted(host, options.value("keys"))?;
    let rules = Rules { trusted, required: true, least_serial };
    let facts = options.value("facts").map(facts).transpose()?;
    let clock = match now {
        Some(says) => Clock { says, made: Time(0) },
        None => fetch::clock_of(host),
    };
    for plan in &options.words {
        let found = found(host, plan, true)?;
        let place = place(plan)?;
        let judged =
            fetch::judge(&found, &rules, facts.as_ref(), clock).map_err(|why| why.into_error(&place))?;
        let valid = window(judged.document.validity.as_ref());
        let signer = judged.signer.unwrap_or_default();
        let warnings: Vec<String> = judged.warnings.iter().map(ToString::to_string).collect();
        if options.json {
            let node = facts.is_some();
            print_json(
                &json!({ "signed_by": signer, "valid": valid, "node_checked": node, "warnings": warnings }),
            )?;
            continue;
        }
        let mut text = format!("signed by  {signer}\nvalid      {valid}\n");
        if facts.is_none() {
            text.push_str(
                "           whether a node is that one was not looked at: name its facts with --facts\n",
            );
        }
        warnings.iter().for_each(|warning| text.push_str(&format!("WARNING    {warning}\n")));
        print(&text)?;
    }
    Ok(())
}

/// The keys of a folder or file, or of this node; at least one.
fn trusted(host: &Host, keys: Option<&OsStr>) -> Result<Vec<Trusted>> {
    let (place, trusted) = match keys.map(Path::new) {
        Some(file) if file.is_file() => return Ok(vec![fetch::trusted_key(file)?]),
        Some(folder) => (folder.display().to_string(), fetch::trusted_keys(folder)?),
        None => (TRUSTED.to_owned(), fetch::trusted_keys(&host.path(TRUSTED))?),
    };
    if trusted.is_empty() {
        let cause = "there is no key in it: name a folder of *.pub, or one of them, with --keys";
        return Err(Error::new(Code::SigningKey, place).because(cause));
    }
    Ok(trusted)
}
