//! Images made and opened by cryptsetup, and opened by diskless.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use diskless::engine::host::Host;
use diskless::error::Error;
use diskless::input::secret::Secret;
use diskless::steps::luks::{Unlocked, Volume, open_volume};
use tempfile::TempDir;

/// An image `disk` with key files beside it, and with its header in the file `header` if it is detached.
pub struct Image {
    folder: TempDir,
    /// The file that the header is in.
    pub header: &'static str,
}

/// Whether a key opens.
#[derive(Debug)]
pub struct Verdict {
    /// What diskless says.
    pub ours: bool,
    /// What cryptsetup says.
    pub theirs: bool,
    /// What both say about it.
    pub said: String,
}

impl Verdict {
    /// What both say.
    pub fn agreed(&self) -> bool {
        assert_eq!(self.ours, self.theirs, "{}", self.said);
        self.ours
    }
}

impl Image {
    /// An empty disk and the key of 32 bytes, `key`; another one is `wrong`.
    pub fn new() -> Image {
        let image = Image { folder: tempfile::tempdir().unwrap(), header: "disk" };
        File::create(image.path("disk")).unwrap().set_len(32 << 20).unwrap();
        fs::write(image.path("key"), [7; 32]).unwrap();
        fs::write(image.path("wrong"), [8; 32]).unwrap();
        image
    }

    /// LUKS2 with one keyslot, opened by the file `key`.
    pub fn format(options: &[&str], key: &[u8]) -> Image {
        Image::of("luks2", options, key)
    }

    /// `kind` with one keyslot, opened by the file `key`.
    pub fn of(kind: &str, options: &[&str], key: &[u8]) -> Image {
        let image = Image::new();
        fs::write(image.path("key"), key).unwrap();
        image.cryptsetup(&[&["luksFormat", "--type", kind, "disk", "key"], options].concat());
        image
    }

    /// The same with a detached header.
    pub fn detached(kind: &str, options: &[&str], key: &[u8]) -> Image {
        let image = Image { header: "header", ..Image::new() };
        // LUKS1 wants room for all of its keyslots.
        File::create(image.path("header")).unwrap().set_len(4 << 20).unwrap();
        fs::write(image.path("key"), key).unwrap();
        let format = ["luksFormat", "--type", kind, "--header", "header", "disk", "key"];
        image.cryptsetup(&[&format, options].concat());
        image
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the header is in.
    pub fn bytes(&self) -> Vec<u8> {
        fs::read(self.path(self.header)).unwrap()
    }

    /// What cryptsetup prints.
    pub fn cryptsetup(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.run_cryptsetup(arguments);
        assert!(
            output.status.success(),
            "cryptsetup {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    pub fn run_cryptsetup(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("cryptsetup");
        match command.current_dir(self.folder.path()).arg("--batch-mode").args(arguments).output() {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("these tests need cryptsetup: install the Debian package cryptsetup-bin")
            }
            Err(error) => panic!("cryptsetup: {error}"),
        }
    }

    /// Runs diskless beside the image.
    pub fn diskless(&self, arguments: &[&str]) -> Output {
        self.diskless_with(arguments, b"")
    }

    /// The same, with `input` as its standard input.
    pub fn diskless_with(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_diskless"))
            .current_dir(self.folder.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It need not read all of it.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    /// What both say of the file `key`. Options are given as diskless and as cryptsetup call them, with their value.
    pub fn verdict(&self, key: &str, options: &[(&str, &str, &str)]) -> Verdict {
        let mut ours = vec!["luks", "test", "--key-file", key, "disk"];
        let mut theirs = vec!["open", "--test-passphrase", "--key-file", key, "disk"];
        if self.header != "disk" {
            ours.extend(["--header", self.header]);
            theirs.extend(["--header", self.header]);
        }
        for (our, their, value) in options {
            ours.extend([our, value]);
            theirs.extend([their, value]);
        }
        // cryptsetup repairs what it reads, so its turn comes last.
        let ours = self.diskless(&ours);
        let theirs = self.run_cryptsetup(&theirs);
        let text = |output: &Output| String::from_utf8_lossy(&output.stderr).trim().to_owned();
        assert!(
            matches!(ours.status.code(), Some(0 | 1)),
            "diskless ends with {}: {}",
            ours.status,
            text(&ours)
        );
        Verdict {
            ours: ours.status.success(),
            theirs: theirs.status.success(),
            said: format!("diskless: {}; cryptsetup: {}", text(&ours), text(&theirs)),
        }
    }

    /// The volume key as cryptsetup finds it with the key file `key`.
    fn peer_volume_key(&self, key: &str) -> Vec<u8> {
        let _ = fs::remove_file(self.path("volume-key"));
        let dump = ["luksDump", "--dump-volume-key", "--volume-key-file", "volume-key", "--key-file"];
        self.cryptsetup(&[&dump[..], &[key, self.header]].concat());
        fs::read(self.path("volume-key")).unwrap()
    }

    pub fn open(&self, secret: &[u8], keyslot: Option<u32>) -> Result<(Volume, Unlocked), Error> {
        let mut header = File::open(self.path(self.header)).unwrap();
        open_volume(&Host::this(), &mut header, "image", &Secret::new(secret.to_vec()), keyslot)
    }

    pub fn open_with_file(&self, key: &str) -> Result<(Volume, Unlocked), Error> {
        self.open(&fs::read(self.path(key)).unwrap(), None)
    }

    /// Opens with the file `key`, and finds what cryptsetup finds; with another key, neither opens.
    pub fn agrees(&self, key: &str) -> (Volume, Unlocked) {
        let (volume, unlocked) = self.open_with_file(key).unwrap_or_else(|error| panic!("{error}"));
        assert!(self.verdict(key, &[]).agreed());
        assert!(!self.verdict("wrong", &[]).agreed());
        assert_eq!(unlocked.volume_key.as_slice(), self.peer_volume_key(key));
        (volume, unlocked)
    }

    pub fn overwrite(&self, offset: u64, bytes: &[u8]) {
        let mut disk = OpenOptions::new().write(true).open(self.path(self.header)).unwrap();
        disk.seek(SeekFrom::Start(offset)).unwrap();
        disk.write_all(bytes).unwrap();
    }
}
