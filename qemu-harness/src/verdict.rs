//! Decides a scenario: console lines and facts in, verdict out. Nothing here touches a machine.

use std::collections::VecDeque;

use serde_json::Value;

use crate::scenario::Expect;

/// How many of the agent's lines a failure quotes.
const QUOTED: usize = 10;
/// What sulogin says, with and without a root password, and when it cannot.
const SHELL: [&str; 3] =
    ["Press Enter for maintenance", "Give root password for maintenance", "Cannot open access to console"];

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
    codes: Vec<String>,
    agent: VecDeque<String>,
    powered_down: bool,
}

impl<'a> Watch<'a> {
    /// Before the first line.
    pub fn new(expect: &'a Expect) -> Watch<'a> {
        Watch { expect, codes: Vec::new(), agent: VecDeque::new(), powered_down: false }
    }

    /// Takes a console line; a verdict when it decides.
    pub fn line(&mut self, line: &str) -> Option<Verdict> {
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
        self.powered_down |= line.contains("reboot: Power down");
        SHELL.iter().any(|text| line.contains(text)).then(|| self.shell())
    }

    fn shell(&self) -> Verdict {
        match self.expect {
            Expect::Up { .. } => self.fail(&format!("emergency shell, {}", self.failures())),
            Expect::Emergency { error } if self.codes.contains(error) => Verdict::Pass,
            Expect::Emergency { error } => {
                self.fail(&format!("emergency shell, {}, expected [{error}]", self.failures()))
            }
        }
    }

    /// QEMU has ended by itself, `clean` or not; `facts` is what it reported.
    pub fn ended(&self, clean: bool, facts: Option<&Value>) -> Verdict {
        let Expect::Up { facts: checks } = self.expect else {
            return self.fail("the machine ended before an emergency shell");
        };
        let Some(facts) = facts else {
            return self.fail("the machine ended and no root reported");
        };
        let mut faults: Vec<String> = checks.iter().filter_map(|check| check.fault(facts)).collect();
        if !(clean && self.powered_down) {
            faults.push("the machine did not power down cleanly".to_owned());
        }
        if faults.is_empty() { Verdict::Pass } else { self.fail(&faults.join("\n  ")) }
    }

    /// The time is over.
    pub fn late(&self, seconds: u64, facts: Option<&Value>) -> Verdict {
        let reported =
            if facts.is_some() { "the root reported, but did not power off" } else { "no root reported" };
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

/// What the agent said, if it was the agent: the text behind its name, wherever the line has it.
pub fn agent_line(line: &str) -> Option<&str> {
    line.rsplit_once("diskless: ").map(|(_, said)| said)
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

    const UP: &str =
        "summary = 's'\n[expect]\nend = 'up'\n[[expect.facts]]\nat = '/root'\nequals = 'overlay'";
    const EMERGENCY: &str = "summary = 's'\n[expect]\nend = 'emergency'\nerror = 'iscsi-auth'";
    const FAILED: &str = "[   12.345678] diskless: iscsi failed [iscsi-auth] the target refused the secret";
    const ASKS: &str = "Press Enter for maintenance";

    fn expect(text: &str) -> Expect {
        parse(text).unwrap().expect
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
        let mut watch = Watch::new(&expect);
        assert_eq!(watch.line("[  1.0] diskless: iscsi start"), None);
        let facts = json!({"root": "overlay"});
        assert!(reason(watch.ended(true, Some(&facts))).contains("power down"));
        assert_eq!(watch.line("[  9.9] reboot: Power down"), None);
        assert_eq!(watch.ended(true, Some(&facts)), Verdict::Pass);
        assert!(reason(watch.ended(false, Some(&facts))).contains("power down"));
        assert!(reason(watch.ended(true, None)).contains("no root reported"));
        let why = reason(watch.ended(true, Some(&json!({"root": "ext4"}))));
        assert!(why.contains("/root") && why.contains("| iscsi start"), "{why}");
    }

    #[test]
    fn up_fails_at_once_in_an_emergency() {
        let expect = expect(UP);
        let mut watch = Watch::new(&expect);
        watch.line(FAILED);
        assert!(reason(watch.line(ASKS).unwrap()).contains("[iscsi-auth]"));
        assert!(reason(watch.line("Kernel panic - not syncing").unwrap()).contains("panicked"));
    }

    #[test]
    fn an_emergency_needs_its_code_first() {
        let expect = expect(EMERGENCY);
        let mut watch = Watch::new(&expect);
        assert!(reason(watch.line(ASKS).unwrap()).contains("no failure"));
        watch.line("diskless: luks failed [luks-no-key] no");
        assert!(reason(watch.line(ASKS).unwrap()).contains("expected [iscsi-auth]"));
        assert_eq!(watch.line(FAILED), None);
        assert_eq!(watch.line(ASKS), Some(Verdict::Pass));
        assert!(reason(watch.ended(true, None)).contains("before"));
        assert!(reason(watch.late(9, None)).contains("9 s"));
    }

    #[test]
    fn only_the_last_words_are_quoted() {
        let expect = expect(UP);
        let mut watch = Watch::new(&expect);
        for number in 0..30 {
            watch.line(&format!("diskless: iscsi waiting {number}."));
        }
        let why = reason(watch.late(1, None));
        assert!(why.contains("waiting 29.") && !why.contains("waiting 19."), "{why}");
    }
}
