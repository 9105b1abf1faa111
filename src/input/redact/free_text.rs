//! Text that nobody knows the form of: logs. Pure.

use super::{HIDDEN, cmdline, urls, word};
use crate::input::cmdline::parse_word;

/// Words in the name of what holds a secret.
pub(super) const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "authorization",
    "api_key",
    "apikey",
    "credential",
];

/// Text that nobody knows the form of, line by line: command lines in it as [`cmdline`] shows them, URLs as [`urls`] does,
/// values of what is called a password or the like hidden, and no private key.
pub fn free_text(text: &str) -> String {
    let mut found = String::new();
    let mut in_key = false;
    for line in text.lines() {
        let begins = line.contains("-----BEGIN ") && line.contains("PRIVATE KEY");
        if in_key || begins {
            if !in_key {
                found.push_str(HIDDEN);
                found.push('\n');
            }
            in_key = !line.contains("-----END ");
            continue;
        }
        found.push_str(&self::line(line));
        found.push('\n');
    }
    found
}

fn line(line: &str) -> String {
    const COMMAND_LINE: &str = "ommand line:";
    if let Some((before, words)) = line.split_once(COMMAND_LINE) {
        return format!("{before}{COMMAND_LINE} {}", cmdline(words));
    }
    let line = urls(line);
    // dracut's own words stand in its messages too, and in what `rd.debug` traces.
    let line = if let Some(at) = line.find("netroot=") {
        let (before, rest) = line.split_at(at);
        let (netroot, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        format!("{before}{}{after}", word(&parse_word(netroot)))
    } else {
        line
    };
    values(&line)
}

/// The values hidden of what is called a password or the like: `secret=VALUE`, `"token": "VALUE"`, `Authorization: VALUE`.
fn values(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let end_of_name =
        |name: &&str| lower.match_indices(*name).map(|(at, _)| at + name.len()).collect::<Vec<usize>>();
    let mut ends: Vec<usize> = SECRET_NAMES.iter().flat_map(end_of_name).collect();
    ends.sort_unstable();
    let mut found = String::new();
    let mut copied = 0;
    for end in ends {
        // The rest of the name, `password_in`; then quotes and blanks around the sign that a value follows.
        let Some(rest) = line.get(end..).filter(|_| end >= copied) else { continue };
        let name =
            rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let sign = name.trim_start_matches(['"', '\'', ' ', '\\']);
        let Some(value) = sign.strip_prefix(['=', ':']) else { continue };
        let value = value.trim_start_matches([' ', '"', '\'', '\\']);
        let begin = line.len() - value.len();
        // To the end of the line: nobody knows which blank is part of it.
        found.push_str(line.get(copied..begin).unwrap_or_default());
        found.push_str(HIDDEN);
        copied = line.len();
    }
    found + line.get(copied..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_free_text() {
        let cases = [
            (
                "[1.0] Command line: quiet rd.iscsi.password=hunter2",
                "[1.0] Command line: quiet rd.iscsi.password=***\n",
            ),
            ("got http://u:hunter2@a/p?t=hunter2 then", "got http://a/p then\n"),
            ("+ CHAP_SECRET='hunter2'", "+ CHAP_SECRET='***\n"),
            ("{\"token\": \"hunter2\", \"a\": 1}", "{\"token\": \"***\n"),
            ("Authorization: Bearer hunter2", "Authorization: ***\n"),
            ("password_in = hunter2 password=hunter2", "password_in = ***\n"),
            ("iscsi: secret is wrong", "iscsi: secret is wrong\n"),
            (
                "dracut: netroot=iscsi:u:hunter2@10.0.0.1::::iqn.a:b up",
                "dracut: netroot=iscsi:***@10.0.0.1::::iqn.a:b up\n",
            ),
            (
                "a\n-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\nb",
                "a\n***\nb\n",
            ),
            ("a\n-----BEGIN PRIVATE KEY-----\nhunter2", "a\n***\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(free_text(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_shown_or_not(text: String, words in "([a-z.=:@/?\" ]{0,12}(http://|secret|password)){0,4}") {
            let _ = (free_text(&text), free_text(&words));
        }
    }
}
