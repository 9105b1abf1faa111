//! From a secret to the volume key: keyslots are tried, and a digest of the segment says which key is right.

use std::io::{Read, Seek};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::engine::host::Host;
use crate::error::{Code, Error, Result};
use crate::input::secret::Secret;

use super::af;
use super::bytes::read_at;
use super::kdf::{Failure, available_memory};
use super::metadata::{Digest, Keyslot, Metadata, Priority};
use super::volume::Volume;

/// An opened volume.
pub struct Unlocked {
    /// The volume's key, as long as its cipher wants it.
    pub volume_key: Zeroizing<Vec<u8>>,
    /// The keyslot that opened.
    pub keyslot: u32,
    /// The digest that says so.
    pub digest: u32,
}

impl Volume {
    /// The keyslots to try, in this order: those of a digest of the segment, preferred ones first, then by number.
    /// `asked`: only this one, whatever its priority.
    pub fn candidates(&self, asked: Option<u32>) -> Vec<u32> {
        let mut candidates: Vec<(Priority, u32)> = self
            .metadata
            .keyslots
            .iter()
            .filter(|(id, slot)| match asked {
                Some(asked) => **id == asked,
                None => slot.priority != Priority::Ignore,
            })
            .filter(|(id, _)| self.digests_of(**id).next().is_some())
            .map(|(id, slot)| (slot.priority, *id))
            .collect();
        candidates.sort_by_key(|(priority, id)| (std::cmp::Reverse(*priority), *id));
        candidates.into_iter().map(|(_, id)| id).collect()
    }

    /// That keyslot `asked` is in use; any will do if none is asked for.
    ///
    /// # Errors
    /// [`Code::LuksKeyslot`]: it is not; the cause names those that are.
    pub fn check_keyslot(&self, asked: Option<u32>) -> Result<()> {
        let Metadata { keyslots, skipped, .. } = &self.metadata;
        let Some(asked) = asked.filter(|asked| !keyslots.contains_key(asked) && !skipped.contains_key(asked))
        else {
            return Ok(());
        };
        let mut used: Vec<u32> = keyslots.keys().chain(skipped.keys()).copied().collect();
        used.sort_unstable();
        let used: Vec<String> = used.iter().map(u32::to_string).collect();
        Err(Error::new(Code::LuksKeyslot, self.name.as_str())
            .because(format!("keyslot {asked} is asked for, in use are: {}", used.join(", "))))
    }

    /// The digests that check the key of `keyslot`. A keyslot without one ("unbound") holds the key of something
    /// else, so it must not open this.
    fn digests_of(&self, keyslot: u32) -> impl Iterator<Item = (u32, &Digest)> {
        self.metadata
            .digests
            .iter()
            .filter(move |(_, digest)| digest.keyslots.contains(&keyslot))
            .map(|(id, digest)| (*id, digest))
    }

    /// Opens the volume with `secret`: the first of the [`Volume::candidates`] that it fits. `disk` is what the header
    /// was read from.
    ///
    /// # Errors
    /// [`Code::LuksKeyslot`]: the one asked for is not in use. [`Code::LuksNoKey`]: it fits none. [`Code::LuksMemory`]: it fits none of those that could be tried, and the
    /// node has too little memory for another. [`Code::LuksUnsupported`]: none can be tried. [`Code::Io`].
    pub fn unlock(
        &self,
        host: &Host,
        disk: &mut (impl Read + Seek),
        secret: &Secret,
        asked: Option<u32>,
    ) -> Result<Unlocked> {
        self.check_keyslot(asked)?;
        let candidates = self.candidates(asked);
        let mut too_large = None;
        let mut reasons: Vec<String> = Vec::new();
        for id in &candidates {
            let Some(keyslot) = self.metadata.keyslots.get(id) else {
                continue;
            };
            match self.open(host, disk, keyslot, secret)? {
                Ok(key) => {
                    if let Some(digest) = self.verify(host, *id, &key) {
                        return Ok(Unlocked { volume_key: key, keyslot: *id, digest });
                    }
                    reasons.push(format!("keyslot {id}: another key"));
                }
                Err(failure @ Failure::Memory { .. }) => {
                    too_large.get_or_insert_with(|| {
                        Error::new(Code::LuksMemory, self.name.as_str())
                            .because(format!("keyslot {id} {failure}"))
                    });
                }
                Err(Failure::Parameters(what)) => reasons.push(format!("keyslot {id}: {what}")),
            }
        }
        if let Some(error) = too_large {
            return Err(error);
        }
        let skipped: Vec<String> = self
            .metadata
            .skipped
            .iter()
            .filter(|(id, _)| asked.is_none_or(|asked| asked == **id))
            .map(|(id, why)| format!("keyslot {id}: {why}"))
            .collect();
        let code = match (candidates.is_empty(), skipped.is_empty()) {
            (true, false) => Code::LuksUnsupported,
            _ => Code::LuksNoKey,
        };
        reasons.extend(skipped);
        if reasons.is_empty() {
            reasons.push("there is no keyslot to try".into());
        }
        Err(Error::new(code, self.name.as_str()).because(reasons.join(", ")))
    }

    /// The key in `keyslot` if `secret` is its secret, and else just some bytes.
    fn open(
        &self,
        host: &Host,
        disk: &mut (impl Read + Seek),
        keyslot: &Keyslot,
        secret: &Secret,
    ) -> Result<std::result::Result<Zeroizing<Vec<u8>>, Failure>> {
        let mut area = Zeroizing::new(vec![0u8; keyslot.area_size]);
        if !read_at(disk, &self.name, keyslot.area_offset, &mut area)? {
            return Err(Error::new(Code::LuksSize, self.name.as_str()).because("it ends within a keyslot"));
        }
        // Not to be had in a fixture root: then only the allocation itself tells.
        let meminfo = std::fs::read_to_string(host.path("/proc/meminfo")).unwrap_or_default();
        let mut area_key = Zeroizing::new(vec![0u8; keyslot.area_key_size]);
        let derived =
            host.deriving(|| keyslot.kdf.derive(secret.expose(), available_memory(&meminfo), &mut area_key));
        if let Err(failure) = derived {
            return Ok(Err(failure));
        }
        if !keyslot.cipher.decrypt_area(&area_key, &mut area) {
            return Ok(Err(Failure::Parameters("a key of a size that its cipher does not take".into())));
        }
        let stripes = area.get(..keyslot.key_size * af::STRIPES).unwrap_or_default();
        Ok(af::merge(stripes, keyslot.key_size, keyslot.af_hash)
            .ok_or_else(|| Failure::Parameters("no stripes".into())))
    }

    /// The digest, linked to the segment and to `keyslot`, that `key` is right for.
    fn verify(&self, host: &Host, keyslot: u32, key: &[u8]) -> Option<u32> {
        if !self.metadata.segment.cipher.takes_key_of(key.len()) {
            return None;
        }
        self.digests_of(keyslot).find_map(|(id, digest)| {
            let mut found = Zeroizing::new(vec![0u8; digest.digest.len()]);
            host.deriving(|| digest.hash.pbkdf2(key, &digest.salt, digest.iterations, &mut found));
            bool::from(found.as_slice().ct_eq(&digest.digest)).then_some(id)
        })
    }
}

/// Reads the header of `disk` and opens it with `secret`; see [`Volume::read`] and [`Volume::unlock`]. Needs neither
/// root nor device-mapper.
///
/// # Errors
/// Those of the two.
pub fn open_volume(
    host: &Host,
    disk: &mut (impl Read + Seek),
    name: &str,
    secret: &Secret,
    asked: Option<u32>,
) -> Result<(Volume, Unlocked)> {
    let volume = Volume::read(disk, name)?;
    let unlocked = volume.unlock(host, disk, secret, asked)?;
    Ok((volume, unlocked))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::fixture::{self, SECRET, VOLUME_KEY};
    use super::super::volume::Version;
    use super::*;

    fn open_with(json: &str, secret: &[u8], asked: Option<u32>) -> Result<Unlocked> {
        let mut disk = Cursor::new(fixture::volume(json));
        let secret = Secret::new(secret.to_vec());
        open_volume(&Host::fake("/nonexistent"), &mut disk, "disk sda", &secret, asked)
            .map(|(_, unlocked)| unlocked)
    }

    fn error(json: &str, secret: &[u8], asked: Option<u32>) -> Error {
        open_with(json, secret, asked).err().unwrap()
    }

    /// The fixture's metadata with `from` replaced by `to`.
    fn with(from: &str, to: &str) -> String {
        let json = fixture::json();
        assert!(json.contains(from), "{from}");
        json.replace(from, to)
    }

    #[test]
    fn the_secret_gives_the_volume_key() {
        let unlocked = open_with(&fixture::json(), SECRET, None).unwrap();
        assert_eq!(unlocked.volume_key.as_slice(), VOLUME_KEY);
        assert_eq!((unlocked.keyslot, unlocked.digest), (0, 0));
    }

    #[test]
    fn another_secret_opens_nothing() {
        let error = error(&fixture::json(), b"a key", None);
        assert_eq!(error.code(), Code::LuksNoKey);
        assert!(error.to_string().ends_with("keyslot 0: another key"), "{error}");
    }

    #[test]
    fn a_digest_of_no_segment_does_not_count() {
        let json = with(r#""segments":["0"]"#, r#""segments":[]"#);
        assert_eq!(error(&json, SECRET, None).code(), Code::LuksNoKey);
    }

    #[test]
    fn a_digest_of_another_keyslot_does_not_count() {
        let json = with(r#""keyslots":["0"]"#, r#""keyslots":["1"]"#)
            .replace(r#""keyslots":{"#, r#""keyslots":{"1":{"type":"other"},"#);
        assert_eq!(error(&json, SECRET, Some(0)).code(), Code::LuksNoKey);
    }

    #[test]
    fn an_ignored_keyslot_opens_only_when_asked_for() {
        let json = with(r#""key_size":64,"af""#, r#""key_size":64,"priority":0,"af""#);
        assert_eq!(error(&json, SECRET, None).code(), Code::LuksNoKey);
        assert!(open_with(&json, SECRET, Some(0)).is_ok());
    }

    #[test]
    fn a_keyslot_that_is_not_in_use_is_named() {
        let error = error(&fixture::json(), SECRET, Some(1));
        assert_eq!(error.code(), Code::LuksKeyslot);
        assert!(error.to_string().ends_with("keyslot 1 is asked for, in use are: 0"), "{error}");
    }

    #[test]
    fn luks1_opens_too() {
        let open = |secret: &[u8]| {
            let secret = Secret::new(secret.to_vec());
            let mut disk = Cursor::new(fixture::luks1());
            open_volume(&Host::fake("/nonexistent"), &mut disk, "disk sda", &secret, None)
        };
        let (volume, unlocked) = open(SECRET).ok().unwrap();
        assert_eq!((volume.version, volume.uuid.as_str()), (Version::One, fixture::UUID));
        assert_eq!(unlocked.volume_key.as_slice(), &VOLUME_KEY[..32]);
        assert_eq!((unlocked.keyslot, unlocked.digest), (0, 0));
        assert_eq!(open(b"a key").err().unwrap().code(), Code::LuksNoKey);
    }

    #[test]
    fn a_keyslot_that_cannot_be_tried_is_named() {
        let json = with(r#""kdf":{"type":"pbkdf2""#, r#""kdf":{"type":"scrypt""#);
        let error = error(&json, SECRET, None);
        assert_eq!(error.code(), Code::LuksUnsupported);
        assert!(error.to_string().ends_with("keyslot 0: kdf \"scrypt\""), "{error}");
        let error = self::error(&with(r#""keyslots":["0"]"#, r#""keyslots":[]"#), SECRET, None);
        assert_eq!(error.code(), Code::LuksNoKey);
        assert!(error.to_string().ends_with("there is no keyslot to try"), "{error}");
    }

    #[test]
    fn too_little_memory_is_said() {
        let json = with(
            r#""kdf":{"type":"pbkdf2""#,
            r#""kdf":{"type":"argon2id","time":4,"memory":1048576,"cpus":4"#,
        );
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("proc")).unwrap();
        std::fs::write(root.path().join("proc/meminfo"), "MemAvailable: 716800 kB\n").unwrap();
        let mut disk = Cursor::new(fixture::volume(&json));
        let error =
            open_volume(&Host::fake(root.path()), &mut disk, "disk sda", &Secret::new(SECRET.to_vec()), None)
                .err()
                .unwrap();
        assert_eq!(error.code(), Code::LuksMemory);
        assert!(error.to_string().ends_with("needs 1024 MiB, 700 MiB are free"), "{error}");
    }

    #[test]
    fn a_disk_that_ends_within_the_keyslot_is_said() {
        let mut bytes = fixture::volume(&fixture::json());
        bytes.truncate(0x9000);
        let secret = Secret::new(SECRET.to_vec());
        let error =
            open_volume(&Host::fake("/nonexistent"), &mut Cursor::new(bytes), "disk sda", &secret, None)
                .err()
                .unwrap();
        assert_eq!(error.code(), Code::LuksSize);
    }
}
