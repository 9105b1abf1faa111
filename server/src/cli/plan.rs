//! `disklessd plan`: the boot plan of a node.

use std::fmt::Write as _;
use std::path::PathBuf;

use diskless::input::document::{Document, VERSIONS};
use lexopt::{Arg, Parser, ValueExt as _};
use serde_json::{Value, json};

use super::{CONFIG, Failed, print};
use crate::error::Error;
use crate::site::plan::{Rendered, render};
use crate::site::{self, Node, Origin, Site, signing};
use crate::time::Time;

const HELP: &str = "\
usage: disklessd plan NODE [--config FILE] [--explain|--json] [--secrets]

Shows the boot plan of NODE as its agent gets it, and says what the agent would say of it. No server need run.

  --config FILE  the site's file (/etc/disklessd/site.toml)
  --explain      a line for each value: where it is, what it is, and which table of the file says it
  --json         the same for programs: the plan, the node's own values, where they come from
  --secrets      show secrets, not ***

Exit codes: 0 the agent takes the plan, 1 it does not, 2 usage.
";

/// Shows a plan.
pub fn main(args: &mut Parser) -> Result<(), Failed> {
    let Some(asked) = Asked::read(args)? else { return print(HELP) };
    let site = site::read(&asked.config)?;
    for remark in &site.remarks {
        eprintln!("disklessd: warning: {}: {}", remark.object, remark.message);
    }
    let (text, verdict) = asked.answer(&site)?;
    print(&text)?;
    verdict.map_err(|error| {
        eprintln!("disklessd: [{}] {error}; {}", error.code().as_str(), error.advice());
        Failed::Told(1)
    })
}

struct Asked {
    node: String,
    config: PathBuf,
    how: How,
    secrets: bool,
}

enum How {
    Document,
    Explained,
    ForPrograms,
}

impl Asked {
    /// What the words ask for; none: for help.
    fn read(args: &mut Parser) -> Result<Option<Asked>, lexopt::Error> {
        let (mut node, mut config) = (None, PathBuf::from(CONFIG));
        let (mut explain, mut json, mut secrets) = (false, false, false);
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("config") => config = args.value()?.into(),
                Arg::Long("explain") => explain = true,
                Arg::Long("json") => json = true,
                Arg::Long("secrets") => secrets = true,
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                Arg::Value(name) if node.is_none() => node = Some(name.string()?),
                other => return Err(other.unexpected()),
            }
        }
        let how = match (explain, json) {
            (false, false) => How::Document,
            (true, false) => How::Explained,
            (false, true) => How::ForPrograms,
            (true, true) => return Err("--explain or --json, not both".into()),
        };
        let node = node.ok_or("NODE is missing")?;
        Ok(Some(Asked { node, config, how, secrets }))
    }

    /// What is to be shown, and what the agent says of the plan.
    fn answer(&self, site: &Site) -> Result<(String, diskless::error::Result<()>), Error> {
        let none = || Error::NoNode { node: self.node.clone(), path: self.config.clone() };
        let node = site.nodes.get(&self.node).ok_or_else(none)?;
        let plan = newest(site, node);
        let shown = if self.secrets { plan.document.clone() } else { plan.shown() };
        let verdict = Document::parse(plan.document.to_string().as_bytes()).map(drop);
        let text = match self.how {
            How::Document => pretty(&shown),
            How::Explained => explained(node, &plan, &shown),
            How::ForPrograms => pretty(&for_programs(node, &plan, shown, verdict.as_ref().err())),
        };
        Ok((text, verdict))
    }
}

/// The plan in the newest version that there is.
fn newest(site: &Site, node: &Node) -> Rendered {
    let known = VERSIONS.iter().find_map(|version| render(site, node, version).ok());
    let mut plan = known.unwrap_or_default();
    signing::bind(&mut plan, site, node, Time::now());
    plan
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// What layers say of a node beside the plan, as JSON.
fn own(node: &Node) -> Vec<(&'static str, Value)> {
    vec![
        ("profile", json!(node.profile)),
        ("groups", json!(node.groups)),
        ("image", json!(node.image)),
        ("servers", json!(node.servers)),
        ("action", json!(node.action)),
        ("cmdline", json!(node.cmdline)),
        ("static_ip", json!(node.static_ip)),
        ("memory", json!(node.memory)),
        ("uuid", json!(node.uuid)),
    ]
}

fn for_programs(node: &Node, plan: &Rendered, shown: Value, error: Option<&diskless::error::Error>) -> Value {
    let origins: serde_json::Map<String, Value> = node
        .origins
        .iter()
        .map(|(member, origin)| ((*member).to_owned(), origin.to_string().into()))
        .collect();
    let error = error.map(|error| json!({ "code": error.code().as_str(), "message": error.to_string() }));
    json!({
        "node": node.name,
        "values": own(node).into_iter().map(|(member, value)| (member.to_owned(), value)).collect::<Value>(),
        "origins": origins,
        "plan": shown,
        "plan_origins": plan.origins,
        "error": error,
    })
}

/// A line a value, in three columns.
fn explained(node: &Node, plan: &Rendered, shown: &Value) -> String {
    let mut lines: Vec<(&str, String, String)> = Vec::new();
    for (member, value) in own(node) {
        // Words of the kernel command line come from several layers, groups from themselves.
        let from = match (member, &value) {
            ("cmdline" | "groups" | "uuid", _) => String::new(),
            (_, Value::Null) => continue,
            _ => node.origins.get(member).unwrap_or(&Origin::BuiltIn).to_string(),
        };
        if value != Value::Null && value != json!([]) && value != json!("") {
            lines.push((member, value.to_string(), from));
        }
    }
    for (pointer, origin) in &plan.origins {
        let value = shown.pointer(pointer).unwrap_or(&Value::Null);
        lines.push((pointer, value.to_string(), origin.clone()));
    }
    let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or_default();
    let first = widest(&mut lines.iter().map(|(place, ..)| place.chars().count()));
    // A long list pushes the origin of its own line to the right, not that of all.
    let second =
        widest(&mut lines.iter().map(|(_, value, _)| value.chars().count()).filter(|width| *width <= 48));
    let mut text = String::new();
    for (place, value, from) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", format!("{place:<first$}  {value:<second$}  {from}").trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::aside::Aside;
    use crate::site::file::File;

    fn site(more: &str) -> Site {
        Site::of(File::parse(&format!("{}\n{more}", crate::cli::init::SITE)).unwrap(), Aside::default())
    }

    #[test]
    fn each_value_says_where_it_is_from() {
        let site = site(
            "[[nodes]]\nnames = \"node4\"\nimage = \"el9\"\n\
             plan.iscsi.auth = { username = \"u\", secret = \"hunter2\" }",
        );
        let node = &site.nodes["node4"];
        let plan = newest(&site, node);
        let expected = r#"
profile               "compute"                                      nodes node[1-4]
groups                ["debug"]
image                 "el9"                                          nodes node4
servers               ["san1"]                                       defaults
action                "boot"                                         defaults
cmdline               "quiet rd.debug console=ttyS0"
static_ip             true                                           profile compute
memory                4294967296                                     nodes node[1-4]
/hostname             "node4"                                        disklessd
/iscsi/auth/secret    "***"                                          nodes node4
/iscsi/auth/username  "u"                                            nodes node4
/iscsi/portals        ["198.18.0.2:3260"]                            server san1
/iscsi/target         "iqn.2026-01.org.example:el9"                  server san1
/luks/key/file        "/etc/diskless/image.key"                      image el9
/overlay/mounts       [{"at":"/","lower":"/dev/mapper/luks_root1"}]  image el9
/overlay/size         "50%"                                          profile compute
/report/phone_home    "http://198.18.0.1:32001/phone_home/up"        disklessd
/report/url           "http://198.18.0.1:32001/report/node4"         disklessd
/version              "1.0"                                          disklessd
"#;
        assert_eq!(explained(node, &plan, &plan.shown()), expected.trim_start());
    }

    #[test]
    fn programs_get_the_same() {
        let site = site("[[nodes]]\nnames = \"node1\"\nplan.iscsi.lun = -1");
        let node = &site.nodes["node1"];
        let plan = newest(&site, node);
        let error = Document::parse(plan.document.to_string().as_bytes()).err().unwrap();
        let json = for_programs(node, &plan, plan.shown(), Some(&error));
        assert_eq!(json["values"]["image"], "el9");
        assert_eq!(json["origins"]["image"], "defaults");
        assert_eq!(json["plan"]["hostname"], "node1");
        assert_eq!(json["plan_origins"]["/iscsi/lun"], "nodes node1");
        assert_eq!(json["error"]["code"], "plan-invalid");
    }

    fn asked(words: &str) -> Result<Option<Asked>, lexopt::Error> {
        Asked::read(&mut Parser::from_args(words.split_whitespace()))
    }

    #[test]
    fn words() {
        for words in ["", "a b", "a --explain --json", "a --config", "a --jsn"] {
            assert!(asked(words).is_err(), "{words}");
        }
        assert!(asked("a --help").unwrap().is_none());
    }

    #[test]
    fn answers() {
        let site = site(
            "[[nodes]]\nnames = \"node4\"\nplan.iscsi.auth = { username = \"u\", secret = \"hunter2hunter2\" }",
        );
        let answer = |words: &str| asked(words).unwrap().unwrap().answer(&site);
        for words in ["node4", "node4 --explain", "node4 --json"] {
            let (text, verdict) = answer(words).unwrap();
            assert!(text.contains("\"***\"") && !text.contains("hunter2"), "{text}");
            assert!(verdict.is_ok(), "{verdict:?}");
            let (text, _) = answer(&format!("{words} --secrets")).unwrap();
            assert!(text.contains("hunter2hunter2"), "{text}");
        }
        assert!(serde_json::from_str::<Value>(&answer("node4").unwrap().0).is_ok());
        assert!(matches!(answer("ghost"), Err(Error::NoNode { .. })));
        let bare = Site::of(File::parse("[[nodes]]\nnames = \"a\"").unwrap(), Aside::default());
        let (text, verdict) = asked("a --explain").unwrap().unwrap().answer(&bare).unwrap();
        assert!(text.contains("/hostname"), "{text}");
        assert_eq!(verdict.unwrap_err().code().as_str(), "plan-invalid");
    }
}
