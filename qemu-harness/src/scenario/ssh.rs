//! `[[ssh]]`: what an operator types into the node's initramfs, one after the other, and what must come of it.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::Value;

use super::{Check, Document, Expect, Fault};

/// The longest time for one of them, in seconds.
const LONGEST: u64 = 1800;

/// `[[ssh]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// Once the console has shown this, since the one before began; none: once that is over, or the node is there,
    pub after: Option<String>,
    /// these things happen in the lab,
    #[serde(default)]
    pub first: Vec<Fault>,
    /// and this is run by the node's shell,
    pub run: String,
    /// with this key,
    #[serde(default)]
    pub key: Key,
    /// in so many seconds, with the time until somebody is let in.
    #[serde(default = "default_within")]
    pub within: u64,
    /// It ends so; of ssh itself is 255: nobody was let in, or the connection ended.
    #[serde(default)]
    pub exit: Exit,
    /// What is printed, or what ssh says, has these,
    #[serde(default)]
    pub contains: Vec<String>,
    /// and none of these.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// What is printed is JSON in which this holds.
    #[serde(default)]
    pub json: Vec<Check>,
}

fn default_within() -> u64 {
    60
}

/// A key of the harness.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Key {
    /// That which the initramfs, or the plan, has.
    #[default]
    Right,
    /// One that nobody knows.
    Wrong,
}

/// How a command may end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Exit {
    /// With this code.
    One(i32),
    /// With one of these.
    Any(Vec<i32>),
}

impl Default for Exit {
    fn default() -> Exit {
        Exit::One(0)
    }
}

impl Exit {
    fn allows(&self, code: i32) -> bool {
        match self {
            Exit::One(one) => *one == code,
            Exit::Any(any) => any.contains(&code),
        }
    }
}

/// What came of a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Typed {
    /// Its exit code; none: it did not end in its time.
    pub exit: Option<i32>,
    /// What it printed.
    pub output: String,
    /// What it printed on its error output, and what ssh said.
    pub errors: String,
    /// The fingerprint of the host key that sshd showed.
    pub host_key: Option<String>,
}

impl Ssh {
    /// What is not as it should be; the console has `shown` a fingerprint by then, or not.
    pub fn faults(&self, typed: &Typed, shown: Option<&str>) -> Vec<String> {
        let mut faults = Vec::new();
        match typed.exit {
            None => faults.push(format!("not done within {} s", self.within)),
            Some(code) if !self.exit.allows(code) => {
                faults.push(format!("exit code {code}, should be {:?}", self.exit));
            }
            Some(_) => (),
        }
        let has = |text: &String| typed.output.contains(text) || typed.errors.contains(text);
        faults.extend(
            self.contains.iter().filter(|text| !has(text)).map(|text| format!("{text:?} is not said")),
        );
        faults.extend(self.lacks.iter().filter(|text| has(text)).map(|text| format!("{text:?} is said")));
        if !self.json.is_empty() {
            match serde_json::from_str::<Value>(&typed.output) {
                Ok(value) => faults.extend(self.json.iter().filter_map(|check| check.fault(&value))),
                Err(cause) => faults.push(format!("it is no JSON: {cause}")),
            }
        }
        if let (Some(shown), Some(key)) = (shown, &typed.host_key)
            && shown != key
        {
            faults.push(format!("the host key is {key}, the console showed {shown}"));
        }
        faults
    }
}

/// The fingerprint in a line of the console that tells it.
pub fn fingerprint(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("host key ")?;
    rest.split_whitespace().next().filter(|word| word.starts_with("SHA256:"))
}

/// What is still to be typed.
pub struct Typing {
    left: VecDeque<Ssh>,
    /// The first of them is being run.
    running: bool,
    /// The console has shown what the next one waits for.
    seen: bool,
    /// How many are over.
    over: usize,
}

impl Typing {
    /// All of them.
    pub fn new(all: &[Ssh]) -> Typing {
        Typing { left: all.iter().cloned().collect(), running: false, seen: false, over: 0 }
    }

    /// Takes a console line.
    pub fn line(&mut self, line: &str) {
        let next = self.left.get(usize::from(self.running)).and_then(|next| next.after.as_ref());
        self.seen |= next.is_some_and(|text| line.contains(text));
    }

    /// The next one, when its time has come: it runs from now on. With its number, from 1.
    pub fn start(&mut self) -> Option<(usize, &Ssh)> {
        let next = self.left.front().filter(|next| !self.running && (self.seen || next.after.is_none()))?;
        self.running = true;
        self.seen = false;
        Some((self.over + 1, next))
    }

    /// The one that runs is over.
    pub fn end(&mut self) -> Option<Ssh> {
        self.running = false;
        self.over += 1;
        self.left.pop_front()
    }

    /// How many are over.
    pub fn over(&self) -> usize {
        self.over
    }

    /// All of them are over.
    pub fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    /// Why one never came to its end, if any did not.
    pub fn missed(&self) -> Option<String> {
        let next = self.left.front()?;
        let why = match &next.after {
            _ if self.running => "it was not over".to_owned(),
            Some(text) => format!("the console did not show {text:?}"),
            None => "the machine ended too early".to_owned(),
        };
        Some(format!("ssh {} `{}`: {why}", self.over + 1, next.run))
    }
}

/// What cannot be.
pub(super) fn check(document: &Document) -> Result<(), String> {
    if document.ssh.is_empty() {
        return match document.expect {
            Expect::Trapped { .. } => Err("end = \"trapped\" needs [[ssh]]".to_owned()),
            _ => Ok(()),
        };
    }
    if !document.initramfs.sshd {
        return Err("[[ssh]] needs `sshd = true` in [initramfs]".to_owned());
    }
    if document.machine.nodes != 1 || !document.network.dhcp {
        return Err("[[ssh]]: one node, with its address by DHCP".to_owned());
    }
    for ssh in &document.ssh {
        if !(1..=LONGEST).contains(&ssh.within) {
            return Err(format!("within = {}: 1 to {LONGEST}", ssh.within));
        }
        if ssh.first.iter().any(|first| first.after.is_some() || first.seconds > 0) {
            return Err("what happens `first` happens at once: neither `after` nor `seconds`".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;

    fn ssh(text: &str) -> Ssh {
        toml::from_str(text).unwrap()
    }

    fn typed(exit: i32, output: &str, errors: &str) -> Typed {
        Typed { exit: Some(exit), output: output.into(), errors: errors.into(), host_key: None }
    }

    #[test]
    fn what_comes_is_held_to_what_should() {
        let plain = ssh("run = 'true'");
        assert_eq!((plain.within, plain.key), (60, Key::Right));
        assert!(plain.faults(&typed(0, "", ""), None).is_empty());
        assert!(plain.faults(&typed(1, "", ""), None)[0].contains("exit code 1"));
        assert!(plain.faults(&Typed::default(), None)[0].contains("within 60 s"));
        let any = ssh("run = 'true'\nexit = [0, 255]\ncontains = ['a', 'b']\nlacks = ['c']");
        assert!(any.faults(&typed(255, "a", "b"), None).is_empty());
        assert_eq!(any.faults(&typed(0, "a c", ""), None), ["\"b\" is not said", "\"c\" is said"]);
        let json = ssh("run = 'true'\njson = [{ at = '/cause', equals = 'luks-no-key' }]");
        assert!(json.faults(&typed(0, "{\"cause\": \"luks-no-key\"}", "noise"), None).is_empty());
        assert!(json.faults(&typed(0, "{\"cause\": \"none\"}", ""), None)[0].starts_with("/cause"));
        assert!(json.faults(&typed(0, "cause", ""), None)[0].contains("no JSON"));
    }

    #[test]
    fn the_host_key_must_be_that_of_the_console() {
        let line = "[   12.3] diskless: ssh root@198.18.0.101, host key SHA256:abc";
        assert_eq!(fingerprint(line), Some("SHA256:abc"));
        assert_eq!(fingerprint("the host key is yours"), None);
        let with = |key: &str| Typed { host_key: Some(key.into()), ..typed(0, "", "") };
        let plain = ssh("run = 'true'");
        assert!(plain.faults(&with("SHA256:abc"), Some("SHA256:abc")).is_empty());
        assert!(plain.faults(&with("SHA256:abd"), Some("SHA256:abc"))[0].contains("SHA256:abd"));
    }

    #[test]
    fn one_after_the_other_and_a_line_that_came_meanwhile_counts() {
        let all = [ssh("run = 'a'\nafter = 'one'"), ssh("run = 'b'\nafter = 'two'"), ssh("run = 'c'")];
        let mut typing = Typing::new(&all);
        let start = |typing: &mut Typing| typing.start().map(|(number, ssh)| (number, ssh.run.clone()));
        typing.line("two");
        assert_eq!(start(&mut typing), None);
        assert!(typing.missed().unwrap().contains("`a`: the console did not show \"one\""));
        typing.line("and one");
        assert_eq!(start(&mut typing), Some((1, "a".to_owned())));
        assert_eq!(start(&mut typing), None);
        typing.line("two");
        assert_eq!(typing.end().unwrap().run, "a");
        assert_eq!(start(&mut typing), Some((2, "b".to_owned())));
        assert!(typing.missed().unwrap().contains("not over"));
        typing.end();
        assert_eq!(start(&mut typing), Some((3, "c".to_owned())));
        typing.end();
        assert!(typing.is_over() && typing.missed().is_none());
    }

    #[test]
    fn who_types_needs_somebody_who_listens() {
        let text = |more: &str| format!("summary = 's'\n{more}\n[expect]\nend = 'trapped'\n");
        let sshd = "[initramfs]\nsshd = true\n";
        assert!(parse(&text(&format!("{sshd}[[ssh]]\nrun = 'true'"))).is_ok());
        for (more, part) in [
            ("", "needs [[ssh]]"),
            ("[[ssh]]\nrun = 'true'", "sshd = true"),
            (&format!("{sshd}[[ssh]]\nrun = 'true'\nwithin = 0"), "within"),
            (&format!("{sshd}[network]\ndhcp = false\n[[ssh]]\nrun = 'true'"), "DHCP"),
            (&format!("{sshd}[[ssh]]\nrun = 'x'\nfirst = [{{ action = 'link-up', seconds = 1 }}]"), "first"),
        ] {
            let message = parse(&text(more)).unwrap_err();
            assert!(message.contains(part), "{more}: {message}");
        }
    }
}
