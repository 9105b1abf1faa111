//! The LUKS step against headers that the real cryptsetup makes, in plain files: the volume key must be the one that
//! cryptsetup finds. Needs neither root nor device-mapper.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::Command;

use diskless::engine::host::Host;
use diskless::error::{Code, Error};
use diskless::input::secret::Secret;
use diskless::steps::luks::{Unlocked, Volume, open_volume};
use tempfile::TempDir;

const PBKDF2: &[&str] = &["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];

/// An image `disk` with key files beside it.
struct Image {
    folder: TempDir,
}

impl Image {
    /// One keyslot, opened by the file `key`.
    fn format(options: &[&str], key: &[u8]) -> Image {
        let image = Image { folder: tempfile::tempdir().unwrap() };
        File::create(image.path("disk")).unwrap().set_len(32 << 20).unwrap();
        fs::write(image.path("key"), key).unwrap();
        image.cryptsetup(&[&["luksFormat", "--type", "luks2", "disk", "key"], options].concat());
        image
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn cryptsetup(&self, arguments: &[&str]) {
        let output = match Command::new("cryptsetup")
            .current_dir(self.folder.path())
            .arg("--batch-mode")
            .args(arguments)
            .output()
        {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("these tests need cryptsetup: install the Debian package cryptsetup-bin")
            }
            Err(error) => panic!("cryptsetup: {error}"),
        };
        assert!(
            output.status.success(),
            "cryptsetup {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// The volume key as cryptsetup finds it with the key file `key`.
    fn peer_volume_key(&self, key: &str) -> Vec<u8> {
        let _ = fs::remove_file(self.path("volume-key"));
        self.cryptsetup(&[
            "luksDump",
            "--dump-volume-key",
            "--volume-key-file",
            "volume-key",
            "--key-file",
            key,
            "disk",
        ]);
        fs::read(self.path("volume-key")).unwrap()
    }

    fn open(&self, secret: &[u8], keyslot: Option<u32>) -> Result<(Volume, Unlocked), Error> {
        let mut disk = File::open(self.path("disk")).unwrap();
        open_volume(&Host::this(), &mut disk, "image", &Secret::new(secret.to_vec()), keyslot)
    }

    fn open_with_file(&self, key: &str) -> Result<(Volume, Unlocked), Error> {
        self.open(&fs::read(self.path(key)).unwrap(), None)
    }

    /// Opens with the file `key`, and finds what cryptsetup finds.
    fn agrees(&self, key: &str) -> (Volume, Unlocked) {
        let (volume, unlocked) = self.open_with_file(key).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(unlocked.volume_key.as_slice(), self.peer_volume_key(key));
        (volume, unlocked)
    }

    fn overwrite(&self, offset: u64, bytes: &[u8]) {
        let mut disk = OpenOptions::new().write(true).open(self.path("disk")).unwrap();
        disk.seek(SeekFrom::Start(offset)).unwrap();
        disk.write_all(bytes).unwrap();
    }
}

/// The error of something that must not open.
fn refused(opened: Result<(Volume, Unlocked), Error>) -> Error {
    opened.err().expect("it opened")
}

#[test]
fn pbkdf2_with_each_hash() {
    for hash in ["sha1", "sha256", "sha512"] {
        let (_, unlocked) = Image::format(&[PBKDF2, &["--hash", hash]].concat(), &[7; 32]).agrees("key");
        assert_eq!(unlocked.volume_key.len(), 64, "{hash}");
    }
}

#[test]
fn argon2() {
    for kdf in ["argon2id", "argon2i"] {
        for lanes in ["1", "2", "4"] {
            let costs = ["--pbkdf-memory", "32768", "--pbkdf-force-iterations", "4"];
            let kdf = ["--pbkdf", kdf, "--pbkdf-parallel", lanes];
            Image::format(&[&costs[..], &kdf].concat(), b"correct horse").agrees("key");
        }
    }
}

#[test]
fn sectors_of_4096_bytes() {
    let image = Image::format(&[PBKDF2, &["--sector-size", "4096"]].concat(), &[7; 32]);
    assert_eq!(image.agrees("key").0.metadata.segment.sector_size, 4096);
}

#[test]
fn a_key_of_256_bits() {
    let image = Image::format(&[PBKDF2, &["--key-size", "256"]].concat(), &[7; 32]);
    assert_eq!(image.agrees("key").1.volume_key.len(), 32);
}

#[test]
fn larger_headers() {
    let sizes = ["--luks2-metadata-size", "4m", "--luks2-keyslots-size", "1m"];
    Image::format(&[PBKDF2, &sizes].concat(), &[7; 32]).agrees("key");
}

#[test]
fn each_of_two_keyslots() {
    let image = Image::format(PBKDF2, b"first");
    fs::write(image.path("second"), b"second").unwrap();
    image.cryptsetup(&[&["luksAddKey", "--key-file", "key", "disk", "second"], PBKDF2].concat());
    assert_eq!(image.agrees("key").1.keyslot, 0);
    assert_eq!(image.agrees("second").1.keyslot, 1);
    assert_eq!(refused(image.open(b"first", Some(1))).code(), Code::LuksNoKey);
}

#[test]
fn keyslots_go_by_their_priority() {
    let image = Image::format(PBKDF2, b"first");
    image.cryptsetup(&[&["luksAddKey", "--key-file", "key", "disk", "key"], PBKDF2].concat());
    image.cryptsetup(&["config", "--priority", "prefer", "--key-slot", "1", "disk"]);
    assert_eq!(image.agrees("key").1.keyslot, 1);
    image.cryptsetup(&["config", "--priority", "ignore", "--key-slot", "1", "disk"]);
    assert_eq!(image.agrees("key").1.keyslot, 0);
    image.cryptsetup(&["config", "--priority", "ignore", "--key-slot", "0", "disk"]);
    assert_eq!(refused(image.open_with_file("key")).code(), Code::LuksNoKey);
    assert_eq!(image.open(b"first", Some(1)).unwrap().1.keyslot, 1);
}

#[test]
fn a_newline_is_part_of_the_key() {
    let image = Image::format(PBKDF2, b"secret\n");
    image.agrees("key");
    assert_eq!(refused(image.open(b"secret", None)).code(), Code::LuksNoKey);
}

#[test]
fn a_wrong_key() {
    let image = Image::format(PBKDF2, &[7; 32]);
    let error = refused(image.open(&[8; 32], None));
    assert_eq!(error.code(), Code::LuksNoKey);
    assert!(error.to_string().contains("keyslot 0"), "{error}");
}

#[test]
fn a_damaged_primary_header() {
    let image = Image::format(PBKDF2, &[7; 32]);
    image.overwrite(5000, b"damage");
    let (volume, _) = image.open_with_file("key").unwrap();
    assert_eq!(volume.header_offset, 0x4000);
    assert!(volume.note.is_some());
    // cryptsetup repairs what it reads, so its turn comes last.
    image.agrees("key");
}

#[test]
fn both_headers_damaged() {
    let image = Image::format(PBKDF2, &[7; 32]);
    image.overwrite(5000, b"damage");
    image.overwrite(0x4000 + 5000, b"damage");
    assert_eq!(refused(image.open_with_file("key")).code(), Code::LuksHeader);
}

#[test]
fn an_unbound_keyslot_does_not_open() {
    let image = Image::format(PBKDF2, b"first");
    fs::write(image.path("other"), b"other").unwrap();
    // A key of the same size, so that only the missing link to the segment tells.
    let unbound = ["luksAddKey", "--unbound", "--key-size", "512", "disk", "other"];
    image.cryptsetup(&[&unbound, PBKDF2].concat());
    assert_eq!(refused(image.open(b"other", None)).code(), Code::LuksNoKey);
    assert_eq!(refused(image.open(b"other", Some(1))).code(), Code::LuksNoKey);
    image.agrees("key");
}
