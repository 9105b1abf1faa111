//! Secrets: wiped when dropped, and with no way to print or serialize them.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A password or key. It has neither `Debug`, `Display` nor `Serialize`, so that no log, state file or report can
/// hold it: that would not compile.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; they are wiped when the secret is dropped.
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(Zeroizing::new(bytes))
    }

    /// The bytes. Keep what is made of them in a `Zeroizing` too.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        // The parser's own message would quote a value of the wrong type.
        String::deserialize(deserializer)
            .map(|text| Secret::new(text.into_bytes()))
            .map_err(|_| D::Error::custom("a secret must be a string"))
    }
}
