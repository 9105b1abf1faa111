//! Decides what is not yet as it is to be.

use super::apply::Action;
use super::files::File;
use super::observe::Seen;
use crate::engine::converge::Next;

pub fn plan(files: &[File], seen: &Seen) -> Next<Action> {
    for (file, current) in files.iter().zip(&seen.files) {
        let (bytes, mode) = match current {
            Some((bytes, mode)) => (bytes.as_slice(), Some(*mode)),
            None => (&[][..], None),
        };
        let wanted = file.content.bytes(bytes);
        if wanted.as_slice() != bytes || mode != Some(file.mode) {
            return Next::Do(Action::Write { path: file.path, mode: file.mode, bytes: wanted });
        }
    }
    for unit in &seen.units {
        if let Some(link) = unit.missing.first() {
            return Next::Do(Action::Link { path: link.clone(), to: unit.path.clone() });
        }
    }
    let units = seen.units.iter().map(|unit| unit.path.rsplit('/').next().unwrap_or_default());
    Next::Done(files.iter().map(|file| file.path).chain(units).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::handover::files::Content;
    use crate::steps::handover::observe::Unit;

    #[test]
    fn a_file_is_written_until_content_and_mode_are_right() {
        let files = [File { path: "/etc/hostname", mode: 0o644, content: Content::Whole("node1\n".into()) }];
        let there = |bytes: &[u8], mode| vec![Some((bytes.to_vec().into(), mode))];
        for (current, done) in [
            (vec![None], false),
            (there(b"vm\n", 0o644), false),
            (there(b"node1\n", 0o600), false),
            (there(b"node1\n", 0o644), true),
        ] {
            let seen = Seen { files: current, units: Vec::new() };
            assert_eq!(matches!(plan(&files, &seen), Next::Done(_)), done);
        }
    }

    #[test]
    fn a_unit_is_linked_until_no_link_is_missing() {
        let unit = |missing: &[&str]| Unit {
            path: "/usr/lib/systemd/system/iscsid.service".into(),
            missing: missing.iter().map(|link| (*link).to_owned()).collect(),
        };
        let seen = |unit| Seen { files: Vec::new(), units: vec![unit] };
        let Next::Do(Action::Link { path, to }) = plan(&[], &seen(unit(&["/a", "/b"]))) else {
            panic!("no link");
        };
        assert_eq!((path.as_str(), to.as_str()), ("/a", "/usr/lib/systemd/system/iscsid.service"));
        assert!(matches!(plan(&[], &seen(unit(&[]))), Next::Done(what) if what == "iscsid.service"));
    }
}
