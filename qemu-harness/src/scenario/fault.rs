//! `[[faults]]`: what breaks, and when. They happen one after the other.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// `[[faults]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Once the console has shown this; none: once the fault before has happened, or the machine was started,
    pub after: Option<String>,
    /// and so many seconds later,
    #[serde(default)]
    pub seconds: u64,
    /// this happens
    pub action: Action,
    /// to this portal; none: to all.
    pub portal: Option<usize>,
    /// To this cable of the node; none: to all.
    pub link: Option<usize>,
    /// What is typed, with an enter behind it.
    pub text: Option<String>,
    /// What the HTTP server has as this,
    pub path: Option<String>,
    /// is this file of the scenario from now on, completed as a plan is; none: nothing.
    pub file: Option<String>,
}

impl Fault {
    /// What cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
        let wants = |action| self.action == action;
        if wants(Action::Type) != self.text.is_some() {
            return Err("`type` has a `text`, and nothing else has one".to_owned());
        }
        if wants(Action::Serve) != self.path.as_ref().is_some_and(|path| path.starts_with('/'))
            || self.file.is_some() && self.path.is_none()
        {
            return Err("`serve` has a `path` that begins with /, and nothing else has one".to_owned());
        }
        Ok(())
    }
}

/// What can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing passes the cable any more; no end of it notices.
    LinkDown,
    /// It does again.
    LinkUp,
    /// The cable is pulled: the card has no carrier.
    CarrierDown,
    /// And put back.
    CarrierUp,
    /// The iSCSI targets die.
    TargetKill,
    /// And are started anew.
    TargetStart,
    /// They stand still: connections are accepted by the kernel, and nobody answers.
    TargetStop,
    /// And go on.
    TargetContinue,
    /// The DHCP server dies.
    DhcpKill,
    /// And is started anew; it remembers its leases.
    DhcpStart,
    /// The site's server dies.
    DisklessdKill,
    /// It is started, or started anew.
    DisklessdStart,
    /// A line is typed at the serial console.
    Type,
    /// The HTTP server has another file, or none.
    Serve,
    /// `site/reloaded.toml` takes the place of its file, and it is told so.
    DisklessdReload,
}

/// The faults that are still to come.
pub struct Faults {
    left: VecDeque<Fault>,
    /// When the first of them happens, once its line has been seen.
    due: Option<Instant>,
}

impl Faults {
    /// All of them; the machine was started `now`.
    pub fn new(faults: &[Fault], now: Instant) -> Faults {
        let mut faults = Faults { left: faults.iter().cloned().collect(), due: None };
        faults.follow(now);
        faults
    }

    /// The next one is due by the clock alone, if it waits for no line.
    fn follow(&mut self, now: Instant) {
        let next = self.left.front().filter(|fault| fault.after.is_none());
        self.due = next.map(|fault| now + Duration::from_secs(fault.seconds));
    }

    /// Takes a console line.
    pub fn line(&mut self, line: &str, now: Instant) {
        if self.due.is_none()
            && let Some(fault) = self.left.front()
            && fault.after.as_ref().is_some_and(|text| line.contains(text))
        {
            self.due = Some(now + Duration::from_secs(fault.seconds));
        }
    }

    /// When the next one happens, if that is known.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What happens now, if anything does.
    pub fn take(&mut self, now: Instant) -> Option<Fault> {
        self.due.filter(|due| *due <= now)?;
        let fault = self.left.pop_front();
        self.follow(now);
        fault
    }

    /// Why something never happened, if anything did not.
    pub fn missed(&self) -> Option<String> {
        self.left.front().map(|fault| match &fault.after {
            Some(text) => format!("the console did not show {text:?}"),
            None => "the machine ended too early".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(after: Option<&str>, seconds: u64, action: Action) -> Fault {
        Fault {
            after: after.map(str::to_owned),
            seconds,
            action,
            portal: None,
            link: None,
            text: None,
            path: None,
            file: None,
        }
    }

    #[test]
    fn one_after_the_other_each_in_its_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let all = [fault(Some("one"), 0, Action::LinkDown), fault(Some("two"), 5, Action::LinkUp)];
        let mut faults = Faults::new(&all, start);
        let take = |faults: &mut Faults, now| faults.take(now).map(|fault| fault.action);
        faults.line("two", at(0));
        assert_eq!((faults.due(), take(&mut faults, at(9))), (None, None));
        faults.line("and one", at(1));
        assert_eq!(take(&mut faults, at(1)), Some(Action::LinkDown));
        assert!(faults.missed().unwrap().contains("two"));
        faults.line("two", at(2));
        faults.line("two", at(6));
        assert_eq!((take(&mut faults, at(6)), faults.due()), (None, Some(at(7))));
        assert_eq!((take(&mut faults, at(7)), take(&mut faults, at(8))), (Some(Action::LinkUp), None));
        assert_eq!(faults.missed(), None);
    }

    #[test]
    fn without_a_line_by_the_clock() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let all = [fault(None, 3, Action::TargetKill), fault(None, 20, Action::TargetStart)];
        let mut faults = Faults::new(&all, start);
        assert_eq!(faults.due(), Some(at(3)));
        assert_eq!(faults.take(at(4)).map(|fault| fault.action), Some(Action::TargetKill));
        assert_eq!(faults.due(), Some(at(24)));
        assert!(faults.missed().is_some());
    }

    #[test]
    fn what_is_typed_and_served_is_said_and_nothing_else_has_it() {
        let check = |text: &str| toml::from_str::<Fault>(text).unwrap().check();
        for good in [
            "action = 'type'\ntext = ''",
            "action = 'serve'\npath = '/a'",
            "action = 'serve'\npath = '/a'\nfile = 'a'",
            "action = 'link-up'\nlink = 1",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "action = 'type'",
            "action = 'link-up'\ntext = 'a'",
            "action = 'serve'",
            "action = 'serve'\npath = 'a'",
            "action = 'link-up'\npath = '/a'",
            "action = 'link-up'\nfile = 'a'",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_can_happen_is_described() {
        #[derive(Debug, Deserialize)]
        struct One {
            action: Action,
        }
        let text = include_str!("../../../docs/harness.md");
        let (_, table) = text.split_once("What can happen:").unwrap();
        let (table, _) = table.split_once("###").unwrap();
        let names = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
        let names: Vec<&str> = names.flat_map(|(names, _)| names.split("`, `")).collect();
        let actions: Vec<Action> = names
            .iter()
            .map(|name| toml::from_str::<One>(&format!("action = '{name}'")).unwrap().action)
            .collect();
        // What serde knows, it tells who asks for something else.
        let known = toml::from_str::<One>("action = 'dance'").unwrap_err().to_string();
        let known = known.split("expected one of").nth(1).unwrap().split('`').skip(1).step_by(2).count();
        assert_eq!(actions.len(), known, "{names:?}");
    }
}
