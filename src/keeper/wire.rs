//! What is said to the keeper and what it answers: one request and one answer a connection, both JSON and bounded.
//!
//! The plan's secrets cross here and nowhere else, from one process of root to another: a request is encoded into memory
//! that is wiped, and no type of it can be printed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::journal::Journal;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::{Algorithm, Chap, Discovery, Identify, Iscsi, Map, Mutual, TargetPortal};
use crate::input::secret::Secret;

/// No request is longer: what is kept of a plan has a few KiB, and the keeper is small.
pub const LONGEST_REQUEST: usize = 64 * 1024;
/// No answer is longer.
pub const LONGEST_ANSWER: usize = 256 * 1024;

/// What the keeper needs to know of the plan.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Where the disk is. Portals with names were resolved before: no name server is asked later.
    pub iscsi: Iscsi,
    /// The map of the paths; none: there is no map.
    pub map: Option<Map>,
    /// The node's name to its targets.
    pub initiator: String,
}

/// A request.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// From now on, keep this; in the place of what was kept before.
    Keep(Box<Plan>),
    /// From now on, keep nothing: what was kept is taken apart.
    Forget,
    /// Tell what you do.
    Status,
    /// The node goes down: what has no path left is to fail, not to wait.
    Ending,
    /// Stop acting, and exit.
    End,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Answer {
    /// So it is now.
    Journal(Box<Journal>),
    /// It cannot be done, and why.
    Refused(String),
}

/// The plan as it goes over the wire: what a boot plan has of it, and so read back by the same types.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Out<'a> {
    Keep(Box<PlanOut<'a>>),
    Forget,
    Status,
    Ending,
    End,
}

#[derive(Serialize)]
struct PlanOut<'a> {
    iscsi: IscsiOut<'a>,
    map: Option<MapOut<'a>>,
    initiator: &'a str,
}

#[derive(Serialize)]
struct IscsiOut<'a> {
    initiator: Option<&'a str>,
    target: &'a str,
    portals: Vec<PortalOut<'a>>,
    min_paths: u32,
    grace: u32,
    lun: u64,
    require_readonly_lun: bool,
    auth: Option<ChapOut<'a>>,
    discovery: Option<DiscoveryOut<'a>>,
    settings: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct PortalOut<'a> {
    portal: String,
    target: Option<&'a str>,
    interface: Option<&'a str>,
    source: Option<String>,
}

#[derive(Serialize)]
struct ChapOut<'a> {
    username: &'a str,
    secret: &'a str,
    mutual: Option<MutualOut<'a>>,
    algorithms: Vec<&'static str>,
}

#[derive(Serialize)]
struct MutualOut<'a> {
    username: &'a str,
    secret: &'a str,
}

#[derive(Serialize)]
struct DiscoveryOut<'a> {
    auth: Option<ChapOut<'a>>,
}

#[derive(Serialize)]
struct MapOut<'a> {
    identify: &'static str,
    defaults: &'a BTreeMap<String, String>,
    blacklist: Option<&'a [String]>,
}

// Each is taken apart to its last member: one that is added to a plan and forgotten here does not compile.

impl<'a> IscsiOut<'a> {
    fn of(iscsi: &'a Iscsi) -> Result<IscsiOut<'a>> {
        let Iscsi {
            initiator,
            target,
            portals,
            min_paths,
            grace,
            lun,
            require_readonly_lun,
            auth,
            discovery,
            settings,
        } = iscsi;
        let portal = |TargetPortal { portal, target, interface, source }: &'a TargetPortal| PortalOut {
            portal: portal.to_string(),
            target: target.as_deref(),
            interface: interface.as_deref(),
            source: source.map(|source| source.to_string()),
        };
        Ok(IscsiOut {
            initiator: initiator.as_deref(),
            target,
            portals: portals.iter().map(portal).collect(),
            min_paths: *min_paths,
            grace: *grace,
            lun: *lun,
            require_readonly_lun: *require_readonly_lun,
            auth: auth.as_ref().map(ChapOut::of).transpose()?,
            discovery: discovery.as_ref().map(DiscoveryOut::of).transpose()?,
            settings: settings.members(),
        })
    }
}

impl<'a> ChapOut<'a> {
    fn of(chap: &'a Chap) -> Result<ChapOut<'a>> {
        let Chap { username, secret, mutual, algorithms } = chap;
        let mutual = mutual
            .as_ref()
            .map(|Mutual { username, secret }| text(secret).map(|secret| MutualOut { username, secret }));
        Ok(ChapOut {
            username,
            secret: text(secret)?,
            mutual: mutual.transpose()?,
            algorithms: algorithms.iter().map(|algorithm| algorithm_name(*algorithm)).collect(),
        })
    }
}

impl<'a> DiscoveryOut<'a> {
    fn of(Discovery { auth }: &'a Discovery) -> Result<DiscoveryOut<'a>> {
        Ok(DiscoveryOut { auth: auth.as_ref().map(ChapOut::of).transpose()? })
    }
}

impl<'a> MapOut<'a> {
    fn of(Map { identify, defaults, blacklist }: &'a Map) -> MapOut<'a> {
        let identify = match identify {
            Identify::Wwid => "wwid",
            Identify::LuksUuid => "luks-uuid",
        };
        MapOut { identify, defaults, blacklist: blacklist.as_deref() }
    }
}

fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Md5 => "MD5",
        Algorithm::Sha1 => "SHA1",
        Algorithm::Sha256 => "SHA256",
        Algorithm::Sha3_256 => "SHA3-256",
    }
}

/// Secrets of plans and kernel parameters are text.
fn text(secret: &Secret) -> Result<&str> {
    // The error would tell how many good bytes there are.
    std::str::from_utf8(secret.expose())
        .map_err(|_| Error::new(Code::PlanInvalid, "a secret").because("it is not UTF-8"))
}

/// A request to keep what is part of a plan.
///
/// # Errors
/// [`Code::PlanInvalid`]: it cannot be written down.
pub fn keep(iscsi: &Iscsi, map: Option<&Map>, initiator: &str) -> Result<Zeroizing<Vec<u8>>> {
    let plan = PlanOut { iscsi: IscsiOut::of(iscsi)?, map: map.map(MapOut::of), initiator };
    encode(&Out::Keep(Box::new(plan)))
}

/// A request without anything secret.
///
/// # Errors
/// Never, for these.
pub fn plain(request: &Request) -> Result<Zeroizing<Vec<u8>>> {
    match request {
        Request::Keep(plan) => keep(&plan.iscsi, plan.map.as_ref(), &plan.initiator),
        Request::Forget => encode(&Out::Forget),
        Request::Status => encode(&Out::Status),
        Request::Ending => encode(&Out::Ending),
        Request::End => encode(&Out::End),
    }
}

fn encode(out: &Out<'_>) -> Result<Zeroizing<Vec<u8>>> {
    // All of it at once: a buffer that grows leaves copies behind that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_REQUEST));
    serde_json::to_writer(&mut *bytes, out).context(Code::PlanInvalid, "request to the keeper")?;
    if bytes.len() > LONGEST_REQUEST {
        return Err(Error::new(Code::PlanInvalid, "request to the keeper").because("it is too long"));
    }
    Ok(bytes)
}

/// Reads a request.
///
/// # Errors
/// [`Code::PlanInvalid`]: it is none. The message says where, and quotes nothing.
pub fn request(bytes: &[u8]) -> Result<Request> {
    serde_json::from_slice(bytes).map_err(|error| {
        let cause = format!("line {}, column {}", error.line(), error.column());
        Error::new(Code::PlanInvalid, "request to the keeper").because(cause)
    })
}

/// An answer as bytes.
pub fn answer(answer: &Answer) -> Vec<u8> {
    // Maps with keys that are no text alone cannot be written, and there are none.
    serde_json::to_vec(answer).unwrap_or_default()
}

/// Reads an answer.
///
/// # Errors
/// [`Code::Keeper`]: it is none.
pub fn read_answer(bytes: &[u8]) -> Result<Answer> {
    serde_json::from_slice(bytes).context(Code::Keeper, "answer of the keeper")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn plan() -> Vec<u8> {
        let chap = json!({
            "username": "me", "secret": "0123456789abcdef", "algorithms": ["SHA3-256", "MD5", "SHA1", "SHA256"],
            "mutual": { "username": "it", "secret": "fedcba9876543210" }
        });
        let keep = json!({ "keep": {
            "iscsi": {
                "initiator": null, "target": "iqn.2026-01.example:image",
                "portals": [
                    { "portal": "198.18.0.1:3260", "target": null, "interface": null, "source": null },
                    { "portal": "[fe80::1%eth0]:3261", "target": "iqn.2026-01.example:b", "interface": "eth0",
                      "source": "fe80::2" },
                ],
                "min_paths": 2, "grace": 7, "lun": 3, "require_readonly_lun": true, "auth": chap, "discovery": { "auth": chap },
                "settings": { "preset": "multipath", "node.session.cmds_max": "64" }
            },
            "map": { "identify": "luks-uuid", "defaults": { "no_path_retry": "6" }, "blacklist": ["^zram"] },
            "initiator": "iqn.2026-01.example:node1"
        } });
        serde_json::to_vec(&keep).unwrap()
    }

    #[test]
    fn what_is_to_be_kept_comes_over_whole() {
        let Request::Keep(first) = request(&plan()).unwrap() else { panic!("another request") };
        let written = keep(&first.iscsi, first.map.as_ref(), &first.initiator).unwrap();
        let (one, other): (serde_json::Value, serde_json::Value) =
            (serde_json::from_slice(&plan()).unwrap(), serde_json::from_slice(&written).unwrap());
        assert_eq!(one, other);
        assert_eq!(first.iscsi.auth.unwrap().secret.expose(), b"0123456789abcdef");
    }

    #[test]
    fn plain_requests_and_answers() {
        for (of, text) in [
            (Request::Forget, "forget"),
            (Request::Status, "status"),
            (Request::Ending, "ending"),
            (Request::End, "end"),
        ] {
            let bytes = plain(&of).unwrap();
            assert_eq!(*bytes, format!("\"{text}\"").into_bytes());
            assert!(request(&bytes).is_ok());
        }
        for of in [Answer::Journal(Box::default()), Answer::Refused("why".into())] {
            assert_eq!(read_answer(&answer(&of)).unwrap(), of);
        }
        assert!(request(b"\"stop\"").is_err());
    }

    #[test]
    fn what_is_wrong_with_a_request_is_told_without_its_text() {
        let plan = String::from_utf8(plan())
            .unwrap()
            .replace("\"secret\":\"0123456789abcdef\"", "\"secret\":12345678");
        let error = request(plan.as_bytes()).map(|_| ()).unwrap_err();
        assert!(!error.to_string().contains("12345678"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..1000, byte: u8) {
            let _ = request(&bytes);
            let _ = read_answer(&bytes);
            let mut plan = plan();
            if let Some(there) = plan.get_mut(at) {
                *there = byte;
            }
            let _ = request(&plan);
        }
    }
}
