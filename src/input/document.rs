//! The boot plan document: what a node is to boot. JSON, described for its writers in `docs/plan.md`.

use std::net::SocketAddr;

use serde::Deserialize;

use super::secret::Secret;
use super::size::Size;
use crate::error::{Code, Error, Result};

/// The boot plan of one node.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// `MAJOR.MINOR`; this agent knows major version 1.
    pub version: String,
    /// The node's name, for /etc/hostname of the new root.
    pub hostname: String,
    /// Where the disk is.
    pub iscsi: Iscsi,
    /// How it is opened.
    pub luks: Luks,
    /// What is mounted.
    pub overlay: Overlay,
}

impl Document {
    /// Parses and checks a boot plan.
    ///
    /// # Errors
    /// [`Code::PlanVersion`] for a version that this agent does not know, [`Code::PlanInvalid`] with the place for
    /// all else. No message quotes a value that may be secret.
    pub fn parse(text: &[u8]) -> Result<Document> {
        // The version first: what an unknown version looks like beyond it is not for us to judge.
        let AnyVersion { version } =
            serde_json::from_slice(text).map_err(|error| invalid("boot plan", error))?;
        if version.split_once('.').is_none_or(|(major, minor)| major != "1" || minor.parse::<u32>().is_err())
        {
            return Err(Error::new(Code::PlanVersion, format!("version {version:?}")));
        }
        let document: Document = serde_json::from_slice(text).map_err(|error| invalid("boot plan", error))?;
        document.check()?;
        Ok(document)
    }

    /// What the types alone cannot say.
    fn check(&self) -> Result<()> {
        if !is_hostname(&self.hostname) {
            return Err(invalid("hostname", "not a host name: letters, digits, `-` and `.`, 64 at most"));
        }
        for (place, name) in
            [("iscsi.initiator", &self.iscsi.initiator), ("iscsi.target", &self.iscsi.target)]
        {
            if !is_iscsi_name(name) {
                return Err(invalid(place, "not an iSCSI name: iqn.YYYY-MM.DOMAIN[:ID], eui.… or naa.…"));
            }
        }
        if self.iscsi.portals.len() != 1 {
            return Err(invalid("iscsi.portals", "must be one portal; several are not supported yet"));
        }
        if let Some(auth) = &self.iscsi.auth {
            for (place, text) in [
                ("iscsi.auth.username", auth.username.as_bytes()),
                ("iscsi.auth.secret", auth.secret.expose()),
            ] {
                // They are lines of configuration files too.
                if text.is_empty() || text.len() > 255 || text.iter().any(u8::is_ascii_control) {
                    return Err(invalid(place, "1 to 255 characters, none of them a control character"));
                }
            }
        }
        if !is_map_name(&self.luks.name) {
            return Err(invalid("luks.name", "letters, digits, `.`, `_` and `-`, 100 at most"));
        }
        self.overlay.check()
    }
}

fn invalid(place: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Code::PlanInvalid, place).because(cause)
}

/// The part of a boot plan that is the same in all versions.
#[derive(Deserialize)]
struct AnyVersion {
    version: String,
}

/// RFC 1123, and the kernel's limit.
fn is_hostname(name: &str) -> bool {
    name.len() <= 64
        && name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

/// RFC 7143 section 4.2.7: 223 bytes at most; what stringprep forbids is left to the target.
fn is_iscsi_name(name: &str) -> bool {
    let known = ["iqn.", "eui.", "naa."].iter().any(|kind| name.len() > kind.len() && name.starts_with(kind));
    known && name.len() <= 223 && !name.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Below the kernel's 127 bytes, so that the number of a partition fits behind it.
fn is_map_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.bytes().all(plain)
}

/// The iSCSI disk.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Iscsi {
    /// This node's initiator name, its own alone.
    pub initiator: String,
    /// The target's name.
    pub target: String,
    /// `ADDRESS:PORT`, `[ADDRESS]:PORT` for IPv6. One, so far.
    pub portals: Vec<SocketAddr>,
    /// The LUN.
    #[serde(default)]
    pub lun: u64,
    /// The account at the target; none: no authentication.
    pub auth: Option<Chap>,
}

/// A CHAP account.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chap {
    /// The account's name.
    pub username: String,
    /// The account's secret.
    pub secret: Secret,
}

/// The encryption of the disk.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Luks {
    /// The map's name below /dev/mapper; its partitions are called NAME1, NAME2, ...
    #[serde(default = "luks_root")]
    pub name: String,
    /// Where the key is.
    pub key: KeySource,
}

fn luks_root() -> String {
    "luks_root".into()
}

/// Where a key is; its bytes are taken as they are, a newline at the end included.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum KeySource {
    /// A file in the initramfs.
    File(String),
    /// An HTTP URL.
    Url(String),
}

/// The writable layer and what is mounted under it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// The size of the writable layer: bytes (`"2147483648"`, `"2G"`) or a share of the memory (`"50%"`).
    #[serde(default = "half")]
    pub size: Size,
    /// The mount points, in any order; one must be `/`.
    pub mounts: Vec<Mount>,
}

fn half() -> Size {
    Size::OfMemory(50)
}

impl Overlay {
    fn check(&self) -> Result<()> {
        for (i, mount) in self.mounts.iter().enumerate() {
            let place = format!("overlay.mounts[{i}]");
            if !is_mount_point(&mount.at) {
                return Err(invalid(&place, "`at` is not a plain absolute path"));
            }
            if self.mounts.iter().take(i).any(|other| other.at == mount.at) {
                return Err(invalid(&place, format!("{} is mounted twice", mount.at)));
            }
            if !mount.lower.strip_prefix("/dev/mapper/").is_some_and(is_map_name) {
                return Err(invalid(&place, "`lower` is not a volume of the image, /dev/mapper/NAME"));
            }
        }
        if !self.mounts.iter().any(|mount| mount.at == "/") {
            return Err(invalid("overlay.mounts", "nothing is mounted at /"));
        }
        Ok(())
    }
}

/// `/`, or an absolute path without `.`, `..`, empty parts or what mount options and mountinfo would have to quote.
fn is_mount_point(path: &str) -> bool {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    path == "/" || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain))
}

/// One overlay.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Where in the new root.
    pub at: String,
    /// The read-only device below: `/dev/mapper/luks_root1`.
    pub lower: String,
    /// Its file system; none: found out.
    pub fs: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn good() -> Value {
        json!({
            "version": "1.0",
            "hostname": "node1",
            "iscsi": {
                "initiator": "iqn.2026-01.org.example:node1",
                "target": "iqn.2026-01.org.example:image",
                "portals": ["198.18.0.1:3260"],
                "lun": 1,
                "auth": { "username": "node", "secret": "0123456789abcdef" }
            },
            "luks": { "key": { "file": "/etc/diskless/image.key" } },
            "overlay": { "mounts": [{ "at": "/", "lower": "/dev/mapper/luks_root1", "fs": "ext4" }] }
        })
    }

    fn parse(value: &Value) -> Result<Document> {
        Document::parse(value.to_string().as_bytes())
    }

    #[test]
    fn a_plan_and_its_defaults() {
        let document = parse(&good()).unwrap();
        assert_eq!(document.luks.name, "luks_root");
        assert_eq!(document.overlay.size, Size::OfMemory(50));
        assert_eq!(document.iscsi.portals, ["198.18.0.1:3260".parse().unwrap()]);
        assert_eq!(document.iscsi.auth.unwrap().secret.expose(), b"0123456789abcdef");
    }

    #[test]
    fn each_fault_is_refused_with_its_place() {
        let mount = |at: &str, lower: &str| json!([{ "at": at, "lower": lower }]);
        let cases: &[(&str, Value, Code, &str)] = &[
            ("/version", json!("2.0"), Code::PlanVersion, "2.0"),
            ("/version", json!("1"), Code::PlanVersion, "\"1\""),
            ("/hostname", json!("a b"), Code::PlanInvalid, "hostname"),
            ("/hostname", json!(""), Code::PlanInvalid, "hostname"),
            ("/iscsi/initiator", json!("node1"), Code::PlanInvalid, "iscsi.initiator"),
            ("/iscsi/target", json!("iqn.2026-01.a b"), Code::PlanInvalid, "iscsi.target"),
            ("/iscsi/portals", json!([]), Code::PlanInvalid, "iscsi.portals"),
            ("/iscsi/portals", json!(["node:3260"]), Code::PlanInvalid, "socket address"),
            ("/iscsi/lun", json!(-1), Code::PlanInvalid, "-1"),
            ("/iscsi/auth/username", json!("a\nb"), Code::PlanInvalid, "iscsi.auth.username"),
            ("/iscsi/auth/secret", json!(""), Code::PlanInvalid, "iscsi.auth.secret"),
            ("/luks/name", json!("a/b"), Code::PlanInvalid, "luks.name"),
            ("/luks/key", json!({ "path": "/k" }), Code::PlanInvalid, "path"),
            ("/overlay/size", json!("x"), Code::PlanInvalid, "not a size"),
            ("/overlay/mounts", mount("/var", "/dev/mapper/a"), Code::PlanInvalid, "nothing is mounted at /"),
            ("/overlay/mounts", mount("/../x", "/dev/mapper/a"), Code::PlanInvalid, "overlay.mounts[0]"),
            ("/overlay/mounts", mount("/", "/dev/sda1"), Code::PlanInvalid, "overlay.mounts[0]"),
            ("/overlay", json!({ "mounts": [], "sise": "1G" }), Code::PlanInvalid, "sise"),
        ];
        for (pointer, value, code, says) in cases {
            let mut plan = good();
            *plan.pointer_mut(pointer).unwrap_or(&mut Value::Null) = value.clone();
            if let ("/luks/name", Some(luks)) = (*pointer, plan.get_mut("luks")) {
                luks["name"] = value.clone();
            }
            if let ("/overlay/size", Some(overlay)) = (*pointer, plan.get_mut("overlay")) {
                overlay["size"] = value.clone();
            }
            let error = parse(&plan).err().unwrap_or_else(|| panic!("{pointer} {value} passed"));
            assert_eq!(error.code(), *code, "{pointer} {value}: {error}");
            assert!(error.to_string().contains(says), "{pointer} {value}: {error}");
        }
    }

    #[test]
    fn messages_do_not_quote_secrets() {
        let mut plan = good();
        plan["iscsi"]["auth"]["secret"] = json!(["0123456789abcdef"]);
        let error = parse(&plan).err().unwrap().to_string();
        assert!(!error.contains("0123456789abcdef"), "{error}");
        plan["iscsi"]["auth"]["secret"] = json!(123456789012u64);
        let error = parse(&plan).err().unwrap().to_string();
        assert!(!error.contains("123456789012"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_plan_or_an_error(text: Vec<u8>) {
            let _ = Document::parse(&text);
        }
    }
}
