//! Decides whether the plan must be fetched, and whether it is time to.

use super::apply::Fetch;
use super::observe::Seen;
use crate::engine::converge::Next;
use crate::error::{Error, Result};
use crate::input::config::Source;
use crate::sys::http;

pub fn plan(source: &Source, seen: &Seen) -> Result<Next<Fetch>> {
    match (&seen.plan, &seen.failure) {
        (Some(what), _) => Ok(Next::Done(format!("{what}, from {}", shown(source)))),
        (None, Some((code, object, cause))) if seen.hope => {
            Ok(Next::Wait(format!("another look: {object}: {}: {cause}", code.meaning())))
        }
        // Not a named wait: what is waited for is that this failure goes away.
        (None, Some((code, object, cause))) => {
            Err(Error::new(*code, object.as_str()).because(cause.as_str()))
        }
        (None, None) => Ok(Next::Do(Fetch(source.clone()))),
    }
}

/// `source` without what is secret in it.
pub fn shown(source: &Source) -> String {
    match source {
        Source::Urls(urls) => urls.iter().map(|url| http::shown(url)).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn fetched_once_and_not_before_its_time() {
        let source = Source::Urls(vec!["http://me:secret@boot/p?token=1".into()]);
        let seen = |plan: Option<&str>, failure| Seen { plan: plan.map(str::to_owned), failure, hope: false };
        assert_eq!(plan(&source, &seen(None, None)).unwrap(), Next::Do(Fetch(source.clone())));
        let done = Next::Done("node1, from http://boot/p".into());
        assert_eq!(plan(&source, &seen(Some("node1"), None)).unwrap(), done);
        let failure = (Code::PlanFetch, "http://boot/p".into(), "HTTP status 503".into());
        let error = plan(&source, &seen(None, Some(failure))).unwrap_err();
        assert!(error.to_string().ends_with("HTTP status 503"), "{error}");
        let failure = Some((Code::PlanSignatureWrong, "http://boot/p".into(), "why".into()));
        let waits = plan(&source, &Seen { hope: true, ..seen(None, failure) }).unwrap();
        assert_eq!(
            waits,
            Next::Wait("another look: http://boot/p: the boot plan is not what was signed: why".into())
        );
    }
}
