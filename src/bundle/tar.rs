//! A tar of plain files (POSIX.1-1988 ustar), in memory.

/// The format's block.
const BLOCK: usize = 512;
/// A name is not longer, in bytes.
const LONGEST_NAME: usize = 100;

/// A tar that is being made.
#[derive(Debug, Default)]
pub struct Tar {
    bytes: Vec<u8>,
    /// Of all files, in seconds since 1970.
    time: u64,
}

impl Tar {
    /// An empty one, whose files are of this time.
    pub fn new(time: u64) -> Tar {
        Tar { bytes: Vec::new(), time }
    }

    /// Adds a file, for its owner alone. A name that is too long is cut.
    pub fn add(&mut self, name: &str, content: &[u8]) {
        let mut cut = name.len().min(LONGEST_NAME);
        while !name.is_char_boundary(cut) {
            cut -= 1;
        }
        let name = name.get(..cut).unwrap_or_default();
        self.bytes.extend(self.header(name, content.len()));
        self.bytes.extend(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
    }

    fn header(&self, name: &str, size: usize) -> Vec<u8> {
        // Name, mode, owner, group, size, time; numbers octal, with a zero at the end.
        let field = |text: String, width: usize| {
            let mut bytes = text.into_bytes();
            bytes.resize(width, 0);
            bytes
        };
        let before = [
            field(name.to_owned(), 100),
            field("0000600".to_owned(), 8),
            field("0000000".to_owned(), 8),
            field("0000000".to_owned(), 8),
            field(format!("{:011o}", size as u64 & 0o77_777_777_777), 12),
            field(format!("{:011o}", self.time & 0o77_777_777_777), 12),
        ]
        .concat();
        // Kind (a file), link, magic, version, names of owner and group, device, prefix of the name.
        let after = [
            field("0".to_owned(), 1 + 100),
            field("ustar\x0000".to_owned(), 8),
            field("root".to_owned(), 32),
            field("root".to_owned(), 32),
            field(String::new(), 8 + 8 + 155 + 12),
        ]
        .concat();
        // The sum of all bytes, with blanks where the sum itself is.
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let sum = sum(&before) + 8 * u32::from(b' ') + sum(&after);
        [before, field(format!("{sum:06o}\0 "), 8), after].concat()
    }

    /// Its size when it is finished.
    pub fn size(&self) -> usize {
        self.bytes.len() + 2 * BLOCK
    }

    /// The whole of it.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn tar_unpacks_it() {
        let mut tar = Tar::new(1_700_000_000);
        let long = format!("d/{}", "n".repeat(120));
        let files: [(&str, Vec<u8>); 4] = [
            ("d/a.txt", b"a\n".to_vec()),
            ("d/empty", vec![]),
            ("d/block", vec![7; 512]),
            (&long, vec![1; 70_000]),
        ];
        for (name, content) in &files {
            tar.add(name, content);
        }
        let size = tar.size();
        let bytes = tar.finish();
        assert_eq!((bytes.len(), bytes.len() % BLOCK), (size, 0));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("it.tar"), bytes).unwrap();
        let mut unpack = Command::new("tar");
        let done = unpack.args(["-xf", "it.tar"]).current_dir(folder.path()).output().unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
        for (name, content) in &files {
            let name = name.get(..name.len().min(LONGEST_NAME)).unwrap();
            assert_eq!(&std::fs::read(folder.path().join(name)).unwrap(), content, "{name}");
        }
    }
}
