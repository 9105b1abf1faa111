use proptest::prelude::*;

use super::super::super::fixture;
use super::*;

fn parse_json(json: &str) -> Result<Metadata> {
    metadata(
        &Copy {
            offset: 0,
            size: 0x4000,
            sequence: 1,
            uuid: fixture::UUID.into(),
            label: String::new(),
            subsystem: String::new(),
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
    let metadata =
        with(r#""config":{"#, r#""config":{"flags":["no-read-workqueue","allow-discards","of-the-future"],"#)
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
        (r#""iv_tweak":"0","#, r#""iv_tweak":"0","flags":["in-reencryption"],"#, "flag \"in-reencryption\""),
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
        (r#""sector_size":4096"#, r#""sector_sise":4096"#),
        (r#""offset":"16777216""#, r#""offset":"16776704""#),
        (r#""keyslots":["0"]"#, r#""keyslots":["0","1"]"#),
        (r#""keyslots":["0"]"#, r#""keyslots":["4294967296"]"#),
        (r#""segments":["0"]"#, r#""segments":["0","1"]"#),
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
        (r#""offset":"32768""#, r#""offset":"32256""#, "its area"),
        (r#""offset":"32768""#, r#""offset":"32769""#, "its area"),
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
