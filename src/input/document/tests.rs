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
    assert_eq!(document.overlay.size, Size::OfMemory(50));
    assert_eq!(document.iscsi.portals, [crate::input::portal::Portal::parse("198.18.0.1:3260").unwrap()]);
    assert_eq!(document.iscsi.auth.unwrap().secret.expose(), b"0123456789abcdef");
}

#[test]
fn each_fault_is_refused_with_its_place() {
    let mount = |at: &str, lower: &str| json!([{ "at": at, "lower": lower }]);
    let cases: &[(&str, Value, Code, &str)] = &[
        ("/version", json!("2.0"), Code::PlanVersion, "2.0"),
        ("/version", json!("1"), Code::PlanVersion, "\"1\""),
        ("/hostname", json!("a b"), Code::PlanHostname, "hostname"),
        ("/hostname", json!(""), Code::PlanHostname, "hostname"),
        ("/iscsi/initiator", json!("node1"), Code::PlanIscsiName, "iscsi.initiator"),
        ("/iscsi/target", json!("iqn.2026-01.a b"), Code::PlanIscsiName, "iscsi.target"),
        ("/iscsi/portals", json!([]), Code::PlanPortals, "iscsi.portals"),
        ("/iscsi/portals", json!(["no de"]), Code::PlanInvalid, "not a portal"),
        ("/iscsi/lun", json!(-1), Code::PlanInvalid, "-1"),
        ("/iscsi/auth/username", json!("a\nb"), Code::PlanChap, "iscsi.auth.username"),
        ("/iscsi/auth/secret", json!(""), Code::PlanChap, "iscsi.auth.secret"),
        ("/luks/name", json!("a/b"), Code::PlanMapName, "luks.name"),
        ("/luks/key", json!({ "path": "/k" }), Code::PlanInvalid, "path"),
        ("/overlay/size", json!("x"), Code::PlanInvalid, "not a size"),
        ("/overlay/mounts", mount("/var", "/dev/mapper/a"), Code::PlanMounts, "nothing is mounted at /"),
        ("/overlay/mounts", mount("/../x", "/dev/mapper/a"), Code::PlanMounts, "overlay.mounts[0]"),
        ("/overlay/mounts", mount("/", "/dev/sda1"), Code::PlanMounts, "overlay.mounts[0]"),
        ("/overlay", json!({ "mounts": [], "sise": "1G" }), Code::PlanInvalid, "sise"),
    ];
    for (pointer, value, code, says) in cases {
        let mut plan = good();
        *plan.pointer_mut(pointer).unwrap_or(&mut Value::Null) = value.clone();
        if let ("/luks/name", Some(luks)) = (*pointer, plan.get_mut("luks")) {
            luks["name"] = value.clone();
        }
        if let ("/overlay/size", Some(overlay)) = (*pointer, plan.get_mut("overlay")) {
            overlay["size"] = value.clone();
        }
        let error = parse(&plan).err().unwrap_or_else(|| panic!("{pointer} {value} passed"));
        assert_eq!(error.code(), *code, "{pointer} {value}: {error}");
        assert!(error.to_string().contains(says), "{pointer} {value}: {error}");
    }
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
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_a_plan_or_an_error(text: Vec<u8>) {
        let _ = Document::parse(&text);
    }
}
