//! Who may log in to the initramfs.

use serde::Deserialize;

/// More keys than this are a mistake; sshd tries each.
pub const MOST_KEYS: usize = 256;

/// By what operators log in while the node is in its initramfs.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// Public keys of operators, each as in its file `.pub`: `TYPE BASE64 COMMENT`.
    pub authorized_keys: Vec<String>,
}
