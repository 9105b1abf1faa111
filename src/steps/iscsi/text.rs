//! Text keys: `key=value`, each closed by a NUL (RFC 7143, section 6.1).

use std::fmt;

use zeroize::Zeroizing;

/// The longest key name (RFC 7143, section 6.1).
const LONGEST_KEY: usize = 63;
/// So many characters of a foreign text are shown.
const LONGEST_QUOTE: usize = 80;
/// More keys than any target has. If each of them has to be answered, the answers still fit into one PDU.
const MOST_KEYS: usize = 64;

/// Keys to send. They may hold a challenge's answer and are wiped.
pub struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// No keys yet.
    pub fn new() -> Writer {
        // A buffer that grows would leave copies behind that nobody wipes: so all of it at once.
        Writer(Zeroizing::new(Vec::with_capacity(super::pdu::MOST_DATA)))
    }

    /// Adds a key.
    pub fn put(&mut self, key: &str, value: &str) {
        for part in [key, "=", value, "\0"] {
            self.0.extend_from_slice(part.as_bytes());
        }
    }

    /// What was put in.
    pub fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// What makes bytes no text keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// A key without `=`, without a name, or with a name that is too long.
    Key,
    /// Text that is not UTF-8.
    Encoding,
    /// The same key twice.
    Twice,
    /// More keys than any target has.
    TooMany,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::Key => "text that is not key=value",
            Malformed::Encoding => "text that is not UTF-8",
            Malformed::Twice => "a text key that stands twice",
            Malformed::TooMany => "too many text keys",
        })
    }
}

/// Reads the keys of a whole text. A missing NUL at the end and NULs too many are forgiven.
///
/// # Errors
/// The bytes are no text keys.
pub fn parse(text: &[u8]) -> Result<Vec<(&str, &str)>, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed::Encoding)?;
    let mut keys: Vec<(&str, &str)> = Vec::new();
    for pair in text.split('\0').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or(Malformed::Key)?;
        if key.is_empty() || key.len() > LONGEST_KEY {
            return Err(Malformed::Key);
        }
        if keys.iter().any(|(other, _)| *other == key) {
            return Err(Malformed::Twice);
        }
        if keys.len() == MOST_KEYS {
            return Err(Malformed::TooMany);
        }
        keys.push((key, value));
    }
    Ok(keys)
}

/// What a target wrote, fit for a message: short, and without control characters.
pub fn quote(value: &str) -> String {
    value.chars().take(LONGEST_QUOTE).flat_map(char::escape_default).collect()
}

/// A numerical value: decimal, or hexadecimal after `0x` (RFC 7143, section 6.1).
pub fn number(value: &str) -> Option<u32> {
    let hex = value.strip_prefix("0x").or_else(|| value.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((value, 10), |hex| (hex, 16));
    // from_str_radix takes a sign, which text keys do not have.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

/// A boolean value.
pub fn boolean(value: &str) -> Option<bool> {
    match value {
        "Yes" => Some(true),
        "No" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut writer = Writer::new();
        writer.put("InitiatorName", "iqn.2026-01.example:n1");
        writer.put("CHAP_C", "0b=");
        let text = writer.finish();
        assert_eq!(*text, b"InitiatorName=iqn.2026-01.example:n1\0CHAP_C=0b=\0");
        assert_eq!(parse(&text).unwrap(), [("InitiatorName", "iqn.2026-01.example:n1"), ("CHAP_C", "0b=")]);
    }

    #[test]
    fn stray_nuls_are_forgiven_and_other_faults_named() {
        assert_eq!(parse(b"").unwrap(), []);
        assert_eq!(parse(b"A=1\0\0\0B=").unwrap(), [("A", "1"), ("B", "")]);
        for (text, fault) in [
            (&b"A"[..], Malformed::Key),
            (b"=1\0", Malformed::Key),
            (b"A=\xff\0", Malformed::Encoding),
            (b"A=1\0A=2\0", Malformed::Twice),
        ] {
            assert_eq!(parse(text), Err(fault));
        }
        let long = format!("{}=1\0", "K".repeat(64));
        assert_eq!(parse(long.as_bytes()), Err(Malformed::Key));
        let many: String = (0..65).map(|n| format!("K{n}=1\0")).collect();
        assert_eq!(parse(many.as_bytes()), Err(Malformed::TooMany));
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        for (text, value) in [
            ("0", Some(0)),
            ("262144", Some(262_144)),
            ("0x1F", Some(31)),
            ("0X10", Some(16)),
            ("4294967296", None),
            ("+1", None),
            ("0x-1", None),
            ("", None),
            ("0x", None),
            ("12a", None),
        ] {
            assert_eq!(number(text), value, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(text: Vec<u8>) {
            let _ = parse(&text);
        }
    }
}
