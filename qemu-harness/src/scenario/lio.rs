//! `[lio]`: a second machine, whose kernel is the target.

use serde::Deserialize;

use super::{Chap, Image};

/// `[lio]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lio {
    /// The target's name.
    pub iqn: String,
    /// The logical unit that has the image, read-only.
    #[serde(default = "super::target::default_lun")]
    pub lun: u32,
    /// What it holds.
    #[serde(default)]
    pub image: Image,
    /// Who may log in; without it anybody.
    pub chap: Option<Chap>,
    /// Where it is to be had; each is a portal group of its own, and a network card of that machine.
    pub portals: Vec<Portal>,
}

/// `[[lio.portals]]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portal {
    /// The subnet.
    #[serde(default)]
    pub subnet: u8,
    /// What the target says of the image here.
    #[serde(default)]
    pub state: State,
}

/// An asymmetric access state (SPC-4, 5.11.2.4), by the number that it has there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As good as it gets.
    #[default]
    Optimized = 0,
    /// It works.
    NonOptimized = 1,
    /// It would have to become active first.
    Standby = 2,
    /// Not now.
    Unavailable = 3,
}

/// Why a scenario cannot have this machine.
pub(super) fn check(lio: &Lio) -> Result<(), String> {
    if lio.portals.is_empty() {
        return Err("lio without portals".to_owned());
    }
    for (number, portal) in lio.portals.iter().enumerate() {
        if lio.portals.iter().take(number).any(|other| other.subnet == portal.subnet) {
            return Err(format!("lio: two portals in subnet {}", portal.subnet));
        }
    }
    if lio.chap.as_ref().is_some_and(|chap| chap.mutual.is_some()) {
        return Err("lio: it does not prove itself (mutual)".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::scenario::parse;

    const UP: &str = "summary = 's'\n[[network.links]]\n[expect]\nend = 'up'\n";

    #[test]
    fn portals_have_a_subnet_and_a_state_each() {
        let text = "[lio]\niqn = 'i'\n[[lio.portals]]\nstate = 'non-optimized'\n";
        let lio = parse(&format!("{UP}{text}")).unwrap().lio.unwrap();
        assert_eq!(lio.portals.iter().map(|portal| portal.state as u8).collect::<Vec<_>>(), [1]);
        for (wrong, why) in [
            ("[lio]\niqn = 'i'\nportals = []\n", "without portals"),
            ("[lio]\niqn = 'i'\nportals = [{}, {}]\n", "two portals in subnet 0"),
            ("[lio]\niqn = 'i'\nportals = [{ subnet = 1 }]\n", "no link leads to subnet 1"),
            ("[lio]\niqn = 'i'\nportals = [{ state = 'good' }]\n", "good"),
        ] {
            let message = parse(&format!("{UP}{wrong}")).unwrap_err();
            assert!(message.contains(why), "{message}");
        }
    }
}
