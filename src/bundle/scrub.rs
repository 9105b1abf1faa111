//! Takes known secrets out of text: what the node's own files hold in places where secrets are. It is the second line: what
//! goes into a bundle is read by readers that give no secret, and then this looks at all of it.

use std::path::Path;

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

use super::plan;
use crate::engine::host::Host;
use crate::input::redact::{self, HIDDEN};
use crate::report::after_pivot;

/// Of a shorter text each place where it happens to stand would be hidden; no secret that is one is so short.
const SHORTEST: usize = 5;
/// Of a text with several lines one that is shorter is no secret by itself.
const SHORTEST_LINE: usize = 16;
/// A file with a secret is read so far.
const LONGEST_FILE: u64 = 64 << 10;
/// More secrets are not looked for: a node has a handful.
const MOST: usize = 2000;

/// Secrets, in all the forms that they may stand in a text.
#[derive(Default)]
pub struct Scrub {
    needles: Vec<Zeroizing<String>>,
}

impl Scrub {
    /// The secrets that are found on `host`: on its command line and in its configuration, in boot plans and the keys that
    /// they name, in the kernel's iSCSI sessions, and its SSH host keys.
    pub fn of(host: &Host) -> Scrub {
        let mut scrub = Scrub::default();
        // Each by itself: a quote or `--` in one says nothing of the others.
        for words in super::command_lines(host) {
            let words = Zeroizing::new(words);
            redact::hidden_of(&words).iter().for_each(|secret| scrub.learn(secret.as_bytes()));
            redact::paths(&words).iter().for_each(|path| scrub.learn_file(&host.path(path)));
        }
        for path in super::plan_files(host) {
            let plan = read(&path);
            plan::hidden_of(&plan).iter().for_each(|secret| scrub.learn(secret.as_bytes()));
            paths_in(&plan).iter().for_each(|key| scrub.learn_file(&host.path(key)));
        }
        let destination = read(&host.path(after_pivot::FILE));
        plan::hidden_of(&destination).iter().for_each(|secret| scrub.learn(secret.as_bytes()));
        for folder in ["/sys/class/iscsi_session", "/sys/class/iscsi_connection"] {
            for session in super::folders(&host.path(folder)) {
                ["password", "password_in"].iter().for_each(|file| scrub.learn_file(&session.join(file)));
            }
        }
        for folder in ["/etc/ssh", "/run/diskless/ssh", "/run/diskless/sshd", "/sysroot/etc/ssh"] {
            for path in super::folders(&host.path(folder)) {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if name.starts_with("ssh_host_") && name.ends_with("_key") {
                    scrub.learn_file(&path);
                }
            }
        }
        scrub
    }

    /// Adds a secret, and each of its lines.
    pub fn learn(&mut self, secret: &[u8]) {
        self.learn_whole(secret);
        if secret.contains(&b'\n') {
            // The first and last line of a key in PEM's form are nobody's secret.
            let lines = secret.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"-----"));
            let lines = lines.map(<[u8]>::trim_ascii).filter(|line| line.len() >= SHORTEST_LINE);
            lines.for_each(|line| self.learn_whole(line));
        }
    }

    fn learn_whole(&mut self, secret: &[u8]) {
        let secret = secret.strip_suffix(b"\n").unwrap_or(secret);
        if secret.len() < SHORTEST || self.needles.len() >= MOST || secret == b"(null)" || secret == b"<NULL>"
        {
            return;
        }
        let mut add = |text: String| {
            if text.len() >= SHORTEST && !self.needles.iter().any(|needle| **needle == text) {
                self.needles.push(Zeroizing::new(text));
            }
        };
        if let Ok(text) = std::str::from_utf8(secret) {
            add(text.to_owned());
            // As it stands in JSON, and in a URL.
            let json = serde_json::to_string(text).unwrap_or_default();
            add(json.trim_matches('"').to_owned());
            add(percent(secret));
        }
        // Without padding, which need not follow where a secret is part of more.
        add(Base64Unpadded::encode_string(secret));
        add(Base64UrlUnpadded::encode_string(secret));
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        add(hex.to_ascii_uppercase());
        add(hex);
        // Longer ones first: a secret may be part of another.
        self.needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    }

    fn learn_file(&mut self, path: &Path) {
        let bytes = read(path);
        self.learn(&bytes);
    }

    /// `text` without them.
    pub fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for needle in &self.needles {
            if text.contains(needle.as_str()) {
                text = text.replace(needle.as_str(), HIDDEN);
            }
        }
        text
    }
}

fn read(path: &Path) -> Zeroizing<Vec<u8>> {
    super::bounded(path, LONGEST_FILE).map(Zeroizing::new).unwrap_or_default()
}

/// As in a query or form: all but letters, digits and `-._~`.
fn percent(secret: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    secret
        .iter()
        .map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The files of keys that a plan names: all text under `file`.
fn paths_in(plan: &[u8]) -> Vec<String> {
    fn walk(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) => members.iter().for_each(|(name, value)| match value {
                serde_json::Value::String(path) if name == "file" && path.starts_with('/') => {
                    found.push(path.clone())
                }
                value => walk(value, found),
            }),
            serde_json::Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
            _ => (),
        }
    }
    let mut found = Vec::new();
    if let Ok(plan) = serde_json::from_slice(plan) {
        walk(&plan, &mut found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_each_of_its_forms() {
        let mut scrub = Scrub::default();
        let secret = b"pa\"ss/wo?rd\xc3\xa9 1";
        scrub.learn(secret);
        let text = std::str::from_utf8(secret).unwrap();
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let forms = [
            text.to_owned(),
            serde_json::to_string(text).unwrap(),
            percent(secret),
            base64ct::Base64::encode_string(secret),
            base64ct::Base64Url::encode_string(secret),
            hex.to_uppercase(),
            hex,
        ];
        for form in forms {
            let cleaned = scrub.clean(&format!("a {form} b"));
            assert!(
                cleaned.starts_with("a ") && cleaned.ends_with(" b") && cleaned.len() < 14,
                "{form}: {cleaned}"
            );
        }
        assert_eq!(scrub.clean("passwords"), "passwords");
    }

    #[test]
    fn of_a_key_every_long_line_is_secret_but_its_frame() {
        let mut scrub = Scrub::default();
        scrub.learn(b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0IQc2VjcmV0IQ\nxyz\n-----END PRIVATE KEY-----\n");
        assert_eq!(
            scrub.clean("xyz c2VjcmV0IQc2VjcmV0IQ\n-----BEGIN PRIVATE KEY-----"),
            "xyz ***\n-----BEGIN PRIVATE KEY-----"
        );
    }
}
