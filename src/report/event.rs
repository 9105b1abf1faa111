//! What there is to tell, and its one line of text.

use std::fmt;
use std::time::Duration;

use crate::error::{Code, Error};

/// Something that happened in a boot.
#[derive(Debug)]
pub enum Event<'a> {
    /// The agent was started.
    Run,
    /// A step was.
    Started {
        /// The step.
        step: &'a str,
        /// What it is to bring about.
        about: &'a str,
    },
    /// A step waits.
    Waiting {
        /// The step.
        step: &'a str,
        /// What for.
        what: &'a str,
        /// How long it has waited, for this or what came before.
        waited: Duration,
        /// Until the step gives up.
        left: Duration,
    },
    /// A step is done.
    Done {
        /// The step.
        step: &'a str,
        /// How long it took.
        took: Duration,
        /// What it found or made.
        detail: &'a str,
    },
    /// A step, or the boot before its first step, failed.
    Failed {
        /// The step.
        step: &'a str,
        /// Why.
        error: &'a Error,
    },
    /// The boot goes on, and somebody must know this.
    Warning(&'a str),
    /// The boot stands still for a person, before a step or where one failed.
    Held {
        /// The step.
        step: &'a str,
        /// Why, and what to do.
        what: &'a str,
        /// Of the failure, if that is why.
        code: Option<Code>,
    },
    /// It goes on: somebody let it.
    Released(&'a str),
    /// The boot failed, and something follows by itself.
    Pause {
        /// What.
        what: &'a str,
        /// In so long.
        left: Duration,
    },
    /// All steps are done.
    Ready {
        /// How long all of them took.
        took: Duration,
        /// How much of that was the agent's own work.
        own: Duration,
    },
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Run => f.write_str(concat!("diskless ", env!("CARGO_PKG_VERSION"), " starts")),
            Event::Started { step, about } => write!(f, "{step} starts: {about}"),
            Event::Waiting { step, what, waited, left } => {
                let (waited, left) = (waited.as_secs(), left.as_secs());
                write!(f, "{step} waiting {waited} s for {what}, {left} s left")
            }
            Event::Done { step, took, detail } => {
                write!(f, "{step} done in {:.3} s: {detail}", took.as_secs_f64())
            }
            Event::Failed { step, error } => {
                write!(f, "{step} failed [{}] {error}; {}", error.code().as_str(), error.advice())
            }
            Event::Warning(what) => write!(f, "WARNING: {what}"),
            Event::Held { what, .. } | Event::Released(what) | Event::Pause { what, .. } => f.write_str(what),
            Event::Ready { took, own } => write!(
                f,
                "ready in {:.3} s, of which {:.3} s were its own work; on to the new root",
                took.as_secs_f64(),
                own.as_secs_f64()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_each() {
        let error = Error::new(Code::IscsiAuth, "target iqn.x").because("status 02/01");
        let lines = [
            (Event::Started { step: "luks", about: "luks_root" }, "luks starts: luks_root"),
            (
                Event::Waiting {
                    step: "iscsi",
                    what: "disk of LUN 1",
                    waited: Duration::from_millis(1_099),
                    left: Duration::from_millis(28_900),
                },
                "iscsi waiting 1 s for disk of LUN 1, 28 s left",
            ),
            (
                Event::Done { step: "luks", took: Duration::from_millis(1_250), detail: "luks_root" },
                "luks done in 1.250 s: luks_root",
            ),
            (
                Event::Failed { step: "iscsi", error: &error },
                "iscsi failed [iscsi-auth] target iqn.x: the target refused the login: authentication failed: \
                 status 02/01; compare iscsi.auth in the plan with the account at the target",
            ),
            (Event::Warning("a secret is on the command line"), "WARNING: a secret is on the command line"),
        ];
        for (event, line) in lines {
            assert_eq!(event.to_string(), line);
        }
    }
}
