//! The files of the new root that are ours to write, as values.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use crate::input::account_settings;
use crate::input::document::Document;
use crate::input::secret::Secret;
use crate::steps::volumes::lvm;

/// A file of the new root.
pub struct File {
    /// Absolute, in the new root.
    pub path: String,
    /// Its permissions.
    pub mode: u32,
    /// What is to be in it.
    pub content: Content,
}

/// What is to be in a file.
pub enum Content {
    /// This, whatever the image has there.
    Whole(Secret),
    /// The name that the kernel has for the node; without one, the image keeps its own.
    HostName,
    /// What the image has there, with these lines `key = value` in place of its own of the same keys; none as the
    /// value: with no line of that key.
    Settings(Vec<(&'static str, Option<Secret>)>),
    /// What the image has there, and this line, once.
    Line(String),
}

/// The files that `document` alone asks for, on the node that is called `initiator` by its targets. A file of the plan's
/// own goes before what the agent would write at the same path.
pub fn files(document: &Document, initiator: &str) -> Vec<File> {
    let hostname = match &document.hostname {
        Some(hostname) => Content::text(&format!("{hostname}\n")),
        None => Content::HostName,
    };
    let initiator = Content::text(&format!("InitiatorName={initiator}\n"));
    let mut ours = vec![
        ("/etc/hostname", 0o644, hostname),
        ("/etc/iscsi/initiatorname.iscsi", 0o600, initiator),
        ("/etc/iscsi/iscsid.conf", 0o600, Content::Settings(iscsid(document))),
    ];
    let groups = volume_groups(document);
    if !groups.is_empty() {
        let groups = format!("[ {} ]", groups.join(", "));
        let settings = vec![(READ_ONLY_VOLUMES, Some(Secret::new(groups.into())))];
        ours.push(("/etc/lvm/lvmlocal.conf", 0o644, Content::Settings(settings)));
    }
    let of_plan = &document.handover.files;
    let ours = ours
        .into_iter()
        .filter(|(path, ..)| !is_of_plan(document, path))
        .map(|(path, mode, content)| File { path: path.into(), mode, content });
    let of_plan = of_plan.iter().map(|file| File {
        path: file.path.clone(),
        mode: file.mode.0,
        content: Content::Whole(file.content.clone()),
    });
    ours.chain(of_plan).collect()
}

/// The plan says itself what is to be at `path`.
pub fn is_of_plan(document: &Document, path: &str) -> bool {
    document.handover.files.iter().any(|file| file.path == path)
}

/// The image's own lvm2 finds the volumes active and gives them the access that their metadata says, which is to write:
/// unless this says that it is to read (lvm.conf(5)).
const READ_ONLY_VOLUMES: &str = "activation/read_only_volume_list";

/// The volume groups that the plan's mounts are in, each once, in quotes.
fn volume_groups(document: &Document) -> Vec<String> {
    let maps = document.overlay.mounts.iter().flat_map(|mount| mount.lower.names());
    // The other maps are partitions, whose names begin with that of the disk.
    let groups = maps.filter(|map| !map.starts_with(&document.luks.name)).filter_map(lvm::group_of);
    groups.map(|group| format!("\"{group}\"")).collect::<BTreeSet<_>>().into_iter().collect()
}

fn iscsid(document: &Document) -> Vec<(&'static str, Option<Secret>)> {
    let settings = document.iscsi.settings.lines();
    let settings = settings.map(|(key, value)| (key, Some(Secret::new(value.into()))));
    settings.chain(account_settings::lines(&document.iscsi)).collect()
}

impl Content {
    /// This text, whatever the image has there.
    pub fn text(text: &str) -> Content {
        Content::Whole(Secret::new(text.into()))
    }

    /// The file's bytes, where the image has `current`, on a node that the kernel calls `hostname`; none: the file is to
    /// stay as it is.
    pub fn bytes(&self, current: &[u8], hostname: Option<&str>) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Content::Whole(text) => Some(Zeroizing::new(text.expose().to_vec())),
            Content::HostName => hostname.map(|name| Zeroizing::new(format!("{name}\n").into_bytes())),
            Content::Settings(settings) => Some(with_settings(current, settings)),
            Content::Line(line) => Some(with_line(current, line)),
        }
    }

    /// The bytes of a file that the plan gives as a whole; 0 for others.
    pub fn length(&self) -> u64 {
        match self {
            Content::Whole(text) => text.expose().len() as u64,
            Content::HostName | Content::Settings(_) | Content::Line(_) => 0,
        }
    }
}

/// `current` without its lines of the keys in `settings`, and then those that have a value.
fn with_settings(current: &[u8], settings: &[(&'static str, Option<Secret>)]) -> Zeroizing<Vec<u8>> {
    let is_replaced = |line: &[u8]| {
        let key = line.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        settings.iter().any(|(name, _)| name.as_bytes() == key)
    };
    let lines = || settings.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let length = lines().map(|(key, value)| key.len() + value.expose().len() + 4).sum::<usize>();
    // Large enough from the start: what a growing buffer leaves behind is not wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(current.len() + 1 + length));
    for line in current.split_inclusive(|byte| *byte == b'\n').filter(|line| !is_replaced(line)) {
        bytes.extend_from_slice(line);
    }
    if bytes.last().is_some_and(|byte| *byte != b'\n') {
        bytes.push(b'\n');
    }
    for (key, value) in lines() {
        for part in [key.as_bytes(), b" = ", value.expose(), b"\n"] {
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

/// `current`, with `line` at its end unless it has it.
fn with_line(current: &[u8], line: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(current.to_vec());
    if !current.split(|byte| *byte == b'\n').any(|other| other == line.as_bytes()) {
        if bytes.last().is_some_and(|byte| *byte != b'\n') {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::handover::fixture::document;
    use crate::steps::handover::written::is_listed;

    #[test]
    fn settings_replace_their_own_lines_alone() {
        let secret = |text: &[u8]| Some(Secret::new(text.to_vec()));
        let settings = [("a.b", secret(b"1")), ("gone", None), ("c", secret(b"2"))];
        let cases = [
            ("", "a.b = 1\nc = 2\n"),
            ("# a.b = 9\nx = 1\na.b = 9\na.bc=3", "# a.b = 9\nx = 1\na.bc=3\na.b = 1\nc = 2\n"),
            ("a.b=7\nc =8\n", "a.b = 1\nc = 2\n"),
            ("gone = 1\n#gone = 1\n", "#gone = 1\na.b = 1\nc = 2\n"),
        ];
        for (current, expected) in cases {
            let bytes = with_settings(current.as_bytes(), &settings);
            assert_eq!(String::from_utf8_lossy(&bytes), expected);
            assert_eq!(*with_settings(&bytes, &settings), *bytes, "a second time changes nothing");
        }
    }

    #[test]
    fn a_line_is_there_once() {
        for (current, expected) in [
            ("", "/1/\n"),
            ("# x\n/2/", "# x\n/2/\n/1/\n"),
            ("/1/\n/2/\n", "/1/\n/2/\n"),
            ("/11/\n", "/11/\n/1/\n"),
        ] {
            assert_eq!(String::from_utf8_lossy(&with_line(current.as_bytes(), "/1/")), expected);
        }
    }

    /// The files as `path mode: text`.
    fn text(change: serde_json::Value) -> Vec<String> {
        let files = files(&document(change), "iqn.2026-01.a:node1");
        let text = |file: &File| {
            let bytes = file.content.bytes(b"", Some("kernels-name")).unwrap();
            format!("{} {:o}: {}", file.path, file.mode, String::from_utf8_lossy(&bytes))
        };
        files.iter().map(text).collect()
    }

    #[test]
    fn the_plan_decides_what_is_written() {
        let files = text(serde_json::json!({}));
        assert_eq!(files.len(), 3);
        for file in &files {
            assert!(is_listed(file.split(' ').next().unwrap(), &[]), "{file}");
        }
        assert_eq!(files[0], "/etc/hostname 644: node1\n");
        assert_eq!(files[1], "/etc/iscsi/initiatorname.iscsi 600: InitiatorName=iqn.2026-01.a:node1\n");
        assert!(files[2].starts_with("/etc/iscsi/iscsid.conf 600: iscsid.startup = "), "{}", files[2]);
        assert!(files[2].contains("\nnode.session.timeo.replacement_timeout = 600\n"), "{}", files[2]);
        assert!(files[2].ends_with(
            "\nnode.session.auth.username = node\nnode.session.auth.password = 0123456789abcdef\n"
        ));
        assert!(text(serde_json::json!({"hostname": null}))[0].ends_with("kernels-name\n"));
        let mounts = |lower: &str| {
            serde_json::json!({"overlay": {"mounts": [
                {"at": "/", "lower": "/dev/mapper/luks_root1"}, {"at": "/var", "lower": lower},
                {"at": "/home", "lower": lower}
            ]}})
        };
        assert_eq!(text(mounts("/dev/mapper/luks_root-x")).len(), 3);
        assert!(is_listed("/etc/lvm/lvmlocal.conf", &[]));
        assert_eq!(
            text(mounts("/dev/mapper/my--site-var"))[3],
            "/etc/lvm/lvmlocal.conf 644: activation/read_only_volume_list = [ \"my-site\" ]\n"
        );
    }

    #[test]
    fn a_file_of_the_plan_goes_before_ours() {
        let files = text(serde_json::json!({"handover": {"files": [
            {"path": "/etc/hostname", "content": "other\n"},
            {"path": "/etc/site/key", "mode": "0400", "content": "0123"}
        ]}}));
        assert_eq!(files.len(), 4);
        assert_eq!(files.iter().filter(|file| file.starts_with("/etc/hostname")).count(), 1);
        assert_eq!(files[2..], ["/etc/hostname 644: other\n", "/etc/site/key 400: 0123"]);
    }

    proptest::proptest! {
        #[test]
        fn any_file_gets_its_settings_once(current: Vec<u8>) {
            let settings = [("a.b", Some(Secret::new(b"1".to_vec()))), ("gone", None)];
            let bytes = with_settings(&current, &settings);
            proptest::prop_assert!(bytes.ends_with(b"a.b = 1\n"));
            proptest::prop_assert_eq!(&*with_settings(&bytes, &settings), &*bytes);
        }
    }
}
