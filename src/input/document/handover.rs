//! What the new root is told.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::input::secret::Secret;
use crate::input::ssh_key::Kind;

/// What is written into the new root beyond what the boot itself makes necessary.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Handover {
    /// Units of the image to enable, `multipathd` or `multipathd.service`, beside those that take over from the agent.
    pub services: Vec<String>,
    /// Files to write.
    pub files: Vec<File>,
    /// The boot stops where the new root lacks the modules of the running kernel; without it there is a warning.
    pub require_modules: bool,
    /// The node's SSH host keys, by their type; none: one is made at each boot.
    pub ssh_host_keys: HostKeys,
}

/// SSH host keys of a node, one of each type at the most.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct HostKeys {
    /// That of Ed25519.
    pub ed25519: Option<HostKey>,
    /// That of ECDSA.
    pub ecdsa: Option<HostKey>,
    /// That of RSA.
    pub rsa: Option<HostKey>,
}

impl HostKeys {
    /// Those there are, by their type.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &HostKey)> {
        let all = [(Kind::Ed25519, &self.ed25519), (Kind::Ecdsa, &self.ecdsa), (Kind::Rsa, &self.rsa)];
        all.into_iter().filter_map(|(kind, key)| Some((kind, key.as_ref()?)))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// Where a private SSH host key is, in OpenSSH's own format and without a passphrase.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum HostKey {
    /// Here: this is its text.
    Secret(#[cfg_attr(test, schemars(with = "String"))] Secret),
    /// A file in the initramfs.
    File(String),
    /// An HTTP(S) URL.
    Url(String),
}

/// A file of the new root.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Absolute, in the new root.
    pub path: String,
    /// Its permissions, `"0640"`.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "String"))]
    pub mode: Mode,
    /// Its text.
    #[cfg_attr(test, schemars(with = "String"))]
    pub content: Secret,
}

/// Permissions of a file, 0 to 0o7777; written in octal, `"0640"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Default for Mode {
    fn default() -> Mode {
        Mode(0o644)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mode, D::Error> {
        let text = String::deserialize(deserializer)?;
        match u32::from_str_radix(&text, 8) {
            Ok(mode @ 0..=0o7777) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Mode(mode)),
            _ => Err(D::Error::custom(format!("{text:?} are no permissions like \"0644\""))),
        }
    }
}
