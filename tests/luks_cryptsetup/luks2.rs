//! LUKS2 with each option that matters here.

use super::*;

#[test]
fn pbkdf2_with_each_hash() {
    for hash in ["sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160"] {
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
    assert!(!image.verdict("key", &[]).agreed());
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

#[test]
fn each_cipher_and_key_size() {
    for (cipher, sizes) in CIPHERS {
        for size in *sizes {
            let options = ["--cipher", cipher, "--key-size", size];
            let (volume, unlocked) = Image::format(&[PBKDF2, &options].concat(), &[7; 32]).agrees("key");
            assert_eq!(volume.metadata.segment.cipher.name(), *cipher);
            assert_eq!((unlocked.volume_key.len() * 8).to_string(), *size);
        }
    }
}

#[test]
fn a_keyslot_with_a_cipher_of_its_own() {
    for (cipher, size) in
        [("aes-cbc-essiv:sha256", "256"), ("aes-cbc-plain64", "128"), ("aes-xts-plain", "256")]
    {
        let options = ["--keyslot-cipher", cipher, "--keyslot-key-size", size];
        let (volume, _) = Image::format(&[PBKDF2, &options].concat(), &[7; 32]).agrees("key");
        let keyslot = &volume.metadata.keyslots[&0];
        assert_eq!(keyslot.cipher.name(), cipher);
        assert_eq!((keyslot.area_key_size * 8).to_string(), size);
        assert_eq!(volume.metadata.segment.cipher.name(), "aes-xts-plain64");
    }
}

#[test]
fn other_ciphers_and_hashes_are_refused_by_name() {
    for (options, what) in [
        (&["--cipher", "aes-ecb", "--key-size", "256"][..], "cipher \"aes-ecb\""),
        (&["--cipher", "aes-ctr-plain64", "--key-size", "256"], "cipher \"aes-ctr-plain64\""),
        (&["--hash", "sha3-256"], "hash \"sha3-256\""),
        (&["--hash", "whirlpool"], "hash \"whirlpool\""),
    ] {
        let image = Image::format(&[PBKDF2, options].concat(), &[7; 32]);
        let error = refused(image.open_with_file("key"));
        assert_eq!(error.code(), Code::LuksUnsupported, "{error}");
        assert!(error.to_string().contains(what), "{error}");
        let dump = image.diskless(&["luks", "dump", "disk"]);
        let text = String::from_utf8_lossy(&dump.stdout).into_owned();
        assert!(dump.status.success() && text.contains("cannot open it"), "{text}");
    }
}

#[test]
fn sector_sizes() {
    for size in ["512", "1024", "2048", "4096"] {
        let (volume, _) = Image::format(&[PBKDF2, &["--sector-size", size]].concat(), &[7; 32]).agrees("key");
        assert_eq!(volume.metadata.segment.sector_size.to_string(), size);
    }
}

#[test]
fn where_the_data_starts() {
    let (volume, _) = Image::format(&[PBKDF2, &["--offset", "16384"]].concat(), &[7; 32]).agrees("key");
    assert_eq!(volume.metadata.segment.offset, 8 << 20);
}

#[test]
fn a_detached_header() {
    for (options, offset) in [(&[][..], 0), (&["--offset", "4096"], 2 << 20)] {
        let image = Image::detached("luks2", &[PBKDF2, options].concat(), &[7; 32]);
        assert_eq!(image.agrees("key").0.metadata.segment.offset, offset);
    }
}

#[test]
fn a_keyslot_by_its_number() {
    let image = Image::format(&[PBKDF2, &["--key-slot", "5"]].concat(), b"first");
    assert_eq!(image.agrees("key").1.keyslot, 5);
    for (keyslot, opens) in [("5", true), ("0", false), ("31", false)] {
        let verdict = image.verdict("key", &[("--keyslot", "--key-slot", keyslot)]);
        assert_eq!((verdict.ours, verdict.theirs), (opens, opens), "keyslot {keyslot}: {}", verdict.said);
    }
    assert_eq!(refused(image.open(b"first", Some(0))).code(), Code::LuksKeyslot);
}

#[test]
fn a_piece_of_a_key_file() {
    let image =
        Image::format(&[PBKDF2, &["--keyfile-offset", "3", "--keyfile-size", "4"]].concat(), b"012key!789");
    for (offset, size, opens) in [
        (Some("3"), Some("4"), true),
        (Some("3"), Some("5"), false),
        (Some("2"), Some("4"), false),
        (Some("3"), None, false),
        (None, Some("4"), false),
        (Some("7"), Some("4"), false),
        (Some("20"), None, false),
        (None, None, false),
    ] {
        let mut options = Vec::new();
        options.extend(offset.map(|offset| ("--key-offset", "--keyfile-offset", offset)));
        options.extend(size.map(|size| ("--key-size", "--keyfile-size", size)));
        let verdict = image.verdict("key", &options);
        assert_eq!((verdict.ours, verdict.theirs), (opens, opens), "{options:?}: {}", verdict.said);
    }
}

#[test]
fn a_key_from_standard_input() {
    let image = Image::format(PBKDF2, b"key\n");
    for (key, code) in [(&b"key\n"[..], 0), (b"key", 1), (b"", 1)] {
        let output = image.diskless_with(&["luks", "test", "--key-file", "-", "disk"], key);
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, if code == 0 { "keyslot 0 opens (pbkdf2), 512-bit key\n" } else { "" });
    }
}

#[test]
fn dump_says_what_cryptsetup_says() {
    let names =
        ["--label", "the image", "--subsystem", "nodes", "--uuid", "01234567-89ab-cdef-0123-456789abcdef"];
    let image = Image::format(&[PBKDF2, &names, &["--sector-size", "4096"]].concat(), &[7; 32]);
    image.cryptsetup(&[&["luksAddKey", "--key-file", "key", "disk", "key"], ARGON2].concat());
    image.cryptsetup(&["config", "--priority", "prefer", "--key-slot", "1", "disk"]);
    let json = image.diskless(&["luks", "dump", "--json", "disk"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    for (pointer, value) in [
        ("/version", serde_json::json!(2)),
        ("/uuid", "01234567-89ab-cdef-0123-456789abcdef".into()),
        ("/label", "the image".into()),
        ("/subsystem", "nodes".into()),
        ("/copy", "primary".into()),
        ("/header_size", 16384.into()),
        ("/segments/0/cipher", "aes-xts-plain64".into()),
        ("/segments/0/sector_size", 4096.into()),
        ("/segments/0/offset", (16 << 20).into()),
        ("/keyslots/0/kdf/iterations", 1000.into()),
        ("/keyslots/1/kdf/kind", "argon2id".into()),
        ("/keyslots/1/kdf/memory", 32768.into()),
        ("/keyslots/1/kdf/time", 4.into()),
        ("/keyslots/1/priority", "prefer".into()),
        ("/digests/0/keyslots", serde_json::json!([0, 1])),
        ("/problem", serde_json::Value::Null),
    ] {
        assert_eq!(json.pointer(pointer), Some(&value), "{pointer} of {json:#}");
    }
    let peer = image.cryptsetup(&["luksDump", "--dump-json-metadata", "disk"]);
    let peer: serde_json::Value = serde_json::from_slice(&peer).unwrap();
    let number = |pointer: &str| peer.pointer(pointer).unwrap().as_str().unwrap().parse::<u64>().unwrap();
    for id in [0, 1] {
        let ours = json.pointer(&format!("/keyslots/{id}/offset")).unwrap().as_u64().unwrap();
        assert_eq!(ours, number(&format!("/keyslots/{id}/area/offset")));
    }
    let text = image.diskless(&["luks", "dump", "disk"]).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(text.ends_with("diskless    can open it\n"), "{text}");
    // Salts and digests are no secrets, but nobody needs them here either.
    let salt = peer.pointer("/keyslots/0/kdf/salt").unwrap().as_str().unwrap();
    assert!(!text.contains(salt) && !json.to_string().contains(salt));
}
