//! `diskless plan explain`: each step, why it is there, and where what it goes by comes from.

mod values;

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::rc::Rc;

use lexopt::Parser;
use serde::Serialize;

use super::given::{InForce, OF_A_NODE, Options, print_json};
use crate::cli::{Failed, print};
use crate::engine::host::Host;
use crate::error::Result;
use crate::plan;
use values::Value;

/// Explains the boot of a node.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let Some(options) = Options::parse(args, OF_A_NODE, 0)? else { return Ok(()) };
    let explained = Explained::of(&InForce::of(host, &options)?)?;
    if options.json { print_json(&explained) } else { print(&explained.describe()) }
}

/// A boot.
#[derive(Debug, Serialize)]
struct Explained {
    /// Where the plan is from.
    from: String,
    signed_by: Option<String>,
    steps: Vec<Step>,
}

/// A step of it.
#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    about: String,
    why: &'static str,
    limit_s: u64,
    values: Vec<Value>,
}

impl Explained {
    fn of(boot: &InForce) -> Result<Explained> {
        let until = plan::until_document(&boot.node.config, &Rc::new(OnceCell::new()));
        let then = plan::from_document(&boot.node.config, &boot.document, &boot.identity)?;
        let step = |step: &crate::engine::run::Step<'_>| Step {
            name: step.name,
            about: step.about.clone(),
            why: why(step.name),
            limit_s: step.limit.as_secs(),
            values: values::of(step.name, boot),
        };
        Ok(Explained {
            from: boot.from.clone(),
            signed_by: boot.signer.clone(),
            steps: until.iter().chain(&then).map(step).collect(),
        })
    }

    fn describe(&self) -> String {
        let signed = self.signed_by.as_ref().map(|signer| format!(", signed by {signer}"));
        let mut text = format!("plan from {}{}\n", self.from, signed.unwrap_or_default());
        for (number, Step { name, about, why, limit_s, values }) in (1..).zip(&self.steps) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n{number:>2} {name}: {about}\n   {why}; it may take {limit_s} s");
            for Value { member, value, from } in values {
                let _ = writeln!(text, "     {member:<26} {value}  ({from})");
            }
        }
        text
    }
}

/// Why there is a step.
fn why(step: &str) -> &'static str {
    match step {
        "network" => "nothing can be asked before one server answers; the others are not waited for",
        "plan" => "it says what this node boots",
        "iscsi" => "the disk of the image is on the other side of the network",
        "multipath" => "several ways lead to one disk, and one of them may go away",
        "keeper" => {
            "a lost connection must be made anew, and nobody else is there to do so until the image's iscsid runs"
        }
        "luks" => "the image is encrypted, and its key never leaves memory",
        "volumes" => "the root, and what is mounted below it, are volumes inside the opened disk",
        "zram" => "the image is read-only: what the node writes goes to compressed memory",
        "overlay" => "the image and the writable layer become one root",
        "modules" => "an image without the modules of the running kernel would miss its drivers later",
        "handover" => "the image is the same for all nodes: what is a node's own is written here",
        "exit" => "at the end the root must be let go of while it is still in use",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(cmdline: &str, plan: Option<&str>) -> Explained {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan.map(|text| {
            std::fs::write(folder.path().join("plan"), text).unwrap();
            format!(" --plan {}/plan", folder.path().display())
        });
        let words = format!("--cmdline @{}/cmdline{}", folder.path().display(), plan.unwrap_or_default());
        std::fs::write(folder.path().join("cmdline"), cmdline).unwrap();
        let mut args = Parser::from_args(words.split(' '));
        let options = Options::parse(&mut args, OF_A_NODE, 0).ok().flatten().unwrap();
        Explained::of(&InForce::of(&Host::fake(folder.path()), &options).unwrap()).unwrap()
    }

    #[test]
    fn every_step_has_a_reason_and_every_value_its_origin() {
        let plan = r#"{ "version": "1.0", "hostname": "node1",
            "iscsi": { "initiator": "iqn.c:d", "target": "iqn.a:b", "portals": ["10.0.0.1", "10.0.0.2"],
                       "auth": { "username": "node", "secret": "hunter2hunter2" } },
            "luks": { "key": { "url": "http://me:hunter2@keys/k?token=hunter2" } },
            "overlay": { "size": "2G", "mounts": [{ "at": "/", "lower": "/dev/mapper/luks_root1" }] } }"#;
        let boot = explained("rd.diskless.plan=http://boot/p rd.diskless.timeout=60", Some(plan));
        let names: Vec<&str> = boot.steps.iter().map(|step| step.name).collect();
        assert_eq!(
            names.join(" "),
            "network plan iscsi multipath keeper luks volumes zram overlay modules handover exit"
        );
        assert!(boot.steps.iter().all(|step| !step.why.is_empty()));
        let value = |step: &str, member: &str| {
            let step = boot.steps.iter().find(|other| other.name == step).unwrap();
            let value = step.values.iter().find(|value| value.member == member);
            let value = value.unwrap_or_else(|| panic!("{member} is not among {:?}", step.values));
            (value.value.clone(), value.from.clone())
        };
        let from = |value: &str, from: &str| (value.to_owned(), from.to_owned());
        assert_eq!(value("iscsi", "iscsi.target"), from("iqn.a:b", "plan"));
        assert_eq!(value("iscsi", "iscsi.min_paths"), from("1", "preset"));
        assert_eq!(value("iscsi", "iscsi.initiator"), from("iqn.c:d", "the plan"));
        assert_eq!(value("overlay", "overlay.mounts[0]"), from("/ of /dev/mapper/luks_root1", "plan"));
        assert_eq!(value("luks", "luks.key"), from("http://keys/k", "plan"));
        assert_eq!(value("network", "rd.diskless.timeout"), from("60", "parameter"));
        for text in [boot.describe(), serde_json::to_string(&boot).unwrap()] {
            assert!(!text.contains("hunter2"), "{text}");
        }
        let disk = "netroot=iscsi:u:hunter2@10.0.0.1::::iqn.a:b rd.luks.key=/k root=/dev/mapper/luks_root1 \
                    rd.iscsi.initiator=iqn.c:d";
        let boot = explained(disk, None);
        let target =
            boot.steps.iter().flat_map(|step| &step.values).find(|value| value.member == "iscsi.target");
        assert_eq!(target.unwrap().from, "kernel parameters");
        assert!(!boot.describe().contains("hunter2"));
    }
}
