//! What counts of all that was heard of one boot.

use std::collections::BTreeMap;

use diskless::report::record::{Kind, Record};
use serde::{Deserialize, Serialize};

use super::{Boot, Failure, Stage};
use crate::store::{Call, Form};
use crate::time::Time;

/// What counts of all that was heard of one boot; the database keeps it beside the calls themselves, so that nobody has
/// to read all of them to say how a node is.
///
/// The order in which calls are heard, and that some are heard twice, makes no difference: every member is an earliest, a
/// latest or a furthest. Times are in milliseconds since 1970, as in [`Time`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    began: u64,
    heard: u64,
    reached: BTreeMap<Stage, u64>,
    furthest: Option<Furthest>,
    given: Option<Given>,
    /// When the booted system last sent a form, of either kind.
    formed: Option<u64>,
    form: Option<Sent>,
}

/// The agent's furthest event that is not a mere warning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Furthest {
    seq: u64,
    at: u64,
    step: Option<String>,
    waiting: Option<String>,
    failure: Option<Failure>,
    #[serde(default)]
    holds: bool,
}

/// What iPXE was given; the latest is the greatest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Given {
    at: u64,
    what: String,
}

/// A form; the greatest is cloud-init's latest, for it knows more than ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Sent {
    cloudinit: bool,
    at: u64,
    form: Form,
}

impl Told {
    /// `call` is the first that was heard of the boot.
    pub fn first(at: Time, call: &Call) -> Told {
        let mut told = Told {
            began: at.0,
            heard: at.0,
            reached: BTreeMap::new(),
            furthest: None,
            given: None,
            formed: None,
            form: None,
        };
        told.hear(at, call);
        told
    }

    /// And then `call` was heard.
    pub fn hear(&mut self, Time(at): Time, call: &Call) {
        self.began = self.began.min(at);
        self.heard = self.heard.max(at);
        let reached = self.reached.entry(stage(call)).or_insert(at);
        *reached = at.min(*reached);
        match call {
            Call::Ipxe { given: Some(what) } => {
                self.given = self.given.take().max(Some(Given { at, what: what.clone() }));
            }
            Call::Event(record) if moves(record) => {
                if self.furthest.as_ref().is_none_or(|furthest| furthest.seq < record.seq) {
                    self.furthest = Some(Furthest::of(at, record));
                }
            }
            Call::Up(form) | Call::Cloudinit(form) => {
                let cloudinit = matches!(call, Call::Cloudinit(_));
                self.formed = self.formed.max(Some(at));
                self.form = self.form.take().max(Some(Sent { cloudinit, at, form: form.clone() }));
            }
            Call::Ipxe { given: None } | Call::Kernel | Call::Event(_) => {}
        }
    }

    /// The furthest stage.
    pub fn stage(&self) -> Stage {
        self.reached.keys().next_back().copied().unwrap_or(Stage::Ipxe)
    }

    /// When something was last heard.
    pub fn heard(&self) -> Time {
        Time(self.heard)
    }

    /// Whether the booted system's last form says the same.
    pub(super) fn said(&self, call: &Call) -> Option<Time> {
        let sent = self.form.as_ref()?;
        let same = match call {
            Call::Up(form) => !sent.cloudinit && *form == sent.form,
            Call::Cloudinit(form) => sent.cloudinit && *form == sent.form,
            Call::Ipxe { .. } | Call::Kernel | Call::Event(_) => false,
        };
        same.then_some(Time(sent.at))
    }

    /// As others see it.
    pub fn boot(self, number: u64, boot_id: Option<String>) -> Boot {
        let stage = self.stage();
        let holds = self.furthest.as_ref().is_some_and(|last| last.holds);
        let (step, waiting, failure) = match self.furthest {
            // The agent's failures are all before the pivot: a system that sends a form afterwards has come past them.
            Some(last) => (
                last.step,
                last.waiting,
                last.failure.filter(|_| self.formed.is_none_or(|form| form < last.at)),
            ),
            None => (None, None, None),
        };
        let given = self.given.map(|given| given.what);
        let refused = stage == Stage::Ipxe && given.as_deref() == Some("error");
        Boot {
            number,
            boot_id,
            began: Time(self.began),
            heard: Time(self.heard),
            stage,
            reached: self.reached.into_iter().map(|(stage, at)| (stage, Time(at))).collect(),
            step,
            waiting,
            failure: failure.or_else(|| refused.then(no_script)),
            holds,
            given,
            form: self.form.map(|sent| sent.form),
        }
    }
}

impl Furthest {
    fn of(at: u64, record: &Record) -> Furthest {
        let text = |member: &Option<String>| member.clone().unwrap_or_default();
        Furthest {
            seq: record.seq,
            at,
            step: record.step.clone(),
            waiting: matches!(record.event, Kind::Waiting | Kind::Held).then(|| text(&record.detail)),
            holds: record.event == Kind::Held,
            failure: (record.event == Kind::Failed).then(|| Failure {
                step: record.step.clone(),
                code: text(&record.code),
                message: text(&record.message),
                advice: text(&record.advice),
            }),
        }
    }
}

/// Whether an event says how far the node is: others come whenever they happen. A node that holds for a failure is still
/// where it failed.
fn moves(record: &Record) -> bool {
    match record.event {
        Kind::Held => record.code.is_none(),
        Kind::Released | Kind::Pause | Kind::Warning | Kind::Watermark | Kind::Down | Kind::Other => false,
        Kind::Run | Kind::Start | Kind::Waiting | Kind::Done | Kind::Failed | Kind::Ready | Kind::Up => true,
    }
}

/// The stage that a call is the sign of; no other call is.
fn stage(call: &Call) -> Stage {
    match call {
        Call::Ipxe { .. } => Stage::Ipxe,
        Call::Kernel => Stage::Kernel,
        Call::Event(record) if record.event == Kind::Up => Stage::Up,
        Call::Event(_) => Stage::Agent,
        Call::Up(_) => Stage::Up,
        Call::Cloudinit(_) => Stage::Cloudinit,
    }
}

/// iPXE got a script that shows an error: the node goes no further.
fn no_script() -> Failure {
    Failure {
        step: Some("ipxe".to_owned()),
        code: "no-script".to_owned(),
        message: "the server has no boot script for it; the reason is on its console".to_owned(),
        advice: "see the server's log, and `disklessd check`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn record(seq: u64, event: Kind) -> Call {
        let text = |text: &str| Some(format!("{text}{seq}"));
        let record = Record::new(event, Duration::ZERO);
        Call::Event(Box::new(Record { seq, step: text("s"), detail: text("d"), code: text("c"), ..record }))
    }

    /// Of all kinds; events of one number are the same event.
    fn call() -> impl Strategy<Value = (Time, Call)> {
        let kinds = [
            Kind::Run,
            Kind::Start,
            Kind::Waiting,
            Kind::Done,
            Kind::Failed,
            Kind::Warning,
            Kind::Up,
            Kind::Watermark,
            Kind::Held,
            Kind::Pause,
            Kind::Other,
        ];
        let form = |form: u8| Form { hostname: Some(form.to_string()), ..Form::default() };
        let given = |given: u8| ["boot", "error"].get(usize::from(given)).map(|word| (*word).to_owned());
        let time = || (0..50_u64).prop_map(Time);
        prop_oneof![
            (time(), 0..3_u8).prop_map(move |(at, word)| (at, Call::Ipxe { given: given(word) })),
            time().prop_map(|at| (at, Call::Kernel)),
            (time(), 0..3_u8).prop_map(move |(at, word)| (at, Call::Up(form(word)))),
            (time(), 0..3_u8).prop_map(move |(at, word)| (at, Call::Cloudinit(form(word)))),
            (0..14_u64)
                .prop_map(move |seq| (Time(seq * 3 % 50), record(seq, kinds[seq as usize % kinds.len()]))),
        ]
    }

    fn told(calls: &[(Time, Call)]) -> Told {
        let (at, first) = &calls[0];
        let mut told = Told::first(*at, first);
        for (at, call) in &calls[1..] {
            told.hear(*at, call);
        }
        told
    }

    proptest! {
        #[test]
        fn neither_order_nor_repetition_matters(
            (calls, other) in proptest::collection::vec(call(), 1..20).prop_flat_map(|calls| {
                let again = calls.iter().cloned().chain(calls.iter().rev().take(5).cloned()).collect::<Vec<_>>();
                (Just(calls), Just(again).prop_shuffle())
            }),
        ) {
            prop_assert_eq!(told(&calls), told(&other));
        }

        #[test]
        fn it_survives_the_database(calls in proptest::collection::vec(call(), 1..20)) {
            let told = told(&calls);
            let json = serde_json::to_string(&told).unwrap();
            prop_assert_eq!(serde_json::from_str::<Told>(&json).unwrap(), told);
        }
    }

    /// Step, wait, code of the failure.
    type Seen = [Option<String>; 3];
    type Case = (&'static str, Vec<(u64, Call)>, Seen);

    fn furthest(calls: &[(u64, Call)]) -> Seen {
        let calls: Vec<_> = calls.iter().map(|(at, call)| (Time(*at), call.clone())).collect();
        let boot = told(&calls).boot(1, None);
        [boot.step, boot.waiting, boot.failure.map(|failure| failure.code)]
    }

    #[test]
    fn the_furthest_event_counts() {
        let some = |text: &str| Some(text.to_owned());
        let failed = || (1, record(3, Kind::Failed));
        let held = |seq| {
            let Call::Event(record) = record(seq, Kind::Held) else { panic!("an event") };
            Call::Event(Box::new(Record { code: None, ..*record }))
        };
        let cases: [Case; 14] = [
            ("a hold", vec![(1, record(2, Kind::Done)), (2, held(3))], [some("s3"), some("d3"), None]),
            (
                "a hold for a failure",
                vec![failed(), (2, record(4, Kind::Held))],
                [some("s3"), None, some("c3")],
            ),
            ("a pause", vec![failed(), (2, record(4, Kind::Pause))], [some("s3"), None, some("c3")]),
            ("a wait", vec![(1, record(3, Kind::Waiting))], [some("s3"), some("d3"), None]),
            (
                "its end",
                vec![(2, record(4, Kind::Done)), (1, record(3, Kind::Waiting))],
                [some("s4"), None, None],
            ),
            ("a failure", vec![failed()], [some("s3"), None, some("c3")]),
            (
                "a warning after it",
                vec![failed(), (2, record(4, Kind::Warning))],
                [some("s3"), None, some("c3")],
            ),
            ("another try", vec![failed(), (2, record(4, Kind::Run))], [some("s4"), None, None]),
            ("late news", vec![failed(), (2, record(2, Kind::Start))], [some("s3"), None, some("c3")]),
            ("a form after it", vec![failed(), (2, Call::Up(Form::default()))], [some("s3"), None, None]),
            (
                "a form before it",
                vec![(0, Call::Up(Form::default())), failed()],
                [some("s3"), None, some("c3")],
            ),
            ("warnings alone", vec![(1, record(1, Kind::Warning))], [None, None, None]),
            (
                "a watermark",
                vec![(1, record(3, Kind::Waiting)), (2, record(4, Kind::Watermark))],
                [some("s3"), some("d3"), None],
            ),
            ("something new", vec![failed(), (2, record(4, Kind::Other))], [some("s3"), None, some("c3")]),
        ];
        for (name, calls, expected) in cases {
            assert_eq!(furthest(&calls), expected, "{name}");
        }
    }

    #[test]
    fn the_latest_script_and_the_best_form_count() {
        let form = |name: &str| Form { hostname: Some(name.into()), ..Form::default() };
        let given = |given: &str| Call::Ipxe { given: Some(given.into()) };
        let calls = [
            (Time(5), Call::Cloudinit(form("old"))),
            (Time(6), Call::Cloudinit(form("cloudinit"))),
            (Time(9), Call::Up(form("up"))),
            (Time(2), given("trap")),
            (Time(1), given("boot")),
            (Time(3), Call::Ipxe { given: None }),
        ];
        let boot = told(&calls).boot(7, Some("b".into()));
        assert_eq!(
            (boot.number, boot.boot_id.as_deref(), boot.given.as_deref()),
            (7, Some("b"), Some("trap"))
        );
        assert_eq!((boot.began, boot.heard, boot.stage), (Time(1), Time(9), Stage::Cloudinit));
        assert_eq!(boot.form, Some(form("cloudinit")));
        let reached = [(Stage::Ipxe, Time(1)), (Stage::Up, Time(9)), (Stage::Cloudinit, Time(5))];
        assert_eq!(boot.reached, BTreeMap::from(reached));
    }
}
