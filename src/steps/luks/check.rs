//! From the JSON area to [`Metadata`]: what breaks the format, and what is not done here, is found here
//! (LUKS2 on-disk format specification 1.1, chapter 3).

use std::collections::BTreeMap;
use std::ops::Range;

use base64ct::{Base64, Encoding};

use crate::error::{Code, Context, Error, Result};

use super::af::STRIPES;
use super::cipher::{Cipher, SECTOR};
use super::hash::{Hash, LONGEST};
use super::header::{BINARY, Copy};
use super::json::{self, Json, Size};
use super::kdf::{Argon2Kind, Kdf};
use super::metadata::{Digest, Flag, Keyslot, Metadata, Priority, Segment};

/// The largest keyslots area cryptsetup makes: 128 MiB.
const MOST_KEYSLOTS_SIZE: u64 = 128 << 20;
/// How many keyslots, digests or segments a header may hold (3.1).
const MOST_OBJECTS: usize = 32;
/// The largest volume key, in bytes; larger than any cipher's.
const LARGEST_KEY: u32 = 512;
/// The most memory for Argon2 that cryptsetup itself sets, in KiB: 4 GiB.
const MOST_MEMORY: u32 = 4 << 20;
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
    let segment = segment(&json.segments).map_err(|fault| fault.of(name, "segment"))?;
    let mut digests = BTreeMap::new();
    for (id, digest) in &json.digests {
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

fn segment(segments: &BTreeMap<u32, json::Segment>) -> Judged<Segment> {
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
    let sector_size = segment.sector_size.unwrap_or(512);
    if !matches!(sector_size, 512 | 1024 | 2048 | 4096) {
        return broken(format!("its sector size is {sector_size}"));
    }
    if segment.offset.0 % 512 != 0 {
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
        iterations: at_least_one("iterations", digest.iterations)?,
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
        || area.offset.0 < keyslots_area.start
        || end.is_none_or(|end| end > keyslots_area.end)
    {
        return broken(format!(
            "its area of {} bytes at byte {} is too small or out of the header",
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
        let memory = at_least_one("memory", kdf.memory)?;
        if memory > MOST_MEMORY {
            return broken(format!("it needs {} MiB of memory", memory / 1024));
        }
        Ok(Kdf::Argon2 {
            kind,
            time: at_least_one("time", kdf.time)?,
            memory,
            lanes: at_least_one("cpus", kdf.cpus)?,
            salt: salt()?,
        })
    };
    match kdf.kind.as_str() {
        "pbkdf2" => Ok(Kdf::Pbkdf2 {
            hash: hash(kdf.hash.as_deref())?,
            iterations: at_least_one("iterations", kdf.iterations)?,
            salt: salt()?,
        }),
        "argon2i" => argon2(Argon2Kind::I),
        "argon2id" => argon2(Argon2Kind::Id),
        other => unsupported(format!("kdf {other:?}")),
    }
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
mod tests {
    use proptest::prelude::*;

    use super::super::fixture;
    use super::*;

    fn parse_json(json: &str) -> Result<Metadata> {
        metadata(
            &Copy {
                offset: 0,
                size: 0x4000,
                sequence: 1,
                uuid: fixture::UUID.into(),
                json: json.as_bytes().to_vec(),
            },
            "disk sda",
        )
    }

    /// The fixture's metadata with `from` replaced by `to`.
    fn with(from: &str, to: &str) -> Result<Metadata> {
        let json = fixture::json();
        assert!(json.contains(from), "{from}");
        parse_json(&json.replace(from, to))
    }

    #[test]
    fn a_header_is_read() {
        let metadata = parse_json(&fixture::json()).unwrap();
        assert_eq!(
            metadata.segment,
            Segment {
                id: 0,
                offset: 16 << 20,
                size: Size::Dynamic,
                iv_tweak: 0,
                sector_size: 4096,
                cipher: Cipher::AesXtsPlain64,
            }
        );
        let keyslot = &metadata.keyslots[&0];
        assert_eq!((keyslot.area_offset, keyslot.area_size), (32768, 256_000));
        assert_eq!(keyslot.priority, Priority::Normal);
        assert!(metadata.skipped.is_empty() && metadata.flags.is_empty());
        assert_eq!(metadata.digests[&0].keyslots, [0]);
    }

    #[test]
    fn flags_come_in_the_order_of_a_table() {
        let metadata = with(
            r#""config":{"#,
            r#""config":{"flags":["no-read-workqueue","allow-discards","of-the-future"],"#,
        )
        .unwrap();
        assert_eq!(metadata.flags, [Flag::AllowDiscards, Flag::NoReadWorkqueue]);
    }

    #[test]
    fn what_is_not_done_here_is_refused_by_name() {
        for (from, to, name) in [
            (
                r#""config":{"#,
                r#""config":{"requirements":{"mandatory":["online-reencrypt-v2"]},"#,
                "requirement \"online-reencrypt-v2\"",
            ),
            (
                r#""iv_tweak":"0","#,
                r#""iv_tweak":"0","integrity":{"type":"hmac(sha256)"},"#,
                "integrity \"hmac(sha256)\"",
            ),
            (
                r#""iv_tweak":"0","#,
                r#""iv_tweak":"0","flags":["in-reencryption"],"#,
                "flag \"in-reencryption\"",
            ),
            (
                r#""segments":{"0":"#,
                r#""segments":{"1":{"type":"crypt","offset":"0","size":"512"},"0":"#,
                "several segments",
            ),
            (r#""type":"crypt""#, r#""type":"linear""#, "type \"linear\""),
            (
                r#""encryption":"aes-xts-plain64","sector"#,
                r#""encryption":"serpent-xts-plain64","sector"#,
                "cipher \"serpent-xts-plain64\"",
            ),
        ] {
            // The fixture breaks lines; names of fields are told apart without them.
            let json = fixture::json().replace("\n        ", "");
            assert!(json.contains(from), "{from}");
            let error = parse_json(&json.replace(from, to)).unwrap_err();
            assert_eq!(error.code(), Code::LuksUnsupported, "{name}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn what_breaks_the_format_is_refused() {
        for (from, to) in [
            (r#""json_size":"12288""#, r#""json_size":"12289""#),
            (r#""json_size":"12288""#, r#""json_size":12288"#),
            (r#""keyslots_size":"16744448""#, r#""keyslots_size":"18446744073709551615""#),
            (r#""sector_size":4096"#, r#""sector_size":100"#),
            (r#""offset":"16777216""#, r#""offset":"16777217""#),
            (r#""size":"dynamic""#, r#""size":"1000""#),
            (r#""segments":{"#, r#""segmente":{"#),
        ] {
            assert_eq!(with(from, to).unwrap_err().code(), Code::LuksHeader, "{to}");
        }
    }

    #[test]
    fn a_keyslot_that_cannot_be_used_is_skipped_with_its_reason() {
        for (from, to, reason) in [
            (r#""type":"luks2""#, r#""type":"reencrypt""#, "type \"reencrypt\""),
            (r#""stripes":4000"#, r#""stripes":1"#, "1 stripes"),
            (r#""offset":"32768""#, r#""offset":"32767""#, "its area"),
            (r#""size":"258048""#, r#""size":"255999""#, "its area"),
            (r#""size":"258048""#, r#""size":"18446744073709551615""#, "its area"),
            (r#""size":"258048""#, r#""size":"16744449""#, "its area"),
            (r#""key_size":64,"af""#, r#""key_size":513,"af""#, "key_size 513"),
            (r#""key_size":64,"af""#, r#""key_size":0,"af""#, "key_size 0"),
            (
                r#""kdf":{"type":"pbkdf2""#,
                r#""kdf":{"type":"argon2id","time":4,"memory":4294967295,"cpus":4"#,
                "4194303 MiB of memory",
            ),
            (r#""type":"raw""#, r#""type":"journal""#, "area \"journal\""),
            (r#""iterations":1000,"salt":"BQ"#, r#""iterations":0,"salt":"BQ"#, "no iterations"),
        ] {
            let metadata = with(from, to).unwrap();
            let skipped = &metadata.skipped[&0];
            assert!(skipped.contains(reason), "{skipped}");
            assert!(metadata.keyslots.is_empty());
        }
    }

    #[test]
    fn deep_or_many_things_are_refused() {
        assert!(parse_json(&"[".repeat(100_000)).is_err());
        assert!(parse_json(&format!("{{\"tokens\":{}", "[".repeat(100_000))).is_err());
        let digests: Vec<String> =
            (1..40).map(|id| format!(r#""{id}":{{"type":"t","keyslots":[],"segments":[]}},"#)).collect();
        let error = with(r#""digests":{"#, &format!(r#""digests":{{{}"#, digests.concat())).unwrap_err();
        assert!(error.to_string().ends_with("40 digests"), "{error}");
    }

    proptest! {
        #[test]
        fn no_mutation_panics(
            at in any::<prop::sample::Index>(),
            length in 0usize..20,
            by in prop_oneof!["[0-9]{0,25}", "[\\[\\]{}\",:]{0,4}", "\\PC{0,4}"],
        ) {
            let json = fixture::json();
            let at = at.index(json.len());
            let end = (at + length).min(json.len());
            if let Ok(metadata) = parse_json(&format!("{}{by}{}", &json[..at], &json[end..])) {
                for keyslot in metadata.keyslots.values() {
                    prop_assert!(keyslot.area_size <= 512 * STRIPES);
                    prop_assert!(keyslot.cipher.takes_key_of(keyslot.area_key_size));
                }
            }
        }
    }
}
