//! What a header says, as it is written, for people and scripts: also of a header that cannot be used here, and why.
//! No key material, no salts.

use std::io::{Read, Seek};

use serde::Serialize;

use crate::error::{Code, Context, Result};

use super::luks1;
use super::luks2::{check, header, json};
use super::metadata::{Metadata, Size};
use super::volume::{Version, version};

/// A header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The version of LUKS: 1 or 2.
    pub version: u8,
    /// The UUID.
    pub uuid: String,
    /// The name a person gave it; LUKS2 only.
    pub label: Option<String>,
    /// A second such name; LUKS2 only.
    pub subsystem: Option<String>,
    /// `primary` or `secondary`: the copy of the header that holds.
    pub copy: &'static str,
    /// Where that copy is, in bytes.
    pub header_offset: u64,
    /// How long it is, in bytes.
    pub header_size: u64,
    /// Counts the changes of the header; LUKS2 only.
    pub sequence: Option<u64>,
    /// What is wrong with the other copy.
    pub note: Option<String>,
    /// What a reader must be able to do.
    pub requirements: Vec<String>,
    /// How the data is to be mapped.
    pub flags: Vec<String>,
    /// The data.
    pub segments: Vec<Segment>,
    /// The keyslots in use.
    pub keyslots: Vec<Keyslot>,
    /// The checks of volume keys.
    pub digests: Vec<Digest>,
    /// Why this cannot be opened here; none if it can.
    pub problem: Option<String>,
}

/// A part of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// Its number.
    pub id: u32,
    /// Its type: `crypt`.
    pub kind: String,
    /// Its cipher, as a dm-crypt table has it.
    pub cipher: Option<String>,
    /// Its sectors, in bytes.
    pub sector_size: u32,
    /// Where it starts, in bytes.
    pub offset: u64,
    /// How long it is, in bytes; none: to the end of the disk.
    pub size: Option<u64>,
    /// The type of its integrity protection.
    pub integrity: Option<String>,
}

/// A keyslot in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keyslot {
    /// Its number.
    pub id: u32,
    /// Its type: `luks1`, `luks2`, `reencrypt`.
    pub kind: String,
    /// `ignore`, `normal` or `prefer`.
    pub priority: &'static str,
    /// The volume key's size, in bytes.
    pub key_size: Option<u32>,
    /// The cipher of its area.
    pub cipher: Option<String>,
    /// Where that is, in bytes.
    pub offset: Option<u64>,
    /// How its key comes from the secret.
    pub kdf: Option<Kdf>,
    /// Why it cannot be used here; none if it can.
    pub problem: Option<String>,
}

/// A key derivation function with its costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kdf {
    /// `pbkdf2`, `argon2i` or `argon2id`.
    pub kind: String,
    /// The hash of PBKDF2.
    pub hash: Option<String>,
    /// The rounds of PBKDF2.
    pub iterations: Option<u32>,
    /// The passes of Argon2.
    pub time: Option<u32>,
    /// The memory of Argon2, in KiB.
    pub memory: Option<u32>,
    /// The lanes of Argon2.
    pub cpus: Option<u32>,
}

/// A check of a volume key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Digest {
    /// Its number.
    pub id: u32,
    /// Its type: `pbkdf2`.
    pub kind: String,
    /// Its hash.
    pub hash: Option<String>,
    /// Its rounds.
    pub iterations: Option<u32>,
    /// The keyslots that hold this key.
    pub keyslots: Vec<u64>,
    /// The segments that the key is for.
    pub segments: Vec<u64>,
}

/// Describes the header in `disk`, which people call `name`.
///
/// # Errors
/// [`Code::LuksHeader`]: there is no header that is whole enough to be read. [`Code::LuksUnsupported`]: another version
/// of LUKS. [`Code::Io`].
pub fn describe(disk: &mut (impl Read + Seek), name: &str) -> Result<Description> {
    match version(disk, name)? {
        Version::One => {
            let header = luks1::read(disk, name)?;
            Ok(luks1_header(&header, luks1::metadata(&header, name)))
        }
        Version::Two => {
            let header = header::read(disk, name)?;
            let json = serde_json::from_slice(&header.copy.json).context(Code::LuksHeader, name)?;
            let metadata = check::metadata(&header.copy, name);
            Ok(luks2_header(&header, &json, metadata))
        }
    }
}

/// Why a keyslot is not used.
fn problem(metadata: &Result<Metadata>, keyslot: u32) -> Option<String> {
    metadata.as_ref().ok()?.skipped.get(&keyslot).cloned()
}

fn luks1_header(header: &luks1::Header, metadata: Result<Metadata>) -> Description {
    let keyslots = header.in_use().map(|(id, slot)| Keyslot {
        id: *id,
        kind: "luks1".into(),
        priority: "normal",
        key_size: Some(header.key_size),
        cipher: Some(luks1::cipher(header)),
        offset: Some(u64::from(slot.material) * 512),
        kdf: Some(Kdf {
            kind: "pbkdf2".into(),
            hash: Some(header.hash.clone()),
            iterations: Some(slot.iterations),
            time: None,
            memory: None,
            cpus: None,
        }),
        problem: problem(&metadata, *id),
    });
    Description {
        version: 1,
        uuid: header.uuid.clone(),
        label: None,
        subsystem: None,
        copy: "primary",
        header_offset: 0,
        header_size: luks1::SIZE as u64,
        sequence: None,
        note: None,
        requirements: Vec::new(),
        flags: Vec::new(),
        segments: vec![Segment {
            id: 0,
            kind: "crypt".into(),
            cipher: Some(luks1::cipher(header)),
            sector_size: 512,
            offset: u64::from(header.payload) * 512,
            size: None,
            integrity: None,
        }],
        keyslots: keyslots.collect(),
        digests: vec![Digest {
            id: 0,
            kind: "pbkdf2".into(),
            hash: Some(header.hash.clone()),
            iterations: Some(header.iterations),
            keyslots: header.in_use().map(|(id, _)| u64::from(*id)).collect(),
            segments: vec![0],
        }],
        problem: metadata.err().map(|error| error.to_string()),
    }
}

fn luks2_header(header: &header::Header, json: &json::Json, metadata: Result<Metadata>) -> Description {
    let header::Header { copy, note } = header;
    let named = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let keyslots = json.keyslots.iter().map(|(id, slot)| Keyslot {
        id: *id,
        kind: slot.kind.clone(),
        priority: match slot.priority {
            Some(0) => "ignore",
            Some(2) => "prefer",
            _ => "normal",
        },
        key_size: slot.key_size,
        cipher: slot.area.as_ref().and_then(|area| area.encryption.clone()),
        offset: slot.area.as_ref().map(|area| area.offset.0),
        kdf: slot.kdf.as_ref().map(|kdf| Kdf {
            kind: kdf.kind.clone(),
            hash: kdf.hash.clone(),
            iterations: kdf.iterations,
            time: kdf.time,
            memory: kdf.memory,
            cpus: kdf.cpus,
        }),
        problem: problem(&metadata, *id),
    });
    let segments = json.segments.iter().map(|(id, segment)| Segment {
        id: *id,
        kind: segment.kind.clone(),
        cipher: segment.encryption.clone(),
        sector_size: segment.sector_size.unwrap_or(512),
        offset: segment.offset.0,
        size: match segment.size {
            Size::Dynamic => None,
            Size::Bytes(bytes) => Some(bytes),
        },
        integrity: segment.integrity.as_ref().map(|integrity| integrity.kind.clone()),
    });
    let digests = json.digests.iter().map(|(id, digest)| Digest {
        id: *id,
        kind: digest.kind.clone(),
        hash: digest.hash.clone(),
        iterations: digest.iterations,
        keyslots: digest.keyslots.iter().map(|id| id.0).collect(),
        segments: digest.segments.iter().map(|id| id.0).collect(),
    });
    Description {
        version: 2,
        uuid: copy.uuid.clone(),
        label: named(&copy.label),
        subsystem: named(&copy.subsystem),
        copy: if copy.offset == 0 { "primary" } else { "secondary" },
        header_offset: copy.offset,
        header_size: copy.size,
        sequence: Some(copy.sequence),
        note: note.clone(),
        requirements: json.config.requirements.as_ref().map(|all| all.mandatory.clone()).unwrap_or_default(),
        flags: json.config.flags.clone(),
        segments: segments.collect(),
        keyslots: keyslots.collect(),
        digests: digests.collect(),
        problem: metadata.err().map(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::fixture;
    use super::*;

    #[test]
    fn both_versions_are_described() {
        let described = describe(&mut Cursor::new(fixture::luks1()), "disk").unwrap();
        assert_eq!((described.version, described.problem), (1, None));
        assert_eq!(described.segments[0].cipher.as_deref(), Some("aes-cbc-essiv:sha256"));
        assert_eq!(described.keyslots[0].kdf.as_ref().unwrap().iterations, Some(1000));
        let described = describe(&mut Cursor::new(fixture::volume(&fixture::json())), "disk").unwrap();
        assert_eq!((described.version, described.copy, described.sequence), (2, "primary", Some(1)));
        assert_eq!(described.segments[0].offset, 16 << 20);
        assert_eq!((described.digests[0].keyslots.as_slice(), described.problem), (&[0][..], None));
    }

    #[test]
    fn what_cannot_be_used_is_described_with_the_reason() {
        let json = fixture::json()
            .replace(r#""config":{"#, r#""config":{"requirements":{"mandatory":["opal"]},"#)
            .replace(r#""kdf":{"type":"pbkdf2""#, r#""kdf":{"type":"scrypt""#);
        let described = describe(&mut Cursor::new(fixture::disk(&json, 1, 1)), "disk").unwrap();
        assert_eq!(described.requirements, ["opal"]);
        assert!(described.problem.unwrap().ends_with("requirement \"opal\""));
        assert_eq!(described.keyslots[0].kdf.as_ref().unwrap().kind, "scrypt");
        let mut luks1 = fixture::luks1();
        luks1[208 + 4] = 255;
        let described = describe(&mut Cursor::new(&luks1), "disk").unwrap();
        assert_eq!(described.keyslots[0].problem.as_deref(), Some("4278191080 iterations"));
        luks1[40..44].copy_from_slice(b"ecb\0");
        let described = describe(&mut Cursor::new(&luks1), "disk").unwrap();
        assert!(described.problem.unwrap().ends_with("cipher \"aes-ecb\""));
    }
}
