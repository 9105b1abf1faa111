use super::*;
use crate::input::size::Size;
use serde_json::{Value, json};

fn good() -> Value {
    json!({
        "version": "1.0",
        "hostname": "node1",
        "iscsi": {
            "initiator": "iqn.2026-01.org.example:node1",
            "target": "iqn.2026-01.org.example:image",
            "portals": ["198.18.0.1:3260"],
            "lun": 1,
            "auth": { "username": "node", "secret": "0123456789abcdef" }
        },
        "luks": { "key": { "file": "/etc/diskless/image.key" } },
        "overlay": { "mounts": [{ "at": "/", "lower": "/dev/mapper/luks_root1", "fs": "ext4" }] }
    })
}

fn parse(value: &Value) -> Result<Document> {
    Document::parse(value.to_string().as_bytes())
}

#[test]
fn a_plan_and_its_defaults() {
    let document = parse(&good()).unwrap();
    assert_eq!(document.luks.name, "luks_root");
    assert_eq!(document.overlay.size(), Size::OfMemory(50));
    assert_eq!(
        document.iscsi.portals,
        [crate::input::portal::Portal::parse("198.18.0.1:3260").unwrap().into()]
    );
    assert_eq!(document.iscsi.auth.unwrap().secret.expose(), b"0123456789abcdef");
}

#[test]
fn the_timers_follow_the_paths_unless_the_plan_has_a_preset() {
    let recovery =
        |plan: &Value| parse(plan).unwrap().iscsi.settings.number("node.session.timeo.replacement_timeout");
    let mut plan = good();
    assert_eq!(recovery(&plan), 600);
    plan["multipath"] = json!({});
    assert_eq!(recovery(&plan), 15);
    plan["multipath"] = json!("off");
    plan["iscsi"]["portals"] = json!(["198.18.0.1", "198.18.1.1"]);
    assert_eq!(recovery(&plan), 600);
    plan["multipath"] = Value::Null;
    assert_eq!(recovery(&plan), 15);
    let plain = parse(&plan).unwrap().without_map();
    assert_eq!(plain.iscsi.settings.number("node.session.timeo.replacement_timeout"), 600);
    plan["iscsi"]["settings"] = json!({ "preset": "single-path" });
    assert_eq!(recovery(&plan), 600);
    plan["iscsi"]["settings"] = json!({ "node.session.timeo.replacement_timeout": 7 });
    assert_eq!(recovery(&plan), 7);
}

#[test]
fn how_the_map_waits_for_paths() {
    let map = |defaults: Value| serde_json::from_value::<Map>(json!({ "defaults": defaults })).unwrap();
    let seconds = |seconds| Queueing::For(std::time::Duration::from_secs(seconds));
    for (defaults, expected) in [
        (json!({}), Queueing::Forever),
        (json!({ "no_path_retry": "fail" }), Queueing::Fail),
        (json!({ "no_path_retry": "0" }), Queueing::Fail),
        (json!({ "no_path_retry": "6" }), seconds(60)),
        (json!({ "no_path_retry": "6", "polling_interval": "5" }), seconds(30)),
    ] {
        assert_eq!(map(defaults.clone()).queueing(), expected, "{defaults}");
    }
    assert_eq!(map(json!({})).path_selector(), "service-time 0");
    assert_eq!(map(json!({ "path_selector": "round-robin 0" })).path_selector(), "round-robin 0");
}

#[test]
fn portals_of_all_kinds() {
    let mut plan = good();
    plan["iscsi"]["portals"] = json!([
        "198.18.0.1",
        { "portal": "198.18.0.1", "target": "iqn.2026-01.org.example:other" },
        { "portal": "198.18.0.1", "interface": "bond0.100" },
        { "portal": "server.example:3261", "source": "2001:db8::2" },
        "[fe80::1%eth0]",
        { "portal": "[fe80::1]", "interface": "eth1", "source": "fe80::2" },
        { "portal": "[fe80::1%eth2]", "interface": "eth2", "target": "eui.02004567A425678D" }
    ]);
    plan["iscsi"]["min_paths"] = json!(7);
    plan["multipath"] = json!({ "identify": "luks-uuid", "defaults": { "path_selector": "historical-service-time 2 973 2" } });
    let Document { iscsi, .. } = parse(&plan).unwrap();
    let targets: Vec<&str> = iscsi.portals.iter().map(|path| iscsi.target_at(path)).collect();
    assert_eq!(targets[..2], ["iqn.2026-01.org.example:image", "iqn.2026-01.org.example:other"]);
    assert_eq!(targets[6], "eui.02004567A425678D");
    let interfaces: Vec<_> = iscsi.portals.iter().map(TargetPortal::leaves_by).collect();
    let expected = [None, None, Some("bond0.100"), None, Some("eth0"), Some("eth1"), Some("eth2")];
    assert_eq!(interfaces, expected);
}

/// Codes of what is wrong on the way to a plan; all other `plan-*` are of what is wrong in one.
const ON_THE_WAY: &[Code] = &[
    Code::PlanMissing,
    Code::PlanFetch,
    Code::PlanRefused,
    Code::PlanSignatureMissing,
    Code::PlanSignatureWrong,
    Code::PlanSignatureKey,
    Code::PlanOutdated,
    Code::PlanNotYet,
    Code::PlanOtherNode,
    Code::PlanSerial,
];

/// `place` in a plan (a JSON pointer; what is not there is made), a value for it, the code, and what the message says.
fn faults() -> Vec<(&'static str, Value, Code, &'static str)> {
    let layer = |member: &str, value: Value| json!({ "backing": "tmpfs", member: value, "mounts": [{ "at": "/", "lower": "/dev/mapper/a" }] });
    let lowers: Vec<String> = (0..9).map(|number| format!("/dev/mapper/v{number}")).collect();
    let mount = |at: &str, lower: &str| json!([{ "at": at, "lower": lower }]);
    let file = |path: &str, mode: &str| json!([{ "path": path, "mode": mode, "content": "x" }]);
    let portal = |portal: &str, interface: &str, source: &str| json!([{ "portal": portal, "interface": interface, "source": source }]);
    let defaults = |key: &str, value: &str| json!({ "defaults": { key: value } });
    let host_key = |key: Value| json!({ "ssh_host_keys": { "rsa": key } });
    let chap = |username: &str, secret: &str| json!({ "username": "a", "secret": "s", "mutual": { "username": username, "secret": secret } });
    vec![
        ("/version", json!("2.0"), Code::PlanVersion, "2.0"),
        ("/version", json!("1"), Code::PlanVersion, "\"1\""),
        ("/verison", json!("1.0"), Code::PlanInvalid, "verison"),
        ("/validity", json!({ "node": {} }), Code::PlanValidity, "validity.node"),
        ("/validity", json!({ "node": { "macs": ["00:00:00:00:00:00"] } }), Code::PlanValidity, "macs[0]"),
        ("/validity", json!({ "node": { "macs": vec!["52:54:00:00:00:01"; 65] } }), Code::PlanValidity, "64"),
        ("/validity", json!({ "node": { "uuid": "1" } }), Code::PlanValidity, "validity.node.uuid"),
        (
            "/validity",
            json!({ "not_before": "2026-01-02T00:00:00Z", "not_after": "2026-01-02T01:00:00+01:00" }),
            Code::PlanValidity,
            "validity.not_after",
        ),
        ("/validity", json!({ "not_after": "tomorrow" }), Code::PlanInvalid, "validity.not_after"),
        ("/hostname", json!("a b"), Code::PlanHostname, "hostname"),
        ("/hostname", json!(""), Code::PlanHostname, "hostname"),
        ("/hostname", json!("a".repeat(65)), Code::PlanHostname, "hostname"),
        ("/iscsi/initiator", json!("node1"), Code::PlanIscsiName, "iscsi.initiator"),
        ("/iscsi/target", json!("iqn.2026-01.a b"), Code::PlanIscsiName, "iscsi.target"),
        ("/iscsi/portals", json!([]), Code::PlanPortals, "iscsi.portals"),
        ("/iscsi/portals", json!(["10.0.0.1", "10.0.0.1:3260"]), Code::PlanPortals, "iscsi.portals[1]"),
        (
            "/iscsi/portals",
            json!(["[2001:db8::1]", { "portal": "[2001:DB8:0::1]", "target": "iqn.2026-01.org.example:image" }]),
            Code::PlanPortals,
            "stands twice",
        ),
        (
            "/iscsi/portals",
            json!([{ "portal": "a", "interface": "eth0" }, { "portal": "A", "interface": "eth0", "source": "10.0.0.1" }]),
            Code::PlanPortals,
            "iscsi.portals[1]",
        ),
        ("/iscsi/portals", json!(vec!["a"; 33]), Code::PlanPortals, "1 to 32"),
        ("/iscsi/portals", json!([{ "portal": "a", "iface": "b" }]), Code::PlanInvalid, "iscsi.portals[0]"),
        (
            "/iscsi/portals",
            json!([{ "portal": "a", "target": "b" }]),
            Code::PlanIscsiName,
            "portals[0].target",
        ),
        ("/iscsi/portals", portal("a", "e/0", "::1"), Code::PlanInterface, "iscsi.portals[0].interface"),
        ("/iscsi/portals", portal("a", "sixteen-letters-", "::1"), Code::PlanInterface, "15 bytes"),
        ("/iscsi/portals", portal("[fe80::1%eth1]", "eth0", "::1"), Code::PlanInterface, "the address names"),
        ("/iscsi/portals", json!(["[fe80::1]"]), Code::PlanInterface, "link-local"),
        (
            "/iscsi/portals",
            json!([{ "portal": "a", "source": "febf::1" }]),
            Code::PlanInterface,
            "link-local",
        ),
        ("/iscsi/portals", portal("10.0.0.1", "eth0", "::1"), Code::PlanSource, "iscsi.portals[0].source"),
        ("/iscsi/portals", portal("a", "eth0", "0.0.0.0"), Code::PlanSource, "node can have"),
        ("/iscsi/min_paths", json!(0), Code::PlanPaths, "1 to 1"),
        ("/iscsi/min_paths", json!(2), Code::PlanPaths, "iscsi.min_paths"),
        ("/iscsi/grace", json!(3601), Code::PlanPaths, "iscsi.grace"),
        ("/iscsi/portals", json!(["no de"]), Code::PlanInvalid, "iscsi.portals[0]"),
        ("/iscsi/lun", json!(-1), Code::PlanInvalid, "iscsi.lun"),
        ("/iscsi/auth/usrname", json!("a"), Code::PlanInvalid, "iscsi.auth.usrname: "),
        ("/iscsi/auth/username", json!("a\nb"), Code::PlanChap, "iscsi.auth.username"),
        ("/iscsi/auth/secret", json!(""), Code::PlanChap, "iscsi.auth.secret"),
        ("/iscsi/auth/algorithms", json!([]), Code::PlanChap, "iscsi.auth.algorithms"),
        ("/iscsi/auth/algorithms", json!(["MD4"]), Code::PlanInvalid, "iscsi.auth.algorithms[0]"),
        ("/iscsi/auth", chap("b", "s"), Code::PlanChap, "iscsi.auth.mutual.secret"),
        ("/iscsi/auth", chap("", "t"), Code::PlanChap, "iscsi.auth.mutual.username"),
        (
            "/iscsi/discovery",
            json!({ "auth": chap("b", "s") }),
            Code::PlanChap,
            "iscsi.discovery.auth.mutual",
        ),
        ("/iscsi/settings", json!({ "node.session.cmds_max": 0 }), Code::PlanInvalid, "iscsi.settings"),
        ("/luks/name", json!("a/b"), Code::PlanMapName, "luks.name"),
        ("/luks/key", json!({ "path": "/k" }), Code::PlanInvalid, "path"),
        ("/luks/key", json!({ "file": "k" }), Code::PlanKey, "luks.key.file"),
        ("/luks/key", json!({ "file": "/../k" }), Code::PlanKey, "luks.key.file"),
        ("/luks/key", json!({ "url": "ftp://k" }), Code::PlanKey, "luks.key.url"),
        ("/luks/key", json!({ "url": "http://u:p@/" }), Code::PlanKey, "luks.key.url"),
        ("/luks/header", json!({ "file": "/h/" }), Code::PlanKey, "luks.header.file"),
        ("/luks/header", json!({ "url": "/h" }), Code::PlanKey, "luks.header.url"),
        ("/luks/key_size", json!(0), Code::PlanKey, "luks.key_size"),
        ("/luks/key_size", json!(8388609), Code::PlanKey, "luks.key_size"),
        ("/luks/key_offset", json!(-1), Code::PlanInvalid, "luks.key_offset"),
        ("/luks/keyslot", json!(32), Code::PlanKeyslot, "luks.keyslot"),
        ("/luks/uuid", json!("4c4c"), Code::PlanUuid, "luks.uuid"),
        ("/overlay/size", json!("x"), Code::PlanInvalid, "overlay.size"),
        ("/overlay/mem_limit", json!("0"), Code::PlanInvalid, "overlay.mem_limit"),
        ("/overlay/algorithm", json!("zstd\n"), Code::PlanOverlay, "overlay.algorithm"),
        ("/overlay", json!({ "fs": "xfs", "size": "299M", "mounts": [] }), Code::PlanOverlay, "overlay.size"),
        ("/overlay/size", json!("15M"), Code::PlanOverlay, "overlay.size"),
        ("/overlay/mem_limit", json!("15M"), Code::PlanOverlay, "overlay.mem_limit"),
        ("/overlay/nr_inodes", json!(4096), Code::PlanOverlay, "overlay.nr_inodes"),
        ("/overlay/backing", json!("brd"), Code::PlanInvalid, "overlay.backing"),
        ("/overlay", layer("mem_limit", json!("1G")), Code::PlanOverlay, "overlay.mem_limit"),
        ("/overlay", layer("algorithm", json!("zstd")), Code::PlanOverlay, "overlay.algorithm"),
        ("/overlay", layer("fs", json!("ext4")), Code::PlanOverlay, "overlay.fs"),
        ("/overlay", layer("nr_inodes", json!(1023)), Code::PlanOverlay, "overlay.nr_inodes"),
        ("/overlay", layer("size", json!("15M")), Code::PlanOverlay, "overlay.size"),
        ("/overlay/watermarks", json!([85, 70]), Code::PlanWatermarks, "overlay.watermarks"),
        ("/overlay/watermarks", json!([85, 85]), Code::PlanWatermarks, "overlay.watermarks"),
        ("/overlay/watermarks", json!([0]), Code::PlanWatermarks, "overlay.watermarks"),
        ("/overlay/watermarks", json!([101]), Code::PlanWatermarks, "overlay.watermarks"),
        (
            "/overlay/watermarks",
            json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
            Code::PlanWatermarks,
            "10 percentages",
        ),
        ("/overlay/watermarks", json!([256]), Code::PlanInvalid, "overlay.watermarks[0]"),
        ("/overlay/mounts/0/lower", json!([]), Code::PlanLowers, "overlay.mounts[0]"),
        ("/overlay/mounts/0/lower", json!(lowers), Code::PlanLowers, "1 to 8"),
        (
            "/overlay/mounts/0/lower",
            json!(["/dev/mapper/a", { "volume": "/dev/mapper/a", "fs": "xfs" }]),
            Code::PlanLowers,
            "/dev/mapper/a twice",
        ),
        (
            "/overlay/mounts/0/lower",
            json!(["/dev/mapper/a", "/dev/sda1"]),
            Code::PlanMounts,
            "overlay.mounts[0]",
        ),
        (
            "/overlay/mounts/0/lower",
            json!([{ "volume": "/dev/mapper/a", "fs": "a,b" }]),
            Code::PlanMounts,
            "`fs`",
        ),
        ("/overlay/mounts/0/lower", json!(7), Code::PlanInvalid, "overlay.mounts[0].lower"),
        (
            "/overlay/mounts/0/at",
            json!(format!("/{}", "a".repeat(100))),
            Code::PlanMounts,
            "overlay.mounts[0]",
        ),
        ("/overlay/fs", json!("btrfs"), Code::PlanInvalid, "overlay.fs"),
        ("/overlay/mounts", mount("/var", "/dev/mapper/a"), Code::PlanMounts, "nothing is mounted at /"),
        ("/overlay/mounts", mount("/../x", "/dev/mapper/a"), Code::PlanMounts, "overlay.mounts[0]"),
        ("/overlay/mounts", mount("/", "/dev/sda1"), Code::PlanMounts, "overlay.mounts[0]"),
        ("/overlay/mounts/0/fs", json!("a,b"), Code::PlanMounts, "overlay.mounts[0]"),
        ("/overlay", json!({ "mounts": [], "sise": "1G" }), Code::PlanInvalid, "overlay.sise"),
        ("/cloud_init", json!({ "instance_id": "../a" }), Code::PlanCloudInit, "cloud_init.instance_id"),
        ("/cloud_init", json!({ "instance_id": "" }), Code::PlanCloudInit, "cloud_init.instance_id"),
        (
            "/cloud_init",
            json!({ "meta_data": { "instance-id": "i-1" } }),
            Code::PlanCloudInit,
            "cloud_init.meta_data",
        ),
        ("/cloud_init", json!({ "user-data": "x" }), Code::PlanInvalid, "cloud_init.user-data"),
        ("/handover", json!({ "services": ["a b"] }), Code::PlanServices, "handover.services[0]"),
        ("/handover", json!({ "services": ["../a"] }), Code::PlanServices, "handover.services[0]"),
        ("/handover", json!({ "services": ["a", "a"] }), Code::PlanServices, "handover.services[1]"),
        ("/handover", json!({ "files": file("etc/a", "0644") }), Code::PlanFiles, "handover.files[0]"),
        ("/handover", json!({ "files": file("/etc/../a", "0644") }), Code::PlanFiles, "handover.files[0]"),
        ("/handover", json!({ "files": file("/etc/a", "0044") }), Code::PlanFiles, "handover.files[0]"),
        (
            "/handover",
            json!({ "files": file("/etc/a", "0999") }),
            Code::PlanInvalid,
            "handover.files[0].mode",
        ),
        ("/machine_id", json!("node1"), Code::PlanMachineId, "machine_id"),
        ("/machine_id", json!("0".repeat(32)), Code::PlanMachineId, "machine_id"),
        ("/handover", host_key(json!({ "secret": "hunter2" })), Code::PlanHostKeys, "ssh_host_keys.rsa"),
        ("/handover", host_key(json!({ "file": "key" })), Code::PlanHostKeys, "ssh_host_keys.rsa"),
        ("/handover", host_key(json!({ "url": "ftp://a/" })), Code::PlanHostKeys, "ssh_host_keys.rsa"),
        ("/handover", host_key(json!({ "path": "/key" })), Code::PlanInvalid, "handover.ssh_host_keys.rsa"),
        ("/handover", json!({ "ssh_host_keys": { "dsa": {} } }), Code::PlanInvalid, "ssh_host_keys"),
        ("/access", json!({ "authorized_keys": ["hunter2"] }), Code::PlanAccess, "access.authorized_keys[0]"),
        ("/access", json!({ "authorized_keys": vec!["k"; 257] }), Code::PlanAccess, "access.authorized_keys"),
        ("/access", json!({ "password": "hunter2" }), Code::PlanInvalid, "access.password"),
        ("/multipath", json!({ "defaults": { "a b": "c" } }), Code::PlanMultipath, "multipath.defaults"),
        ("/multipath", json!({ "defaults": { "a": "b\"c" } }), Code::PlanMultipath, "multipath.defaults.a"),
        ("/multipath", json!({ "blacklist": ["a\nb"] }), Code::PlanMultipath, "multipath.blacklist[0]"),
        ("/multipath", json!("of"), Code::PlanInvalid, "multipath"),
        ("/multipath", defaults("uid_attribute", "ID_FS_UUID"), Code::PlanMultipath, "multipath.identify"),
        ("/multipath", defaults("no_path_retry", "-1"), Code::PlanMultipath, "defaults.no_path_retry"),
        ("/multipath", defaults("polling_interval", "0"), Code::PlanMultipath, "defaults.polling_interval"),
        ("/multipath", defaults("path_selector", "fastest 0"), Code::PlanMultipath, "defaults.path_selector"),
        ("/multipath", defaults("path_selector", "round-robin 1 7"), Code::PlanMultipath, "path_selector"),
        ("/multipath", defaults("path_selector", "service-time"), Code::PlanMultipath, "path_selector"),
        (
            "/multipath",
            defaults("path_selector", "historical-service-time 1 1024"),
            Code::PlanMultipath,
            "path_selector",
        ),
        ("/report", json!({ "url": "r.example" }), Code::PlanReport, "report.url"),
        (
            "/report",
            json!({ "url": "http://r.example/", "phone_home": "/phone_home" }),
            Code::PlanReport,
            "report.phone_home",
        ),
    ]
}

/// Puts `value` at `pointer`; the last part may be new.
fn put(plan: &mut Value, pointer: &str, value: &Value) {
    let (folder, name) = pointer.rsplit_once('/').unwrap();
    plan.pointer_mut(folder).unwrap()[name] = value.clone();
}

#[test]
fn each_fault_is_refused_with_its_place() {
    for (pointer, value, code, says) in faults() {
        let mut plan = good();
        put(&mut plan, pointer, &value);
        let error = parse(&plan).err().unwrap_or_else(|| panic!("{pointer} {value} passed"));
        assert_eq!(error.code(), code, "{pointer} {value}: {error}");
        let error = error.to_string();
        assert!(error.contains(says) && !error.contains("hunter2"), "{pointer} {value}: {error}");
    }
    let mut plan = good();
    put(&mut plan, "/luks/header", &json!({ "file": "/h" }));
    put(&mut plan, "/multipath", &json!({ "identify": "luks-uuid" }));
    assert_eq!(parse(&plan).err().unwrap().code(), Code::PlanIdentify);
    let mut plan = good();
    put(&mut plan, "/iscsi/portals", &json!(["a", "b"]));
    put(&mut plan, "/iscsi/min_paths", &json!(2));
    parse(&plan).unwrap();
    put(&mut plan, "/multipath", &json!("off"));
    assert_eq!(parse(&plan).err().unwrap().code(), Code::PlanPaths);
    let mut plan = good();
    let files = json!([{ "path": "/a", "content": "1" }, { "path": "/a", "content": "2" }]);
    put(&mut plan, "/handover", &json!({ "files": files }));
    assert_eq!(parse(&plan).err().unwrap().code(), Code::PlanFiles);
    let mut plan = good();
    let root = json!({ "at": "/", "lower": "/dev/mapper/a" });
    put(&mut plan, "/overlay/mounts", &json!([root, root]));
    assert!(parse(&plan).err().unwrap().to_string().contains("mounted twice"));
}

#[test]
fn every_code_of_a_plan_has_an_example() {
    let mut codes: Vec<Code> = faults().into_iter().map(|(_, _, code, _)| code).collect();
    // It takes two members: in the test above.
    codes.push(Code::PlanIdentify);
    for code in Code::ALL.iter().filter(|code| code.as_str().starts_with("plan-")) {
        assert!(codes.contains(code) != ON_THE_WAY.contains(code), "{}", code.as_str());
    }
}

#[test]
fn everything_that_is_wrong_is_found() {
    let codes = |plan: &Value| -> Vec<Code> {
        Document::findings(plan.to_string().as_bytes()).iter().map(crate::error::Error::code).collect()
    };
    let mut plan = good();
    assert_eq!(codes(&plan), []);
    put(&mut plan, "/hostname", &json!("a b"));
    put(&mut plan, "/luks/name", &json!("a b"));
    put(&mut plan, "/luks/keyslot", &json!(99));
    assert_eq!(codes(&plan), [Code::PlanHostname, Code::PlanMapName, Code::PlanKeyslot]);
    // What has the wrong type hides the rest.
    put(&mut plan, "/iscsi/lun", &json!("one"));
    assert_eq!(codes(&plan), [Code::PlanInvalid]);
    put(&mut plan, "/version", &json!("2.0"));
    assert_eq!(codes(&plan), [Code::PlanVersion]);
}

#[test]
fn messages_do_not_quote_secrets() {
    let mut plan = good();
    plan["iscsi"]["auth"]["secret"] = json!(["0123456789abcdef"]);
    let error = parse(&plan).err().unwrap().to_string();
    assert!(!error.contains("0123456789abcdef"), "{error}");
    plan["iscsi"]["auth"]["secret"] = json!(123456789012u64);
    let error = parse(&plan).err().unwrap().to_string();
    assert!(!error.contains("123456789012"), "{error}");
    for place in ["/iscsi/auth", "/iscsi/auth/mutual", "/luks", "/handover", "/iscsi", "/luks/keyslot"] {
        let mut plan = good();
        put(&mut plan, place, &json!("user:0123456789abcdef, expected"));
        let error = parse(&plan).err().unwrap().to_string();
        assert!(!error.contains("0123456789abcdef"), "{error}");
        let place = place.trim_start_matches('/').replace('/', ".");
        assert!(error.starts_with(&place), "{error}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_a_plan_or_an_error(text: Vec<u8>) {
        let _ = Document::parse(&text);
    }

    #[test]
    fn a_damaged_plan_gives_a_plan_or_an_error(at in 0usize..400, length in 0usize..9, text in "[ -~]{0,9}") {
        let mut plan = good().to_string();
        let at = at.min(plan.len());
        plan.replace_range(at..(at + length).min(plan.len()), &text);
        let _ = Document::parse(plan.as_bytes());
    }
}
