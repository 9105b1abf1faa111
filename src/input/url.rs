//! URLs, as far as a plan or parameter has to be held to them.

/// What is said of one that cannot be used.
pub const EXPECTED: &str = "not an http:// or https:// URL with a host, without blanks or a password";

/// Whether `text` is an absolute HTTP(S) URL (RFC 3986) with a host. One with a user or password in it is not taken: URLs
/// are shown on the console and in the journal.
pub fn is_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(host, _)| host),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'`' | b'{' | b'}');
    !host.is_empty() && !authority.contains('@') && text.len() <= 2000 && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let good = ["http://a", "https://a.example:8443/p?x=1#f", "http://[::1]:80/", "http://10.0.0.1/a@b"];
        assert!(good.into_iter().all(is_url));
        let bad = [
            "",
            "a",
            "ftp://a/",
            "http://",
            "http:///p",
            "http://:80/",
            "http://[]/",
            "http://u:p@a/",
            "http://a/b c",
            "http://a/\n",
            "HTTP//a",
        ];
        for url in bad {
            assert!(!is_url(url), "{url}");
        }
    }
}
