//! `[[faults]]`: what breaks, and when. They happen one after the other.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// `[[faults]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Once the console has shown this,
    pub after: String,
    /// and so many seconds later,
    #[serde(default)]
    pub seconds: u64,
    /// this happens.
    pub action: Action,
}

/// What can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The node's cable is pulled.
    LinkDown,
    /// And put back.
    LinkUp,
    /// All iSCSI targets die.
    TargetKill,
    /// And are started anew.
    TargetStart,
    /// The site's server dies.
    DisklessdKill,
    /// It is started, or started anew.
    DisklessdStart,
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
    /// All of them.
    pub fn new(faults: &[Fault]) -> Faults {
        Faults { left: faults.iter().cloned().collect(), due: None }
    }

    /// Takes a console line.
    pub fn line(&mut self, line: &str, now: Instant) {
        if self.due.is_none()
            && let Some(fault) = self.left.front().filter(|fault| line.contains(&fault.after))
        {
            self.due = Some(now + Duration::from_secs(fault.seconds));
        }
    }

    /// When the next one happens, if that is known.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What happens now, if anything does.
    pub fn take(&mut self, now: Instant) -> Option<Action> {
        self.due.filter(|due| *due <= now)?;
        self.due = None;
        self.left.pop_front().map(|fault| fault.action)
    }

    /// What never happened: the console did not show what it waits for.
    pub fn missed(&self) -> Option<&str> {
        self.left.front().map(|fault| fault.after.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(after: &str, seconds: u64, action: Action) -> Fault {
        Fault { after: after.to_owned(), seconds, action }
    }

    #[test]
    fn one_after_the_other_each_in_its_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut faults = Faults::new(&[fault("one", 0, Action::LinkDown), fault("two", 5, Action::LinkUp)]);
        faults.line("two", at(0));
        assert_eq!((faults.due(), faults.take(at(9))), (None, None));
        faults.line("and one", at(1));
        assert_eq!(faults.take(at(1)), Some(Action::LinkDown));
        assert_eq!(faults.missed(), Some("two"));
        faults.line("two", at(2));
        faults.line("two", at(6));
        assert_eq!((faults.take(at(6)), faults.due()), (None, Some(at(7))));
        assert_eq!((faults.take(at(7)), faults.take(at(8))), (Some(Action::LinkUp), None));
        assert_eq!(faults.missed(), None);
    }
}
