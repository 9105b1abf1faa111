//! The cause that `diskless diagnose` names: in every fault scenario of the harness, by recorded evidence; and its time
//! limit, in networks where everything is dead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use diskless::diagnose::{Check, Of, Outcome, Stage, judge};
use serde_json::Value;

/// Which causes belong to which scenario: nearly always one. The evidence is in `tests/data/diagnose/NAME.json`, in the form of
/// `diskless diagnose --json`.
const SCENARIOS: &[(&str, &[&str])] = &[
    // These end in an emergency.
    ("argon2-too-large", &["luks-memory"]),
    ("https-untrusted", &["tls-untrusted"]),
    // tgtd hides a target from initiators that it is not for.
    ("initiator-refused", &["iscsi-no-target"]),
    ("lun-missing", &["iscsi-no-disk"]),
    ("lv-missing", &["no-volume"]),
    ("paths-luks-uuid-other-image", &["path-mismatch"]),
    ("paths-mtu", &["mtu"]),
    ("plan-invalid", &["plan-invalid"]),
    ("site-lun-writable", &["lun-writable"]),
    ("site-unclean", &["file-system-unclean"]),
    // And its initramfs has no key.
    ("target-not-found", &["iscsi-no-target", "luks-key-missing"]),
    ("wrong-chap-secret", &["iscsi-auth"]),
    ("wrong-luks-key", &["luks-no-key"]),
    // These keep the boot waiting for a while.
    // It goes before DHCP has answered.
    ("cable", &["no-address"]),
    ("site-net-late-legacy", &["no-address"]),
    ("site-net-late-manager", &["no-address"]),
    ("target-late", &["iscsi-connect"]),
];

fn evidence(name: &str) -> Vec<Check> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/diagnose").join(name).with_extension("json");
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let recorded: Value = serde_json::from_slice(&text).unwrap();
    serde_json::from_value(recorded["evidence"].clone()).unwrap()
}

fn causes(evidence: &[Check]) -> Vec<String> {
    judge(evidence).into_iter().map(|cause| cause.code).collect()
}

#[test]
fn each_fault_has_its_cause_with_the_journal_and_without() {
    for (name, expected) in SCENARIOS {
        let mut evidence = evidence(name);
        assert_eq!(causes(&evidence), *expected, "{name}");
        // As if state.json was deleted.
        evidence.retain(|check| check.stage != Stage::Journal);
        assert_eq!(causes(&evidence), *expected, "{name} without a journal");
    }
}

/// The folders of scenarios in which something keeps a boot from going on, for good or for a while.
fn faulty_scenarios() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("qemu-harness/scenarios");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_faulty = |path: &PathBuf| {
        let Ok(text) = std::fs::read_to_string(path.join("scenario.toml")) else { return false };
        let is_emergency = text.lines().any(|line| line.trim() == "end = \"emergency\"");
        // A fault that comes, or ends, while the agent waits.
        let waits =
            text.lines().any(|line| line.starts_with("after = \"diskless: ") && line.contains(" waiting"));
        is_emergency || waits
    };
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    // Those in trap mode ask the node itself for its cause.
    entries.filter(is_faulty).map(name).filter(|name| !name.starts_with("trap-")).collect()
}

#[test]
fn no_fault_scenario_is_forgotten() {
    let known: BTreeSet<String> = SCENARIOS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(known, faulty_scenarios());
}

#[test]
fn a_healthy_node_has_none_and_two_faults_are_both_named() {
    for name in ["healthy-trapped", "healthy-booted"] {
        assert!(causes(&evidence(name)).is_empty(), "{name}");
    }
    assert_eq!(causes(&evidence("server-away")), ["no-neighbour"]);
    // The key stops the boot, the cable takes one path of two.
    assert_eq!(causes(&evidence("two-faults")), ["luks-no-key", "link-down"]);
}

#[test]
fn what_was_recorded_is_judged_again() {
    for (name, cause, code) in [("server-away", "no-neighbour", 1), ("healthy-booted", "none", 0)] {
        let file = format!("{}/tests/data/diagnose/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let output = Command::new(env!("CARGO_BIN_EXE_diskless"))
            .args(["diagnose", "--json", "--from", &file])
            .output()
            .unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&told["cause"], output.status.code()), (&cause.into(), Some(code)));
        // And once more.
        let again: Vec<Check> = serde_json::from_value(told["evidence"].clone()).unwrap();
        assert_eq!(again, evidence(name));
    }
}

/// Nobody waits longer for a diagnosis.
const LIMIT: Duration = Duration::from_secs(10);

const PLAN: &str = r#"{
  "version": "1.0",
  "iscsi": {
    "initiator": "iqn.2026-01.org.example:node1",
    "target": "iqn.2026-01.org.example:image",
    "portals": ["192.0.2.1", "192.0.2.2", "203.0.113.1", "store.example", "[fd00::1]"],
    "min_paths": 2,
    "auth": { "username": "node", "secret": "hunter2hunter2" }
  },
  "luks": { "key": { "url": "http://192.0.2.7/key?token=hunter2hunter2" } },
  "overlay": { "mounts": [{ "at": "/", "lower": "/dev/mapper/luks_root1", "fs": "ext4" }] }
}"#;

/// A node, in namespaces of its own: nothing of it reaches this machine.
struct Node<'a> {
    cmdline: &'a str,
    /// Shell: makes its network.
    network: &'a str,
    /// Shell: the plan that is tried.
    plan: &'a str,
}

/// What it says of itself, and how long that took.
fn diagnose(node: &Node<'_>) -> (Value, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().display();
    for (file, text) in [
        ("cmdline", node.cmdline),
        ("plan.json", PLAN),
        ("initrd-release", "ID=dracut\n"),
        ("resolv.conf", "nameserver 192.0.2.53\n"),
        ("hosts", ""),
    ] {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    let program = env!("CARGO_BIN_EXE_diskless");
    // The files of an initramfs are put in place last: what is run until then is this machine's own.
    let script = format!(
        "set -e
        ip link set lo up
        {network}
        mount -t sysfs sysfs /sys
        mount --bind {root}/cmdline /proc/cmdline
        mount -t tmpfs run /run
        mkdir /run/diskless
        {plan}
        mkdir {root}/etc
        cp {root}/initrd-release {root}/resolv.conf {root}/hosts {root}/etc
        mount --bind {root}/etc /etc
        read -r now rest < /proc/uptime
        echo \"$now\"
        exec {program} diagnose --json",
        network = node.network,
        plan = node.plan.replace("ROOT", &root.to_string()),
    );
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "--mount", "sh", "-c", &script])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let now = std::fs::read_to_string("/proc/uptime").unwrap();
    let (said, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("hunter2"), "a secret is told");
    let (started, told) = said.split_once('\n').unwrap_or_else(|| panic!("nothing was told: {errors}"));
    let told = serde_json::from_str(told).unwrap_or_else(|_| panic!("no JSON: {told}{errors}"));
    // From when the program was started: making the namespaces takes its time on a busy machine.
    let seconds = |text: &str| text.split_whitespace().next().unwrap().parse::<f64>().unwrap();
    (told, Duration::from_secs_f64(seconds(&now) - seconds(started)))
}

/// A cable to a switch where nobody answers, and a way through a router that is none.
const SILENT: &str = "
    ip link add eth0 type veth peer name far0
    ip link set far0 up
    ip link set eth0 up
    ip addr add 192.0.2.9/24 dev eth0
    ip route add 203.0.113.0/24 via 192.0.2.254
    ip -6 addr add fd00::9/64 dev eth0 nodad";
/// An interface that takes every frame and gives none.
const BLACK_HOLE: &str = "
    ip link add eth0 type ifb
    ip link set eth0 up
    ip addr add 192.0.2.9/24 dev eth0
    ip route add 203.0.113.0/24 via 192.0.2.254
    ip -6 addr add fd00::9/64 dev eth0 nodad";
const WITH_PLAN: &str = "cp ROOT/plan.json /run/diskless/plan.json";
const SERVERS: &str = "rd.diskless.plan=http://192.0.2.1/p,https://203.0.113.1/p,http://boot.example/p";

#[test]
fn a_dead_network_is_told_in_ten_seconds() {
    for (network, plan, cause) in [
        (SILENT, "", "no-neighbour"),
        (SILENT, WITH_PLAN, "no-neighbour"),
        (BLACK_HOLE, "", "plan-fetch"),
        (BLACK_HOLE, WITH_PLAN, "iscsi-connect"),
        // The far end of the cable is not there.
        ("ip link add eth0 type veth peer name far0; ip link set eth0 up", WITH_PLAN, "link-down"),
        ("", WITH_PLAN, "link-missing"),
    ] {
        let (told, took) = diagnose(&Node { cmdline: SERVERS, network, plan });
        assert!(took < LIMIT, "{took:?}: {told:#}");
        assert!(
            told["causes"].as_array().unwrap().iter().any(|told| told["code"] == cause),
            "{cause}: {told:#}"
        );
        let rest = told["evidence"].as_array().unwrap().iter().find(|check| check["object"] == "the rest");
        assert_eq!(rest, None, "{told:#}");
    }
}

#[test]
fn what_never_comes_back_does_not_hold_up_the_rest() {
    let node = Node { cmdline: SERVERS, network: SILENT, plan: "mkfifo /run/diskless/plan.json" };
    let (told, took) = diagnose(&node);
    assert!(took < LIMIT, "{took:?}");
    let evidence: Vec<Check> = serde_json::from_value(told["evidence"].clone()).unwrap();
    let rest = evidence.iter().find(|check| check.object == "the rest");
    let rest = rest.unwrap_or_else(|| panic!("it came back: {told:#}"));
    assert_eq!((rest.outcome, rest.of), (Outcome::Unseen, Of::Node));
    assert!(evidence.iter().any(|check| check.stage == Stage::Carrier));
}
