//! The files of the new root that are ours to write, as values.

use zeroize::Zeroizing;

use crate::input::document::Document;
use crate::input::secret::Secret;

/// A file of the new root.
pub struct File {
    /// Absolute, in the new root.
    pub path: &'static str,
    /// Its permissions.
    pub mode: u32,
    /// What is to be in it.
    pub content: Content,
}

/// What is to be in a file.
pub enum Content {
    /// This, whatever the image has there.
    Whole(String),
    /// What the image has there, with these lines `key = value` in place of its own of the same keys.
    Settings(Vec<(&'static str, Secret)>),
}

/// The files that `document` asks for, on the node that is called `initiator` by its targets.
pub fn files(document: &Document, initiator: &str) -> Vec<File> {
    let hostname = document.hostname.as_ref().map(|hostname| File {
        path: "/etc/hostname",
        mode: 0o644,
        content: Content::Whole(format!("{hostname}\n")),
    });
    let mut files = vec![
        File {
            path: "/etc/iscsi/initiatorname.iscsi",
            mode: 0o600,
            content: Content::Whole(format!("InitiatorName={initiator}\n")),
        },
        File { path: "/etc/iscsi/iscsid.conf", mode: 0o600, content: Content::Settings(iscsid(document)) },
        File {
            path: "/etc/systemd/system/open-iscsi.service.d/50-diskless.conf",
            mode: 0o644,
            content: Content::Whole(KEEP_SESSIONS.into()),
        },
    ];
    files.extend(hostname);
    files
}

/// Debian's unit unmounts and logs out at its stop whatever it does not recognise as the root, and does not see the root
/// behind an overlay. The session of the root must outlive every unit.
const KEEP_SESSIONS: &str = "\
# Written by diskless: the root is on an iSCSI session, which must not be logged out.
[Service]
ExecStop=
";

/// Settings of iscsid for a root disk with one path: nothing is gained by giving it up early, so lost connections
/// are waited for as long as the original procedure did, and the connection is not probed.
fn iscsid(document: &Document) -> Vec<(&'static str, Secret)> {
    let text = |text: &str| Secret::new(text.as_bytes().to_vec());
    let mut settings = vec![
        ("node.session.timeo.replacement_timeout", text("600")),
        ("node.conn[0].timeo.noop_out_interval", text("0")),
        ("node.conn[0].timeo.noop_out_timeout", text("0")),
    ];
    if let Some(auth) = &document.iscsi.auth {
        settings.push(("node.session.auth.authmethod", text("CHAP")));
        settings.push(("node.session.auth.username", text(&auth.username)));
        settings.push(("node.session.auth.password", auth.secret.clone()));
    }
    settings
}

impl Content {
    /// The file's bytes, where the image has `current`.
    pub fn bytes(&self, current: &[u8]) -> Zeroizing<Vec<u8>> {
        match self {
            Content::Whole(text) => Zeroizing::new(text.clone().into_bytes()),
            Content::Settings(settings) => with_settings(current, settings),
        }
    }
}

/// `current` without its lines of the keys in `settings`, and then those.
fn with_settings(current: &[u8], settings: &[(&'static str, Secret)]) -> Zeroizing<Vec<u8>> {
    let is_replaced = |line: &[u8]| {
        let key = line.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        settings.iter().any(|(name, _)| name.as_bytes() == key)
    };
    let length = settings.iter().map(|(key, value)| key.len() + value.expose().len() + 4).sum::<usize>();
    // Large enough from the start: what a growing buffer leaves behind is not wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(current.len() + 1 + length));
    for line in current.split_inclusive(|byte| *byte == b'\n').filter(|line| !is_replaced(line)) {
        bytes.extend_from_slice(line);
    }
    if bytes.last().is_some_and(|byte| *byte != b'\n') {
        bytes.push(b'\n');
    }
    for (key, value) in settings {
        for part in [key.as_bytes(), b" = ", value.expose(), b"\n"] {
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_replace_their_own_lines_alone() {
        let settings = [("a.b", Secret::new(b"1".to_vec())), ("c", Secret::new(b"2".to_vec()))];
        let cases = [
            ("", "a.b = 1\nc = 2\n"),
            ("# a.b = 9\nx = 1\na.b = 9\na.bc=3", "# a.b = 9\nx = 1\na.bc=3\na.b = 1\nc = 2\n"),
            ("a.b=7\nc =8\n", "a.b = 1\nc = 2\n"),
        ];
        for (current, expected) in cases {
            let bytes = with_settings(current.as_bytes(), &settings);
            assert_eq!(String::from_utf8_lossy(&bytes), expected);
            assert_eq!(*with_settings(&bytes, &settings), *bytes, "a second time changes nothing");
        }
    }
}
