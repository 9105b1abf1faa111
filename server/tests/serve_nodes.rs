//! What nodes say and ask, over a real socket, with a real database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "that is how a test fails"
)]

mod common;

use common::{SITE, Served, read, serve};
use diskless::input::document::Document;
use diskless::input::signature::{PublicKey, Signature};
use disklessd::serve::limits::Limits;
use disklessd::site::file::Action;
use disklessd::state::Stage;
use disklessd::store::{Call, Change};
use disklessd::time::Time;

const EVENT: &str = r#"{"version": "1.3", "boot_id": "0b5c2d35-9f0c", "run": 1, "seq": 7, "time": "2026-01-31T07:59:58Z",
    "uptime_ms": 2114, "event": "start", "hostname": "node4", "step": "iscsi", "rack": "a member of later versions"}"#;

/// What was heard: of whom, and what.
fn heard(server: &Served) -> Vec<(String, Call)> {
    let events = server.runtime.block_on(server.app.store.events_after(0, 100)).unwrap();
    events.into_iter().map(|event| (event.node, event.call)).collect()
}

fn of(name: &str, call: Call) -> (String, Call) {
    (name.to_owned(), call)
}

fn get(server: &Served, path: &str) -> (u16, String) {
    server.ask("GET", path, "", b"")
}

#[test]
fn ipxe_phones_home_as_it_did() {
    let server = serve(Limits::default());
    for path in ["/phone_home/ipxe?hostname=node1", "/phone_home/ipxe?hostname=node2.cluster.example"] {
        assert_eq!(get(&server, path), (200, "ok\n".to_owned()));
    }
    assert_eq!(get(&server, "/phone_home/kernel?hostname=node1&mac=").0, 200);
    let ipxe = || Call::Ipxe { given: None };
    assert_eq!(heard(&server), [of("node1", ipxe()), of("node2", ipxe()), of("node1", Call::Kernel)]);
}

#[test]
fn cloud_init_and_our_own_unit_post_a_form() {
    let server = serve(Limits::default());
    let post = |path: &str, form: &str| server.ask("POST", path, "", form.as_bytes());
    let form =
        "pub_key_rsa=ssh-rsa+A&pub_key_dsa=N%2FA&instance_id=i-1&hostname=node1&fqdn=node1.example.org";
    assert_eq!(post("/phone_home/cloudinit", form), (200, "ok\n".to_owned()));
    assert_eq!(post("/phone_home/up", form).0, 200);
    assert_eq!(post("/phone_home/up", "hostname=localhost&fqdn=node2.example.org").0, 200);
    let heard = heard(&server);
    let (Call::Cloudinit(one), Call::Up(two)) = (&heard[0].1, &heard[1].1) else { panic!("{heard:?}") };
    assert_eq!(one, two);
    assert_eq!(one.pub_keys.get("rsa").unwrap(), "ssh-rsa A");
    assert_eq!((heard[0].0.as_str(), heard[2].0.as_str()), ("node1", "node2"));
}

#[test]
fn the_site_says_where_nodes_phone_home_and_may_change_it() {
    let server = serve(Limits::default());
    let paths = "[server.paths]\nipxe = \"/old/ipxe\"\ncloudinit = \"/health\"\nup = \"/old/up\"\n";
    let site =
        read(server.folder.path(), &SITE.replace("[networks.boot]", &format!("{paths}[networks.boot]")));
    server.app.replace(site);
    assert_eq!(get(&server, "/old/ipxe?hostname=node1").0, 200);
    assert_eq!(get(&server, "/phone_home/ipxe?hostname=node1").0, 404);
    assert_eq!(server.ask("POST", "/old/up", "", b"hostname=node1").0, 200);
    // A path that is taken already stays what it is.
    assert_eq!(get(&server, "/health").0, 200);
    assert_eq!(heard(&server).len(), 2);
}

#[test]
fn the_agents_events_are_taken_once_and_are_of_the_paths_node() {
    let server = serve(Limits::default());
    let post = |node: &str, body: &str| server.ask("POST", &format!("/report/{node}"), "", body.as_bytes());
    for _ in 0..3 {
        assert_eq!(post("node1", EVENT).0, 200);
    }
    let heard = heard(&server);
    let [(node, Call::Event(record))] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((node.as_str(), record.seq, record.step.as_deref()), ("node1", 7, Some("iscsi")));
    let known = server.runtime.block_on(server.app.store.node("node1")).unwrap().unwrap();
    assert_eq!(known.boot.unwrap().stage, Stage::Agent);

    for bad in ["", "{", "[]", &EVENT.replace("\"1.3\"", "\"2.0\"")] {
        assert_eq!(post("node1", bad).0, 400, "{bad}");
    }
    // What a later agent tells is kept, and moves nothing.
    let later = EVENT.replace("\"start\"", "\"dance\"").replace("\"seq\": 7", "\"seq\": 8");
    assert_eq!(post("node1", &later).0, 200);
    let known = server.runtime.block_on(server.app.store.node("node1")).unwrap().unwrap();
    assert_eq!(known.boot.unwrap().stage, Stage::Agent);
    assert_eq!(post("node9", EVENT).0, 404);
}

#[test]
fn a_database_that_takes_nothing_is_no_answer_for_a_node_but_for_its_script() {
    let server = serve(Limits::default());
    server.runtime.block_on(server.app.store.close()).unwrap();
    assert_eq!(server.ask("POST", "/report/node1", "", EVENT.as_bytes()).0, 503);
    let form = b"hostname=node1";
    assert_eq!(server.ask("POST", "/phone_home/cloudinit", "", form).0, 503);
    assert_eq!(get(&server, "/phone_home/ipxe?hostname=node1").0, 503);
    assert_eq!(get(&server, "/boot/node1.ipxe").0, 200);
    assert_eq!(get(&server, "/plan/node1").0, 200);
    assert_eq!(get(&server, "/health").0, 503);
}

#[test]
fn a_node_gets_its_plan_in_a_version_that_it_knows() {
    let server = serve(Limits::default());
    for name in ["node1", "node1.cluster.example"] {
        let (status, text) = get(&server, &format!("/plan/{name}"));
        assert_eq!(status, 200, "{text}");
        assert_eq!(Document::parse(text.as_bytes()).unwrap().hostname.as_deref(), Some("node1"));
    }
    let versions = |text: &str| {
        let header = format!("diskless-plan-versions: {text}\r\n");
        server.ask("GET", "/plan/node1", &header, b"")
    };
    assert_eq!(versions("3.0, 1.0").0, 200);
    assert_eq!(versions("3.0"), (406, "there are versions 1.0\n".to_owned()));
    let answer = server.say(b"GET /plan/node1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.contains("\r\ncache-control: no-store\r\n"), "{answer}");
}

#[test]
fn a_plan_that_no_agent_would_take_is_not_given_out() {
    let server = serve(Limits::default());
    let bad = SITE.replace("file = \"/etc/diskless/image.key\"", "file = \"image.key\"");
    server.app.replace(read(server.folder.path(), &bad));
    let (status, text) = get(&server, "/plan/node1");
    assert_eq!(status, 500);
    assert!(text.starts_with("[plan-key]"), "{text}");
}

#[test]
fn who_is_unknown_learns_nothing() {
    let server = serve(Limits::default());
    let mut answers = vec![
        get(&server, "/plan/node9"),
        get(&server, "/phone_home/ipxe?hostname=node9"),
        get(&server, "/phone_home/ipxe"),
        get(&server, "/phone_home/kernel?mac=52:54:00:00:00:99"),
        get(&server, "/nothing"),
        get(&server, "/boot/node1.txt"),
        server.ask("POST", "/report/node9", "", EVENT.as_bytes()),
        server.ask("POST", "/report/node9", "", b"nonsense"),
        server.ask("POST", "/phone_home/up", "", b"hostname=node9"),
        server.ask("POST", "/phone_home/cloudinit", "", b""),
    ];
    answers.dedup();
    assert_eq!(answers, [(404, "not found\n".to_owned())]);
    assert_eq!(heard(&server), []);
}

#[test]
fn iron_gets_its_script_by_whatever_it_says_of_itself() {
    let server = serve(Limits::default());
    let uuid = "4c4c4544-0042-3510-8058-b7c04f4a3231";
    let by_query =
        get(&server, &format!("/boot.ipxe?mac=52%3A54%3A00%3A00%3A00%3A01&uuid={uuid}&hostname=node1"));
    assert_eq!(by_query.0, 200);
    assert!(by_query.1.starts_with("#!ipxe\n") && by_query.1.contains("/plan/node1"), "{}", by_query.1);
    for word in ["node1", "52:54:00:00:00:01", "52-54-00-00-00-01", uuid] {
        assert_eq!(get(&server, &format!("/boot/{word}.ipxe")), by_query, "{word}");
    }
    let given = Call::Ipxe { given: Some("boot".to_owned()) };
    assert_eq!(heard(&server), vec![of("node1", given); 5]);
    // Who only looks at it begins no boot.
    assert_eq!(server.ask("HEAD", "/boot/node1.ipxe", "", b"").0, 200);
    assert_eq!(heard(&server).len(), 5);
    // Whoever has no boot gets a script too: it tells why, on the console.
    let unknown = get(&server, "/boot.ipxe?mac=52:54:00:00:00:99");
    let contradiction = get(&server, "/boot.ipxe?mac=52:54:00:00:00:01&hostname=node2");
    let nobody = get(&server, "/boot.ipxe");
    for (status, script) in [&unknown, &contradiction, &nobody] {
        assert_eq!(*status, 200);
        assert!(script.starts_with("#!ipxe\n") && !script.contains("/plan/"), "{script}");
    }
    assert_ne!(unknown.1, nobody.1);
    assert_eq!(heard(&server).len(), 5);
}

#[test]
fn what_an_operator_wants_is_what_a_node_gets() {
    let server = serve(Limits::default());
    let want = |action| {
        let change = Change::Wanted { node: "node1".to_owned(), at: Time::now(), action, once: true };
        server.runtime.block_on(server.app.store.write(vec![change])).unwrap();
    };
    want(Some(Action::Trap));
    let script = get(&server, "/boot/node1.ipxe").1;
    assert!(script.contains("rd.break"), "{script}");
    let script = get(&server, "/boot/node1.ipxe").1;
    assert!(!script.contains("rd.break"), "once is once: {script}");
}

#[test]
fn the_numbers_know_what_was_heard() {
    let server = serve(Limits::default());
    let open = SITE.replace("[server]", "[server]\nmetrics_open = true");
    server.app.replace(read(server.folder.path(), &open));
    for _ in 0..2 {
        assert_eq!(server.ask("POST", "/report/node1", "", EVENT.as_bytes()).0, 200);
    }
    assert_eq!(get(&server, "/boot/node1.ipxe").0, 200);
    let (status, numbers) = get(&server, "/metrics");
    assert_eq!(status, 200);
    for line in [
        "disklessd_heard_total{kind=\"event\"} 1",
        "disklessd_heard_again_total{kind=\"event\"} 1",
        "disklessd_scripts_total{given=\"boot\"} 1",
    ] {
        assert!(numbers.lines().any(|one| one == line), "{line}: {numbers}");
    }
}

#[test]
fn a_plan_that_is_served_is_signed_for_its_node() {
    let server = serve(Limits::default());
    for ending in ["minisig", "sig"] {
        assert_eq!(get(&server, &format!("/plan/node1.{ending}")).0, 404, "{ending}");
    }
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/signatures");
    let key = server.folder.path().join("site.key");
    std::fs::copy(format!("{data}/minisign.key"), &key).unwrap();
    let signing = SITE.replace("[server]\n", "[server]\nsign_key = \"site.key\"\n");
    server.app.replace(read(server.folder.path(), &signing));
    let public = PublicKey::parse(&std::fs::read(format!("{data}/minisign.pub")).unwrap()).unwrap();
    // An hour may begin between the two, as it may for a node.
    let fits = || {
        let ((status, plan), (signed, signature)) =
            (get(&server, "/plan/node2"), get(&server, "/plan/52:54:00:00:00:02.minisig"));
        assert_eq!((status, signed), (200, 200), "{plan} {signature}");
        let signature = Signature::parse(signature.as_bytes()).unwrap();
        assert_eq!(signature.comment(), Some("disklessd, boot plan of node2"));
        let fits = signature.verify(&public, plan.as_bytes()).is_ok();
        let validity = Document::parse(plan.as_bytes()).unwrap().validity.unwrap();
        let node = validity.node.unwrap();
        assert_eq!(node.macs, ["52:54:00:00:00:02"]);
        assert_eq!(node.uuid.as_deref(), Some("4c4c4544-0042-3510-8058-b7c04f4a3232"));
        assert!(validity.not_after.is_some() && validity.serial.is_some());
        fits
    };
    assert!(fits() || fits());
    assert_eq!(get(&server, "/plan/node9.minisig").0, 404);
    // A key that is gone is not passed over: the node would refuse the plan in any case, and here is the reason.
    std::fs::remove_file(&key).unwrap();
    server.app.replace(read(server.folder.path(), &signing));
    let (status, why) = get(&server, "/plan/node2.minisig");
    assert_eq!(status, 500);
    assert!(why.contains("cannot be signed"), "{why}");
}
