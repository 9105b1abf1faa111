//! The signed plans of the scenarios are what their scenario says: they were signed when they were written, and a change to
//! one of them, or to what is signed, would show up in a virtual machine only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::path::{Path, PathBuf};

use diskless::input::facts::{Facts, Interface};
use diskless::input::time::{Clock, Time};
use diskless::steps::fetch::{Found, Rules, judge, trusted_keys};
use zeroize::Zeroizing;

/// The plans of a scenario, in the initramfs or on its server.
fn plans(scenario: &Path) -> Vec<PathBuf> {
    let folders = ["initramfs/etc/diskless", "http"].map(|folder| scenario.join(folder));
    let files = folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten();
    let files = files.map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect()
}

#[test]
fn each_plan_ends_as_its_scenario_does() {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("qemu-harness/scenarios");
    let facts = Facts {
        interfaces: vec![Interface { name: "enp0s1".into(), mac: "52:54:00:00:00:01".into() }],
        ..Facts::default()
    };
    let mut judged = 0;
    for entry in scenarios.read_dir().unwrap() {
        let scenario = entry.unwrap().path();
        let name = scenario.file_name().unwrap().to_str().unwrap();
        if !name.starts_with("trap-sign") {
            continue;
        }
        let text = std::fs::read_to_string(scenario.join("scenario.toml")).unwrap();
        let value = |key: &str| {
            let (_, rest) = text.split_once(&format!("{key}="))?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
        };
        let expected = text.split_once("error = \"").map(|(_, rest)| rest.split('"').next().unwrap());
        let rules = Rules {
            trusted: trusted_keys(&scenario.join("initramfs/etc/diskless/trusted.d")).unwrap(),
            required: true,
            least_serial: value("rd.diskless.least_serial").unwrap_or_default(),
        };
        let made = Time::parse("2026-06-01T00:00:00Z").unwrap();
        let says = if text.contains("\nclock = \"1970") { Time(86_400) } else { made };
        for plan in plans(&scenario) {
            let mut beside = plan.clone().into_os_string();
            beside.push(".minisig");
            let found = Found {
                text: Zeroizing::new(std::fs::read(&plan).unwrap()),
                signature: std::fs::read(beside).ok().map(|text| (".minisig", Zeroizing::new(text))),
            };
            let refused = judge(&found, &rules, Some(&facts), Clock { says, made }).err();
            let refused = refused.map(|why| (why.code.as_str(), why.cause));
            assert_eq!(refused.as_ref().map(|(code, _)| *code), expected, "{}: {refused:?}", plan.display());
            judged += 1;
        }
    }
    assert!(judged >= 9, "{judged}");
}
