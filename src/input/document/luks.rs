//! How the disk is opened.

use serde::Deserialize;

/// No key has more bytes: cryptsetup's own limit for key files.
pub const LONGEST_KEY: u64 = 8 << 20;

/// The encryption of the disk.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Luks {
    /// The map's name below /dev/mapper; its partitions are called NAME1, NAME2, ...
    #[serde(default = "luks_root")]
    pub name: String,
    /// Where the key is.
    pub key: KeySource,
    /// Bytes of the key's source that come before the key.
    #[serde(default)]
    pub key_offset: u64,
    /// Bytes of the key; none: all there are.
    pub key_size: Option<u64>,
    /// The keyslot that the key is for; none: all are tried.
    pub keyslot: Option<u32>,
    /// Where the LUKS header is; none: on the disk.
    pub header: Option<Header>,
    /// The UUID that the LUKS header must have; none: any.
    pub uuid: Option<String>,
}

fn luks_root() -> String {
    "luks_root".into()
}

/// Where a key is; its bytes are taken as they are, a newline at the end included.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum KeySource {
    /// A file in the initramfs.
    File(String),
    /// An HTTP(S) URL.
    Url(String),
}

/// Where a detached LUKS header is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Header {
    /// A file in the initramfs.
    File(String),
    /// An HTTP(S) URL.
    Url(String),
}
