//! Decides a scenario: console lines and facts in, verdict out. Nothing here touches a machine.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use crate::scenario::{Expect, has};

/// How many of the agent's lines a failure quotes.
const QUOTED: usize = 10;
/// What the consoles of a boot that stands still show: the agent's own keys; or what sulogin says, with and without a root
/// password, and when it cannot.
const SHELL: [&str; 4] = [
    "diskless console:",
    "Press Enter for maintenance",
    "Give root password for maintenance",
    "Cannot open access to console",
];

/// What the booted root says on the console when it has reported, and then waits for a word.
pub const REPORTED: &str = "harness: reported";
/// How long the image may take to go down and the machine to start anew.
const RESTART: Duration = Duration::from_secs(180);

/// What the node did that the lab has seen.
#[derive(Default)]
pub struct Record {
    /// What the booted root reported, for each boot.
    pub facts: Vec<Value>,
    /// What the node posted.
    pub posts: Vec<Value>,
    /// How the site's server saw it.
    pub timeline: Option<String>,
}

/// How a scenario ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Pass,
    /// Otherwise, and why.
    Fail(String),
}

/// Follows one boot.
pub struct Watch<'a> {
    expect: &'a Expect,
    /// How often the node is to boot.
    boots: usize,
    /// When the image was told to start the machine anew, until it does.
    told: Option<Duration>,
    codes: Vec<String>,
    agent: VecDeque<String>,
    /// Somebody is to type into it: that it waits for this is no failure.
    operated: bool,
    /// How many of the texts that the console must show it has shown.
    shown: usize,
    /// When the image was last told to go down, and when the machine was off.
    left: Option<Duration>,
    powered_down: Option<Duration>,
}

impl<'a> Watch<'a> {
    /// Before the first line.
    pub fn new(expect: &'a Expect, boots: usize) -> Watch<'a> {
        Watch {
            expect,
            boots,
            operated: false,
            told: None,
            codes: Vec::new(),
            agent: VecDeque::new(),
            shown: 0,
            left: None,
            powered_down: None,
        }
    }

    /// The same where an operator types into the node.
    pub fn operated(self) -> Watch<'a> {
        Watch { operated: true, ..self }
    }

    /// All that was to be typed is over: a verdict when the node is to be trapped then.
    pub fn typed(&self) -> Option<Verdict> {
        let Expect::Trapped { shown, .. } = self.expect else { return None };
        Some(match shown.get(self.shown) {
            Some(text) => self.fail(&format!("the console did not show {text:?}")),
            None => Verdict::Pass,
        })
    }

    /// Takes a console line, that came so long after the start; a verdict when it decides.
    pub fn line(&mut self, line: &str, at: Duration) -> Option<Verdict> {
        if line.contains("Linux version") {
            self.told = None;
        }
        if self.told.is_some_and(|told| at > told + RESTART) {
            return Some(self.fail(&format!("the image does not go down within {} s", RESTART.as_secs())));
        }
        if line.contains(REPORTED) {
            self.told = Some(at);
        }
        let (shown, never): (&[String], &[String]) = match self.expect {
            Expect::Up { shown, never, .. } | Expect::Trapped { shown, never } => (shown, never),
            Expect::Emergency { shown, .. } => (shown, &[]),
        };
        self.shown += usize::from(shown.get(self.shown).is_some_and(|text| line.contains(text)));
        if let Some(text) = never.iter().find(|text| line.contains(*text)) {
            return Some(self.fail(&format!("the console showed {text:?}")));
        }
        if let Some(said) = agent_line(line) {
            if let Some(code) = failure_code(said) {
                self.codes.push(code.to_owned());
            }
            self.agent.push_back(said.to_owned());
            if self.agent.len() > QUOTED {
                self.agent.pop_front();
            }
        }
        if line.contains("Kernel panic") {
            return Some(self.fail("the kernel panicked"));
        }
        if line.contains("reboot: Power down") {
            self.powered_down = Some(at);
        }
        let in_shell = !self.operated && SHELL.iter().any(|text| line.contains(text));
        in_shell.then(|| self.shell())
    }

    /// The image was told to go down, so long after the start.
    pub fn told_to_go(&mut self, at: Duration) {
        self.left = Some(at);
    }

    fn shell(&self) -> Verdict {
        match self.expect {
            Expect::Up { .. } | Expect::Trapped { .. } => {
                self.fail(&format!("emergency shell, {}", self.failures()))
            }
            Expect::Emergency { error, shown } if self.codes.contains(error) => match shown.get(self.shown) {
                None => Verdict::Pass,
                Some(text) => self.fail(&format!("emergency shell, and the console did not show {text:?}")),
            },
            Expect::Emergency { error, .. } => {
                self.fail(&format!("emergency shell, {}, expected [{error}]", self.failures()))
            }
        }
    }

    /// QEMU has ended by itself, `clean` or not.
    pub fn ended(&self, clean: bool, record: &Record) -> Verdict {
        let Expect::Up { facts: checks, posts, shown, down_within, .. } = self.expect else {
            return self.fail("the machine ended before it was trapped, or in an emergency shell");
        };
        if record.facts.is_empty() {
            return self.fail("the machine ended and no root reported");
        }
        let mut faults = Vec::new();
        if record.facts.len() != self.boots {
            faults.push(format!("the root reported {} times of {}", record.facts.len(), self.boots));
        }
        for (number, facts) in (1..).zip(&record.facts) {
            let boot = if self.boots > 1 { format!("boot {number}: ") } else { String::new() };
            faults.extend(
                checks.iter().filter_map(|check| check.fault(facts)).map(|fault| boot.clone() + &fault),
            );
        }
        let missing = posts.iter().filter(|wanted| !record.posts.iter().any(|post| has(post, wanted)));
        faults.extend(missing.map(|wanted| format!("nothing was posted with {wanted}")));
        if let Some(text) = shown.get(self.shown) {
            faults.push(format!("the console did not show {text:?}"));
        }
        if !(clean && self.powered_down.is_some()) {
            faults.push("the machine did not power down cleanly".to_owned());
        }
        if let (Some(most), Some(left), Some(down)) = (down_within, self.left, self.powered_down) {
            let took = down.saturating_sub(left).as_secs();
            if took > *most {
                faults.push(format!("the machine was off after {took} s, and {most} s are the most"));
            }
        }
        if faults.is_empty() { Verdict::Pass } else { self.fail(&faults.join("\n  ")) }
    }

    /// The time is over.
    pub fn late(&self, seconds: u64, record: &Record) -> Verdict {
        let reported = match record.facts.len() {
            0 => "no root reported",
            _ => "the root reported, but did not power off",
        };
        self.fail(&format!("not decided within {seconds} s: {reported}"))
    }

    fn failures(&self) -> String {
        match self.codes.as_slice() {
            [] => "the agent reported no failure".to_owned(),
            codes => format!("the agent failed with [{}]", codes.join("], [")),
        }
    }

    /// A failure with the agent's last words.
    fn fail(&self, why: &str) -> Verdict {
        let quoted = self.agent.iter().map(|line| format!("\n  | {line}")).collect::<String>();
        Verdict::Fail(format!("{why}{quoted}"))
    }
}

/// What must differ between nodes and does not, by what each reported last.
pub fn alike(expect: &Expect, nodes: &[Record]) -> Vec<String> {
    let Expect::Up { differ, .. } = expect else { return Vec::new() };
    let mut faults = Vec::new();
    for at in differ {
        let values: Vec<Option<&Value>> = nodes
            .iter()
            .map(|record| {
                record.facts.last().and_then(|facts| facts.pointer(at)).filter(|value| !value.is_null())
            })
            .collect();
        if values.contains(&None) {
            faults.push(format!("{at}: not in the facts of each node"));
        }
        let mut seen = Vec::new();
        for value in values.into_iter().flatten() {
            if seen.contains(&value) {
                faults.push(format!("{at}: is {value} at two nodes"));
            }
            seen.push(value);
        }
    }
    faults
}

/// What the agent said, if it was the agent: the text behind its name, wherever the line has it.
pub fn agent_line(line: &str) -> Option<&str> {
    line.split_once("diskless: ").map(|(_, said)| said)
}

/// The code in `STEP failed [CODE] …`.
fn failure_code(said: &str) -> Option<&str> {
    let (_, rest) = said.split_once(" failed [")?;
    Some(rest.split_once(']')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use serde_json::json;

    const NOW: Duration = Duration::ZERO;

    const UP: &str =
        "summary = 's'\n[expect]\nend = 'up'\n[[expect.facts]]\nat = '/root'\nequals = 'overlay'";
    const EMERGENCY: &str = "summary = 's'\n[expect]\nend = 'emergency'\nerror = 'iscsi-auth'";
    const FAILED: &str = "[   12.345678] diskless: iscsi failed [iscsi-auth] the target refused the secret";
    const ASKS: &str = "Press Enter for maintenance";

    fn expect(text: &str) -> Expect {
        parse(text).unwrap().expect
    }

    fn record(facts: &[Value]) -> Record {
        Record {
            facts: facts.to_vec(),
            posts: vec![json!({"event": "done", "step": "iscsi"})],
            timeline: None,
        }
    }

    fn reason(verdict: Verdict) -> String {
        match verdict {
            Verdict::Fail(why) => why,
            Verdict::Pass => panic!("passed"),
        }
    }

    #[test]
    fn up_needs_facts_and_a_clean_end() {
        let expect = expect(UP);
        let mut watch = Watch::new(&expect, 1);
        assert_eq!(watch.line("[  1.0] diskless: iscsi start", NOW), None);
        let facts = [json!({"root": "overlay"})];
        assert!(reason(watch.ended(true, &record(&facts))).contains("power down"));
        assert_eq!(watch.line("[  9.9] reboot: Power down", NOW), None);
        assert_eq!(watch.ended(true, &record(&facts)), Verdict::Pass);
        assert!(reason(watch.ended(false, &record(&facts))).contains("power down"));
        assert!(reason(watch.ended(true, &Record::default())).contains("no root reported"));
        let why = reason(watch.ended(true, &record(&[json!({"root": "ext4"})])));
        assert!(why.contains("/root") && why.contains("| iscsi start"), "{why}");
    }

    #[test]
    fn up_fails_at_once_in_an_emergency() {
        let expect = expect(UP);
        let mut watch = Watch::new(&expect, 1);
        watch.line(FAILED, NOW);
        assert!(reason(watch.line(ASKS, NOW).unwrap()).contains("[iscsi-auth]"));
        assert!(reason(watch.line("Kernel panic - not syncing", NOW).unwrap()).contains("panicked"));
    }

    #[test]
    fn an_emergency_needs_its_code_first() {
        let expect = expect(EMERGENCY);
        let mut watch = Watch::new(&expect, 1);
        assert!(reason(watch.line(ASKS, NOW).unwrap()).contains("no failure"));
        watch.line("diskless: luks failed [luks-no-key] no", NOW);
        assert!(reason(watch.line(ASKS, NOW).unwrap()).contains("expected [iscsi-auth]"));
        assert_eq!(watch.line(FAILED, NOW), None);
        assert_eq!(watch.line(ASKS, NOW), Some(Verdict::Pass));
        assert_eq!(watch.line("diskless console: node1, 198.18.0.2 (eth0)", NOW), Some(Verdict::Pass));
        assert!(reason(watch.ended(true, &Record::default())).contains("before"));
        assert!(reason(watch.late(9, &Record::default())).contains("9 s"));
    }

    #[test]
    fn a_trapped_node_is_one_in_which_all_was_typed() {
        let expect = expect(
            "summary = 's'\n[initramfs]\nsshd = true\n[[ssh]]\nrun = 'true'\n[expect]\nend = 'trapped'\n\
             shown = ['held']\nnever = ['sh42ell']",
        );
        let mut watch = Watch::new(&expect, 1).operated();
        assert_eq!(watch.line(ASKS, NOW), None);
        assert!(reason(watch.typed().unwrap()).contains("\"held\""));
        assert_eq!(watch.line("diskless: held before iscsi", NOW), None);
        assert_eq!(watch.typed(), Some(Verdict::Pass));
        assert!(reason(watch.line("sh42ell", NOW).unwrap()).contains("sh42ell"));
        assert!(reason(watch.ended(true, &Record::default())).contains("trapped"));
    }

    #[test]
    fn an_emergency_may_need_words_before_it() {
        let expect = expect(&format!("{EMERGENCY}\nshown = ['reboot 1 of 2', 'reboot 2 of 2']"));
        let mut watch = Watch::new(&expect, 3);
        watch.line(FAILED, NOW);
        watch.line("diskless: boot failed, rebooting in 30 s: reboot 1 of 2", NOW);
        assert!(reason(watch.line(ASKS, NOW).unwrap()).contains("reboot 2 of 2"));
        watch.line("diskless: boot failed, rebooting in 60 s: reboot 2 of 2", NOW);
        assert_eq!(watch.line(ASKS, NOW), Some(Verdict::Pass));
    }

    #[test]
    fn only_the_last_words_are_quoted() {
        let expect = expect(UP);
        let mut watch = Watch::new(&expect, 1);
        for number in 0..30 {
            watch.line(&format!("diskless: iscsi waiting {number}."), NOW);
        }
        let why = reason(watch.late(1, &Record::default()));
        assert!(why.contains("waiting 29.") && !why.contains("waiting 19."), "{why}");
    }

    #[test]
    fn every_boot_must_hold() {
        let expect = expect(UP);
        let mut watch = Watch::new(&expect, 2);
        watch.line("reboot: Power down", NOW);
        let good = json!({"root": "overlay"});
        assert_eq!(watch.ended(true, &record(&[good.clone(), good.clone()])), Verdict::Pass);
        assert!(reason(watch.ended(true, &record(std::slice::from_ref(&good)))).contains("1 times of 2"));
        let why = reason(watch.ended(true, &record(&[good, json!({"root": "ext4"})])));
        assert!(why.contains("boot 2: /root"), "{why}");
    }

    #[test]
    fn nodes_must_differ_where_they_are_to() {
        let expect = expect(
            &UP.replace("'up'\n", "'up'\ndiffer = ['/id']\n")
                .replace("[expect]", "[machine]\nnodes = 2\n[expect]"),
        );
        let two = |one: Value, other: Value| alike(&expect, &[record(&[one]), record(&[other])]);
        assert_eq!(two(json!({"id": "a"}), json!({"id": "b"})), [""; 0]);
        assert!(two(json!({"id": "a"}), json!({"id": "a"}))[0].contains("at two nodes"));
        for nothing in [json!({"id": null}), json!({})] {
            assert_eq!(two(json!({"id": "a"}), nothing), ["/id: not in the facts of each node"]);
        }
    }

    #[test]
    fn an_image_that_does_not_go_down_is_noticed() {
        let expect = expect(UP);
        let mut watch = Watch::new(&expect, 2);
        let at = Duration::from_secs;
        assert_eq!(watch.line(REPORTED, at(100)), None);
        assert_eq!(watch.line("Stopping something", at(110)), None);
        assert!(reason(watch.line("A stop job is running", at(281)).unwrap()).contains("go down"));
        assert_eq!(watch.line("[    0.0] Linux version 6.1", at(282)), None);
        assert_eq!(watch.line("[    1.0] anything", at(900)), None);
    }

    #[test]
    fn the_machine_must_be_off_in_time() {
        let expect = expect(&UP.replace("'up'\n", "'up'\ndown_within = 30\n"));
        let at = Duration::from_secs;
        let facts = [json!({"root": "overlay"})];
        for (down, late) in [(130, false), (131, true)] {
            let mut watch = Watch::new(&expect, 1);
            watch.told_to_go(at(100));
            watch.line("reboot: Power down", at(down));
            let verdict = watch.ended(true, &record(&facts));
            match late {
                true => assert!(reason(verdict).contains("off after 31 s")),
                false => assert_eq!(verdict, Verdict::Pass),
            }
        }
    }

    #[test]
    fn texts_must_come_in_their_order() {
        let expect = expect(&UP.replace("'up'\n", "'up'\nshown = ['unknown', 'vmlinuz']\n"));
        let facts = [json!({"root": "overlay"})];
        for (lines, missing) in [(["unknown", "vmlinuz"], None), (["vmlinuz", "unknown"], Some("vmlinuz"))] {
            let mut watch = Watch::new(&expect, 1);
            lines
                .iter()
                .chain(&["reboot: Power down"])
                .for_each(|line| assert_eq!(watch.line(line, NOW), None));
            match missing {
                None => assert_eq!(watch.ended(true, &record(&facts)), Verdict::Pass),
                Some(text) => assert!(reason(watch.ended(true, &record(&facts))).contains(text)),
            }
        }
    }

    #[test]
    fn posts_are_looked_for() {
        let expect =
            expect(&format!("{UP}\n[[expect.posts]]\nstep = 'iscsi'\n[[expect.posts]]\nevent = 'up'"));
        let mut watch = Watch::new(&expect, 1);
        watch.line("reboot: Power down", NOW);
        let why = reason(watch.ended(true, &record(&[json!({"root": "overlay"})])));
        assert!(why.contains(r#"{"event":"up"}"#) && !why.contains("iscsi"), "{why}");
    }
}
