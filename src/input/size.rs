//! Sizes: bytes, or a share of the memory.

/// A size as a plan gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub enum Size {
    /// So many bytes.
    Bytes(u64),
    /// So many percent of the node's memory, 1 to 100.
    OfMemory(u8),
}

impl Size {
    /// Parses `"2147483648"`, `"2G"` (K, M, G, T: powers of 1024) or `"50%"`; none if it is nothing of these, or
    /// zero.
    pub fn parse(text: &str) -> Option<Size> {
        if let Some(percent) = text.strip_suffix('%') {
            return match digits(percent)?.parse() {
                Ok(percent @ 1..=100) => Some(Size::OfMemory(percent)),
                _ => None,
            };
        }
        let (number, shift) = match text.char_indices().last()? {
            (at, 'K') => (text.get(..at)?, 10),
            (at, 'M') => (text.get(..at)?, 20),
            (at, 'G') => (text.get(..at)?, 30),
            (at, 'T') => (text.get(..at)?, 40),
            _ => (text, 0),
        };
        let number: u64 = digits(number)?.parse().ok()?;
        number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).map(Size::Bytes)
    }

    /// In bytes, on a node with `memory` bytes.
    pub fn bytes(self, memory: u64) -> u64 {
        match self {
            Size::Bytes(bytes) => bytes,
            Size::OfMemory(percent) => memory / 100 * u64::from(percent),
        }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Size::Bytes(bytes) => write!(f, "{bytes} bytes"),
            Size::OfMemory(percent) => write!(f, "{percent}% of the memory"),
        }
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Size, String> {
        Size::parse(&text).ok_or_else(|| format!("{text:?} is not a size like \"2G\" or \"50%\""))
    }
}

/// `text`, if nothing else is in it: to `str::parse` a plus would be a part of a number.
fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

/// The node's memory in bytes, from the text of /proc/meminfo.
pub fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            ("4096", Some(Size::Bytes(4096))),
            ("2G", Some(Size::Bytes(2 << 30))),
            ("1K", Some(Size::Bytes(1024))),
            ("50%", Some(Size::OfMemory(50))),
            ("0", None),
            ("0%", None),
            ("101%", None),
            ("-1", None),
            ("+1", None),
            ("+2G", None),
            ("+50%", None),
            ("G", None),
            ("1.5G", None),
            ("", None),
            ("99999999999T", None),
            ("é", None),
        ];
        for (text, size) in cases {
            assert_eq!(Size::parse(text), size, "{text}");
        }
        assert_eq!(Size::OfMemory(50).bytes(1000), 500);
    }

    #[test]
    fn memory() {
        assert_eq!(memory_total("MemTotal:        2017436 kB\nMemFree: 1 kB\n"), Some(2017436 * 1024));
        assert_eq!(memory_total("MemFree: 1 kB\n"), None);
    }
}
