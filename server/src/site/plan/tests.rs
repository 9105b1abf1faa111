use diskless::input::document::Document;
use diskless::input::secret::Secret;
use serde_json::json;

use super::super::aside::Aside;
use super::*;

const SITE: &str = r#"
[server]
url = "http://10.1.0.1:32001/"

[defaults.plan]
overlay = { size = "50%", mounts = [{ at = "/", lower = "/dev/mapper/luks_root1" }] }
luks.key.file = "/etc/diskless/image.key"

[images.el9]
plan.luks.uuid = "2b1c6b0e-7f0f-4f36-9d0e-6f2f5b0c9a11"

[servers.a]
portals = ["10.1.0.2"]
target_prefix = "iqn.2026-01.org.example:"
[servers.a.plan.iscsi.auth]
username = "node"
secret_file = "chap"

[profiles.compute]
image = "el9"
servers = ["a"]
plan.overlay.size = "2G"
plan.luks.key.url = "${url}/files/${image}.key"

[groups.xfs]
nodes = "n2"
plan.overlay.fs = "xfs"
plan.overlay.mounts = [{ at = "/", lower = "/dev/mapper/${group}-root" }]

[[nodes]]
names = "n[1-2]"
profile = "compute"
plan.iscsi.initiator = "iqn.2026-01.org.example.nodes:${node}"
"#;

fn rendered(text: &str, node: &str) -> Rendered {
    let secrets = Secrets::default().with("chap", Ok(Secret::new(b"hunter2hunter2".to_vec())));
    let site = Site::of(File::parse(text).unwrap(), Aside { secrets, ..Aside::default() });
    render(&site, &site.nodes[node], "1.0").unwrap()
}

#[test]
fn a_plan_is_made_of_all_layers() {
    let plan = rendered(SITE, "n2");
    let expected = json!({
        "version": "1.0",
        "hostname": "n2",
        "iscsi": {
            "initiator": "iqn.2026-01.org.example.nodes:n2",
            "target": "iqn.2026-01.org.example:el9",
            "portals": ["10.1.0.2"],
            "auth": { "username": "node", "secret": "hunter2hunter2" }
        },
        "luks": {
            "uuid": "2b1c6b0e-7f0f-4f36-9d0e-6f2f5b0c9a11",
            "key": { "url": "http://10.1.0.1:32001/files/el9.key" }
        },
        "overlay": {
            "size": "2G",
            "fs": "xfs",
            "mounts": [{ "at": "/", "lower": "/dev/mapper/xfs-root" }]
        },
        "report": {
            "url": "http://10.1.0.1:32001/report/n2",
            "phone_home": "http://10.1.0.1:32001/phone_home/up"
        }
    });
    assert_eq!(plan.document, expected);
    let origins = [
        ("/hostname", "disklessd"),
        ("/iscsi/auth/secret", "server a"),
        ("/iscsi/auth/username", "server a"),
        ("/iscsi/initiator", "nodes n[1-2]"),
        ("/iscsi/portals", "server a"),
        ("/iscsi/target", "server a"),
        ("/luks/key/url", "profile compute"),
        ("/luks/uuid", "image el9"),
        ("/overlay/fs", "group xfs"),
        ("/overlay/mounts", "group xfs"),
        ("/overlay/size", "profile compute"),
        ("/report/phone_home", "disklessd"),
        ("/report/url", "disklessd"),
        ("/version", "disklessd"),
    ];
    let found: Vec<_> = plan.origins.iter().map(|(at, from)| (at.as_str(), from.as_str())).collect();
    assert_eq!(found, origins);
    for pointer in plan.origins.keys() {
        assert!(plan.document.pointer(pointer).is_some(), "{pointer}");
    }
    assert_eq!(rendered(SITE, "n1").document["overlay"]["mounts"][0]["lower"], "/dev/mapper/luks_root1");
}

#[test]
fn the_agent_takes_it() {
    let plan = rendered(SITE, "n1");
    let document = Document::parse(plan.document.to_string().as_bytes());
    assert_eq!(document.map(|document| document.hostname).unwrap().as_deref(), Some("n1"));
}

#[test]
fn secrets_are_not_shown() {
    let text = SITE.replace("${url}/files", "https://user:hunter2@keys.example:80/a@b");
    let plan = rendered(&text, "n1");
    assert_eq!(plan.document["iscsi"]["auth"]["secret"], "hunter2hunter2");
    assert_eq!(plan.document["luks"]["key"]["url"], "https://user:hunter2@keys.example:80/a@b/el9.key");
    let shown = plan.shown();
    assert_eq!(shown["iscsi"]["auth"], json!({ "username": "node", "secret": "***" }));
    assert_eq!(shown["luks"]["key"]["url"], "https://***@keys.example:80/a@b/el9.key");
    assert!(!format!("{plan:?}").contains("hunter2"));
}

#[test]
fn a_secret_stays_as_it_is() {
    let text = SITE.replace("secret_file = \"chap\"", "secret = \"a$${b}${node}\"");
    let site = Site::of(File::parse(&text).unwrap(), Aside::default());
    assert_eq!(site.remarks, []);
    assert_eq!(rendered(&text, "n1").document["iscsi"]["auth"]["secret"], "a$${b}${node}");
}

#[test]
fn a_secret_that_cannot_be_read_makes_no_plan() {
    let site = Site::of(File::parse(SITE).unwrap(), Aside::default());
    let plan = render(&site, &site.nodes["n1"], "1.0").unwrap();
    assert_eq!(plan.document["iscsi"]["auth"]["secret_file"], "chap");
    assert!(Document::parse(plan.document.to_string().as_bytes()).is_err());
}

#[test]
fn tables_merge_and_anything_else_replaces() {
    let nothing = Origin::BuiltIn;
    let cases = [
        (json!({ "a": { "b": 1 } }), json!({ "a": { "c": 2 } }), json!({ "a": { "b": 1, "c": 2 } })),
        (json!({ "a": [1, 2] }), json!({ "a": [3] }), json!({ "a": [3] })),
        (json!({ "a": { "b": 1 } }), json!({ "a": 1 }), json!({ "a": 1 })),
        (json!({ "a": 1 }), json!({ "a": { "b": 1 } }), json!({ "a": { "b": 1 } })),
        (json!({ "a": { "b": 1 } }), json!({ "a": {} }), json!({ "a": { "b": 1 } })),
        (json!({ "a": {} }), json!({ "a": { "b": 1 } }), json!({ "a": { "b": 1 } })),
        (json!({}), json!({ "a": {} }), json!({ "a": {} })),
        (
            json!({ "luks": { "key": { "file": "/k" }, "keyslot": 1 } }),
            json!({ "luks": { "key": { "url": "u" } } }),
            json!({ "luks": { "key": { "url": "u" }, "keyslot": 1 } }),
        ),
    ];
    for (below, above, expected) in cases {
        let mut tree = Tree::default();
        tree.put("", &below, &nothing);
        tree.put("", &above, &nothing);
        assert_eq!(tree.document("", &mut BTreeMap::new()), expected, "{below} {above}");
    }
    assert_eq!(super::below("/multipath", "a/b~c"), "/multipath/a~1b~0c");
}

#[test]
fn several_servers_are_several_portals() {
    let text = SITE.replace("servers = [\"a\"]", "servers = [\"a\", \"b\", \"none\"]")
        + "\n[servers.b]\nportals = [\"10.2.0.2\", \"10.2.0.3\"]\ntarget_prefix = \"iqn.2026-01.org.other:\"\n";
    let plan = rendered(&text, "n1");
    let other = |portal: &str| json!({ "portal": portal, "target": "iqn.2026-01.org.other:el9" });
    assert_eq!(plan.document["iscsi"]["portals"], json!(["10.1.0.2", other("10.2.0.2"), other("10.2.0.3")]));
    assert_eq!(plan.document["iscsi"]["target"], "iqn.2026-01.org.example:el9");
    assert_eq!(plan.origins["/iscsi/target"], "server a");
    let document =
        Document::parse(plan.document.to_string().as_bytes()).map(|document| document.map().is_some());
    assert!(document.unwrap());
    let plan = rendered(&text.replace("org.other:", "org.example:"), "n1");
    assert_eq!(plan.document["iscsi"]["portals"], json!(["10.1.0.2", "10.2.0.2", "10.2.0.3"]));
    assert_eq!(plan.origins["/iscsi/target"], "server a");
}

#[test]
fn how_paths_are_taken_together_is_said_by_layers() {
    let text = SITE
        .replace("servers = [\"a\"]", "servers = [\"a\", \"b\"]\nplan.multipath.identify = \"luks-uuid\"")
        .replace("[groups.xfs]\n", "[groups.xfs]\nplan.multipath = \"off\"\n")
        .replace("[profiles.compute]\n", "[profiles.compute]\nplan.iscsi = { min_paths = 2, grace = 30 }\n")
        + "plan.iscsi.min_paths = 1\n\n[servers.b]\nportals = [\"10.2.0.2\"]\ntarget_prefix = \"iqn.2026-01.org.other:\"\n";
    let n1 = rendered(&text.replace("plan.iscsi.min_paths = 1\n", ""), "n1").document;
    assert_eq!(n1["multipath"], json!({ "identify": "luks-uuid" }));
    assert_eq!((&n1["iscsi"]["min_paths"], &n1["iscsi"]["grace"]), (&json!(2), &json!(30)));
    let n2 = rendered(&text, "n2").document;
    assert_eq!((&n2["multipath"], &n2["iscsi"]["min_paths"]), (&json!("off"), &json!(1)));
    for plan in [n1, n2] {
        Document::parse(plan.to_string().as_bytes()).map(drop).unwrap();
    }
}

#[test]
fn an_unknown_version_is_refused() {
    let site = Site::of(File::parse(SITE).unwrap(), Aside::default());
    let error = render(&site, &site.nodes["n1"], "2.0").unwrap_err();
    assert_eq!(error.to_string(), "boot plans of version \"2.0\" are not known here, only 1.0");
}
