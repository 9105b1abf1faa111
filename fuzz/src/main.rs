//! Feeds random bytes to the parsers of foreign input. One program for all of them: `FUZZ_TARGET` names the one it is to
//! be, `FUZZ_TARGET=list` prints their names. The parsers are in the agent's `fuzz.rs`.

#![no_main]

use std::sync::OnceLock;

use diskless::fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

static CHOSEN: OnceLock<Target> = OnceLock::new();

fn chosen() -> Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    if let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) {
        return *target;
    }
    for (name, _) in TARGETS {
        println!("{name}");
    }
    std::process::exit(i32::from(name != "list"));
}

fuzz_target!(
    init: { CHOSEN.get_or_init(chosen); },
    |data: &[u8]| CHOSEN.get_or_init(chosen)(data)
);
