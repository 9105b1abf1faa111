//! Public keys of operators, a line each: what sshd(8) describes in "AUTHORIZED_KEYS FILE FORMAT".

use std::fmt;

use base64ct::{Base64, Encoding};

/// No line with a key is longer: that of a key of RSA with 16384 bits has 3 KB (sshd's SSH_MAX_PUBKEY_BYTES is as much).
pub const LONGEST: usize = 16 << 10;

/// The types of keys that people log in with (`ssh -Q key`), without certificates and DSA.
const TYPES: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// A line with one key that sshd can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizedKey(String);

impl fmt::Display for AuthorizedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AuthorizedKey {
    /// A key alone, `TYPE BASE64 [COMMENT]`: what a plan or a parameter may have.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it: it may be a private key in the wrong place.
    pub fn alone(line: &str) -> Result<AuthorizedKey, &'static str> {
        let line = one_line(line)?;
        let (kind, rest) = word(line);
        let (key, _comment) = word(rest);
        if !TYPES.contains(&kind) {
            return Err("it does not begin with the type of a key, as ssh-ed25519");
        }
        check(kind, key)?;
        Ok(AuthorizedKey(line.to_owned()))
    }

    /// A line of a file, where options may stand before the key; none: it is empty, or a comment.
    ///
    /// # Errors
    /// As of [`AuthorizedKey::alone`].
    pub fn of_file(line: &str) -> Result<Option<AuthorizedKey>, &'static str> {
        let line = one_line(line)?;
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        if TYPES.contains(&word(line).0) {
            return AuthorizedKey::alone(line).map(Some);
        }
        AuthorizedKey::alone(after_options(line))?;
        Ok(Some(AuthorizedKey(line.to_owned())))
    }
}

/// The line without the blanks around it.
fn one_line(line: &str) -> Result<&str, &'static str> {
    let line = line.trim();
    if line.len() > LONGEST {
        return Err("it is too long");
    }
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err("it is more than one line");
    }
    Ok(line)
}

/// The first word, and what comes after the blanks behind it.
fn word(line: &str) -> (&str, &str) {
    let (first, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    (first, rest.trim_start())
}

/// What comes after the options: they end with the first blank outside of double quotes; `\"` in these is none.
fn after_options(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    let end = line.find(|c| {
        let quote = c == '"' && !escaped;
        quoted ^= quote;
        escaped = c == '\\' && !escaped;
        !quoted && matches!(c, ' ' | '\t')
    });
    end.and_then(|end| line.get(end..)).unwrap_or_default().trim_start()
}

/// Whether `key` is base64 of a key of the type `kind`: its first part is that name (RFC 4253, section 6.6).
fn check(kind: &str, key: &str) -> Result<(), &'static str> {
    let blob = Base64::decode_vec(key).map_err(|_| "the key is cut short or damaged")?;
    let name = blob
        .split_first_chunk::<4>()
        .and_then(|(length, rest)| rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?));
    if name != Some(kind.as_bytes()) {
        return Err("the key is not of the type that stands before it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea operator@site";

    #[test]
    fn keys_of_ssh_keygen_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        for (number, words) in [&["ed25519"][..], &["ecdsa"], &["ecdsa", "-b", "521"], &["rsa", "-b", "2048"]]
            .into_iter()
            .enumerate()
        {
            let file = folder.path().join(number.to_string());
            let mut keygen = std::process::Command::new("ssh-keygen");
            keygen.args(["-q", "-N", "", "-C", "a comment", "-t"]).args(words).arg("-f").arg(&file);
            assert!(keygen.status().unwrap().success());
            let line = std::fs::read_to_string(file.with_extension("pub")).unwrap();
            let key = AuthorizedKey::alone(&line).unwrap();
            assert_eq!(key.to_string(), line.trim_end());
            assert_eq!(AuthorizedKey::of_file(&line), Ok(Some(key)));
        }
    }

    #[test]
    fn a_file_may_have_options_comments_and_empty_lines() {
        for line in ["", "  ", "# operators", "\t# x"] {
            assert_eq!(AuthorizedKey::of_file(line), Ok(None), "{line:?}");
        }
        for options in [
            "no-pty ",
            "from=\"10.0.0.0/8,192.168.*\",no-pty ",
            "command=\"echo \\\"a b\\\"\" ",
            "restrict\t",
        ] {
            let line = format!("{options}{KEY}");
            assert_eq!(AuthorizedKey::of_file(&line).unwrap().unwrap().to_string(), line);
            assert!(AuthorizedKey::alone(&line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_quoted() {
        let (kind, rest) = KEY.split_once(' ').unwrap();
        let cut = KEY.replace("CGmj3B1Ea", "");
        let other = format!("ssh-rsa {rest}");
        let lines = format!("{KEY}\n{KEY}");
        let long = format!("{KEY}{}", "x".repeat(LONGEST));
        let cases = [
            ("hunter2", "it does not begin with the type of a key, as ssh-ed25519"),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----",
                "it does not begin with the type of a key, as ssh-ed25519",
            ),
            ("", "it does not begin with the type of a key, as ssh-ed25519"),
            (kind, "the key is not of the type that stands before it"),
            (&cut, "the key is cut short or damaged"),
            (&other, "the key is not of the type that stands before it"),
            (&lines, "it is more than one line"),
            (&long, "it is too long"),
        ];
        for (line, because) in cases {
            assert_eq!(AuthorizedKey::alone(line), Err(because), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_a_key_or_none(line: String, options in "[ -~]{0,40}") {
            let _ = (AuthorizedKey::alone(&line), AuthorizedKey::of_file(&line));
            if let Ok(Some(key)) = AuthorizedKey::of_file(&format!("{options} {KEY}")) {
                proptest::prop_assert!(key.to_string().ends_with(KEY));
            }
        }
    }
}
