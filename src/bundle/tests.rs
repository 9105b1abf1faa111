//! A node with a secret in every place where one may be, and its bundle, in which none is.

use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};

use super::*;
use crate::report::event::Event;
use crate::report::record::Record;
use crate::report::{spool, timeline};

/// Secrets, and where they are below.
const SECRETS: &[&str] = &[
    "chap-on-the-cmdline",
    "mutual-on-the-cmdline",
    "netroot-chap-secret",
    "url-account-pass",
    "url-query-token",
    "Typed-apart-pw1",
    "plan-chap-secret",
    "plan-mutual-secret",
    "plan-file-content",
    "plan-user-data",
    "plan-query-token",
    "inline-key-line-1",
    "luks-key-in-a-file",
    "ssh-key-of-the-plan",
    "host-key-line-number-1",
    "report-query-token",
    "sysfs-chap-secret",
    "sysfs-mutual-secret",
    "conf-chap-secret",
    "conf-query-token",
    "orders-secret Text",
    "mount-password",
    "Unknown-param-pw1",
    "After-dashes-pw1",
    "logged-bearer-token",
];

fn node() -> (tempfile::TempDir, Host) {
    let root = tempfile::tempdir().unwrap();
    let host = Host::fake(root.path());
    let cmdline = "BOOT_IMAGE=/vmlinuz quiet rd.iscsi.password=chap-on-the-cmdline rd.iscsi.in.password=\"mutual-on-the-cmdline\" \
        netroot=iscsi:u:netroot-chap-secret@198.18.0.1::::iqn.a:b \
        rd.diskless.plan=/etc/plan.json,http://u:url-account-pass@198.18.0.1/plan/n?t=url-query-token rd.luks.key=/etc/image.key \
        inst.rootpw=Unknown-param-pw1 rd.iscsi.password= Typed-apart-pw1 -- After-dashes-pw1\n";
    let plan = r#"{"version": "1.0", "hostname": "node1", "iscsi": {"target": "iqn.a:b", "portals": ["198.18.0.1"],
        "auth": {"username": "u", "secret": "plan-chap-secret", "mutual": {"username": "t", "secret": "plan-mutual-secret"}}},
        "luks": {"key": {"file": "/etc/other.key"}},
        "report": {"url": "http://198.18.0.1/report/n?t=plan-query-token"},
        "handover": {"files": [{"path": "/etc/x", "content": "plan-file-content\n"}],
            "ssh_host_keys": {"ed25519": {"secret": "-----BEGIN OPENSSH PRIVATE KEY-----\ninline-key-line-1\n-----END OPENSSH PRIVATE KEY-----\n"},
                "rsa": {"file": "/etc/keys/rsa"}}},
        "cloud_init": {"user_data": "plan-user-data"}}"#;
    let key = |line: &str| {
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{line}\n-----END OPENSSH PRIVATE KEY-----\n")
    };
    // What somebody's shell, dracut and a library say of all of them, in the kernel's log.
    let said: String =
        SECRETS.iter().map(|secret| format!("6,7,5000000,-;dracut: it is {secret} now\n")).collect();
    let encoded: String = SECRETS
        .iter()
        .map(|secret| {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("6,7,5000000,-;systemd: {} or {hex}\n", Base64::encode_string(secret.as_bytes()))
        })
        .collect();
    let log = format!(
        "6,1,1000,-;Kernel command line: {}\n6,2,2000,-;Authorization: Bearer logged-bearer-token\n{said}{encoded}\
         30,9,6000000,-;diskless: iscsi failed [iscsi-auth] plan-chap-secret\n",
        cmdline.trim()
    );
    let files: &[(&str, &str)] = &[
        ("/proc/cmdline", cmdline),
        ("/proc/sys/kernel/hostname", "node1\n"),
        ("/proc/sys/kernel/random/boot_id", "0b5c2d35-9f0c-4b8e-8f0a-5b1f3f3c7a11\n"),
        ("/proc/mounts", "//s/x /mnt cifs rw,username=u,password=mount-password,uid=0 0 0\n"),
        ("/proc/meminfo", "MemTotal: 1024 kB\n"),
        ("/etc/plan.json", plan),
        ("/run/diskless/plan.json", plan),
        ("/etc/image.key", "luks-key-in-a-file"),
        ("/etc/other.key", "luks-key-in-a-file"),
        ("/etc/keys/rsa", &key("ssh-key-of-the-plan")),
        ("/etc/ssh/ssh_host_ed25519_key", &key("host-key-line-number-1")),
        (
            "/etc/diskless.conf",
            "# secret: x\nreport=http://a/r?t=conf-query-token\nrd.iscsi.password=conf-chap-secret\n",
        ),
        (
            "/run/diskless/report.json",
            r#"{"url": "http://198.18.0.1/report/n?t=report-query-token", "hostname": "node1"}"#,
        ),
        ("/run/diskless/orders.json", r#"{"holds": ["iscsi"], "note": "orders-secret Text"}"#),
        ("/sys/class/iscsi_session/session1/targetname", "iqn.a:b\n"),
        ("/sys/class/iscsi_session/session1/password", "sysfs-chap-secret\n"),
        ("/sys/class/iscsi_session/session1/password_in", "sysfs-mutual-secret\n"),
        ("/sys/block/sda/size", "2048\n"),
        ("/dev/kmsg", &log),
    ];
    for (path, text) in files {
        let path = host.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    // An event of a version that quotes more than it should.
    let record = Record::of(&Event::Warning("it is plan-mutual-secret"), Duration::from_secs(1));
    let record = Record { boot_id: host.boot_id(), ..record };
    timeline::add(&host.path(timeline::FILE), &record);
    let mut queue = spool::Spool::read(&host.path(spool::FILE), &host.boot_id());
    queue.push(1, record);
    queue.write(&host.path(spool::FILE)).unwrap();
    (root, host)
}

fn text(bundle: &Bundle) -> String {
    String::from_utf8_lossy(&bundle.bytes).into_owned()
}

#[test]
fn there_is_no_secret_in_it() {
    let (_root, host) = node();
    // It would find them: they are all on the node.
    let planted = ["/proc/cmdline", "/etc/plan.json", "/dev/kmsg"]
        .map(|path| std::fs::read_to_string(host.path(path)).unwrap());
    assert!(SECRETS.iter().all(|secret| planted.iter().any(|text| text.contains(secret))));
    let bundle = gather(&host, LIMIT);
    let text = text(&bundle);
    for secret in SECRETS {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let base64 = Base64::encode_string(secret.as_bytes());
        // Of what only somebody's own words hold, nobody can know that it is a secret, unless it says so.
        let known_by_nobody = ["orders-secret Text", "mount-password", "logged-bearer-token"];
        for form in [*secret, &hex, &base64] {
            let at = text.find(form).map(|at| text.get(at.saturating_sub(80)..at + 40).unwrap_or_default());
            let told = at.filter(|at| {
                !(known_by_nobody.contains(secret) && (at.contains("dracut:") || at.contains("systemd:")))
            });
            assert_eq!(told, None, "{secret}");
        }
    }
    assert!(!text.contains("PRIVATE KEY"));
}

#[test]
fn what_helps_is_in_it() {
    let (_root, host) = node();
    let bundle = gather(&host, LIMIT);
    let text = text(&bundle);
    for part in [
        "BOOT_IMAGE=/vmlinuz quiet rd.iscsi.password=***",
        "netroot=iscsi:***@198.18.0.1::::iqn.a:b",
        "\"target\": \"iqn.a:b\"",
        "targetname                   iqn.a:b",
        "iscsi failed [iscsi-auth] ***",
        "\"holds\": [",
        "username=u,password=***,uid=0",
        "http://198.18.0.1/report/n",
        "127.0.0.1/8 on ",
        "\"count\": ",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(
        bundle.name.starts_with("diskless-node1-0b5c2d35-20") && bundle.name.ends_with("Z.tar"),
        "{}",
        bundle.name
    );
    // There is no journal of a boot, and it says so.
    assert!(bundle.missing.iter().any(|line| line.starts_with("state.json: ")), "{:?}", bundle.missing);
    assert!(text.contains("missing.txt") && bundle.bytes.len() < LARGEST);
}

#[test]
fn what_hangs_costs_its_own_part_and_no_more_time() {
    let (_root, host) = node();
    // An open of a FIFO waits for the other end, for ever.
    let fifo = host.path("/sys/block/sda/stat");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let began = Instant::now();
    let bundle = gather(&host, Duration::from_secs(4));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let late = "sys/block.txt: it could not be read in time";
    assert!(bundle.missing.iter().any(|line| line == late), "{:?}", bundle.missing);
    assert!(text(&bundle).contains("targetname "));
}

#[test]
fn where_secrets_cannot_be_known_nothing_is_written() {
    let (_root, host) = node();
    let key = host.path("/etc/image.key");
    std::fs::remove_file(&key).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &key, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let bundle = gather(&host, Duration::from_secs(1));
    assert_eq!(bundle.missing.len(), 1);
    assert!(!text(&bundle).contains("iqn.a:b"));
}

#[test]
fn names_of_nodes_are_names_of_files() {
    let root = tempfile::tempdir().unwrap();
    let host = Host::fake(root.path());
    assert_eq!(node_name(&host, "(none)\n"), "node");
    assert_eq!(node_name(&host, "a/../b c\n"), "a_.._b_c");
    assert_eq!(stem("n", "", "2026-01-31T08:00:01Z"), "diskless-n-boot-20260131T080001Z");
}

fn node_name(host: &Host, name: &str) -> String {
    let path = host.path("/proc/sys/kernel/hostname");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, name).unwrap();
    super::node(host)
}
