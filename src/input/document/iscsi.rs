//! Where the disk is.

use std::fmt;
use std::net::IpAddr;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::input::portal::Portal;
use crate::input::secret::Secret;
use crate::input::settings::Settings;

/// The iSCSI disk.
#[derive(Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Iscsi {
    /// This node's initiator name, its own alone; none: derived from the node's identity.
    pub initiator: Option<String>,
    /// The target's name.
    pub target: String,
    /// Where it is: each of them is a path to the disk.
    pub portals: Vec<TargetPortal>,
    /// So many paths must be there before the boot goes on.
    #[serde(default = "one")]
    pub min_paths: u32,
    /// Seconds that the other paths are waited for once `min_paths` are there.
    #[serde(default = "grace")]
    pub grace: u32,
    /// The LUN.
    #[serde(default)]
    pub lun: u64,
    /// The boot stops if the target lets the node write to the LUN; else that is a warning.
    #[serde(default)]
    pub require_readonly_lun: bool,
    /// The account at the target; none: no authentication.
    pub auth: Option<Chap>,
    /// The portals are asked first where the target is (SendTargets); none: they are the target's own.
    pub discovery: Option<Discovery>,
    /// Timers, queues and negotiated values, in the words of iscsid.conf.
    #[serde(default)]
    #[cfg_attr(test, schemars(schema_with = "super::schema::settings"))]
    pub settings: Settings,
}

/// A portal, and what is its own of the way to the disk. In a plan: `"HOST:PORT"`, or an object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(with = "super::schema::TargetPortal"))]
pub struct TargetPortal {
    /// Where it is.
    pub portal: Portal,
    /// The target's name there; none: the plan's `iscsi.target`.
    pub target: Option<String>,
    /// The network interface that the connection goes out of; none: by the routes.
    pub interface: Option<String>,
    /// The address that it comes from; none: by the routes.
    pub source: Option<IpAddr>,
}

/// The object.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[cfg_attr(test, schemars(with = "String"))]
    portal: Portal,
    target: Option<String>,
    interface: Option<String>,
    source: Option<IpAddr>,
}

impl From<Portal> for TargetPortal {
    fn from(portal: Portal) -> TargetPortal {
        TargetPortal { portal, target: None, interface: None, source: None }
    }
}

impl fmt::Display for TargetPortal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.portal.fmt(f)
    }
}

impl<'de> Deserialize<'de> for TargetPortal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TargetPortal, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = TargetPortal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("HOST:PORT, or an object with `portal`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<TargetPortal, E> {
                Portal::deserialize(StrDeserializer::new(text)).map(TargetPortal::from)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TargetPortal, A::Error> {
                let Written { portal, target, interface, source } =
                    Written::deserialize(MapAccessDeserializer::new(map))?;
                Ok(TargetPortal { portal, target, interface, source })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl TargetPortal {
    /// The interface that the connection goes out of: the member's, or that of the address (`fe80::1%eth0`).
    pub fn leaves_by(&self) -> Option<&str> {
        let of_address = || self.portal.host.split_once('%').map(|(_, interface)| interface);
        self.interface.as_deref().or_else(of_address)
    }
}

impl Iscsi {
    /// The name of the target at `portal`.
    pub fn target_at<'a>(&'a self, portal: &'a TargetPortal) -> &'a str {
        portal.target.as_deref().unwrap_or(&self.target)
    }
}

/// A CHAP account.
#[derive(Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Chap {
    /// The account's name.
    pub username: String,
    /// The account's secret.
    #[cfg_attr(test, schemars(with = "String"))]
    pub secret: Secret,
    /// What the target has to prove who it is with; none: it is taken at its word.
    pub mutual: Option<Mutual>,
    /// The hash functions offered to the target, the most wanted first.
    #[serde(default = "md5")]
    pub algorithms: Vec<Algorithm>,
}

/// The target's own account (mutual CHAP).
#[derive(Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Mutual {
    /// The name that the target answers with.
    pub username: String,
    /// Its secret, another one than the initiator's.
    #[cfg_attr(test, schemars(with = "String"))]
    pub secret: Secret,
}

/// A hash function of CHAP.
///
/// Only MD5 means the same to all targets: 7 is SHA-256 by IANA, and SHA1 for tgt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Algorithm {
    /// 5
    #[serde(rename = "MD5")]
    Md5,
    /// 6
    #[serde(rename = "SHA1")]
    Sha1,
    /// 7
    #[serde(rename = "SHA256")]
    Sha256,
    /// 8
    #[serde(rename = "SHA3-256")]
    Sha3_256,
}

impl Algorithm {
    /// By its name in a plan and in iscsid.conf.
    pub fn parse(name: &str) -> Option<Algorithm> {
        match name {
            "MD5" => Some(Algorithm::Md5),
            "SHA1" => Some(Algorithm::Sha1),
            "SHA256" => Some(Algorithm::Sha256),
            "SHA3-256" => Some(Algorithm::Sha3_256),
            _ => None,
        }
    }
}

fn one() -> u32 {
    1
}

fn grace() -> u32 {
    10
}

fn md5() -> Vec<Algorithm> {
    vec![Algorithm::Md5]
}

/// How portals are asked for the target.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// The account for discovery, often another one than the target's; none: no authentication.
    pub auth: Option<Chap>,
}
