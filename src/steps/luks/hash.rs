//! The hash functions a LUKS header may name.

use hmac::{EagerHash, Hmac};
use ripemd::Ripemd160;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use zeroize::{Zeroize, Zeroizing};

/// The longest output, in bytes.
pub const LONGEST: usize = 64;

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// RIPEMD-160.
    Ripemd160,
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// All of them.
    pub const ALL: [Hash; 6] =
        [Hash::Ripemd160, Hash::Sha1, Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512];

    /// The name, as headers have it.
    pub fn name(self) -> &'static str {
        match self {
            Hash::Ripemd160 => "ripemd160",
            Hash::Sha1 => "sha1",
            Hash::Sha224 => "sha224",
            Hash::Sha256 => "sha256",
            Hash::Sha384 => "sha384",
            Hash::Sha512 => "sha512",
        }
    }

    /// The function called `name` in a header.
    ///
    /// # Errors
    /// What to say of one that is not supported.
    pub fn from_name(name: &str) -> Result<Hash, String> {
        let known = Hash::ALL.into_iter().find(|hash| hash.name() == name);
        known.ok_or_else(|| format!("hash {name:?}"))
    }

    /// The output's size in bytes.
    pub fn size(self) -> usize {
        match self {
            Hash::Ripemd160 | Hash::Sha1 => 20,
            Hash::Sha224 => 28,
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
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
            Hash::Ripemd160 => hash::<Ripemd160>(parts),
            Hash::Sha1 => hash::<Sha1>(parts),
            Hash::Sha224 => hash::<Sha224>(parts),
            Hash::Sha256 => hash::<Sha256>(parts),
            Hash::Sha384 => hash::<Sha384>(parts),
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
            Hash::Ripemd160 => derive::<Ripemd160>(secret, salt, iterations, out),
            Hash::Sha1 => derive::<Sha1>(secret, salt, iterations, out),
            Hash::Sha224 => derive::<Sha224>(secret, salt, iterations, out),
            Hash::Sha256 => derive::<Sha256>(secret, salt, iterations, out),
            Hash::Sha384 => derive::<Sha384>(secret, salt, iterations, out),
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
    fn hashes_are_those_of_their_name() {
        // The first bytes of the hash of "abc", from the standards.
        for (hash, first) in [
            (Hash::Ripemd160, [0x8e, 0xb2, 0x08, 0xf7]),
            (Hash::Sha1, [0xa9, 0x99, 0x3e, 0x36]),
            (Hash::Sha224, [0x23, 0x09, 0x7d, 0x22]),
            (Hash::Sha256, [0xba, 0x78, 0x16, 0xbf]),
            (Hash::Sha384, [0xcb, 0x00, 0x75, 0x3f]),
            (Hash::Sha512, [0xdd, 0xaf, 0x35, 0xa1]),
        ] {
            assert_eq!(hash.of(&[b"abc"])[..4], first, "{}", hash.name());
        }
        assert_eq!(Hash::from_name("whirlpool"), Err("hash \"whirlpool\"".into()));
    }

    #[test]
    fn sizes_are_those_of_the_output() {
        for hash in Hash::ALL {
            assert_eq!(Hash::from_name(hash.name()), Ok(hash));
            assert_eq!(hash.of(&[b"a", b"b"]).len(), hash.size());
            assert_eq!(hash.of(&[b"a", b"b"]), hash.of(&[b"ab"]));
        }
    }
}
