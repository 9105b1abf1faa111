//! Opens the encrypted disk: a LUKS2 header is read, a keyslot opened with the key, a dm-crypt map made. The volume
//! key is only ever in this process and in the kernel's keyring.

pub mod af;
pub mod cipher;
#[cfg(test)]
mod fixture;
pub mod hash;
pub mod header;
mod json;
pub mod kdf;
pub mod keyslot;
pub mod metadata;

pub use json::Size;
pub use keyslot::{Unlocked, Volume, open_volume};
