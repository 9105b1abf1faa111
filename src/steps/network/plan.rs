//! Decides whether the network will do.

use super::Server;
use super::apply::Nothing;
use super::observe::{Link, Seen};
use crate::engine::converge::Next;
use crate::error::{Code, Error, Result};

pub fn plan(role: &str, servers: &[Server], seen: &Seen) -> Result<Next<Nothing>> {
    match &seen.answer {
        Ok((address, ours)) => {
            let over = seen.links.iter().find(|link| link.addresses.contains(ours));
            let over = over.map_or_else(String::new, |link| format!(", over {}", link.name));
            Ok(Next::Done(format!("{role} {address} answers to {ours}{over}")))
        }
        Err(why) => {
            let names: Vec<String> = servers.iter().map(ToString::to_string).collect();
            let object = format!("{role} {}", names.join(" or "));
            Err(Error::new(Code::Network, object)
                .because(format!("{why} (links: {})", describe(&seen.links))))
        }
    }
}

fn describe(links: &[Link]) -> String {
    if links.is_empty() {
        return "none yet; if there never is one, its driver is missing from the initramfs".into();
    }
    let describe = |link: &Link| {
        let addresses: Vec<String> = link.addresses.iter().map(ToString::to_string).collect();
        match addresses.as_slice() {
            [] => format!("{} {} without address", link.name, link.state),
            addresses => format!("{} {} {}", link.name, link.state, addresses.join(" ")),
        }
    };
    links.iter().map(describe).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(links: Vec<Link>, answer: Result<(&str, &str), &str>) -> Seen {
        let answer = answer.map(|(address, ours)| (address.parse().unwrap(), ours.parse().unwrap()));
        Seen { links, answer: answer.map_err(str::to_owned) }
    }

    fn link(name: &str, state: &str, address: Option<&str>) -> Link {
        let addresses = address.into_iter().map(|address| address.parse().unwrap()).collect();
        Link { name: name.into(), state: state.into(), addresses }
    }

    #[test]
    fn done_when_the_server_answers() {
        let links = vec![link("eth0", "up", Some("10.0.0.9"))];
        let next =
            plan("plan server", &[Server::new("boot", 80)], &seen(links, Ok(("10.0.0.1:80", "10.0.0.9"))));
        let expected = Next::Done("plan server 10.0.0.1:80 answers to 10.0.0.9, over eth0".into());
        assert_eq!(next.unwrap(), expected);
    }

    #[test]
    fn else_it_says_what_the_links_look_like() {
        let links = vec![link("eth0", "up", None), link("eth1", "down", None)];
        let portals = [Server::new("10.0.0.1", 3260), Server::new("10.0.0.2", 3260)];
        let error = plan("portal", &portals, &seen(links, Err("unreachable"))).unwrap_err();
        assert_eq!(error.code(), Code::Network);
        let text = error.to_string();
        assert!(text.starts_with("portal 10.0.0.1 port 3260 or 10.0.0.2 port 3260: "), "{text}");
        assert!(
            text.ends_with("unreachable (links: eth0 up without address, eth1 down without address)"),
            "{text}"
        );
        let error = plan("portal", &portals, &seen(vec![], Err("unreachable"))).unwrap_err();
        assert!(error.to_string().contains("driver"), "{error}");
    }
}
