//! Whether the paths that are there will do.

use std::time::Duration;

/// What there is of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its disk can be read.
    Up,
    /// It may come.
    Pending,
    /// Somebody has to change something first.
    Hopeless,
}

/// What to do about the paths.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They will do.
    Go,
    /// More may come.
    Wait,
    /// There will never be enough.
    Fail,
}

/// Decides.
///
/// `enough_for` is the time since `min_paths` were up, none if they are not. `grace` is how long the others are waited
/// for then; none: for ever.
pub fn decide(
    paths: &[State],
    min_paths: usize,
    grace: Option<Duration>,
    enough_for: Option<Duration>,
) -> Verdict {
    let count = |state| paths.iter().filter(|path| **path == state).count();
    let (up, pending) = (count(State::Up), count(State::Pending));
    let is_all = up == paths.len();
    match (grace, enough_for) {
        _ if up >= min_paths && is_all => Verdict::Go,
        // Who waits for ever waits for those, too: they are tried again.
        (None, _) => Verdict::Wait,
        (Some(_), _) if up + pending < min_paths => Verdict::Fail,
        (Some(_), _) if up < min_paths => Verdict::Wait,
        (Some(_), _) if pending == 0 => Verdict::Go,
        (Some(grace), Some(since)) if since >= grace => Verdict::Go,
        (Some(_), _) => Verdict::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::State::{Hopeless, Pending, Up};
    use super::*;

    const GRACE: Option<Duration> = Some(Duration::from_secs(10));

    #[test]
    fn the_table() {
        let s = |seconds| Some(Duration::from_secs(seconds));
        for (paths, min_paths, grace, enough_for, verdict) in [
            (&[Up][..], 1, GRACE, s(0), Verdict::Go),
            (&[Pending], 1, GRACE, None, Verdict::Wait),
            (&[Hopeless], 1, GRACE, None, Verdict::Fail),
            (&[Up, Up], 1, GRACE, s(0), Verdict::Go),
            (&[Up, Pending], 1, GRACE, s(0), Verdict::Wait),
            (&[Up, Pending], 1, GRACE, s(9), Verdict::Wait),
            (&[Up, Pending], 1, GRACE, s(10), Verdict::Go),
            (&[Up, Pending], 1, s(0), s(0), Verdict::Go),
            (&[Up, Pending], 2, GRACE, None, Verdict::Wait),
            (&[Pending, Pending], 1, GRACE, None, Verdict::Wait),
            // It had enough once, and lost it again.
            (&[Pending, Pending], 1, GRACE, s(99), Verdict::Wait),
            (&[Up, Hopeless], 1, GRACE, s(0), Verdict::Go),
            (&[Up, Hopeless], 2, GRACE, None, Verdict::Fail),
            (&[Up, Hopeless, Pending], 1, GRACE, s(3), Verdict::Wait),
            (&[Up, Hopeless, Pending], 2, GRACE, None, Verdict::Wait),
            (&[Hopeless, Hopeless, Pending], 2, GRACE, None, Verdict::Fail),
            (&[Hopeless, Pending], 1, GRACE, None, Verdict::Wait),
            // Fewer than are wanted, whatever they do.
            (&[Up], 2, GRACE, None, Verdict::Fail),
            (&[], 1, GRACE, None, Verdict::Fail),
            (&[Up, Pending], 1, None, s(99), Verdict::Wait),
            (&[Up, Hopeless], 1, None, s(99), Verdict::Wait),
            (&[Hopeless], 1, None, None, Verdict::Wait),
            (&[Up, Up], 1, None, s(0), Verdict::Go),
        ] {
            assert_eq!(
                decide(paths, min_paths, grace, enough_for),
                verdict,
                "{paths:?} {min_paths} {enough_for:?}"
            );
        }
    }
}
