//! `diskless plan --cmdline`: the boot of a node, on any machine, with nothing touched.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::rc::Rc;

use lexopt::Parser;
use serde::Serialize;

use super::given::{Node, OF_A_NODE, Options, print_json, read};
use super::paths::Paths;
use crate::cli::{Failed, print};
use crate::engine::run::Step;
use crate::error::{Code, Error, Result};
use crate::input::config::Source;
use crate::input::document::Document;
use crate::input::identity::Identity;
use crate::input::parameters;
use crate::plan;
use crate::steps::fetch;

/// Says what a boot would do.
pub fn main(args: &mut Parser) -> Result<(), Failed> {
    let Some(options) = Options::parse(args, OF_A_NODE, 0)? else { return Ok(()) };
    let cmdline = options.value("cmdline").ok_or_else(|| lexopt::Error::from("--cmdline is missing"))?;
    let boot = Boot::of(cmdline, options.value("plan"), options.value("facts"))?;
    if options.json { print_json(&boot) } else { print(&boot.describe()) }
}

/// What a node would do.
#[derive(Debug, Serialize)]
struct Boot {
    /// Where the plan is.
    source: String,
    /// The node's name to its targets, and what it comes from; none without a plan.
    initiator: Option<String>,
    initiator_from: Option<String>,
    /// The node's machine-id, and what it comes from; none without a plan, or without anything to derive one from.
    machine_id: Option<String>,
    machine_id_from: Option<String>,
    /// None: the name that the node has by then.
    hostname: Option<String>,
    /// None without a plan.
    paths: Option<Paths>,
    warnings: Vec<String>,
    steps: Vec<Line>,
}

/// A step.
#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    about: String,
    limit_s: u64,
}

impl Line {
    fn of(step: &Step<'_>) -> Line {
        Line { name: step.name, about: step.about.clone(), limit_s: step.limit.as_secs() }
    }
}

impl Boot {
    fn of(cmdline: &OsStr, document: Option<&OsStr>, facts: Option<&OsStr>) -> Result<Boot> {
        let Node { cmdline, config, facts, .. } = Node::elsewhere(cmdline, facts)?;
        let document = match (document, &config.plan) {
            (Some(_), Source::Parameters) => {
                let cause = "the kernel command line describes the boot itself, and names no plan";
                return Err(Error::new(Code::Parameter, "--plan").because(cause));
            }
            (Some(file), _) => Some(Document::parse(&read(file)?)?),
            (None, Source::Parameters) => Some(parameters::document(&cmdline)?),
            (None, _) => None,
        };
        let until = plan::until_document(&config, &Rc::new(OnceCell::new()));
        let mut boot = Boot {
            source: fetch::shown(&config.plan),
            initiator: None,
            initiator_from: None,
            machine_id: None,
            machine_id_from: None,
            hostname: None,
            paths: None,
            warnings: parameters::warning(&cmdline).map(str::to_owned).into_iter().collect(),
            steps: until.iter().map(Line::of).collect(),
        };
        if let Some(document) = document {
            let document = if config.multipath { document } else { document.without_map() };
            let identity = Identity::of(&document, &config, &facts, None)?;
            let steps = plan::from_document(&config, &document, &identity)?;
            boot.steps.extend(steps.iter().map(Line::of));
            boot.initiator_from = Some(identity.initiator.origin.to_string());
            boot.paths = Some(Paths::of(&document));
            boot.hostname = document.hostname.clone();
            boot.initiator = Some(identity.initiator.name.clone());
            boot.machine_id_from = identity.machine_id.as_ref().map(|id| id.origin.to_string());
            boot.machine_id = identity.machine_id.as_ref().map(|id| id.id.clone());
        }
        Ok(boot)
    }

    /// For people.
    fn describe(&self) -> String {
        let mut text = format!("plan       {}\n", self.source);
        // Writing to a string cannot fail.
        if let (Some(initiator), Some(from)) = (&self.initiator, &self.initiator_from) {
            let _ = writeln!(text, "initiator  {initiator}, from {from}");
            let hostname = self.hostname.as_deref().unwrap_or("as the node has it by then");
            let _ = writeln!(text, "hostname   {hostname}");
            let _ = match (&self.machine_id, &self.machine_id_from) {
                (Some(id), Some(from)) => writeln!(text, "machine-id {id}, from {from}"),
                _ => writeln!(
                    text,
                    "machine-id derived from the system UUID or an interface's address: see --facts"
                ),
            };
        }
        text.extend(self.paths.as_ref().map(Paths::describe));
        for warning in &self.warnings {
            let _ = writeln!(text, "WARNING    {warning}");
        }
        for (number, Line { name, about, limit_s }) in (1..).zip(&self.steps) {
            let _ = writeln!(text, "{number:>2} {name:<9} {limit_s:>4} s  {about}");
        }
        if self.initiator.is_none() {
            text.push_str("   ... and then what the plan says: show it with --plan FILE\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    const PLAN: &str = r#"{
        "version": "1.0", "hostname": "node1",
        "iscsi": { "target": "iqn.2026-01.org.example:image", "portals": ["198.18.0.1"], "lun": 1,
                   "auth": { "username": "node", "secret": "hunter2hunter2" } },
        "luks": { "key": { "file": "/etc/diskless/image.key" } },
        "overlay": { "size": "2G", "mounts": [{ "at": "/", "lower": "/dev/mapper/luks_root1" }] }
    }"#;
    const FACTS: &str = r#"{ "interfaces": [{ "name": "eth0", "mac": "52:54:00:00:00:01" }] }"#;
    const DISK: &str = "netroot=iscsi:u:hunter2@10.0.0.1::::iqn.a:b rd.luks.key=https://keys/k \
                        root=/dev/mapper/luks_root1 rd.iscsi.initiator=iqn.c:d";

    fn boot(cmdline: &str, plan: Option<&str>, facts: Option<&str>) -> Result<Boot> {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.into_os_string()
        };
        let mut from_file = OsString::from("@");
        from_file.push(file("cmdline", cmdline));
        let plan = plan.map(|text| file("plan", text));
        let facts = facts.map(|text| file("facts", text));
        Boot::of(&from_file, plan.as_deref(), facts.as_deref())
    }

    #[test]
    fn a_boot_is_shown_as_it_would_be() {
        let by_url = "rd.diskless.plan=http://198.18.0.2/plan";
        let cases = [
            (
                by_url,
                Some(PLAN),
                Some(FACTS),
                "network plan iscsi keeper luks volumes zram overlay modules handover exit",
            ),
            (by_url, None, None, "network plan"),
            ("rd.diskless.plan=/p", None, None, "plan"),
            (
                "rd.diskless.plan=/p",
                Some(PLAN),
                Some(FACTS),
                "plan network iscsi keeper luks volumes zram overlay modules handover exit",
            ),
            (DISK, None, None, "network iscsi keeper luks volumes zram overlay modules handover exit"),
        ];
        for (cmdline, plan, facts, steps) in cases {
            let boot = boot(cmdline, plan, facts).unwrap();
            let names: Vec<_> = boot.steps.iter().map(|step| step.name).collect();
            assert_eq!(names.join(" "), steps, "{cmdline}");
            let json = serde_json::to_string(&boot).unwrap();
            assert!(!json.contains("hunter2") && !boot.describe().contains("hunter2"), "{json}");
        }
    }

    #[test]
    fn for_people() {
        let text =
            boot("rd.diskless.plan=/p rd.diskless.timeout=60", Some(PLAN), Some(FACTS)).unwrap().describe();
        let expected = "\
plan       /p
initiator  iqn.2026-01.node.diskless:52-54-00-00-00-01, from the address of eth0
hostname   node1
machine-id 7cbf645afb1d4e48827645f044e4d786, from the address of eth0
path 1     198.18.0.1:3260, iqn.2026-01.org.example:image
map        none
timers     single-path: a login may take 15 s; a connection is not pinged; reads wait 600 s for a lost one
 1 plan        60 s  read the boot plan from /p
 2 network     60 s  wait until a portal answers: 198.18.0.1:3260
 3 iscsi       60 s  LUN 1 of iqn.2026-01.org.example:image at 198.18.0.1:3260 for \
iqn.2026-01.node.diskless:52-54-00-00-00-01, with CHAP as node
 4 keeper     120 s  hand the sessions to a process that outlives the initramfs
 5 luks       120 s  open the disk as /dev/mapper/luks_root with the key in /etc/diskless/image.key
 6 volumes    120 s  map read-only: luks_root1
 7 zram       120 s  writable layer of 2147483648 bytes, ext4
 8 overlay    120 s  mount / of /dev/mapper/luks_root1 below /sysroot, writable over read-only
 9 modules    120 s  look whether the new root has modules of the running kernel
10 handover   120 s  write into the new root: who the node is, iSCSI configuration, host name node1
11 exit       120 s  leave in memory what takes the node apart at its end
";
        assert_eq!(text, expected);
        let text = boot(DISK, None, None).unwrap().describe();
        assert!(text.contains("\nWARNING    there is a secret on the kernel command line"), "{text}");
        assert!(text.contains("\ninitiator  iqn.c:d, from rd.iscsi.initiator=\n"), "{text}");
    }

    #[test]
    fn paths_for_people() {
        let shown = |words: &str| {
            let plan = PLAN
                .replace(
                    "[\"198.18.0.1\"]",
                    "[{\"portal\": \"198.18.0.1\", \"interface\": \"eth0\", \"source\": \"198.18.0.9\"}, \
                      {\"portal\": \"[fe80::1%eth1]:3261\", \"target\": \"iqn.2026-01.org.other:image\"}]",
                )
                .replace(
                    "\"luks\": {",
                    "\"multipath\": {\"identify\": \"luks-uuid\", \"defaults\": {\"no_path_retry\": \"6\"}}, \"luks\": {",
                );
            let boot =
                boot(&format!("rd.diskless.plan=http://a/p {words}"), Some(&plan), Some(FACTS)).unwrap();
            let text = boot.describe();
            let lines: Vec<&str> = text.lines().skip(4).take(4).collect();
            (lines.join("\n"), serde_json::to_value(&boot).unwrap())
        };
        let (text, json) = shown("");
        let expected = "\
path 1     198.18.0.1:3260, iqn.2026-01.org.example:image, by eth0, from 198.18.0.9
path 2     [fe80::1%eth1]:3261, iqn.2026-01.org.other:image, by eth1
map        of disks with one LUKS UUID, service-time 0; reads without a path wait 60 s; 1 of 2 paths are waited for, and \
the others for 10 s then
timers     multipath: a login may take 15 s; a connection is pinged every 5 s and lost after 5 s without an answer; reads \
wait 15 s for a lost one";
        assert_eq!(text, expected);
        assert_eq!(json["paths"]["map"]["identify"], "luks-uuid");
        assert_eq!(json["paths"]["portals"][1]["interface"], "eth1");
        let (text, json) = shown("rd.multipath=0");
        assert!(text.contains("\nmap        none: the disk of the first portal"), "{text}");
        assert!(text.contains("\ntimers     single-path: "), "{text}");
        assert_eq!(json["paths"]["map"], serde_json::Value::Null);
    }

    #[test]
    fn errors_are_those_of_the_boot() {
        let cases = [
            ("quiet", None, None, Code::NoPlan),
            ("rd.diskless.plam=/p", None, None, Code::Parameter),
            ("rd.diskless.plan=/p", Some("{}"), None, Code::PlanInvalid),
            ("rd.diskless.plan=/p", Some(PLAN), None, Code::Initiator),
            ("rd.diskless.plan=/p", Some(PLAN), Some("{\"macs\": []}"), Code::Facts),
            ("rd.diskless.plan=/p", Some(PLAN), Some("{\"uuid\": \"a b\"}"), Code::Facts),
            ("netroot=iscsi:x", None, None, Code::Parameter),
            (DISK, Some(PLAN), None, Code::Parameter),
        ];
        for (cmdline, plan, facts, code) in cases {
            assert_eq!(boot(cmdline, plan, facts).unwrap_err().code(), code, "{cmdline} {plan:?} {facts:?}");
        }
        let missing = Boot::of(OsStr::new("@/nonexistent/cmdline"), None, None);
        assert_eq!(missing.unwrap_err().code(), Code::Io);
    }
}
