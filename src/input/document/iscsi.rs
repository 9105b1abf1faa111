//! Where the disk is.

use serde::Deserialize;

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
    /// Where it is. One, so far.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub portals: Vec<Portal>,
    /// The LUN.
    #[serde(default)]
    pub lun: u64,
    /// The account at the target; none: no authentication.
    pub auth: Option<Chap>,
    /// The portals are asked first where the target is (SendTargets); none: they are the target's own.
    pub discovery: Option<Discovery>,
    /// Timers, queues and negotiated values, in the words of iscsid.conf.
    #[serde(default)]
    #[cfg_attr(test, schemars(schema_with = "super::schema::settings"))]
    pub settings: Settings,
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
