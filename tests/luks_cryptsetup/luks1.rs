//! LUKS1 with each option that matters here.

use diskless::steps::luks::Version;

use super::*;

/// Rounds for LUKS1, which has no other function.
const ROUNDS: &[&str] = &["--pbkdf-force-iterations", "1000"];

fn format(options: &[&str]) -> Image {
    Image::of("luks1", &[ROUNDS, options].concat(), &[7; 32])
}

#[test]
fn each_cipher_and_key_size() {
    for (cipher, sizes) in CIPHERS {
        for size in *sizes {
            let (volume, unlocked) = format(&["--cipher", cipher, "--key-size", size]).agrees("key");
            assert_eq!(volume.version, Version::One);
            assert_eq!(volume.metadata.segment.cipher.name(), *cipher);
            assert_eq!((unlocked.volume_key.len() * 8).to_string(), *size);
        }
    }
}

#[test]
fn each_hash() {
    for hash in ["sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160"] {
        for cipher in ["aes-xts-plain64", "aes-cbc-essiv:sha256"] {
            format(&["--hash", hash, "--cipher", cipher, "--key-size", "256"]).agrees("key");
        }
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
        let error = refused(format(options).open_with_file("key"));
        assert_eq!(error.code(), Code::LuksUnsupported);
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn each_of_its_keyslots() {
    let image = format(&["--key-slot", "7"]);
    assert_eq!(image.agrees("key").1.keyslot, 7);
    for id in ["0", "3"] {
        fs::write(image.path(id), format!("key of {id}\n")).unwrap();
        let add = ["luksAddKey", "--key-file", "key", "--key-slot", id, "disk", id];
        image.cryptsetup(&[&add, ROUNDS].concat());
        assert_eq!(image.agrees(id).1.keyslot.to_string(), id);
    }
    for (keyslot, opens) in [("7", true), ("0", false), ("5", false)] {
        let verdict = image.verdict("key", &[("--keyslot", "--key-slot", keyslot)]);
        assert_eq!((verdict.ours, verdict.theirs), (opens, opens), "keyslot {keyslot}: {}", verdict.said);
    }
    image.cryptsetup(&["luksKillSlot", "--key-file", "key", "disk", "3"]);
    assert!(!image.verdict("3", &[]).agreed());
    assert_eq!(refused(image.open(b"key of 3\n", Some(3))).code(), Code::LuksKeyslot);
}

#[test]
fn where_the_data_starts() {
    for sectors in ["4040", "8192"] {
        let (volume, _) = format(&["--align-payload", sectors]).agrees("key");
        assert_eq!((volume.metadata.segment.offset / 512).to_string(), sectors);
    }
}

#[test]
fn a_detached_header() {
    for (options, sectors) in [(&[][..], 0), (&["--align-payload", "8192"], 8192)] {
        let image = Image::detached("luks1", &[ROUNDS, options].concat(), &[7; 32]);
        assert_eq!(image.agrees("key").0.metadata.segment.offset, sectors * 512);
    }
}

#[test]
fn dump_says_what_cryptsetup_says() {
    let uuid = "01234567-89ab-cdef-0123-456789abcdef";
    let image = format(&["--cipher", "aes-cbc-essiv:sha256", "--key-size", "256", "--uuid", uuid]);
    let dump = image.diskless(&["luks", "dump", "disk"]).stdout;
    let peer = String::from_utf8(image.cryptsetup(&["luksDump", "disk"])).unwrap();
    assert!(
        peer.contains("Payload offset:\t4096") && peer.contains("Cipher mode:   \tcbc-essiv:sha256"),
        "{peer}"
    );
    let digest = peer.lines().find_map(|line| line.strip_prefix("MK iterations: ")).unwrap().trim();
    assert_eq!(
        String::from_utf8(dump).unwrap(),
        format!(
            "LUKS1       UUID {uuid}\n\
             header      primary, 592 bytes at byte 0\n\
             segment 0   crypt, aes-cbc-essiv:sha256, sectors of 512 bytes, from byte 2097152 to the end\n\
             keyslot 0   luks1, 256-bit key, pbkdf2, sha256, 1000 iterations, aes-cbc-essiv:sha256, at byte 4096\n\
             digest 0    pbkdf2, sha256, {digest} iterations, keyslots [0], segments [0]\n\
             diskless    can open it\n"
        )
    );
}
