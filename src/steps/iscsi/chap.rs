//! CHAP, the side that proves who it is (RFC 1994; RFC 7143, section 12.1).

use std::fmt;

use base64ct::{Base64Unpadded, Encoding};
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use crate::input::secret::Secret;

/// The longest binary value (RFC 7143, section 12.1.3).
const LONGEST_CHALLENGE: usize = 1024;

/// A hash function of CHAP.
///
/// Only MD5 means the same to all targets: 7 is SHA-256 by IANA, and SHA1 for tgt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5, which every target must know.
    Md5,
}

impl Algorithm {
    /// The number in CHAP_A (IANA, "PPP Authentication Algorithms").
    pub fn number(self) -> u8 {
        match self {
            Algorithm::Md5 => 5,
        }
    }

    /// The answer to `challenge`: H(identifier | secret | challenge) (RFC 1994, section 4.1).
    pub fn respond(self, identifier: u8, secret: &Secret, challenge: &[u8]) -> Zeroizing<Vec<u8>> {
        match self {
            Algorithm::Md5 => {
                let mut hash = Md5::new();
                hash.update([identifier]);
                hash.update(secret.expose());
                hash.update(challenge);
                Zeroizing::new(hash.finalize().to_vec())
            }
        }
    }
}

/// What makes text no binary value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotBinary;

impl fmt::Display for NotBinary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a challenge that is not 1 to {LONGEST_CHALLENGE} bytes in hexadecimal or base64")
    }
}

/// Reads a binary value: hexadecimal after `0x`, base64 after `0b` (RFC 7143, section 6.1); 1 to 1024 bytes.
///
/// # Errors
/// It is none.
pub fn decode_binary(text: &str) -> Result<Vec<u8>, NotBinary> {
    let encoded = text.get(2..).ok_or(NotBinary)?;
    let bytes = match text.get(..2) {
        Some("0x" | "0X") if encoded.len() <= 2 * LONGEST_CHALLENGE => decode_hex(encoded)?,
        // 4 characters are 3 bytes.
        Some("0b" | "0B") if encoded.len() <= LONGEST_CHALLENGE.div_ceil(3) * 4 => {
            Base64Unpadded::decode_vec(encoded.trim_end_matches('=')).map_err(|_| NotBinary)?
        }
        _ => return Err(NotBinary),
    };
    if bytes.is_empty() || bytes.len() > LONGEST_CHALLENGE {
        return Err(NotBinary);
    }
    Ok(bytes)
}

fn decode_hex(digits: &str) -> Result<Vec<u8>, NotBinary> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    // An odd number of digits has a leading zero left out.
    let odd = digits.len() % 2;
    let (first, pairs) = digits.as_bytes().split_at_checked(odd).ok_or(NotBinary)?;
    first
        .iter()
        .map(|c| digit(*c))
        .chain(pairs.chunks(2).map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        }))
        .collect::<Option<Vec<u8>>>()
        .ok_or(NotBinary)
}

/// `bytes` as a binary value in hexadecimal.
pub fn encode_binary(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 + 2 * bytes.len()));
    text.push_str("0x");
    for nibble in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_answer_is_the_hash_of_identifier_secret_and_challenge() {
        // printf '\001secret-of-node\020\021\022\023' | md5sum
        let secret = Secret::new(b"secret-of-node".to_vec());
        let answer = Algorithm::Md5.respond(1, &secret, &[16, 17, 18, 19]);
        assert_eq!(*encode_binary(&answer), "0xc8a534ebdee4c8504c6c703eab44da33");
        // The same bytes as the third vector of RFC 1321, A.5: "abc".
        let answer = Algorithm::Md5.respond(b'a', &Secret::new(b"b".to_vec()), b"c");
        assert_eq!(*encode_binary(&answer), "0x900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn binary_values_are_hexadecimal_or_base64() {
        for (text, bytes) in [
            ("0x00ff10", Some(vec![0, 255, 16])),
            ("0XABC", Some(vec![0x0a, 0xbc])),
            ("0bAP8Q", Some(vec![0, 255, 16])),
            ("0bAP8=", Some(vec![0, 255])),
            ("0BAP8", Some(vec![0, 255])),
            ("0x", None),
            ("0b", None),
            ("0xgg", None),
            ("0x+1", None),
            ("0b!!!!", None),
            ("0", None),
            ("", None),
            ("\u{e9}1234", None),
            ("1234", None),
        ] {
            assert_eq!(decode_binary(text).ok(), bytes, "{text}");
        }
        assert_eq!(decode_binary(&format!("0x{}", "00".repeat(1024))).unwrap().len(), 1024);
        assert!(decode_binary(&format!("0x{}", "00".repeat(1025))).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_decoder_panic(text: String, digits in "0[xXbB][0-9a-zA-Z+/=]*") {
            let _ = decode_binary(&text);
            let _ = decode_binary(&digits);
        }

        #[test]
        fn what_is_encoded_is_decoded(bytes in proptest::collection::vec(any::<u8>(), 1..64)) {
            prop_assert_eq!(decode_binary(&encode_binary(&bytes)).unwrap(), bytes);
        }
    }
}
