//! The same for LUKS2, which has check sums: they are made anew where the change is not to hide behind them.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::mutation::{Mutations, Opens, UUID, luks2};

/// The size of a copy of the header, and so the place of the second one.
const SIZE: usize = 0x4000;
const CHECKSUM: std::ops::Range<usize> = 448..512;

/// Makes the check sum of the copy of the header in `copy` anew.
fn seal(copy: &mut [u8]) {
    copy[CHECKSUM].fill(0);
    let sum = Sha256::digest(&copy[..SIZE]);
    copy[448..480].copy_from_slice(&sum);
}

/// Which of the two copies is changed.
const COPIES: [(&str, &[usize]); 3] =
    [("the primary one", &[0]), ("the secondary one", &[SIZE]), ("both", &[0, SIZE])];

const FIELDS: [(usize, &str); 24] = [
    (0, "magic"),
    (5, "magic, end"),
    (6, "version, high"),
    (7, "version, low"),
    (8, "size, highest"),
    (13, "size, 64 KiB"),
    (14, "size, 256 bytes"),
    (15, "size, lowest"),
    (23, "sequence, lowest"),
    (24, "label"),
    (71, "label, end"),
    (72, "check sum's name"),
    (78, "check sum's name, end"),
    (104, "salt"),
    (168, "UUID"),
    (176, "UUID, dash"),
    (204, "UUID, end"),
    (208, "subsystem"),
    (256, "offset, highest"),
    (263, "offset, lowest"),
    (264, "padding"),
    (447, "padding, end"),
    (512, "second padding"),
    (4095, "second padding, end"),
];

fn fields(sealed: bool) -> Mutations {
    let mut mutations = Mutations::of(luks2());
    for (copies, places) in COPIES {
        for (at, field) in FIELDS {
            for bit in [0x01, 0x80] {
                let mut header = mutations.header();
                for place in places {
                    header[place + at] ^= bit;
                    if sealed {
                        seal(&mut header[*place..place + SIZE]);
                    }
                }
                mutations.mutate(format!("{field} ^ {bit:#04x} of {copies}"), &header);
            }
        }
    }
    mutations
}

#[test]
fn fields_of_the_binary_header() {
    fields(false).end(&[]);
}

#[test]
fn fields_of_the_binary_header_with_a_right_check_sum() {
    fields(true).end(&[UUID]);
}

#[test]
fn damage() {
    let mut mutations = Mutations::of(luks2());
    for (copies, places) in COPIES {
        for (at, length, what) in [
            (448, 1, "check sum"),
            (480, 1, "behind the check sum"),
            (4096, 1, "JSON"),
            (SIZE - 1, 1, "end of the JSON area"),
            (0, SIZE, "all"),
        ] {
            let mut header = mutations.header();
            for place in places {
                header[place + at..place + at + length].fill(0xa5);
            }
            mutations.mutate(format!("{what} of {copies}"), &header);
        }
    }
    let offset = 2 * SIZE;
    for at in [0, 511, 512, 64_000, 127_999, 128_000, 131_072] {
        let mut header = mutations.header();
        header[offset + at] ^= 1;
        mutations.mutate(format!("byte {at} of the area"), &header);
    }
    mutations.end(&[]);
}

/// What a member is made; none: it is taken away.
type Change = (&'static str, Option<Value>);

fn changes() -> Vec<Change> {
    let set = |pointer, values: Vec<Value>| values.into_iter().map(move |value| (pointer, Some(value)));
    let long = "A".repeat(2000);
    let mut changes = Vec::new();
    changes.extend(set("/keyslots/1/type", vec![json!("luks1"), json!("reencrypt"), json!(""), json!(2)]));
    changes
        .extend(set("/keyslots/1/key_size", vec![json!(0), json!(64), json!(31), json!(513), json!("32")]));
    changes.extend(set("/keyslots/1/priority", vec![json!(0), json!(1), json!(2), json!(3), json!(-1)]));
    changes.extend(set("/keyslots/1/af/type", vec![json!("luks2")]));
    changes.extend(set("/keyslots/1/af/stripes", vec![json!(0), json!(1), json!(3999), json!("4000")]));
    changes
        .extend(set("/keyslots/1/af/hash", vec![json!("sha512"), json!("none"), json!("SHA256"), json!("")]));
    changes.extend(set("/keyslots/1/area/type", vec![json!("none"), json!("journal")]));
    let offsets =
        ["0", "4096", "28672", "32767", "32769", "36864", "557056", "18446744073705357312", "-1", ""];
    changes.extend(set("/keyslots/1/area/offset", offsets.map(Value::from).to_vec()));
    let sizes = ["0", "1", "127999", "128000", "131071", "524288", "999999999", "18446744073709551615"];
    changes.extend(set("/keyslots/1/area/size", sizes.map(Value::from).to_vec()));
    let ciphers = [
        "aes-xts-plain",
        "aes-cbc-plain64",
        "aes-ecb",
        "serpent-xts-plain64",
        "null",
        "aes",
        "",
        "AES-xts-plain64",
    ];
    changes.extend(set("/keyslots/1/area/encryption", ciphers.map(Value::from).to_vec()));
    changes.extend(set(
        "/keyslots/1/area/key_size",
        vec![json!(0), json!(16), json!(64), json!(48), json!("32")],
    ));
    changes.extend(set("/keyslots/1/kdf/type", vec![json!("scrypt"), json!("argon2id"), json!("")]));
    changes.extend(set("/keyslots/1/kdf/hash", vec![json!("sha1"), json!("none"), json!(1)]));
    let rounds = vec![json!(0), json!(1), json!(999), json!(1001), json!("1000"), json!(1000.5)];
    changes.extend(set("/keyslots/1/kdf/iterations", rounds.clone()));
    let salts = vec![json!(""), json!("AAAA"), json!("!!!!"), json!("AAA"), json!(long), json!(1)];
    changes.extend(set("/keyslots/1/kdf/salt", salts.clone()));
    changes.extend(set("/keyslots/1/unknown", vec![json!({ "a": [1] })]));
    changes.extend(set("/segments/0/type", vec![json!("linear"), json!("none")]));
    let offsets = ["0", "512", "524288", "1000", "1049088", "18446744073709551104", "18446744073709551616"];
    changes.extend(set("/segments/0/offset", offsets.map(Value::from).to_vec()));
    let sizes = ["0", "512", "4096", "100", "", "Dynamic", "18446744073709551616"];
    changes.extend(set("/segments/0/size", sizes.map(Value::from).to_vec()));
    changes.extend(set("/segments/0/iv_tweak", vec![json!("1"), json!("-1"), json!(""), json!(0)]));
    let ciphers = ["aes-cbc-essiv:sha256", "aes-xts-plain", "aes-ecb", "serpent-xts-plain64", "null", ""];
    changes.extend(set("/segments/0/encryption", ciphers.map(Value::from).to_vec()));
    let sizes = vec![json!(512), json!(1024), json!(2048), json!(100), json!(8192), json!(0), json!("512")];
    changes.extend(set("/segments/0/sector_size", sizes));
    changes.extend(set(
        "/segments/0/flags",
        vec![json!([]), json!(["in-reencryption"]), json!("x"), json!([1])],
    ));
    let integrity =
        json!({ "type": "hmac(sha256)", "journal_encryption": "none", "journal_integrity": "none" });
    changes.extend(set("/segments/0/integrity", vec![integrity, json!({}), json!(1)]));
    let second = json!({ "type": "linear", "offset": "2097152", "size": "512" });
    changes.extend(set("/segments/1", vec![second]));
    changes.extend(set("/digests/0/type", vec![json!("scrypt")]));
    changes.extend(set("/digests/0/keyslots", vec![json!([]), json!(["0"]), json!(["1", "7"]), json!([1])]));
    changes.extend(set("/digests/0/segments", vec![json!([]), json!(["1"]), json!(["0", "1"]), json!([0])]));
    changes.extend(set("/digests/0/hash", vec![json!("sha512"), json!("none")]));
    changes.extend(set("/digests/0/iterations", rounds));
    changes.extend(set("/digests/0/salt", salts.clone()));
    changes.extend(set("/digests/0/digest", salts));
    changes.extend(set("/config/json_size", vec![json!("12289"), json!("0"), json!("28672"), json!(12288)]));
    let sizes = ["0", "4096", "163840", "524289", "1048576", "134217728", "134221824"];
    changes.extend(set("/config/keyslots_size", sizes.map(Value::from).to_vec()));
    let flags = vec![json!(["allow-discards"]), json!(["of-the-future"]), json!([]), json!("x"), json!([1])];
    changes.extend(set("/config/flags", flags));
    let requirements = [
        json!({}),
        json!({ "mandatory": [] }),
        json!({ "mandatory": ["online-reencrypt-v2"] }),
        json!({ "mandatory": ["opal"] }),
        json!({ "mandatory": "opal" }),
    ];
    changes.extend(set("/config/requirements", requirements.to_vec()));
    let tokens = [
        json!({ "0": { "type": "other", "keyslots": ["1"] } }),
        json!({ "0": { "type": "other", "keyslots": ["9"] } }),
        json!({ "0": {} }),
        json!([]),
    ];
    changes.extend(set("/tokens", tokens.to_vec()));
    changes.extend(set("/unknown", vec![json!(1)]));
    changes.extend(
        [
            "/keyslots/1",
            "/keyslots/1/key_size",
            "/keyslots/1/af",
            "/keyslots/1/area",
            "/keyslots/1/kdf",
            "/keyslots/1/area/key_size",
            "/keyslots/1/kdf/hash",
            "/segments/0",
            "/segments/0/iv_tweak",
            "/segments/0/sector_size",
            "/segments/0/size",
            "/digests/0",
            "/digests/0/digest",
            "/digests/0/segments",
            "/config",
            "/config/json_size",
            "/config/keyslots_size",
            "/keyslots",
            "/segments",
            "/digests",
            "/tokens",
        ]
        .map(|pointer| (pointer, None)),
    );
    changes
}

/// The metadata with `change` made in it.
fn changed(mut json: Value, (pointer, value): &Change) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = json.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => _ = parent.insert(name.into(), value.clone()),
        None => assert!(parent.remove(name).is_some(), "{pointer}"),
    }
    json
}

/// Both copies with `json` as their text.
fn with(mut header: Vec<u8>, json: &str) -> Vec<u8> {
    for place in [0, SIZE] {
        let area = &mut header[place + 4096..place + SIZE];
        area.fill(0);
        area[..json.len()].copy_from_slice(json.as_bytes());
        seal(&mut header[place..place + SIZE]);
    }
    header
}

fn metadata(header: &[u8]) -> Value {
    let text = header[4096..SIZE].split(|byte| *byte == 0).next().unwrap();
    serde_json::from_slice(text).unwrap()
}

#[test]
fn members_of_the_json_area() {
    let mut mutations = Mutations::of(luks2());
    let json = metadata(&mutations.header());
    for change in changes() {
        let header = with(mutations.header(), &changed(json.clone(), &change).to_string());
        let value = change.1.as_ref().map_or("gone".into(), Value::to_string);
        let value: String = value.chars().take(60).collect();
        mutations.mutate(format!("{} {value}", change.0), &header);
    }
    let digest = "a digest that cannot be computed lets cryptsetup take any key; here it takes none";
    let names = "names are those that the format writes";
    let cipher = "a cipher, or a key for it, that is not used here";
    let area = "an area must hold its stripes, all of them, in whole sectors";
    let not_done = "not done here; cryptsetup finds out when it maps the volume";
    let token = "tokens are not read";
    mutations.end(&[
        ("/digests/0/digest ", Opens::WithCryptsetup, digest),
        ("/digests/0/hash ", Opens::WithCryptsetup, digest),
        ("/digests/0/iterations ", Opens::WithCryptsetup, digest),
        ("/digests/0/salt ", Opens::WithCryptsetup, digest),
        ("/keyslots/1/af/hash \"SHA256\"", Opens::WithCryptsetup, names),
        ("/keyslots/1/area/encryption \"AES-", Opens::WithCryptsetup, names),
        ("/keyslots/1/af/stripes ", Opens::WithCryptsetup, "the format allows 4000 only"),
        ("/keyslots/1/area/offset \"32769\"", Opens::WithCryptsetup, area),
        ("/keyslots/1/area/size \"1\"", Opens::WithCryptsetup, area),
        ("/keyslots/1/area/size \"127999\"", Opens::WithCryptsetup, area),
        ("/segments/0/encryption ", Opens::WithCryptsetup, cipher),
        ("/segments/0/sector_size 8192", Opens::WithCryptsetup, "the kernel has none larger than 4096"),
        ("/segments/0/flags ", Opens::WithCryptsetup, not_done),
        ("/segments/0/integrity ", Opens::WithCryptsetup, not_done),
        ("/segments/0/type ", Opens::WithCryptsetup, not_done),
        ("/config/requirements ", Opens::WithCryptsetup, not_done),
        ("/tokens ", Opens::Here, token),
    ]);
}

#[test]
fn text_of_the_json_area() {
    let mut mutations = Mutations::of(luks2());
    let text = metadata(&mutations.header()).to_string();
    for (name, text) in [
        ("nothing", String::new()),
        ("no object", "[]".into()),
        ("cut", text[..text.len() - 1].into()),
        ("more behind", format!("{text}{{}}")),
        ("a letter behind", format!("{text}x")),
        ("spaces behind", format!("{text}  \n")),
        ("spaces before", format!("  \n{text}")),
        ("a comment", format!("/* */{text}")),
        ("depth", format!("{},\"x\":{}{}}}", &text[..text.len() - 1], "[".repeat(30), "]".repeat(30))),
        (
            "great depth",
            format!("{},\"x\":{}{}}}", &text[..text.len() - 1], "[".repeat(2000), "]".repeat(2000)),
        ),
    ] {
        let header = with(mutations.header(), &text);
        mutations.mutate(name, &header);
    }
    mutations.end(&[
        ("spaces before", Opens::Here, "they are JSON"),
        ("great depth", Opens::Here, "what is in unknown members is passed over, without recursion"),
    ]);
}
