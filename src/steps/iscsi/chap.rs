//! CHAP: who proves what to whom (RFC 1994; RFC 7143, section 12.1).

use std::fmt;
use std::io;

use base64ct::{Base64Unpadded, Encoding};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use sha3::Sha3_256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::input::document::{Algorithm, Chap};
use crate::input::secret::Secret;
use crate::sys::random;

/// The longest binary value (RFC 7143, section 12.1.3).
const LONGEST_CHALLENGE: usize = 1024;
/// Bytes of the challenge to a target: as many as every one takes.
const CHALLENGE: usize = 16;

impl Algorithm {
    /// The number in CHAP_A (IANA, "PPP Authentication Algorithms").
    pub fn number(self) -> u8 {
        match self {
            Algorithm::Md5 => 5,
            Algorithm::Sha1 => 6,
            Algorithm::Sha256 => 7,
            Algorithm::Sha3_256 => 8,
        }
    }

    /// The answer to `challenge`: H(identifier | secret | challenge) (RFC 1994, section 4.1).
    pub fn respond(self, identifier: u8, secret: &Secret, challenge: &[u8]) -> Zeroizing<Vec<u8>> {
        match self {
            Algorithm::Md5 => hash::<Md5>(identifier, secret, challenge),
            Algorithm::Sha1 => hash::<Sha1>(identifier, secret, challenge),
            Algorithm::Sha256 => hash::<Sha256>(identifier, secret, challenge),
            Algorithm::Sha3_256 => hash::<Sha3_256>(identifier, secret, challenge),
        }
    }
}

fn hash<D: Digest>(identifier: u8, secret: &Secret, challenge: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut hash = D::new();
    hash.update([identifier]);
    hash.update(secret.expose());
    hash.update(challenge);
    Zeroizing::new(hash.finalize().to_vec())
}

/// What the initiator proves who it is with, and what it asks of the target.
#[derive(Clone, Copy)]
pub struct Account<'a> {
    /// CHAP_N.
    pub name: &'a str,
    /// The secret.
    pub secret: &'a Secret,
    /// What is offered in CHAP_A, the most wanted first.
    pub algorithms: &'a [Algorithm],
    /// What the target has to prove; none: it is taken at its word.
    pub mutual: Option<Mutual<'a>>,
}

/// The target's account, and this login's challenge to it.
#[derive(Clone, Copy)]
pub struct Mutual<'a> {
    /// The target's CHAP_N.
    pub name: &'a str,
    /// Its secret.
    pub secret: &'a Secret,
    /// CHAP_I of the challenge.
    pub identifier: u8,
    /// CHAP_C.
    pub challenge: [u8; CHALLENGE],
}

impl<'a> Account<'a> {
    /// The plan's account, with a new challenge if the target has to prove something.
    ///
    /// # Errors
    /// The kernel has no random bytes for it.
    pub fn of(chap: &'a Chap) -> io::Result<Account<'a>> {
        let mut mutual = None;
        if let Some(target) = &chap.mutual {
            let [identifier] = random::bytes()?;
            let challenge = random::bytes()?;
            mutual = Some(Mutual { name: &target.username, secret: &target.secret, identifier, challenge });
        }
        Ok(Account { name: &chap.username, secret: &chap.secret, algorithms: &chap.algorithms, mutual })
    }

    /// CHAP_A as it is offered: `7,5`.
    pub fn offer(&self) -> String {
        let numbers: Vec<String> = self.algorithms.iter().map(|known| known.number().to_string()).collect();
        numbers.join(",")
    }

    /// The algorithm that the target chose, if it was offered.
    pub fn chosen(&self, number: u32) -> Option<Algorithm> {
        self.algorithms.iter().copied().find(|known| u32::from(known.number()) == number)
    }
}

/// Why the target did not prove who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproved {
    /// It went on without an answer.
    NoAnswer,
    /// It has this name.
    Name(String),
    /// The answer cannot be read, or is not what its secret makes of the challenge.
    Wrong,
    /// It sent back what it was sent, as somebody does who does not know the secret.
    Reflected,
}

impl fmt::Display for Unproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unproved::NoAnswer => {
                f.write_str("it does not answer the challenge; it may have no account for that")
            }
            Unproved::Name(name) => write!(f, "it calls itself {name}, unlike mutual.username in the plan"),
            Unproved::Wrong => f.write_str("its answer to the challenge is wrong"),
            Unproved::Reflected => f.write_str("it sent the node's own words back"),
        }
    }
}

impl Mutual<'_> {
    /// Holds the target's CHAP_N and CHAP_R against the account. `ours` is the initiator's own answer.
    ///
    /// # Errors
    /// It is not who it should be.
    pub fn verify(
        &self,
        algorithm: Algorithm,
        name: &str,
        answer: &str,
        ours: &[u8],
    ) -> Result<(), Unproved> {
        let answer = Zeroizing::new(decode_binary(answer).map_err(|_| Unproved::Wrong)?);
        if bool::from(answer.as_slice().ct_eq(ours)) {
            return Err(Unproved::Reflected);
        }
        let expected = algorithm.respond(self.identifier, self.secret, &self.challenge);
        // Slices of different lengths are never equal.
        if !bool::from(answer.as_slice().ct_eq(&expected)) {
            return Err(Unproved::Wrong);
        }
        // Last, so that a name is told only of who knows the secret.
        if name != self.name {
            return Err(Unproved::Name(super::text::quote(name)));
        }
        Ok(())
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

    /// printf '\001secret-of-node\020\021\022\023' | md5sum, sha1sum, sha256sum, openssl dgst -sha3-256
    const ANSWERS: [(Algorithm, u8, &str); 4] = [
        (Algorithm::Md5, 5, "0xc8a534ebdee4c8504c6c703eab44da33"),
        (Algorithm::Sha1, 6, "0xbf039e219d3d7ee01292f54f9de6b40f14004173"),
        (Algorithm::Sha256, 7, "0xe45be9f6cff19d21a58760a5faa3a2f84fd3a553123e889d8fde74a4675710f8"),
        (Algorithm::Sha3_256, 8, "0xc1d1884514df68fc3a55e1f5acaeeae5e3631c4bd1b46191c21496c02ebc4f8a"),
    ];

    fn secret() -> Secret {
        Secret::new(b"secret-of-node".to_vec())
    }

    #[test]
    fn the_answer_is_the_hash_of_identifier_secret_and_challenge() {
        for (algorithm, number, answer) in ANSWERS {
            assert_eq!(algorithm.number(), number);
            assert_eq!(*encode_binary(&algorithm.respond(1, &secret(), &[16, 17, 18, 19])), answer);
        }
        // The same bytes as the third vector of RFC 1321, A.5: "abc".
        let answer = Algorithm::Md5.respond(b'a', &Secret::new(b"b".to_vec()), b"c");
        assert_eq!(*encode_binary(&answer), "0x900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn only_what_was_offered_is_taken() {
        let secret = secret();
        let algorithms = [Algorithm::Sha3_256, Algorithm::Md5];
        let account = Account { name: "node", secret: &secret, algorithms: &algorithms, mutual: None };
        assert_eq!(account.offer(), "8,5");
        assert_eq!(account.chosen(5), Some(Algorithm::Md5));
        assert_eq!(account.chosen(8), Some(Algorithm::Sha3_256));
        assert_eq!((account.chosen(6), account.chosen(7), account.chosen(261)), (None, None, None));
    }

    #[test]
    fn a_target_proves_itself_by_name_and_answer() {
        let secret = secret();
        let mutual = Mutual { name: "store", secret: &secret, identifier: 9, challenge: [7; CHALLENGE] };
        for (algorithm, _, _) in ANSWERS {
            let right = algorithm.respond(9, &secret, &[7; CHALLENGE]);
            let right = encode_binary(&right);
            let short = right.get(..right.len() - 2).unwrap();
            let other = encode_binary(b"other");
            for (name, answer, result) in [
                ("store", right.as_str(), Ok(())),
                ("Store", &right, Err(Unproved::Name("Store".into()))),
                ("store", short, Err(Unproved::Wrong)),
                ("store", "no", Err(Unproved::Wrong)),
                ("store", &other, Err(Unproved::Reflected)),
            ] {
                assert_eq!(
                    mutual.verify(algorithm, name, answer, b"other"),
                    result,
                    "{algorithm:?} {answer}"
                );
            }
        }
    }

    #[test]
    fn each_login_has_a_challenge_of_its_own() {
        let mut iscsi = super::super::fixture::iscsi();
        let chap = iscsi.auth.as_mut().unwrap();
        assert!(Account::of(chap).unwrap().mutual.is_none());
        chap.mutual = Some(super::super::fixture::mutual());
        let challenge = || Account::of(chap).unwrap().mutual.unwrap().challenge;
        assert_ne!(challenge(), challenge());
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
