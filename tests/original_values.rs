//! The values of the procedure that diskless replaces, as its operators typed them: each is a member of the plan, with
//! the old value as the preset. To bring docs/original-values.md up to date:
//! `UPDATE_DOCS=1 cargo test --test original_values`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::fmt::Write;
use std::path::Path;

use diskless::input::account_settings::{self, ACCOUNT_SETTINGS};
use diskless::input::document::{Document, Map};
use diskless::input::multipath_settings::{self, BLACKLIST, LEFT_OUT, MULTIPATH_SETTINGS};
use diskless::input::settings::{Kind, Lands, Preset, SETTINGS, Settings};

/// iscsid.conf for a disk with several paths.
const ISCSID_MULTIPATH: &str = "\
iscsid.startup = /bin/systemctl start iscsid.socket iscsiuio.socket
node.startup = automatic
node.leading_login = No
node.session.timeo.replacement_timeout = 15
node.conn[0].timeo.login_timeout = 15
node.conn[0].timeo.logout_timeout = 15
node.session.err_timeo.abort_timeout = 15
node.session.err_timeo.lu_reset_timeout = 30
node.session.err_timeo.tgt_reset_timeout = 30
node.session.initial_login_retry_max = 8
node.session.cmds_max = 128
node.session.queue_depth = 32
node.session.xmit_thread_priority = -20
node.session.iscsi.InitialR2T = No
node.session.iscsi.ImmediateData = Yes
node.session.iscsi.FirstBurstLength = 262144
node.session.iscsi.MaxBurstLength = 16776192
node.conn[0].iscsi.MaxRecvDataSegmentLength = 262144
node.conn[0].iscsi.MaxXmitDataSegmentLength = 0
discovery.sendtargets.iscsi.MaxRecvDataSegmentLength = 32768
node.conn[0].iscsi.HeaderDigest = None
node.session.nr_sessions = 1
node.session.iscsi.FastAbort = Yes
node.session.scan = auto
";

/// What follows in that file: the accounts.
const ISCSID_ACCOUNTS: &str = "\
discovery.sendtargets.auth.authmethod = CHAP
discovery.sendtargets.auth.username = disco_user
discovery.sendtargets.auth.password = disco_pass
discovery.sendtargets.auth.username_in = disco_mutual_user
discovery.sendtargets.auth.password_in = disco_mutual_pass
node.session.auth.authmethod = CHAP
node.session.auth.username_in = node_mutual_user
node.session.auth.password_in = node_mutual_pass
node.session.auth.username = node_user
node.session.auth.password = node_pass
";

/// iscsid.conf for a disk with one path. It has no accounts.
const ISCSID_SINGLE_PATH: &str = "\
iscsid.startup = /bin/systemctl start iscsid.socket iscsiuio.socket
node.startup = automatic
node.leading_login = No
node.session.timeo.replacement_timeout = 600
node.conn[0].timeo.login_timeout = 15
node.conn[0].timeo.logout_timeout = 15
node.conn[0].timeo.noop_out_interval = 0
node.conn[0].timeo.noop_out_timeout = 0
node.session.err_timeo.abort_timeout = 15
node.session.err_timeo.lu_reset_timeout = 30
node.session.err_timeo.tgt_reset_timeout = 30
node.session.initial_login_retry_max = 8
node.session.cmds_max = 128
node.session.queue_depth = 32
node.session.xmit_thread_priority = -20
node.session.iscsi.InitialR2T = No
node.session.iscsi.ImmediateData = Yes
node.session.iscsi.FirstBurstLength = 262144
node.session.iscsi.MaxBurstLength = 16776192
node.conn[0].iscsi.MaxRecvDataSegmentLength = 262144
node.conn[0].iscsi.MaxXmitDataSegmentLength = 0
discovery.sendtargets.iscsi.MaxRecvDataSegmentLength = 32768
node.conn[0].iscsi.HeaderDigest = None
node.session.nr_sessions = 1
node.session.iscsi.FastAbort = Yes
node.session.scan = auto
";

/// multipath.conf; with one path there is none.
const MULTIPATH: &str = "\
defaults {
polling_interval 10
failback immediate
no_path_retry queue
user_friendly_names yes
find_multipaths yes
prio random
uid_attribute ID_FS_UUID
}
blacklist {
devnode \"^zram.*\"
}
";

fn text(settings: &Settings) -> String {
    settings.lines().map(|(key, value)| format!("{key} = {value}\n")).collect()
}

fn plan(iscsi: serde_json::Value) -> Document {
    let plan = serde_json::json!({
        "version": "1.0",
        "iscsi": iscsi,
        "luks": { "key": { "file": "/key" } },
        "overlay": { "mounts": [{ "at": "/", "lower": "/dev/mapper/luks_root1" }] }
    });
    Document::parse(plan.to_string().as_bytes()).unwrap()
}

#[test]
fn the_presets_are_the_files_of_the_original_line_by_line() {
    assert_eq!(text(&Settings::preset(Preset::Multipath)), ISCSID_MULTIPATH);
    assert_eq!(text(&Settings::preset(Preset::SinglePath)), ISCSID_SINGLE_PATH);
    let file = multipath_settings::file(&Map::default(), None).unwrap();
    let lines: Vec<&str> = file.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
    for line in MULTIPATH.lines() {
        let left_out = LEFT_OUT.iter().any(|old| line == format!("{} {}", old.key, old.original));
        assert!(lines.contains(&line) != left_out, "{line}");
    }
    for old in LEFT_OUT {
        assert!(MULTIPATH.contains(&format!("\n{} {}\n", old.key, old.original)), "{}", old.key);
    }
}

#[test]
fn the_accounts_of_the_original_are_those_of_a_plan() {
    let document = plan(serde_json::json!({
        "target": "iqn.2026-01.org.example:image",
        "portals": ["198.18.0.1"],
        "auth": {
            "username": "node_user", "secret": "node_pass",
            "mutual": { "username": "node_mutual_user", "secret": "node_mutual_pass" }
        },
        "discovery": { "auth": {
            "username": "disco_user", "secret": "disco_pass",
            "mutual": { "username": "disco_mutual_user", "secret": "disco_mutual_pass" }
        }}
    }));
    let lines = account_settings::lines(&document.iscsi);
    let lines = lines.filter_map(|(key, value)| Some((key, value?)));
    let text = lines.map(|(key, value)| format!("{key} = {}\n", String::from_utf8_lossy(value.expose())));
    assert_eq!(text.collect::<String>(), ISCSID_ACCOUNTS);
}

#[test]
fn every_line_can_be_another_one_in_a_plan() {
    for setting in SETTINGS {
        let preset = setting.single_path.unwrap_or_default();
        let other = match setting.kind {
            // There is nothing else that it could be.
            Kind::Number(least, most) if least == most => continue,
            Kind::Number(least, _) if preset == least.to_string() => (least + 1).to_string(),
            Kind::Number(least, _) => least.to_string(),
            Kind::Nice => "7".into(),
            Kind::YesNo => if preset == "Yes" { "No" } else { "Yes" }.into(),
            Kind::Word(words) => (*words.iter().find(|word| **word != preset).unwrap()).into(),
            Kind::Text => "/bin/true".into(),
        };
        let document = plan(serde_json::json!({
            "target": "iqn.2026-01.org.example:image", "portals": ["198.18.0.1"], "settings": { setting.key: other }
        }));
        assert_eq!(document.iscsi.settings.effective(setting.key), other);
        assert!(text(&document.iscsi.settings).contains(&format!("{} = {other}\n", setting.key)));
    }
    for line in MULTIPATH_SETTINGS {
        let multipath: Map =
            serde_json::from_value(serde_json::json!({ "defaults": { line.key: "7" } })).unwrap();
        assert!(multipath_settings::file(&multipath, None).unwrap().contains(&format!("\t{} 7\n", line.key)));
    }
}

/// What sysfs shows for a value, once the session is up.
fn shown(key: &str, value: &str) -> String {
    match value {
        "Yes" => "1".into(),
        "No" | "None" => "0".into(),
        // drivers/scsi/libiscsi.c, iscsi_host_get_max_scsi_cmds
        _ if key == "node.session.cmds_max" => {
            let commands: u32 = value.parse().unwrap();
            ((1 << commands.ilog2()) - 15).to_string()
        }
        _ if key.ends_with("MaxXmitDataSegmentLength") && value == "0" => "what the target takes".into(),
        _ => value.into(),
    }
}

/// Where a value shows: a file of sysfs if there is one, and words.
fn place(lands: Lands) -> (Option<String>, String) {
    let session = |attribute: &str| Some(format!("/sys/class/iscsi_session/sessionN/{attribute}"));
    let connection = |attribute: &str| Some(format!("/sys/class/iscsi_connection/connectionN:0/{attribute}"));
    match lands {
        Lands::Negotiated(key, attribute) => {
            (session(attribute), format!("offered to the target as `{key}`; "))
        }
        Lands::NegotiatedConnection(key, attribute) => {
            (connection(attribute), format!("offered to the target as `{key}`; "))
        }
        Lands::Session(attribute) => (session(attribute), String::new()),
        Lands::Connection(attribute) => (connection(attribute), String::new()),
        Lands::ScsiHost(attribute) => {
            (Some(format!("/sys/class/scsi_host/hostN/{attribute}")), String::new())
        }
        Lands::ScsiDevice(attribute) => (Some(format!("/sys/block/sdX/device/{attribute}")), String::new()),
        Lands::Agent(how) => (None, format!("the agent: {how}")),
        Lands::Image(why) => (None, format!("the image's open-iscsi alone: {why}")),
    }
}

fn settings_table() -> String {
    let mut table = String::from(
        "| `iscsi.settings` | several paths | one path | where it lands |\n| --- | --- | --- | --- |\n",
    );
    for setting in SETTINGS {
        let value = |preset: Option<&str>| match (preset, setting.otherwise) {
            (Some(value), _) => format!("`{value}`"),
            (None, Some(otherwise)) => format!("no line; the agent: `{otherwise}`"),
            (None, None) => "no line".into(),
        };
        let (file, words) = place(setting.lands);
        let file = file.map(|file| {
            let effective = |preset: Option<&str>| shown(setting.key, preset.or(setting.otherwise).unwrap());
            let (several, one) = (effective(setting.multipath), effective(setting.single_path));
            let both = if several == one { one } else { format!("{several}, {one}") };
            format!("`{file}`: {both}")
        });
        writeln!(
            table,
            "| `{}` | {} | {} | {words}{} |",
            setting.key,
            value(setting.multipath),
            value(setting.single_path),
            file.unwrap_or_default()
        )
        .unwrap();
    }
    table
}

fn accounts_table() -> String {
    let mut table = String::from("| line | member of the plan | where it lands |\n| --- | --- | --- |\n");
    for setting in ACCOUNT_SETTINGS {
        let (file, words) = place(setting.lands);
        let file = file.map(|file| format!("`{file}`")).unwrap_or_default();
        writeln!(table, "| `{}` | `{}` | {words}{file} |", setting.key, setting.member).unwrap();
    }
    table
}

fn multipath_table() -> String {
    let mut table =
        String::from("| line | member of the plan | preset | where it lands |\n| --- | --- | --- | --- |\n");
    for line in MULTIPATH_SETTINGS {
        let (key, preset, lands) = (line.key, line.preset, line.lands);
        writeln!(table, "| `{key}` | `multipath.defaults.{key}` | `{preset}` | {lands} |").unwrap();
    }
    for node in BLACKLIST {
        let lands = "multipathd leaves the writable layer's disk alone";
        writeln!(table, "| `devnode` | `multipath.blacklist` | `\"{node}\"` | {lands} |").unwrap();
    }
    table
}

fn left_out_table() -> String {
    let mut table = String::from("| line | what holds instead |\n| --- | --- |\n");
    for old in LEFT_OUT {
        writeln!(table, "| `{} {}` | {} |", old.key, old.original, old.instead).unwrap();
    }
    table
}

#[test]
fn the_document_says_what_the_tables_say() {
    let text = format!(
        "# The original's values

Operators used to type iscsid.conf and multipath.conf into the initramfs of each node. Every line of theirs is a member
of the boot plan, and what they typed is its preset. This file is generated from the tables that the agent goes by, and
a test holds those to the original's files, line by line.

## iscsid.conf: timers, queues, negotiated values

`iscsi.settings` has these keys as they stand. Its member `preset` says which of the original's two files holds for what
the plan does not say: `multipath` (several paths) or `single-path` (one path). Without it, it is `multipath` where the
agent makes a map of the paths, else `single-path`. All lines are written to `/etc/iscsi/iscsid.conf` of the new root,
from which the image's iscsid takes them when it takes the sessions over; other lines of the image's file stay. Beside
that they land where the last column says, in sysfs with this value:

{}
* Negotiated values are what both sides agree on: the smaller number, `InitialR2T` unless both say No, `ImmediateData`
  if both say Yes. The values above are those of a target that agrees to all of them.
* `recovery_tmo` is 120 at most in the boot, where a step that hangs in a read cannot say so; then iscsid or the keeper
  sets the value above. multipathd puts its own `fast_io_fail_tmo` (5 unless multipath.conf has another) in its place on
  each disk that is a path of a map.
* `initial_r2t` is 0 until the image's iscsid is up: that of Debian 12 (open-iscsi 2.1.8) offers `InitialR2T=Yes` when it
  takes a session over, whatever iscsid.conf says, and then it is 1.
* `can_queue` is `cmds_max`, rounded down to a power of two, less the 15 commands that the kernel keeps for itself.
* A line that a preset does not have is not written either: the image's iscsid goes by its own file, or by its default,
  which is 5 for both timers.

## iscsid.conf: accounts

They have no presets. The lines of an account are written if the plan has the account, and then other lines of these
keys in the image's file go, for a name of another account would be held to belong to this one.

{}
Only root can read an account in sysfs. `chap_algs` is written for lists other than MD5 alone.

## multipath.conf

Written to `/etc/multipath.conf` of the new root where the agent makes a map, in place of the image's; a plan without
`multipath.defaults` has the preset. `multipath.defaults` may have any other word of the section, too. multipathd is then
enabled, if the image has it.

{}
These lines of the original's file are not in the preset, or not so. A plan that wants one has it in
`multipath.defaults`.

{}",
        settings_table(),
        accounts_table(),
        multipath_table(),
        left_out_table()
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/original-values.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "behind the code: UPDATE_DOCS=1 cargo test --test original_values");
}
