//! The hash functions a LUKS header may name.

use hmac::{EagerHash, Hmac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use zeroize::{Zeroize, Zeroizing};

/// The longest output, in bytes.
pub const LONGEST: usize = 64;

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// The function called `name` in a header.
    ///
    /// # Errors
    /// What to say of one that is not supported.
    pub fn from_name(name: &str) -> Result<Hash, String> {
        match name {
            "sha1" => Ok(Hash::Sha1),
            "sha256" => Ok(Hash::Sha256),
            "sha512" => Ok(Hash::Sha512),
            other => Err(format!("hash {other:?}")),
        }
    }

    /// The output's size in bytes.
    pub fn size(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
            Hash::Sha512 => 64,
        }
    }

    /// The hash of `parts`, one after the other: [`Hash::size`] bytes.
    pub fn of(self, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        fn hash<D: Digest>(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
            let mut state = D::new();
            for part in parts {
                state.update(part);
            }
            let mut output = state.finalize();
            let copy = Zeroizing::new(output.to_vec());
            output.as_mut_slice().zeroize();
            copy
        }
        match self {
            Hash::Sha1 => hash::<Sha1>(parts),
            Hash::Sha256 => hash::<Sha256>(parts),
            Hash::Sha512 => hash::<Sha512>(parts),
        }
    }

    /// PBKDF2 with HMAC of this hash (RFC 8018, 5.2), which fills `out`.
    pub fn pbkdf2(self, secret: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) {
        fn derive<D: EagerHash>(secret: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) {
            // Fails only for a length that HMAC does not take, and it takes every length.
            let _ = pbkdf2::pbkdf2::<Hmac<D>>(secret, salt, iterations, out);
        }
        match self {
            Hash::Sha1 => derive::<Sha1>(secret, salt, iterations, out),
            Hash::Sha256 => derive::<Sha256>(secret, salt, iterations, out),
            Hash::Sha512 => derive::<Sha512>(secret, salt, iterations, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pbkdf2_gives_what_rfc_6070_says() {
        let mut out = [0u8; 20];
        Hash::Sha1.pbkdf2(b"password", b"salt", 2, &mut out);
        assert_eq!(out[..6], [0xea, 0x6c, 0x01, 0x4d, 0xc7, 0x2d]);
    }

    #[test]
    fn sizes_are_those_of_the_output() {
        for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha512] {
            assert_eq!(hash.of(&[b"a", b"b"]).len(), hash.size());
            assert_eq!(hash.of(&[b"a", b"b"]), hash.of(&[b"ab"]));
        }
    }
}
