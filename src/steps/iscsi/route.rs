//! The way to a target: the addresses of its portals one after the other, and from each where it redirects to.

use std::net::SocketAddr;

use super::listing::target_address;
use super::text::quote;
use crate::error::{Class, Code, Error, Result};
use crate::input::portal::Portal;

/// So many addresses of one portal are tried; each may take as long as a login.
const MOST_ADDRESSES: usize = 8;
/// So many redirections in a row lead nowhere.
const MOST_REDIRECTIONS: usize = 4;

/// What comes of a login at one address.
pub enum Attempt<T> {
    /// This.
    Done(T),
    /// The target is at another address: `host[:port][,group]`.
    Moved(String),
}

/// Where a login goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The portal as the plan or a discovery has it.
    pub portal: &'a Portal,
    /// The portal's own address, which it has again when the redirection it may send to is gone.
    pub own: SocketAddr,
    /// The address to connect to: the same, or where it redirects to.
    pub address: SocketAddr,
}

impl Place<'_> {
    /// `198.18.0.1:3260`, `store:3260 (198.18.0.1:3260)`.
    pub fn name(&self) -> String {
        let (portal, address) = (self.portal.to_string(), self.address.to_string());
        if portal == address { portal } else { format!("{portal} ({address})") }
    }

    /// The portal's own address as the kernel is told, and as iscsid reads it: with the interface of a link-local
    /// one, without brackets and port.
    pub fn persistent_address(&self) -> String {
        match self.own {
            SocketAddr::V6(address) if address.scope_id() != 0 => self.portal.host.clone(),
            address => address.ip().to_string(),
        }
    }
}

/// How names become addresses, and what is tried at an address.
pub struct Route<'a, T> {
    /// The addresses of a portal.
    pub resolve: &'a dyn Fn(&Portal) -> Result<Vec<SocketAddr>>,
    /// One login.
    pub attempt: &'a dyn Fn(Place<'_>) -> Result<Attempt<T>>,
}

impl<T> Route<'_, T> {
    /// What the first login that comes about gives. The next address is tried after an error that may go away by
    /// itself.
    ///
    /// # Errors
    /// The first error that does not go away by itself; else, of each address, why there was no login.
    pub fn take(&self, target: &str, portals: &[Portal]) -> Result<T> {
        let mut failures = Vec::new();
        for portal in portals {
            let tried = (self.resolve)(portal)
                .and_then(|addresses| self.each(target, portal, &addresses, &mut Vec::new()));
            match tried {
                Ok(done) => return Ok(done),
                Err(error) if error.class() == Class::Retry => failures.push(error),
                Err(error) => return Err(error),
            }
        }
        Err(all(target, failures))
    }

    /// Tries `addresses`: those of `portal`, or those that the last of `chain` redirects to.
    fn each(
        &self,
        target: &str,
        portal: &Portal,
        addresses: &[SocketAddr],
        chain: &mut Vec<SocketAddr>,
    ) -> Result<T> {
        let mut failures = Vec::new();
        for address in addresses.iter().take(MOST_ADDRESSES) {
            let place = Place { portal, own: chain.first().copied().unwrap_or(*address), address: *address };
            let moved = |cause: String| {
                Error::new(Code::IscsiMoved, format!("{target} at {}", place.name())).because(cause)
            };
            let tried = match (self.attempt)(place) {
                Ok(Attempt::Done(done)) => return Ok(done),
                Ok(Attempt::Moved(to)) => {
                    chain.push(*address);
                    let followed = self.follow(target, portal, &to, chain, &moved);
                    chain.pop();
                    followed
                }
                Err(error) => Err(error),
            };
            match tried {
                Ok(done) => return Ok(done),
                Err(error) if error.class() == Class::Retry => failures.push(error),
                Err(error) => return Err(error),
            }
        }
        Err(all(target, failures))
    }

    fn follow(
        &self,
        target: &str,
        portal: &Portal,
        to: &str,
        chain: &mut Vec<SocketAddr>,
        moved: &dyn Fn(String) -> Error,
    ) -> Result<T> {
        let there = target_address(to)
            .ok_or_else(|| moved(format!("it says to {}, which is no address", quote(to))))?;
        if chain.len() > MOST_REDIRECTIONS {
            return Err(moved(format!("redirected {MOST_REDIRECTIONS} times, and then to {}", quote(to))));
        }
        let mut addresses = (self.resolve)(&there)?;
        addresses.retain(|address| !chain.contains(address));
        if addresses.is_empty() {
            return Err(moved(format!("redirected in a circle, back to {}", quote(to))));
        }
        self.each(target, portal, &addresses, chain)
    }
}

/// The error for all that was tried: the only one, or the code of the last with the text of each.
pub fn all(target: &str, mut failures: Vec<Error>) -> Error {
    let Some(last) = failures.pop() else {
        return Error::new(Code::IscsiConnect, target).because("it has no address");
    };
    if failures.is_empty() {
        return last;
    }
    let code = last.code();
    let texts: Vec<String> = failures.iter().chain([&last]).map(ToString::to_string).collect();
    Error::new(code, format!("{target} at {} addresses", texts.len())).because(texts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// What the target says at an address: nothing, `ok`, a code, or where to go.
    fn walk(portals: &[&str], says: &dyn Fn(&str) -> &'static str) -> (Result<String>, Vec<String>) {
        let portals: Vec<Portal> = portals.iter().map(|portal| Portal::parse(portal).unwrap()).collect();
        let tried = RefCell::new(Vec::new());
        let route = Route {
            resolve: &|portal| match portal.host.as_str() {
                "two" => Ok(vec!["10.0.0.1:3260".parse().unwrap(), "10.0.0.2:3260".parse().unwrap()]),
                "gone" => Err(Error::new(Code::Resolve, "host name gone")),
                _ => Ok(vec![portal.to_string().parse().unwrap()]),
            },
            attempt: &|place| {
                tried.borrow_mut().push(place.address.to_string());
                match says(&place.address.to_string()) {
                    "ok" => Ok(Attempt::Done(format!("{} for {}", place.name(), place.persistent_address()))),
                    "down" => Err(Error::new(Code::IscsiConnect, place.name())),
                    "denied" => Err(Error::new(Code::IscsiAuth, place.name())),
                    to => Ok(Attempt::Moved(to.into())),
                }
            },
        };
        let result = route.take("iqn.b", &portals);
        (result, tried.into_inner())
    }

    #[test]
    fn the_first_address_that_answers_is_taken() {
        let one_down = |address: &str| if address.starts_with("10.0.0.1:") { "down" } else { "ok" };
        for (portals, found, count) in [
            (&["10.0.0.2"][..], "10.0.0.2:3260 for 10.0.0.2", 1),
            (&["two"], "two:3260 (10.0.0.2:3260) for 10.0.0.2", 2),
            (&["gone", "10.0.0.1", "10.0.0.3:3261"], "10.0.0.3:3261 for 10.0.0.3", 2),
        ] {
            let (result, tried) = walk(portals, &one_down);
            assert_eq!((result.unwrap().as_str(), tried.len()), (found, count));
        }
    }

    #[test]
    fn what_cannot_go_away_ends_it_at_once() {
        let (result, tried) = walk(&["two"], &|_| "denied");
        assert_eq!((result.unwrap_err().code(), tried.len()), (Code::IscsiAuth, 1));
    }

    #[test]
    fn every_failure_is_told() {
        let error = walk(&["two", "gone"], &|_| "down").0.unwrap_err();
        assert_eq!(error.code(), Code::Resolve);
        for word in ["10.0.0.1:3260", "10.0.0.2:3260", "host name gone"] {
            assert!(error.to_string().contains(word), "{error}");
        }
        assert_eq!(
            walk(&["10.0.0.1"], &|_| "down").0.unwrap_err().to_string(),
            "10.0.0.1:3260: the portal does not answer"
        );
        assert_eq!(walk(&[], &|_| "ok").0.unwrap_err().code(), Code::IscsiConnect);
    }

    #[test]
    fn redirections_are_followed_and_the_portal_stays_the_configured_one() {
        let to_name = |address: &str| match address {
            "10.0.0.9:3260" => "10.0.0.8:3261,1",
            "10.0.0.8:3261" => "two,1",
            "10.0.0.1:3260" => "down",
            _ => "ok",
        };
        let (result, tried) = walk(&["10.0.0.9"], &to_name);
        assert_eq!(result.unwrap(), "10.0.0.9:3260 (10.0.0.2:3260) for 10.0.0.9");
        assert_eq!(tried, ["10.0.0.9:3260", "10.0.0.8:3261", "10.0.0.1:3260", "10.0.0.2:3260"]);
    }

    #[test]
    fn redirections_that_lead_nowhere_end_with_what_was_said() {
        let circle = |address: &str| if address == "10.0.0.1:3260" { "10.0.0.2" } else { "10.0.0.1:3260,1" };
        let far = |address: &str| match address {
            "10.0.0.1:3260" => "10.0.0.2",
            "10.0.0.2:3260" => "10.0.0.3",
            "10.0.0.3:3260" => "10.0.0.4",
            "10.0.0.4:3260" => "10.0.0.5",
            _ => "10.0.0.6:3261",
        };
        for (says, said, count) in [
            (&(|_: &str| "10.0.0.1:3260,1") as &dyn Fn(&str) -> &'static str, "back to 10.0.0.1:3260,1", 1),
            (&circle, "back to 10.0.0.1:3260,1", 2),
            (&|_| "no host\n", "no host\\n", 1),
            (&far, "redirected 4 times, and then to 10.0.0.6:3261", 5),
        ] {
            let (result, tried) = walk(&["10.0.0.1"], says);
            let error = result.unwrap_err();
            assert_eq!(error.code(), Code::IscsiMoved);
            assert!(error.to_string().contains(said), "{error}");
            assert_eq!(tried.len(), count);
        }
    }

    #[test]
    fn a_name_that_is_redirected_to_may_be_resolved_later() {
        assert_eq!(walk(&["10.0.0.1"], &|_| "gone").0.unwrap_err().code(), Code::Resolve);
    }

    #[test]
    fn a_link_local_address_keeps_its_interface() {
        let portal = Portal::parse("[fe80::1%eth0]").unwrap();
        let own = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 3260, 0, 2).into();
        assert_eq!(Place { portal: &portal, own, address: own }.persistent_address(), "fe80::1%eth0");
    }
}
