//! Whose turn it is: several URLs of the same plan, tried in turn, and again later.

use std::time::Duration;

use crate::error::{Class, Code, Error};
use crate::sys::http;

/// The wait after the first round that brought nothing; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// A server that asks for more patience than this does not get it.
const MOST_PATIENCE: Duration = Duration::from_secs(60);

/// The URLs, and what became of them.
#[derive(Debug, Default)]
pub struct Turns {
    urls: Vec<Url>,
    rounds: u32,
}

#[derive(Debug)]
struct Url {
    url: String,
    not_before: Duration,
    why: Option<Why>,
    /// When it failed first in a way that may be only for now.
    since: Option<Duration>,
    /// Whether the time that such a failure is given is not over yet.
    hope: bool,
}

/// Why a URL brought no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// What it is.
    pub code: Code,
    /// The cause, for people.
    pub cause: String,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
    /// How long it may take until it goes away by itself, if it does, whatever the class of its code.
    pub patience: Duration,
}

impl Why {
    /// Of this code and cause, of a place that nobody wants to be left alone.
    pub fn new(code: Code, cause: impl ToString) -> Why {
        Why { code, cause: cause.to_string(), retry_after: None, patience: Duration::ZERO }
    }

    /// As the error of `place`.
    pub fn into_error(self, place: &str) -> Error {
        Error::new(self.code, http::shown(place)).because(self.cause)
    }
}

impl Turns {
    /// All of `urls`, at once.
    pub fn of(urls: &[String]) -> Turns {
        let url = |url: &String| Url {
            url: url.clone(),
            not_before: Duration::ZERO,
            why: None,
            since: None,
            hope: false,
        };
        Turns { urls: urls.iter().map(url).collect(), rounds: 0 }
    }

    /// Why there is nobody to ask `now`; none if there is.
    pub fn failure(&self, now: Duration) -> Option<(Code, String, String)> {
        if self.urls.iter().any(|url| url.not_before <= now) { None } else { self.reasons() }
    }

    /// Begins a round: the URLs to be tried `now`, by number.
    pub fn due(&mut self, now: Duration) -> Vec<(usize, String)> {
        self.rounds = self.rounds.saturating_add(1);
        let urls = self.urls.iter().enumerate().filter(|(_, url)| url.not_before <= now);
        urls.map(|(number, url)| (number, url.url.clone())).collect()
    }

    /// URL `number` brought nothing. It is tried again after a time that grows with the rounds, drawn by `around`, or
    /// when its server wants it.
    pub fn failed(&mut self, number: usize, why: Why, now: Duration, around: fn(Duration) -> Duration) {
        let wait = FIRST_WAIT.saturating_mul(1 << self.rounds.saturating_sub(1).min(8)).min(LONGEST_WAIT);
        let asked = why.retry_after.unwrap_or_default().min(MOST_PATIENCE);
        if let Some(url) = self.urls.get_mut(number) {
            // Drawn on top of what a server asks for: it says the same to every node.
            url.not_before = now + asked + around(wait);
            url.hope = !why.patience.is_zero() && now < *url.since.get_or_insert(now) + why.patience;
            url.why = Some(why);
        }
    }

    /// Whether a failure may be only for now.
    pub fn hope(&self) -> bool {
        self.urls.iter().any(|url| url.hope)
    }

    /// The error of a round that brought nothing.
    pub fn error(&self) -> Error {
        match self.reasons() {
            Some((code, object, cause)) => Error::new(code, object).because(cause),
            None => Error::new(Code::NoPlan, "rd.diskless.plan"),
        }
    }

    /// Code, object and cause. As long as one URL may yet bring a plan, the code is one to try again on.
    fn reasons(&self) -> Option<(Code, String, String)> {
        let whys: Vec<(&str, &Why)> =
            self.urls.iter().filter_map(|url| Some((url.url.as_str(), url.why.as_ref()?))).collect();
        let retry = whys.iter().find(|(_, why)| why.code.class() == Class::Retry);
        let (_, first) = retry.or(whys.first())?;
        if let [(url, why)] = whys.as_slice() {
            return Some((why.code, http::shown(url), why.cause.clone()));
        }
        let each = whys
            .iter()
            .map(|(url, why)| format!("{}: {}: {}", http::shown(url), why.code.meaning(), why.cause));
        Some((first.code, "boot plan".into(), each.collect::<Vec<_>>().join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(code: Code, retry_after: Option<u64>) -> Why {
        Why { retry_after: retry_after.map(Duration::from_secs), ..Why::new(code, "because") }
    }

    fn turns() -> Turns {
        Turns::of(&["http://a/p?token=1".into(), "http://b/p".into()])
    }

    /// When URL `number` is asked again after it failed in round `rounds`.
    fn again(rounds: u32, why: Why) -> u64 {
        let mut turns = Turns { rounds, ..turns() };
        turns.failed(0, why, Duration::from_secs(100), |wait| wait);
        turns.urls[0].not_before.as_secs() - 100
    }

    #[test]
    fn waits_grow_and_servers_may_ask_for_more_within_bounds() {
        assert_eq!(
            [1, 2, 3, 4, 5, 99].map(|rounds| again(rounds, why(Code::PlanFetch, None))),
            [1, 2, 4, 8, 15, 15]
        );
        assert_eq!(again(1, why(Code::PlanFetch, Some(20))), 21);
        assert_eq!(again(1, why(Code::PlanFetch, Some(86400))), 61);
    }

    #[test]
    fn one_that_failed_does_not_hold_up_the_other() {
        let mut turns = turns();
        let second = Duration::from_secs(1);
        assert_eq!(turns.due(Duration::ZERO).len(), 2);
        turns.failed(0, why(Code::PlanFetch, Some(9)), Duration::ZERO, |wait| wait);
        assert_eq!(turns.failure(Duration::ZERO), None);
        turns.failed(1, why(Code::PlanFetch, None), Duration::ZERO, |wait| wait);
        assert!(turns.failure(second / 2).is_some());
        assert_eq!(turns.due(second), [(1, "http://b/p".to_owned())]);
    }

    #[test]
    fn what_may_be_for_now_is_given_its_time() {
        let mut turns = turns();
        let patient = || Why { patience: Duration::from_secs(3), ..why(Code::PlanSignatureWrong, None) };
        let at = Duration::from_secs;
        for (now, hope) in [(10, true), (12, true), (13, false)] {
            turns.failed(0, patient(), at(now), |wait| wait);
            assert_eq!(turns.hope(), hope, "{now}");
        }
        turns.failed(1, why(Code::PlanRefused, None), at(13), |wait| wait);
        assert!(!turns.hope());
    }

    #[test]
    fn the_error_is_final_only_when_all_are() {
        let mut turns = turns();
        turns.failed(0, why(Code::PlanRefused, None), Duration::ZERO, |wait| wait);
        turns.failed(1, why(Code::PlanFetch, None), Duration::ZERO, |wait| wait);
        let error = turns.error();
        assert_eq!(error.class(), Class::Retry);
        let text = error.to_string();
        assert!(text.contains("http://a/p: ") && text.contains("http://b/p: "), "{text}");
        assert!(!text.contains("token"), "{text}");
        turns.failed(1, why(Code::TlsUntrusted, None), Duration::ZERO, |wait| wait);
        assert_eq!(turns.error().code(), Code::PlanRefused);
    }
}
