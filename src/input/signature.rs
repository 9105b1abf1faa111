//! Detached Ed25519 signatures, in the formats of minisign and of OpenBSD's signify. Pure.
//!
//! Both keep a key or a signature as a line of comment and a line of base64. The bytes of the second line begin with two
//! letters for the algorithm and eight bytes that name the key; a signature of minisign has two lines more, a comment that
//! is signed too and the signature over it (<https://jedisct1.github.io/minisign/#signature-format>, signify(1) and its
//! source `signify.c`).

mod secret_key;

pub use secret_key::SecretKey;

use std::fmt;

use base64ct::{Base64, Encoding};
use blake2::{Blake2b512, Digest};
use ring::signature::{ED25519, UnparsedPublicKey};

/// No file of a key or signature is longer, in bytes.
pub const LONGEST: u64 = 4096;
/// What stands behind the name of a plan in that of its signature, in the order in which they are looked for.
pub const ENDINGS: [&str; 2] = [".minisig", ".sig"];

/// Ed25519 over the message itself; of keys, too.
const PLAIN: [u8; 2] = *b"Ed";
/// Ed25519 over the message's BLAKE2b-512, minisign's own.
const PREHASHED: [u8; 2] = *b"ED";
const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";

/// The name of a key: random bytes, as minisign shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

/// A public key of either program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name.
    pub id: KeyId,
    key: [u8; 32],
}

impl PublicKey {
    /// The key in the text of a file `*.pub`, or its line of base64 alone.
    ///
    /// # Errors
    /// Why it is none, for people.
    pub fn parse(text: &[u8]) -> Result<PublicKey, &'static str> {
        let mut lines = lines(text)?.filter(|line| !line.starts_with(UNTRUSTED));
        let line = lines.next().ok_or("there is no key in it")?;
        if lines.next().is_some() {
            return Err("there is more than one key in it");
        }
        let bytes: [u8; 42] = decode(line).ok_or("not a public key of minisign or signify")?;
        let (algorithm, id, key) = split(&bytes).ok_or("not a public key of minisign or signify")?;
        if algorithm != PLAIN {
            return Err("not a key of Ed25519");
        }
        Ok(PublicKey { id, key })
    }

    /// The text of its file.
    pub fn text(&self) -> String {
        let mut bytes = Vec::from(PLAIN);
        bytes.extend(self.id.0);
        bytes.extend(self.key);
        format!("{UNTRUSTED}minisign public key {}\n{}\n", self.id, Base64::encode_string(&bytes))
    }
}

/// A signature of either program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The name of the key that it says it is by.
    pub id: KeyId,
    prehashed: bool,
    signature: [u8; 64],
    /// minisign's comment, with the signature over it.
    comment: Option<(String, [u8; 64])>,
}

/// Why a signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// It is of other bytes, or of another key.
    Signature,
    /// The text is signed, and the trusted comment is another one.
    Comment,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wrong::Signature => "the signature is not one of these bytes",
            Wrong::Comment => "the signature's trusted comment was changed",
        })
    }
}

impl std::error::Error for Wrong {}

impl Signature {
    /// The signature in the text of a file `*.minisig` or `*.sig`.
    ///
    /// # Errors
    /// Why it is none, for people.
    pub fn parse(text: &[u8]) -> Result<Signature, &'static str> {
        let none = "not a signature of minisign or signify";
        let lines: Vec<&str> = lines(text)?.take(5).collect();
        let (line, trusted) = match lines.as_slice() {
            [comment, line] if comment.starts_with(UNTRUSTED) => (line, None),
            [comment, line, trusted, global] if comment.starts_with(UNTRUSTED) => {
                (line, Some((trusted.strip_prefix(TRUSTED).ok_or(none)?, global)))
            }
            _ => return Err(none),
        };
        let bytes: [u8; 74] = decode(line).ok_or(none)?;
        let (algorithm, id, signature) = split(&bytes).ok_or(none)?;
        let comment = match trusted {
            Some((comment, global)) => Some((comment.to_owned(), decode(global).ok_or(none)?)),
            None => None,
        };
        // signify hashes nothing first, and so what it has not is not taken from it.
        let prehashed = match (algorithm, &comment) {
            (PLAIN, _) => false,
            (PREHASHED, Some(_)) => true,
            _ => return Err("not a signature by Ed25519"),
        };
        Ok(Signature { id, prehashed, signature, comment })
    }

    /// What the signer says beside, signed with the text; none: signify has no such thing.
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_ref().map(|(comment, _)| comment.as_str())
    }

    /// Whether `key` has signed `message` so.
    ///
    /// # Errors
    /// It has not.
    pub fn verify(&self, key: &PublicKey, message: &[u8]) -> Result<(), Wrong> {
        let public = UnparsedPublicKey::new(&ED25519, key.key);
        let of_text = match self.prehashed {
            true => public.verify(&Blake2b512::digest(message), &self.signature),
            false => public.verify(message, &self.signature),
        };
        of_text.map_err(|_| Wrong::Signature)?;
        let Some((comment, global)) = &self.comment else { return Ok(()) };
        public.verify(&commented(&self.signature, comment), global).map_err(|_| Wrong::Comment)
    }
}

/// What minisign signs of a trusted comment.
fn commented(signature: &[u8; 64], comment: &str) -> Vec<u8> {
    [signature.as_slice(), comment.as_bytes()].concat()
}

/// The lines of `text` that have something on them.
fn lines(text: &[u8]) -> Result<impl Iterator<Item = &str>, &'static str> {
    if text.len() as u64 > LONGEST {
        return Err("longer than 4096 bytes");
    }
    let text = std::str::from_utf8(text).map_err(|_| "not a text")?;
    Ok(text.lines().filter(|line| !line.is_empty()))
}

/// Base64 of `N` bytes, with its padding.
fn decode<const N: usize>(line: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let decoded = Base64::decode(line, &mut bytes).ok()?.len();
    (decoded == N).then_some(bytes)
}

/// Algorithm, name and the `N` bytes behind them; none where there are not so many.
fn split<const N: usize>(bytes: &[u8]) -> Option<([u8; 2], KeyId, [u8; N])> {
    let (algorithm, rest) = bytes.split_first_chunk()?;
    let (id, rest) = rest.split_first_chunk()?;
    Some((*algorithm, KeyId(*id), rest.try_into().ok()?))
}

#[cfg(test)]
mod tests;
