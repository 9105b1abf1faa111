//! From the JSON area to [`Metadata`]: what breaks the format, and what is not done here, is found here
//! (LUKS2 on-disk format specification 1.1, chapter 3).

use std::collections::BTreeMap;
use std::ops::Range;

use base64ct::{Base64, Encoding};

use crate::error::{Code, Context, Error, Result};

use super::super::af::STRIPES;
use super::super::cipher::{Cipher, SECTOR};
use super::super::hash::{Hash, LONGEST};
use super::super::kdf::{Argon2Kind, Kdf, MOST_ITERATIONS};
use super::super::metadata::{Digest, Flag, Keyslot, LARGEST_KEY, Metadata, Priority, Segment, Size};
use super::header::{BINARY, Copy};
use super::json::{self, Json};

/// The largest keyslots area cryptsetup makes: 128 MiB.
const MOST_KEYSLOTS_SIZE: u64 = 128 << 20;
/// How many keyslots, digests or segments a header may hold (3.1).
const MOST_OBJECTS: usize = 32;
/// Salts are 32 bytes in practice; this bounds them.
const LONGEST_SALT: usize = 1024;

/// What is wrong with a part of the header.
enum Fault {
    /// It breaks the format.
    Broken(String),
    /// It is something that is not done here; its name.
    Unsupported(String),
}

type Judged<T> = std::result::Result<T, Fault>;

impl Fault {
    /// The fault of `part` as an error of the disk `name`.
    fn of(self, name: &str, part: &str) -> Error {
        match self {
            Fault::Broken(what) => Error::new(Code::LuksHeader, name).because(format!("{part}: {what}")),
            Fault::Unsupported(what) => {
                Error::new(Code::LuksUnsupported, name).because(format!("{part}: {what}"))
            }
        }
    }
}

fn broken<T>(what: impl Into<String>) -> Judged<T> {
    Err(Fault::Broken(what.into()))
}

fn unsupported<T>(what: impl Into<String>) -> Judged<T> {
    Err(Fault::Unsupported(what.into()))
}

/// Reads the metadata of `copy`, which is of the disk `name`. Pure.
///
/// # Errors
/// [`Code::LuksHeader`]: it breaks the format. [`Code::LuksUnsupported`]: it asks for something that is not done
/// here; the cause names it. A keyslot of either kind is no error: it is skipped.
pub fn metadata(copy: &Copy, name: &str) -> Result<Metadata> {
    let json: Json = serde_json::from_slice(&copy.json).context(Code::LuksHeader, name)?;
    for (what, count) in [
        ("keyslots", json.keyslots.len()),
        ("digests", json.digests.len()),
        ("segments", json.segments.len()),
    ] {
        if count > MOST_OBJECTS {
            return Err(Error::new(Code::LuksHeader, name).because(format!("{count} {what}")));
        }
    }
    let keyslots_area = config(&json.config, copy.size).map_err(|fault| fault.of(name, "configuration"))?;
    let segment = segment(&json.segments, &keyslots_area).map_err(|fault| fault.of(name, "segment"))?;
    let mut digests = BTreeMap::new();
    for (id, digest) in &json.digests {
        links(digest, &json).map_err(|fault| fault.of(name, &format!("digest {id}")))?;
        if digest.segments.iter().any(|linked| linked.0 == u64::from(segment.id)) {
            let digest = self::digest(digest).map_err(|fault| fault.of(name, &format!("digest {id}")))?;
            digests.insert(*id, digest);
        }
    }
    let mut keyslots = BTreeMap::new();
    let mut skipped = BTreeMap::new();
    for (id, keyslot) in &json.keyslots {
        match self::keyslot(keyslot, &keyslots_area) {
            Ok(keyslot) => _ = keyslots.insert(*id, keyslot),
            Err(Fault::Broken(what) | Fault::Unsupported(what)) => _ = skipped.insert(*id, what),
        }
    }
    Ok(Metadata {
        keyslots,
        skipped,
        digests,
        segment,
        flags: Flag::ALL
            .into_iter()
            .filter(|flag| json.config.flags.iter().any(|name| name == flag.name()))
            .collect(),
    })
}

/// Where keyslots may be, in bytes, for a header of `size` bytes.
fn config(config: &json::Config, size: u64) -> Judged<Range<u64>> {
    if let Some(requirements) = &config.requirements
        && !requirements.mandatory.is_empty()
    {
        let names: Vec<String> = requirements.mandatory.iter().map(|name| format!("{name:?}")).collect();
        return unsupported(format!("requirement {}", names.join(", ")));
    }
    if config.json_size.0.checked_add(BINARY as u64) != Some(size) {
        return broken(format!("json_size is {}", config.json_size.0));
    }
    let keyslots = config.keyslots_size.0;
    if keyslots > MOST_KEYSLOTS_SIZE || !keyslots.is_multiple_of(BINARY as u64) {
        return broken(format!("keyslots_size is {keyslots}"));
    }
    // Both copies of the header come first. No overflow: two times 4 MiB and 128 MiB at most.
    Ok(2 * size..2 * size + keyslots)
}

fn segment(segments: &BTreeMap<u32, json::Segment>, keyslots_area: &Range<u64>) -> Judged<Segment> {
    let mut all = segments.iter();
    let (id, segment) = match (all.next(), all.next()) {
        (Some(only), None) => only,
        (None, _) => return broken("there is none"),
        (Some(_), Some(_)) => return unsupported("several segments: a reencryption is under way"),
    };
    if segment.kind != "crypt" {
        return unsupported(format!("type {:?}", segment.kind));
    }
    if let Some(flag) = segment.flags.first() {
        return unsupported(format!("flag {flag:?}"));
    }
    if let Some(integrity) = &segment.integrity {
        return unsupported(format!("integrity {:?}", integrity.kind));
    }
    let Some(encryption) = &segment.encryption else {
        return broken("it has no encryption");
    };
    let cipher = Cipher::from_name(encryption).map_err(Fault::Unsupported)?;
    let sector_size = segment.sector_size.unwrap_or(0);
    if !matches!(sector_size, 512 | 1024 | 2048 | 4096) {
        return broken(format!("its sector size is {sector_size}"));
    }
    // At 0 there is the data of a detached header.
    let within = segment.offset.0 != 0 && segment.offset.0 < keyslots_area.end;
    if segment.offset.0 % 512 != 0 || within {
        return broken(format!("it starts at byte {}", segment.offset.0));
    }
    if let Size::Bytes(bytes) = segment.size
        && (bytes == 0 || bytes % u64::from(sector_size) != 0)
    {
        return broken(format!("its size is {bytes}"));
    }
    let Some(iv_tweak) = segment.iv_tweak else {
        return broken("it has no iv_tweak");
    };
    Ok(Segment {
        id: *id,
        offset: segment.offset.0,
        size: segment.size,
        iv_tweak: iv_tweak.0,
        sector_size,
        cipher,
    })
}

/// What a digest names is there.
fn links(digest: &json::Digest, json: &Json) -> Judged<()> {
    let there = |id: u64, known: &dyn Fn(&u32) -> bool| u32::try_from(id).is_ok_and(|id| known(&id));
    if let Some(id) = digest.keyslots.iter().find(|id| !there(id.0, &|id| json.keyslots.contains_key(id))) {
        return broken(format!("there is no keyslot {}", id.0));
    }
    if let Some(id) = digest.segments.iter().find(|id| !there(id.0, &|id| json.segments.contains_key(id))) {
        return broken(format!("there is no segment {}", id.0));
    }
    Ok(())
}

fn digest(digest: &json::Digest) -> Judged<Digest> {
    if digest.kind != "pbkdf2" {
        return unsupported(format!("type {:?}", digest.kind));
    }
    let expected = base64("digest", digest.digest.as_deref())?;
    // 20 bytes is what a header converted from LUKS1 has; less would let wrong keys pass.
    if !(20..=LONGEST).contains(&expected.len()) {
        return broken(format!("it has {} bytes", expected.len()));
    }
    Ok(Digest {
        keyslots: digest.keyslots.iter().filter_map(|id| u32::try_from(id.0).ok()).collect(),
        hash: hash(digest.hash.as_deref())?,
        iterations: match at_least_one("iterations", digest.iterations)? {
            iterations if iterations > MOST_ITERATIONS => return broken(format!("{iterations} iterations")),
            iterations => iterations,
        },
        salt: base64("salt", digest.salt.as_deref())?,
        digest: expected,
    })
}

fn keyslot(keyslot: &json::Keyslot, keyslots_area: &Range<u64>) -> Judged<Keyslot> {
    if keyslot.kind != "luks2" {
        return unsupported(format!("type {:?}", keyslot.kind));
    }
    let (Some(af), Some(area), Some(kdf)) = (&keyslot.af, &keyslot.area, &keyslot.kdf) else {
        return broken("af, area or kdf is missing");
    };
    let priority = match keyslot.priority {
        Some(0) => Priority::Ignore,
        None | Some(1) => Priority::Normal,
        Some(2) => Priority::Prefer,
        Some(other) => return broken(format!("priority {other}")),
    };
    let key_size = match keyslot.key_size {
        Some(bytes @ 1..=LARGEST_KEY) => bytes as usize,
        other => return broken(format!("key_size {}", other.unwrap_or(0))),
    };
    if af.kind != "luks1" {
        return unsupported(format!("af {:?}", af.kind));
    }
    if af.stripes != Some(STRIPES as u32) {
        return broken(format!("{} stripes", af.stripes.unwrap_or(0)));
    }
    if area.kind != "raw" {
        return unsupported(format!("area {:?}", area.kind));
    }
    // 512 bytes of key at most, so 2 MiB.
    let area_size = (key_size * STRIPES).next_multiple_of(SECTOR);
    let end = area.offset.0.checked_add(area.size.0);
    if area.size.0 < area_size as u64
        || !area.offset.0.is_multiple_of(SECTOR as u64)
        || area.offset.0 < keyslots_area.start
        || end.is_none_or(|end| end > keyslots_area.end)
    {
        return broken(format!(
            "its area of {} bytes at byte {} is too small, or not where one can be",
            area.size.0, area.offset.0
        ));
    }
    let Some(encryption) = &area.encryption else {
        return broken("its area has no encryption");
    };
    let cipher = Cipher::from_name(encryption).map_err(Fault::Unsupported)?;
    let area_key_size = area.key_size.unwrap_or(0) as usize;
    if !cipher.takes_key_of(area_key_size) {
        return unsupported(format!("{} with a key of {area_key_size} bytes", cipher.name()));
    }
    Ok(Keyslot {
        priority,
        key_size,
        af_hash: hash(af.hash.as_deref())?,
        area_offset: area.offset.0,
        area_size,
        cipher,
        area_key_size,
        kdf: self::kdf(kdf)?,
    })
}

fn kdf(kdf: &json::Kdf) -> Judged<Kdf> {
    let salt = || base64("salt", kdf.salt.as_deref());
    let argon2 = |kind| {
        Ok(Kdf::Argon2 {
            kind,
            time: at_least_one("time", kdf.time)?,
            memory: at_least_one("memory", kdf.memory)?,
            lanes: at_least_one("cpus", kdf.cpus)?,
            salt: salt()?,
        })
    };
    let kdf = match kdf.kind.as_str() {
        "pbkdf2" => Kdf::Pbkdf2 {
            hash: hash(kdf.hash.as_deref())?,
            iterations: at_least_one("iterations", kdf.iterations)?,
            salt: salt()?,
        },
        "argon2i" => argon2(Argon2Kind::I)?,
        "argon2id" => argon2(Argon2Kind::Id)?,
        other => return unsupported(format!("kdf {other:?}")),
    };
    kdf.excess().map_or(Ok(kdf), broken)
}

fn hash(name: Option<&str>) -> Judged<Hash> {
    Hash::from_name(name.unwrap_or_default()).map_err(Fault::Unsupported)
}

fn at_least_one(name: &str, number: Option<u32>) -> Judged<u32> {
    number.filter(|number| *number > 0).ok_or_else(|| Fault::Broken(format!("no {name}")))
}

fn base64(name: &str, text: Option<&str>) -> Judged<Vec<u8>> {
    text.filter(|text| text.len() <= LONGEST_SALT)
        .and_then(|text| Base64::decode_vec(text).ok())
        .ok_or_else(|| Fault::Broken(format!("no {name}")))
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
