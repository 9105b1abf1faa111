//! Who is at the other end of a connection.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// The address that a request came from; an IPv4 one is one, whatever the socket calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Peer, Infallible> {
        let peer = parts.extensions.get::<Peer>().copied();
        Ok(peer.unwrap_or(Peer(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

/// The same of one peer is told once in so long.
const PACE: Duration = Duration::from_secs(60);
/// No more is remembered: beyond that nothing is told until some of it is forgotten.
const MOST: usize = 8192;

/// What the log has said lately of which peer, so that none can fill it.
#[derive(Debug, Default)]
pub struct Pace(Mutex<HashMap<(IpAddr, &'static str), Instant>>);

impl Pace {
    /// Whether the log may have `event` of `peer` now; then it has.
    pub fn may(&self, peer: IpAddr, event: &'static str, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at: &Instant| now.saturating_duration_since(*at) < PACE;
        if told.get(&(peer, event)).is_some_and(recent) {
            return false;
        }
        if told.len() >= MOST {
            told.retain(|_, at| recent(at));
        }
        let room = told.len() < MOST;
        if room {
            told.insert((peer, event), now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_told_of_once_a_minute_and_many_cost_no_memory() {
        let (pace, now) = (Pace::default(), Instant::now());
        let peer = |number: u32| IpAddr::V4(Ipv4Addr::from_bits(number));
        assert!(pace.may(peer(1), "a", now));
        assert!(!pace.may(peer(1), "a", now + PACE / 2));
        assert!(pace.may(peer(1), "b", now));
        assert!(pace.may(peer(2), "a", now));
        assert!(pace.may(peer(1), "a", now + PACE));
        for number in 10..20_000 {
            pace.may(peer(number), "a", now + PACE);
        }
        assert_eq!(pace.0.lock().unwrap().len(), MOST);
        assert!(pace.may(peer(7), "a", now + PACE * 2), "the old ones are forgotten");
    }
}
