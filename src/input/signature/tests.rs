use std::path::Path;
use std::process::Command;

use super::*;
use zeroize::Zeroizing;

/// What minisign 0.11 and signify 31 made; see `tests/data/signatures`.
fn made(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/signatures");
    std::fs::read(Path::new(folder).join(name)).unwrap()
}

fn key() -> SecretKey {
    SecretKey::new(*b"diskless", Zeroizing::new([7; 32])).unwrap()
}

#[test]
fn what_the_real_programs_signed_holds() {
    for (public, signature, comment) in [
        ("minisign.pub", "message.minisig", Some("serial 7, for the tests")),
        ("minisign.pub", "message.legacy.minisig", Some("the old form")),
        ("signify.pub", "message.sig", None),
    ] {
        let public = PublicKey::parse(&made(public)).unwrap();
        let read = Signature::parse(&made(signature)).unwrap();
        assert_eq!((read.id, read.comment()), (public.id, comment));
        assert_eq!(read.verify(&public, &made("message")), Ok(()), "{signature}");
        assert_eq!(read.verify(&public, b"another message"), Err(Wrong::Signature), "{signature}");
        let other = if signature == "message.sig" { "minisign.pub" } else { "signify.pub" };
        let other = PublicKey::parse(&made(other)).unwrap();
        assert_eq!(read.verify(&other, &made("message")), Err(Wrong::Signature), "{signature}");
    }
    assert_eq!(PublicKey::parse(&made("minisign.pub")).unwrap().id.to_string(), "6D5D3FC9CBBDD115");
}

#[test]
fn the_trusted_comment_is_signed_too() {
    let public = PublicKey::parse(&made("minisign.pub")).unwrap();
    for signature in ["message.minisig", "message.legacy.minisig"] {
        let text = String::from_utf8(made(signature)).unwrap().replace(" the ", " thy ");
        let altered = text.replace("for thy tests", "for the toasts").replace("the old form", "the new form");
        let read = Signature::parse(altered.as_bytes()).unwrap();
        assert_eq!(read.verify(&public, &made("message")), Err(Wrong::Comment), "{altered}");
        // Without it there is nothing that was signed.
        let cut: Vec<&str> = text.lines().take(2).collect();
        let cut = Signature::parse(cut.join("\n").as_bytes());
        assert_eq!(cut.is_ok(), signature.contains("legacy"));
    }
}

#[test]
fn a_signature_of_ours_holds() {
    let (key, public) = (key(), key().public().unwrap());
    let text = key.sign(b"plan", "serial 7\nand more");
    let read = Signature::parse(text.as_bytes()).unwrap();
    assert_eq!((read.comment(), read.prehashed), (Some("serial 7 and more"), true));
    assert_eq!(read.verify(&public, b"plan"), Ok(()));
    assert_eq!(read.verify(&public, b"plam"), Err(Wrong::Signature));
    assert_eq!(PublicKey::parse(public.text().as_bytes()), Ok(public));
}

#[test]
fn secret_keys() {
    let theirs = SecretKey::parse(&made("minisign.key")).unwrap();
    assert_eq!(theirs.public(), PublicKey::parse(&made("minisign.pub")));
    let ours = SecretKey::parse(key().text().as_bytes()).unwrap();
    assert_eq!(ours.public(), key().public());
    // The same key with another byte at this place.
    let altered = |text: &str, at: usize, byte: u8| {
        let mut bytes = Base64::decode_vec(text.lines().nth(1).unwrap()).unwrap();
        assert_ne!(bytes[at], byte);
        bytes[at] = byte;
        Base64::encode_string(&bytes)
    };
    let text = String::from_utf8(made("minisign.key")).unwrap();
    let refused = |text: &str| SecretKey::parse(text.as_bytes()).err().unwrap_or_default();
    // "EdSc": scrypt.
    assert!(refused(&altered(&text, 2, b'S')).contains("minisign -C -W"));
    assert_eq!(refused(&altered(&text, 5, b'3')), "not a secret key of minisign");
    assert!(refused(&altered(&text, 94, 0)).contains("halves"));
    // Ours has a check sum.
    assert!(refused(&altered(&key().text(), 70, 8)).contains("check sum"));
    assert_eq!(refused(""), "not a secret key of minisign");
}

#[test]
fn what_is_none_is_refused_with_the_reason() {
    let public = |text: &str| PublicKey::parse(text.as_bytes()).unwrap_err();
    assert_eq!(public("untrusted comment: x\n"), "there is no key in it");
    let one = String::from_utf8(made("minisign.pub")).unwrap();
    assert_eq!(public(&format!("{one}{one}")), "there is more than one key in it");
    assert_eq!(public(&one.replace("RWQ", "RXQ")), "not a key of Ed25519");
    assert_eq!(public("RWQV0b3L"), "not a public key of minisign or signify");
    assert_eq!(public(&"x".repeat(5000)), "longer than 4096 bytes");
    let line = one.lines().nth(1).unwrap();
    assert!(PublicKey::parse(line.as_bytes()).is_ok());
    let signature = |text: &[u8]| Signature::parse(text).unwrap_err();
    assert_eq!(signature(&[0xff]), "not a text");
    assert_eq!(signature(&made("minisign.pub")), "not a signature of minisign or signify");
    let prehashed = String::from_utf8(made("message.sig")).unwrap().replace("RWT", "RUT");
    assert_eq!(signature(prehashed.as_bytes()), "not a signature by Ed25519");
}

/// Runs one of the real programs in `folder`; none, said aloud, where it is not installed.
fn run(folder: &Path, program: &str, args: &str) -> Option<bool> {
    match Command::new(program).args(args.split(' ')).current_dir(folder).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            eprintln!("{program} {args}: {} {said}", output.status);
            Some(output.status.success())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: no {program} to compare with; .ci/deps installs it");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

#[test]
fn minisign_and_we_understand_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (read, write) = (
        |name: &str| std::fs::read(folder.path().join(name)).unwrap(),
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap(),
    );
    let minisign = |args: &str| run(folder.path(), "minisign", args);
    write("plan", "what is signed");
    let Some(true) = minisign("-G -W -p their.pub -s their.key") else { return };
    for form in ["-S -s their.key -m plan", "-S -l -s their.key -m plan"] {
        assert_eq!(minisign(form), Some(true));
        let public = PublicKey::parse(&read("their.pub")).unwrap();
        assert_eq!(Signature::parse(&read("plan.minisig")).unwrap().verify(&public, &read("plan")), Ok(()));
    }
    // With their key, and with ours; and minisign signs with a key of ours.
    let theirs = SecretKey::parse(&read("their.key")).unwrap();
    write("plan.minisig", &theirs.sign(b"what is signed", "ours"));
    assert_eq!(minisign("-V -p their.pub -m plan"), Some(true));
    write("our.pub", &key().public().unwrap().text());
    write("our.key", &key().text());
    write("plan.minisig", &key().sign(b"what is signed", "ours"));
    assert_eq!(minisign("-V -p our.pub -m plan"), Some(true));
    write("plan.minisig", &key().sign(b"what is not", "ours"));
    assert_eq!(minisign("-V -p our.pub -m plan"), Some(false));
    assert_eq!(minisign("-S -s our.key -m plan"), Some(true));
    assert_eq!(
        Signature::parse(&read("plan.minisig")).unwrap().verify(&key().public().unwrap(), b"what is signed"),
        Ok(())
    );
}

#[test]
fn signify_signs_for_us() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plan"), "what is signed").unwrap();
    let signify = |args: &str| run(folder.path(), "signify-openbsd", args);
    let Some(true) = signify("-G -n -p k.pub -s k.sec") else { return };
    assert_eq!(signify("-S -s k.sec -m plan -x plan.sig"), Some(true));
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let public = PublicKey::parse(&read("k.pub")).unwrap();
    let signature = Signature::parse(&read("plan.sig")).unwrap();
    assert_eq!(signature.verify(&public, b"what is signed"), Ok(()));
    assert_eq!(signature.verify(&public, b"what is not"), Err(Wrong::Signature));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let _ = (PublicKey::parse(&bytes), Signature::parse(&bytes), SecretKey::parse(&bytes).is_ok());
    }

    #[test]
    fn no_byte_of_signature_or_message_may_change(at in 0usize..74, bit in 0u8..8, message in 0usize..14) {
        let public = key().public().unwrap();
        let mut signature = Signature::parse(key().sign(b"what is signed", "").as_bytes()).unwrap();
        let mut text = *b"what is signed";
        text[message] ^= 1 << bit;
        proptest::prop_assert_eq!(signature.verify(&public, &text), Err(Wrong::Signature));
        signature.signature[at % 64] ^= 1 << bit;
        proptest::prop_assert!(signature.verify(&public, b"what is signed").is_err());
    }
}
