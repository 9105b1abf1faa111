mod examples;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::site;
use examples::{EXAMPLES, Example, GOOD, luks};

/// A site's folder: `GOOD` with its edits, all that it names, and then what `disturb` does to it.
fn folder(edits: &[(&str, &str)], disturb: impl FnOnce(&Path)) -> (tempfile::TempDir, PathBuf) {
    let mut text = GOOD.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from:?} is not in the good site");
        text = text.replacen(from, to, 1);
    }
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8], mode: u32| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    fs::create_dir(folder.path().join("files")).unwrap();
    put("files/vmlinuz", b"MZ", 0o644);
    put("files/initramfs.img", b"070701", 0o644);
    put("el9.img", &luks(), 0o644);
    put("operator.token", b"0123456789abcdef0123456789abcdef\n", 0o640);
    put("st2.token", b"abc\n", 0o600);
    let path = put("site.toml", text.as_bytes(), 0o640);
    disturb(folder.path());
    (folder, path)
}

fn findings(edits: &[(&str, &str)], disturb: impl FnOnce(&Path)) -> Vec<Finding> {
    let (_folder, path) = folder(edits, disturb);
    check_up_to(&site::read(&path).unwrap(), Reach::Files)
}

/// What is found, in lines.
fn lines(edits: &[(&str, &str)]) -> Vec<String> {
    findings(edits, |_| ()).iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_site_has_no_findings() {
    assert_eq!(lines(&[]), [""; 0]);
}

#[test]
fn each_bad_example_has_the_finding_that_it_is_for() {
    let mut wrong = Vec::new();
    for Example { code, edits, disturb, also, object } in EXAMPLES {
        let (folder, path) = folder(edits, disturb);
        let findings = check_up_to(&site::read(&path).unwrap(), Reach::Files);
        let codes: BTreeSet<&str> = findings.iter().map(|finding| finding.code).collect();
        let wanted: BTreeSet<&str> = also.iter().copied().chain([*code]).collect();
        let found = findings.iter().find(|finding| finding.code == *code);
        let found = found.map(|finding| finding.object.replace(folder.path().to_str().unwrap(), "FOLDER"));
        if codes != wanted || found.as_deref() != Some(*object) {
            let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
            wrong.push(format!("{code} {object} {edits:?}:\n  {}", lines.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_an_example() {
    // Those have tests of their own, below.
    let mut seen: BTreeSet<&str> = ["site-file", "portal-silent", "url-silent"].into();
    seen.extend(EXAMPLES.iter().map(|example| example.code));
    let codes: Vec<&str> = rules().map(|rule| rule.code).collect();
    for code in &codes {
        assert!(seen.contains(code), "{code} has no example");
        assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
    }
    let unique: BTreeSet<&str> = codes.iter().copied().collect();
    assert_eq!(unique.len(), codes.len(), "a code stands twice");
    assert_eq!(unique, seen);
}

#[test]
fn no_message_shows_a_secret() {
    for Example { edits, disturb, .. } in EXAMPLES {
        for finding in findings(edits, disturb) {
            let line = finding.to_string();
            for secret in ["0123456789abcdef", "hunter22"] {
                assert!(!line.contains(secret), "{line}");
            }
        }
    }
}

#[test]
fn a_thousand_nodes_with_the_same_mistake_are_one_finding() {
    let many: &[(&str, &str)] = &[
        ("names = \"node[1-4]\"", "names = \"node[1-1000]\""),
        ("uuid = \"2b1c6b0e-7f0f-4f36-9d0e-6f2f5b0c9a[11-14]\"\n", ""),
        ("mac = \"52:54:00:00:00:[11-14]\"\n", ""),
        ("boot = \"198.18.0.[11-14]\", storage = \"198.18.1.[11-14]\"", "storage = \"198.18.2.1\""),
    ];
    let found = lines(many);
    assert_eq!(
        found,
        [
            "error ip-twice node[1-1000] eth0: several have the same address: \
             198.18.2.1 (node1 eth0, node10 eth0, node100 eth0, …); give one of them another address",
            "error ip-outside node[1-1000] eth0: its address is outside of network storage, 198.18.1.0/24: \
             198.18.2.1; correct the address, or name the network that it belongs to",
            "warning node-unrecognized node[1-1000]: has neither MAC address nor UUID; \
             give it one: without, only the name that DHCP gives it tells which node it is",
        ]
    );
}

#[test]
fn what_differs_from_node_to_node_is_told_by_examples() {
    let found = lines(&[("boot = \"198.18.0.[11-14]\"", "boot = \"198.18.7.[11-14]\"")]);
    assert_eq!(
        found,
        ["error ip-outside node[1-4] eth0: its address is outside of network boot, 198.18.0.0/24: \
          198.18.7.11, 198.18.7.12, 198.18.7.13 and 1 more; \
          correct the address, or name the network that it belongs to"]
    );
}

#[test]
fn addresses_in_common_of_two_sets_are_one_finding() {
    let more = "names = \"node[1-4]\"\nuuid";
    let other = "names = \"other[1-2]\"\ninterfaces.eth1 = { mac = \"52:54:00:00:00:[21-22]\", \
                 networks.boot = \"198.18.0.[13-14]\" }\n[[nodes]]\nnames = \"node[1-4]\"\nuuid";
    let found = lines(&[(more, other)]);
    assert_eq!(
        found,
        ["error ip-twice node[3-4] eth0, other[1-2] eth1: several have the same address: \
          198.18.0.13 (node3 eth0, other1 eth1), 198.18.0.14 (node4 eth0, other2 eth1); \
          give one of them another address"]
    );
}

#[test]
fn a_site_that_uses_only_a_part_has_no_findings() {
    let text = "server.url = \"http://198.18.0.2:32001\"\n\
                [[nodes]]\nnames = \"node[1-4]\"\ninterfaces.eth0.mac = \"52:54:00:00:00:[11-14]\"\n";
    let file = site::file::File::parse(text).unwrap();
    assert_eq!(check(&Site::of(file, site::aside::Aside::default())), []);
}

#[test]
fn a_file_that_cannot_be_read_is_a_finding_with_its_place() {
    let (_folder, path) = folder(&[("[images.el9]", "[images.el9]\ncolour = \"blue\"")], |_| ());
    let error = site::read(&path).unwrap_err();
    let finding = unreadable("site.toml", &error).unwrap();
    assert_eq!(
        (finding.code, finding.level, finding.object.as_str()),
        ("site-file", Level::Error, "site.toml")
    );
    assert!(
        finding.message.starts_with("line ") && finding.message.contains("colour"),
        "{}",
        finding.message
    );
    let error = site::read(Path::new("/nonexistent/site.toml")).unwrap_err();
    assert!(unreadable("site.toml", &error).unwrap().message.starts_with("No such file"));
}

/// An HTTP server of few words: HEAD is refused, as some servers do.
fn http() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let status = match line.split(' ').collect::<Vec<_>>()[..] {
                ["HEAD", ..] => "405 Method Not Allowed",
                [_, "/vmlinuz", ..] => "200 OK",
                _ => "404 Not Found",
            };
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = (&stream).write_all(head.as_bytes());
        }
    });
    port
}

#[test]
fn servers_that_do_not_answer_are_told_online_only() {
    let portal = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = portal.local_addr().unwrap().port();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let http = http();
    let online = |portal: u16, file: &str| {
        let portals = format!("portals = [\"127.0.0.1:{portal}\"]");
        let kernel = format!("kernel = \"http://127.0.0.1:{http}/{file}\"");
        let edits =
            [("portals = [\"198.18.1.1\"]", portals.as_str()), ("kernel = \"vmlinuz\"", kernel.as_str())];
        let (_folder, path) = folder(&edits, |_| ());
        let site = site::read(&path).unwrap();
        assert_eq!(check_up_to(&site, Reach::Files), []);
        check_up_to(&site, Reach::Network)
    };
    assert_eq!(online(open, "vmlinuz"), []);
    let found = online(closed, "none");
    let told: BTreeMap<&str, (&str, &str)> = found
        .iter()
        .map(|finding| (finding.code, (finding.object.as_str(), finding.message.as_str())))
        .collect();
    let (object, message) = told["portal-silent"];
    assert_eq!(object, format!("portal 127.0.0.1:{closed}"));
    assert!(message.contains("refused"), "{message}");
    assert_eq!(told["url-silent"], (&*format!("http://127.0.0.1:{http}/none"), "answers 404"));
    assert_eq!(told.len(), 2);
}

/// Members of the good site that are read by rules.
const MEMBERS: &[&str] = &[
    "url = \"http://198.18.0.2:32001\"",
    "listen = [\"[::]:32001\"]",
    "address = \"198.18.0.0/24\"",
    "ranges = [\"198.18.0.10-198.18.0.99\"]",
    "gateway = \"198.18.0.254\"",
    "kernel = \"vmlinuz\"",
    "cmdline = \"console=ttyS0\"",
    "portals = [\"198.18.1.1\"]",
];

proptest::proptest! {
    #[test]
    fn any_range_is_a_span_or_none(text in "[0-9a-f.:-]{0,40}") {
        if let Some(span) = view::Span::parse(&text) {
            proptest::prop_assert!(span.contains(span.first) && span.contains(span.last));
        }
    }

    #[test]
    fn any_text_in_a_site_can_be_checked(text in "[ -~é]{0,30}", which in 0..MEMBERS.len()) {
        let (name, value) = MEMBERS[which].split_once(" = ").unwrap();
        let quoted = serde_json::Value::from(text).to_string();
        let value = if value.starts_with('[') { format!("[{quoted}]") } else { quoted };
        let edited = GOOD.replacen(MEMBERS[which], &format!("{name} = {value}"), 1);
        let file = site::file::File::parse(&edited).unwrap();
        check(&Site::of(file, site::aside::Aside::default()));
    }
}
