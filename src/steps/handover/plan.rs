//! Decides which file is not yet as it is to be.

use super::apply::Write;
use super::files::File;
use super::observe::Seen;
use crate::engine::converge::Next;

pub fn plan(files: &[File], seen: &Seen) -> Next<Write> {
    for (file, current) in files.iter().zip(seen) {
        let (bytes, mode) = match current {
            Some((bytes, mode)) => (bytes.as_slice(), Some(*mode)),
            None => (&[][..], None),
        };
        let wanted = file.content.bytes(bytes);
        if wanted.as_slice() != bytes || mode != Some(file.mode) {
            return Next::Do(Write { path: file.path, mode: file.mode, bytes: wanted });
        }
    }
    Next::Done(files.iter().map(|file| file.path).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::handover::files::Content;

    #[test]
    fn a_file_is_written_until_content_and_mode_are_right() {
        let files = [File { path: "/etc/hostname", mode: 0o644, content: Content::Whole("node1\n".into()) }];
        let seen = |bytes: &[u8], mode| vec![Some((bytes.to_vec().into(), mode))];
        for (seen, done) in [
            (vec![None], false),
            (seen(b"vm\n", 0o644), false),
            (seen(b"node1\n", 0o600), false),
            (seen(b"node1\n", 0o644), true),
        ] {
            assert_eq!(matches!(plan(&files, &seen), Next::Done(_)), done);
        }
    }
}
