//! The boot plan document: what a node is to boot. JSON, described for its writers in `docs/plan.md`.

mod access;
pub(super) mod check;
mod cloud_init;
mod handover;
mod iscsi;
mod lower;
mod luks;
mod multipath;
mod overlay;
mod shown;
mod validity;

pub use access::{Access, MOST_KEYS};
pub use check::{is_hostname, is_iscsi_name};
pub use cloud_init::CloudInit;
pub use handover::{File, Handover, HostKey, HostKeys, Mode};
pub use iscsi::{Algorithm, Chap, Discovery, Iscsi, Mutual, TargetPortal};
pub use lower::{Lower, Lowers, MOST_LOWERS};
pub use luks::{Header, KeySource, LONGEST_KEY, Luks};
pub use multipath::{Identify, Map, Multipath, Queueing};
pub use overlay::{Backing, FileSystem, LEAST_LAYER, LEAST_XFS, Mount, Overlay, Unclean};
pub use shown::Shown;
pub use validity::{Node, Validity};

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Code, Error, Result};
use crate::input::settings::Preset;

/// The versions of the document that this agent knows, newest first, as a request for a plan tells them.
pub const VERSIONS: &[&str] = &["1.0"];

/// The boot plan of one node.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// `MAJOR.MINOR`; this agent knows major version 1.
    pub version: String,
    /// Whom the plan is for, and when; none: it is for any node at any time.
    pub validity: Option<Validity>,
    /// The node's name, for /etc/hostname of the new root; none: the name that the node has by then.
    pub hostname: Option<String>,
    /// The node's machine-id; none: derived from what is the node's alone.
    pub machine_id: Option<String>,
    /// Where the disk is.
    pub iscsi: Iscsi,
    /// How the paths to the disk become one map; none: as the preset has it where there are several portals, else not.
    pub multipath: Option<Multipath>,
    /// How the disk is opened.
    pub luks: Luks,
    /// What is mounted.
    pub overlay: Overlay,
    /// What the new root is told.
    #[serde(default)]
    pub handover: Handover,
    /// What cloud-init of the image is told; none: it goes by what the image has.
    pub cloud_init: Option<CloudInit>,
    /// Who may log in while the node is in its initramfs.
    #[serde(default)]
    pub access: Access,
    /// Where events are posted to as they happen.
    pub report: Option<Report>,
}

/// Who is told.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// An HTTP(S) URL: events are posted there.
    pub url: String,
    /// An HTTP(S) URL: once it is up, the booted system posts cloud-init's phone_home form there.
    pub phone_home: Option<String>,
}

impl Document {
    /// How the map of the paths is made; none: there is to be no map.
    pub fn map(&self) -> Option<&Map> {
        static PRESET: Map = Map { identify: Identify::Wwid, defaults: BTreeMap::new(), blacklist: None };
        match &self.multipath {
            Some(Multipath::Map(map)) => Some(map),
            Some(Multipath::Off) => None,
            None if self.iscsi.portals.len() > 1 => Some(&PRESET),
            None => None,
        }
    }

    /// The same boot from a plain disk: the other portals stand in for the first that has it.
    pub fn without_map(mut self) -> Document {
        self.multipath = Some(Multipath::Off);
        self.iscsi.min_paths = 1;
        self.with_timers()
    }

    /// The timers follow the paths where the plan does not say which it wants: a disk of several paths gives a lost one
    /// up soon, a disk of one waits for it.
    pub(super) fn with_timers(mut self) -> Document {
        let preset = if self.map().is_some() { Preset::Multipath } else { Preset::SinglePath };
        self.iscsi.settings.or_preset(preset);
        self
    }

    /// Parses and checks a boot plan.
    ///
    /// # Errors
    /// [`Code::PlanVersion`] for a version that this agent does not know, [`Code::PlanInvalid`] with the place for
    /// what is no boot plan, and a code of its own for each rule that is broken. No message quotes a value that may be
    /// secret.
    pub fn parse(text: &[u8]) -> Result<Document> {
        // The version first: what an unknown version looks like beyond it is not for us to judge.
        let AnyVersion { version } = read(text)?;
        if version.split_once('.').is_none_or(|(major, minor)| major != "1" || minor.parse::<u32>().is_err())
        {
            return Err(Error::new(Code::PlanVersion, format!("version {version:?}")));
        }
        let document: Document = read(text)?;
        check::check(&document)?;
        Ok(document.with_timers())
    }

    /// Everything that is wrong with a boot plan. What is of another type than it should be, or unknown, hides the rest:
    /// it is the only finding then.
    pub fn findings(text: &[u8]) -> Vec<Error> {
        match Document::parse(text) {
            Ok(_) => Vec::new(),
            Err(first) => match read(text) {
                Ok(document) if first.code() != Code::PlanVersion => check::findings(&document),
                _ => vec![first],
            },
        }
    }
}

/// Reads JSON; an error says where in it, as `iscsi.auth.username`.
fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { "boot plan".to_owned() } else { path };
        Error::new(Code::PlanInvalid, place).because(unquoted(&error.inner().to_string()))
    })?;
    json.end()
        .map_err(|error| Error::new(Code::PlanInvalid, "boot plan").because(unquoted(&error.to_string())))?;
    Ok(value)
}

/// serde's message without the value of a wrong type, which may be a secret in the wrong place.
fn unquoted(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((before, after)) if before.starts_with("invalid ") => format!("expected {after}"),
        _ => message.to_owned(),
    }
}

/// The part of a boot plan that is the same in all versions.
#[derive(Deserialize)]
struct AnyVersion {
    version: String,
}

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
