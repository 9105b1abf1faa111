//! Headers with one thing changed: both say the same of each, with the right key and with a wrong one. Where they do
//! not, a test lists the mutation with the reason.

use std::collections::BTreeMap;

use super::*;

/// A header that opens, and what is made of it.
pub struct Mutations {
    image: Image,
    header: Vec<u8>,
    differ: BTreeMap<String, (Opens, String)>,
    tried: usize,
    opened: usize,
}

impl Mutations {
    pub fn of(image: Image) -> Mutations {
        assert!(image.verdict("key", &[]).agreed());
        let header = image.bytes();
        Mutations { image, header, differ: BTreeMap::new(), tried: 0, opened: 0 }
    }

    /// The header as it was.
    pub fn header(&self) -> Vec<u8> {
        self.header.clone()
    }

    /// Asks both about `header`.
    pub fn mutate(&mut self, name: impl Into<String>, header: &[u8]) {
        let name = name.into();
        let disk = self.image.path(self.image.header);
        // A wrong key each time would take twice as long.
        let keys: &[&str] = if self.tried.is_multiple_of(5) { &["wrong", "key"] } else { &["key"] };
        for key in keys {
            // Anew for each: cryptsetup repairs what it reads.
            fs::write(&disk, header).unwrap();
            let verdict = self.image.verdict(key, &[]);
            assert!(*key == "key" || !verdict.ours, "{name} opens with a wrong key");
            if verdict.ours != verdict.theirs {
                let opens = if verdict.ours { Opens::Here } else { Opens::WithCryptsetup };
                self.differ.insert(name.clone(), (opens, verdict.said));
            }
            self.opened += usize::from(verdict.ours);
        }
        self.tried += 1;
    }

    /// Each difference is of one of the kinds in `reasons`: how its name begins, who opens, and why that is well. None
    /// of them stands there for nothing, and there were mutations that open and such that do not.
    pub fn end(self, reasons: &[(&str, Opens, &str)]) {
        assert!(self.opened > 0 && self.opened < self.tried, "{} of {} opened", self.opened, self.tried);
        let covers = |(listed, who, _): &(&str, Opens, &str), (name, opens): (&String, &(Opens, String))| {
            name.starts_with(listed) && *who == opens.0
        };
        let unexpected: Vec<String> = (self.differ.iter())
            .filter(|differs| !reasons.iter().any(|reason| covers(reason, *differs)))
            .map(|(name, (opens, said))| format!("{name} {opens:?}\n    {said}"))
            .collect();
        let gone: Vec<_> = (reasons.iter())
            .filter(|reason| !self.differ.iter().any(|differs| covers(reason, differs)))
            .collect();
        assert!(
            unexpected.is_empty() && gone.is_empty(),
            "{}\nlisted, but none: {gone:#?}",
            unexpected.join("\n")
        );
    }
}

/// Who opens what the other one refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    Here,
    WithCryptsetup,
}

/// A difference that is meant, in both versions.
pub const UUID: (&str, Opens, &str) =
    ("UUID", Opens::WithCryptsetup, "it becomes part of a name in the kernel, so only what is a UUID is one");

/// A small image, so that writing it again and again is quick.
fn small(kind: &str, options: &[&str]) -> Image {
    let image = Image::new();
    fs::File::create(image.path("disk")).unwrap().set_len(3 << 20).unwrap();
    image.cryptsetup(&[&["luksFormat", "--type", kind, "disk", "key"], options].concat());
    image
}

pub fn luks2() -> Image {
    let sizes = ["--luks2-metadata-size", "16k", "--luks2-keyslots-size", "512k", "--offset", "2048"];
    small("luks2", &[PBKDF2, &sizes, &["--key-slot", "1", "--key-size", "256"]].concat())
}

fn luks1() -> Image {
    small("luks1", &["--pbkdf-force-iterations", "1000", "--key-slot", "1", "--key-size", "256"])
}

#[test]
fn fields_of_luks1() {
    let mut mutations = Mutations::of(luks1());
    let slot = 208 + 48;
    for (at, field) in [
        (0, "magic"),
        (5, "magic, end"),
        (6, "version, high"),
        (7, "version, low"),
        (8, "cipher"),
        (11, "cipher, end"),
        (40, "mode"),
        (50, "mode, last letter"),
        (51, "mode, end"),
        (72, "hash"),
        (78, "hash, end"),
        (104, "payload, highest"),
        (106, "payload, third"),
        (107, "payload, lowest"),
        (108, "key size, highest"),
        (111, "key size, lowest"),
        (112, "digest"),
        (131, "digest, end"),
        (132, "salt"),
        (165, "iterations, second"),
        (167, "iterations, lowest"),
        (168, "UUID"),
        (176, "UUID, dash"),
        (203, "UUID, end"),
        (204, "UUID, behind"),
        (208, "keyslot 0, mark, highest"),
        (211, "keyslot 0, mark, lowest"),
        (208 + 4, "keyslot 0, iterations, highest"),
        (208 + 40, "keyslot 0, material"),
        (208 + 47, "keyslot 0, stripes"),
        (slot, "keyslot 1, mark"),
        (slot + 6, "keyslot 1, iterations, third"),
        (slot + 7, "keyslot 1, iterations, lowest"),
        (slot + 8, "keyslot 1, salt"),
        (slot + 39, "keyslot 1, salt, end"),
        (slot + 40, "keyslot 1, material, highest"),
        (slot + 43, "keyslot 1, material, lowest"),
        (slot + 46, "keyslot 1, stripes, third"),
        (slot + 47, "keyslot 1, stripes, lowest"),
        (591, "keyslot 7, stripes, lowest"),
        (592, "behind the header"),
    ] {
        for bit in [0x01, 0x02, 0x80] {
            // More rounds than this take too long for a test; that they are bounded is shown elsewhere.
            if field.ends_with("iterations, second") && bit != 0x01 {
                continue;
            }
            let mut header = mutations.header();
            header[at] ^= bit;
            mutations.mutate(format!("{field} ^ {bit:#04x}"), &header);
        }
    }
    mutations.end(&[UUID]);
}

#[test]
fn keyslot_areas_of_luks1() {
    let mut mutations = Mutations::of(luks1());
    let header = mutations.header();
    let material = u32::from_be_bytes(header[208 + 48 + 40..][..4].try_into().unwrap()) as usize * 512;
    // The key has 32 bytes, so the stripes 128000.
    for at in [0, 511, 512, 64_000, 127_999, 128_000] {
        let mut header = mutations.header();
        header[material + at] ^= 1;
        mutations.mutate(format!("byte {at} of the area"), &header);
    }
    mutations.end(&[]);
}

#[test]
fn truncations() {
    let data = "whether the data is there is looked at when it is mapped, on the disk that it is on";
    let luks1_data =
        [("524288 ", Opens::Here, data), ("557056 ", Opens::Here, data), ("104", Opens::Here, data)];
    let rest = "the end of the keyslots area is missing, where no keyslot is";
    let luks2_rest = [("262144 ", Opens::Here, rest), ("524288 ", Opens::Here, rest)];
    for (image, reasons) in [(luks1(), &luks1_data[..]), (luks2(), &luks2_rest)] {
        let mut mutations = Mutations::of(image);
        let header = mutations.header();
        for length in [
            0,
            6,
            8,
            100,
            512,
            591,
            592,
            1024,
            4095,
            4096,
            4608,
            16_383,
            16_384,
            20_480,
            32_768,
            40_960,
            262_144,
            524_288,
            557_056,
            1 << 20,
            (1 << 20) + 512,
            2 << 20,
            (2 << 20) + 512,
            3 << 20,
        ] {
            mutations.mutate(format!("{length} bytes"), &header[..length]);
        }
        mutations.end(reasons);
    }
}
