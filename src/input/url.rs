//! URLs, as far as a plan or parameter has to be held to them.

/// What is said of one that cannot be used.
pub const EXPECTED: &str = "not an http:// or https:// URL with a host, without blanks";

/// Whether `text` is an absolute HTTP(S) URL (RFC 3986) with a host. There may be an account in it.
pub fn is_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
        return false;
    };
    let authority = authority(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(host, _)| host),
        None => host.split_once(':').map_or(host, |(host, _)| host),
    };
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'`' | b'{' | b'}');
    !host.is_empty() && text.len() <= 2000 && text.bytes().all(plain)
}

/// Whether there is an account in a URL.
pub fn has_account(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| authority(rest).contains('@'))
}

fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let good = [
            "http://a",
            "https://a.example:8443/p?x=1#f",
            "http://[::1]:80/",
            "http://10.0.0.1/a@b",
            "https://u:p@a/",
        ];
        assert!(good.into_iter().all(is_url));
        let accounts: Vec<bool> = good.into_iter().map(has_account).collect();
        assert_eq!(accounts, [false, false, false, false, true]);
        let bad = [
            "",
            "a",
            "ftp://a/",
            "http://",
            "http:///p",
            "http://:80/",
            "http://[]/",
            "http://u:p@",
            "http://u:p@:80/",
            "http://a/b c",
            "http://a/\n",
            "HTTP//a",
        ];
        for url in bad {
            assert!(!is_url(url), "{url}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_url_or_none(text in "(https?://)?[ -~]{0,30}") {
            let _ = (is_url(&text), has_account(&text));
        }
    }
}
