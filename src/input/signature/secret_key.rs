//! Secret keys of minisign that no password protects, and signing with them.
//!
//! In a file of minisign's the line of base64 holds: two letters each for the signature's, the password's and the check
//! sum's algorithm; salt (32 bytes) and two limits (8 bytes each) of the password's; and, hidden by the password if there is
//! one, the key's name (8), the seed (32) with the public key (32), and a BLAKE2b-256 over algorithm, name and keys. Where no
//! password is, minisign leaves the sum 0.

use base64ct::{Base64, Encoding};
use blake2::digest::consts::U32;
use blake2::{Blake2b, Blake2b512, Digest};
use ring::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use super::{KeyId, PLAIN, PREHASHED, PublicKey, TRUSTED, UNTRUSTED, commented, lines};

/// The password's algorithm where there is none.
const NO_PASSWORD: [u8; 2] = [0, 0];
/// BLAKE2b
const SUM: [u8; 2] = *b"B2";
const NOT_A_KEY: &str = "not a secret key of minisign";

/// A key to sign with. It has no `Debug`.
pub struct SecretKey {
    id: KeyId,
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

impl SecretKey {
    /// A key of these random bytes.
    ///
    /// # Errors
    /// ring refuses the seed.
    pub fn new(id: [u8; 8], seed: Zeroizing<[u8; 32]>) -> Result<SecretKey, &'static str> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| NOT_A_KEY)?;
        Ok(SecretKey { id: KeyId(id), seed, pair })
    }

    /// The key in the text of a file, as `minisign -G -W` makes it.
    ///
    /// # Errors
    /// Why it cannot be used, for people.
    pub fn parse(text: &[u8]) -> Result<SecretKey, &'static str> {
        let line = lines(text)?.find(|line| !line.starts_with(UNTRUSTED)).ok_or(NOT_A_KEY)?;
        let mut bytes = Zeroizing::new([0; 158]);
        let decoded = Base64::decode(line, bytes.as_mut_slice()).map_err(|_| NOT_A_KEY)?.len();
        if decoded != bytes.len() {
            return Err(NOT_A_KEY);
        }
        let part = |from: usize, length: usize| bytes.get(from..from + length).unwrap_or_default();
        if part(0, 2) != PLAIN || part(4, 2) != SUM {
            return Err(NOT_A_KEY);
        }
        if part(2, 2) != NO_PASSWORD {
            return Err(
                "a password protects it: `minisign -C -W -s KEY` takes the password off a copy, or let \
                        `minisign -S -s KEY -m PLAN` sign",
            );
        }
        let (id, seed, public, sum) = (part(54, 8), part(62, 32), part(94, 32), part(126, 32));
        let right = Blake2b::<U32>::new().chain_update(PLAIN).chain_update(part(54, 72)).finalize();
        if sum != right.as_slice() && sum.iter().any(|byte| *byte != 0) {
            return Err("it is damaged: its check sum is wrong");
        }
        let id = id.try_into().map_err(|_| NOT_A_KEY)?;
        let seed = Zeroizing::new(seed.try_into().map_err(|_| NOT_A_KEY)?);
        let key = SecretKey::new(id, seed)?;
        if key.pair.public_key().as_ref() != public {
            return Err("it is damaged: its two halves do not belong together");
        }
        Ok(key)
    }

    /// The public half.
    ///
    /// # Errors
    /// ring has one of another length.
    pub fn public(&self) -> Result<PublicKey, &'static str> {
        let key = self.pair.public_key().as_ref().try_into().map_err(|_| NOT_A_KEY)?;
        Ok(PublicKey { id: self.id, key })
    }

    /// The text of its file.
    pub fn text(&self) -> Zeroizing<String> {
        // Made as long as it gets: a vector that grows leaves copies.
        let mut bytes = Zeroizing::new(Vec::with_capacity(158));
        bytes.extend([PLAIN, NO_PASSWORD, SUM].concat());
        bytes.extend([0; 48]);
        bytes.extend(self.id.0);
        bytes.extend(self.seed.as_slice());
        bytes.extend(self.pair.public_key().as_ref());
        let signed = bytes.get(54..).unwrap_or_default();
        let sum = Blake2b::<U32>::new().chain_update(PLAIN).chain_update(signed).finalize();
        bytes.extend(sum.as_slice());
        let line = Zeroizing::new(Base64::encode_string(&bytes));
        Zeroizing::new(format!("{UNTRUSTED}secret key of diskless plans\n{}\n", line.as_str()))
    }

    /// The text of a signature of `message`, in minisign's prehashed form; `comment` is signed with it. What of `comment`
    /// would end its line becomes a blank.
    pub fn sign(&self, message: &[u8], comment: &str) -> String {
        let comment: String = comment.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut bytes = Vec::from(PREHASHED);
        bytes.extend(self.id.0);
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(&Blake2b512::digest(message)).as_ref());
        bytes.extend(signature);
        let global = self.pair.sign(&commented(&signature, &comment));
        format!(
            "{UNTRUSTED}signature of a diskless plan\n{}\n{TRUSTED}{comment}\n{}\n",
            Base64::encode_string(&bytes),
            Base64::encode_string(global.as_ref())
        )
    }
}
