//! Private keys in OpenSSH's own format (PROTOCOL.key in its source): what is public of one is read, and one is written.
//! sshd reads no other format for Ed25519, and ssh-keygen has written no other since OpenSSH 7.8.

use std::fmt;

use base64ct::{Base64, Base64Unpadded, Encoding};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// No key is longer, as text: one of RSA with 16384 bits has 13 KB.
pub const LONGEST: u64 = 32 << 10;

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";
/// Cipher and key derivation of a key that has no passphrase, and the size its private part is padded to.
const NONE: &[u8] = b"none";
const BLOCK: usize = 8;
/// How ssh-keygen breaks lines.
const LINE: usize = 70;
const ED25519: &[u8] = b"ssh-ed25519";

/// The types of host keys, as sshd's files are called by them: ssh_host_TYPE_key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ed25519.
    Ed25519,
    /// ECDSA over one of the curves of NIST.
    Ecdsa,
    /// RSA.
    Rsa,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Ed25519 => "ed25519",
            Kind::Ecdsa => "ecdsa",
            Kind::Rsa => "rsa",
        })
    }
}

/// What is public of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public {
    /// Its type.
    pub kind: Kind,
    /// The type's name in the protocol: `ssh-ed25519`.
    name: String,
    /// The public key, as the protocol has it.
    blob: Vec<u8>,
}

impl Public {
    /// The line of a file `.pub`.
    pub fn line(&self, comment: &str) -> String {
        format!("{} {} {comment}\n", self.name, Base64::encode_string(&self.blob))
    }

    /// What ssh and ssh-keygen show of it: `SHA256:` and 43 characters of base64.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", Base64Unpadded::encode_string(&Sha256::digest(&self.blob)))
    }
}

/// What is public of the private key in `text`.
///
/// # Errors
/// Why sshd could not use it, in words that tell nothing of the key.
pub fn public(text: &[u8]) -> Result<Public, &'static str> {
    const BROKEN: &str = "it is cut short or damaged";
    let bytes = unarmoured(text)?;
    let rest = bytes.strip_prefix(MAGIC).ok_or(BROKEN)?;
    let (cipher, rest) = string(rest).ok_or(BROKEN)?;
    let (_derivation, rest) = string(rest).ok_or(BROKEN)?;
    let (_options, rest) = string(rest).ok_or(BROKEN)?;
    if cipher != NONE {
        return Err("it has a passphrase, which nobody could tell sshd");
    }
    let (count, rest) = number(rest).ok_or(BROKEN)?;
    if count != 1 {
        return Err("it is not one key");
    }
    let (blob, rest) = string(rest).ok_or(BROKEN)?;
    let (private, _) = string(rest).ok_or(BROKEN)?;
    let (name, _) = string(blob).ok_or(BROKEN)?;
    // Twice the same number, then the type again: a key that was damaged does not have them.
    let (check, private) = number(private).ok_or(BROKEN)?;
    let (again, private) = number(private).ok_or(BROKEN)?;
    let (name_again, _) = string(private).ok_or(BROKEN)?;
    if check != again || name != name_again {
        return Err(BROKEN);
    }
    let kind = match name {
        ED25519 => Kind::Ed25519,
        b"ssh-rsa" => Kind::Rsa,
        b"ecdsa-sha2-nistp256" | b"ecdsa-sha2-nistp384" | b"ecdsa-sha2-nistp521" => Kind::Ecdsa,
        _ => return Err("it is of a type that is no host key's: ed25519, ecdsa or rsa"),
    };
    Ok(Public { kind, name: String::from_utf8_lossy(name).into_owned(), blob: blob.to_vec() })
}

/// The same of a key that is to be of the type `kind`.
///
/// # Errors
/// Those of [`public`], and that it is of another type.
pub fn public_of(kind: Kind, text: &[u8]) -> Result<Public, &'static str> {
    let public = public(text)?;
    if public.kind == kind { Ok(public) } else { Err("it is of another type") }
}

/// The bytes between the two lines that mark a key.
fn unarmoured(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    const FOREIGN: &str = "it is no private key in OpenSSH's own format";
    if text.len() as u64 > LONGEST {
        return Err("it is too long");
    }
    let text = std::str::from_utf8(text).map_err(|_| FOREIGN)?.trim();
    let inside = text.strip_prefix(BEGIN).and_then(|text| text.strip_suffix(END)).ok_or(FOREIGN)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(inside.len()));
    bytes.extend(inside.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let length = Base64::decode_in_place(&mut bytes).map_err(|_| FOREIGN)?.len();
    bytes.truncate(length);
    Ok(bytes)
}

/// A length in four bytes, so many bytes, and what comes after them.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = number(bytes)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), rest))
}

/// The file of an Ed25519 key: of the seed that it comes from (RFC 8032, section 5.1.5), and of its public half. `check`
/// is any number.
pub fn ed25519(
    seed: &[u8; 32],
    public: &[u8; 32],
    check: [u8; 4],
    comment: &str,
) -> (Zeroizing<Vec<u8>>, Public) {
    let mut blob = Vec::new();
    push(&mut blob, ED25519);
    push(&mut blob, public);
    // Large enough from the start, as all that holds the key: what a growing buffer leaves behind is not wiped.
    let mut private = Zeroizing::new(Vec::with_capacity(256 + comment.len()));
    private.extend_from_slice(&check);
    private.extend_from_slice(&check);
    private.extend_from_slice(&blob);
    let mut pair = Zeroizing::new([0; 64]);
    for (to, from) in pair.iter_mut().zip(seed.iter().chain(public)) {
        *to = *from;
    }
    push(&mut private, &*pair);
    push(&mut private, comment.as_bytes());
    let padding = private.len().next_multiple_of(BLOCK) - private.len();
    private.extend((1..).take(padding));
    let mut bytes = Zeroizing::new(Vec::with_capacity(private.len() + 128));
    bytes.extend_from_slice(MAGIC);
    for part in [NONE, NONE, b""] {
        push(&mut bytes, part);
    }
    bytes.extend_from_slice(&1u32.to_be_bytes());
    push(&mut bytes, &blob);
    push(&mut bytes, &private);
    let digits = Zeroizing::new(Base64::encode_string(&bytes));
    let mut text = Zeroizing::new(Vec::with_capacity(digits.len() + digits.len() / LINE + 128));
    for line in [BEGIN.as_bytes()].into_iter().chain(digits.as_bytes().chunks(LINE)).chain([END.as_bytes()]) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    (text, Public { kind: Kind::Ed25519, name: String::from_utf8_lossy(ED25519).into_owned(), blob })
}

fn push(bytes: &mut Vec<u8>, part: &[u8]) {
    // No part here is longer than a few hundred bytes.
    bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    /// What ssh-keygen says, given a private key and these words.
    fn keygen(folder: &std::path::Path, words: &[&str]) -> String {
        let output = Command::new("ssh-keygen").args(words).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn keys_of_ssh_keygen_are_read() {
        let folder = tempfile::tempdir().unwrap();
        for (kind, words) in [
            (Kind::Ed25519, &["-t", "ed25519"][..]),
            (Kind::Ecdsa, &["-t", "ecdsa"]),
            (Kind::Ecdsa, &["-t", "ecdsa", "-b", "521"]),
            (Kind::Rsa, &["-t", "rsa", "-b", "2048"]),
        ] {
            let _ = std::fs::remove_file(folder.path().join("key"));
            keygen(folder.path(), &[words, &["-q", "-N", "", "-C", "a comment", "-f", "key"]].concat());
            let text = std::fs::read(folder.path().join("key")).unwrap();
            let public = public(&text).unwrap();
            assert_eq!(public.kind, kind);
            let line = std::fs::read_to_string(folder.path().join("key.pub")).unwrap();
            assert_eq!(public.line("a comment"), line);
            let shown = keygen(folder.path(), &["-l", "-f", "key.pub"]);
            assert_eq!(shown.split(' ').nth(1), Some(public.fingerprint().as_str()));
            // As it comes out of a file whose last newline is gone, and with Windows's lines.
            let bare = String::from_utf8(text).unwrap();
            assert!(super::public(bare.trim_end().as_bytes()).is_ok());
            assert!(super::public(bare.replace('\n', "\r\n").as_bytes()).is_ok());
            for cut in [10, 60, 200] {
                assert!(super::public(&bare.as_bytes()[..cut]).is_err());
            }
        }
    }

    #[test]
    fn what_sshd_could_not_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let key = |words: &[&str]| {
            let _ = std::fs::remove_file(folder.path().join("key"));
            keygen(folder.path(), &[words, &["-q", "-f", "key"]].concat());
            public(&std::fs::read(folder.path().join("key")).unwrap()).unwrap_err()
        };
        assert_eq!(
            key(&["-t", "ed25519", "-N", "hunter2"]),
            "it has a passphrase, which nobody could tell sshd"
        );
        let foreign = "it is no private key in OpenSSH's own format";
        assert_eq!(key(&["-t", "rsa", "-b", "2048", "-N", "", "-m", "PEM"]), foreign);
        assert_eq!(public(b""), Err(foreign));
        assert_eq!(public(format!("{BEGIN}\n!\n{END}\n").as_bytes()), Err(foreign));
        assert_eq!(public(&vec![b'a'; LONGEST as usize + 1]), Err("it is too long"));
    }

    #[test]
    fn ssh_keygen_reads_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        // RFC 8032, section 7.1, test 1.
        let hex = |text: &str| -> [u8; 32] {
            let bytes: Vec<u8> =
                (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect();
            bytes.try_into().unwrap()
        };
        let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let half = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        for comment in ["root@node1", "", "seven77"] {
            let (text, ours) = ed25519(&seed, &half, [1, 2, 3, 4], comment);
            assert_eq!(public(&text), Ok(ours.clone()));
            let file = folder.path().join("key");
            let _ = std::fs::remove_file(&file);
            std::fs::write(&file, &*text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            // It reckons the public half from the private one.
            assert_eq!(keygen(folder.path(), &["-y", "-f", "key"]).trim(), ours.line(comment).trim());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_key_or_none(bytes: Vec<u8>, inside: Vec<u8>) {
            let _ = public(&bytes);
            let framed = format!("{BEGIN}\n{}\n{END}", Base64::encode_string(&[MAGIC, &inside].concat()));
            let _ = public(framed.as_bytes());
        }
    }
}
