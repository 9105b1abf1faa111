//! The encrypted form of the image: a header made by cryptsetup itself, the data encrypted here. No
//! device-mapper is needed on the host for either.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::thread;

use aes::Aes256;
use aes::cipher::{Array, KeyInit, consts::U32, consts::U64};
use nix::sched::CloneFlags;
use sha2::{Digest, Sha512};
use xts_mode::{Xts128, get_tweak_default};

use crate::cache::Cache;
use crate::chroot::Root;
use crate::error::{At, Error, Result};
use crate::scenario::Encryption;
use crate::{command, namespace, tree};

/// The UUID of the encrypted image.
pub const UUID: &str = "7d15c1e5-0a51-4d15-8c1e-5d15c1e50001";
/// Opens the key slot whose KDF is argon2id. Public, like all secrets of the harness.
pub const KEY_ARGON2ID: &str = "harness image key, argon2id slot";
/// Opens the key slot whose KDF is pbkdf2.
pub const KEY_PBKDF2: &str = "harness image key, pbkdf2 slot";

/// Run inside the builder with the image, its UUID, the folder of keys, where the data begins, version and memory.
const LUKS: &str = include_str!("../../assets/luks.sh");
/// Where the data begins: cryptsetup's own default.
const DATA_OFFSET: u64 = 16 << 20;
const SECTOR: usize = 512;
/// What one thread encrypts at a time.
const CHUNK: usize = 4 << 20;
const THREADS: usize = 2;

/// The version of LUKS, and for its first keyslot KiB of memory.
fn format(encryption: Encryption) -> [&'static str; 2] {
    match encryption {
        Encryption::Luks1 => ["luks1", "0"],
        Encryption::Argon2Huge => ["luks2", "1048576"],
        Encryption::Luks2 | Encryption::None => ["luks2", "65536"],
    }
}

/// All that decides what the encrypted image is, given the plain one.
pub fn recipe(encryption: Encryption) -> String {
    format!(
        "{} {LUKS} {UUID} {KEY_ARGON2ID} {KEY_PBKDF2} {DATA_OFFSET} {SECTOR} {:?}",
        format(encryption).join(" "),
        volume_key()
    )
}

/// Any 64 bytes do.
fn volume_key() -> Array<u8, U64> {
    Sha512::digest(b"harness volume key")
}

/// Makes the encrypted form of `disk` at `at`.
pub fn make(cache: &Cache, builder: &Path, disk: &Path, encryption: Encryption, at: &Path) -> Result<()> {
    let log = cache.log("luks");
    let image = File::create(at).at("create", at)?;
    let size = disk.metadata().at("look at", disk)?.len();
    image.set_len(DATA_OFFSET + size).at("extend", at)?;
    namespace::apart(CloneFlags::CLONE_NEWNS, || {
        let work = cache.folder().join("work");
        tree::remove(&work)?;
        namespace::tmpfs(&work)?;
        for (name, key) in [
            ("volume", volume_key().as_slice()),
            ("argon2id", KEY_ARGON2ID.as_bytes()),
            ("pbkdf2", KEY_PBKDF2.as_bytes()),
        ] {
            let path = work.join(name);
            fs::write(&path, key).at("write", &path)?;
        }
        let tools = Root::enter(builder, cache.folder())?;
        let mut script = tools.command("sh");
        script.args(["-c", LUKS, "luks"]).arg(tools.inside(at)?).arg(UUID).arg(tools.inside(&work)?);
        script.arg((DATA_OFFSET / 512).to_string()).args(format(encryption));
        command::run(&mut script, &log)
    })?;
    encrypt(disk, at)
}

/// Writes the encrypted content of `plain` behind the header of `image`.
fn encrypt(plain: &Path, image: &Path) -> Result<()> {
    let mut from = File::open(plain).at("open", plain)?;
    let mut to = File::options().write(true).open(image).at("open", image)?;
    std::io::Seek::seek(&mut to, std::io::SeekFrom::Start(DATA_OFFSET)).at("seek in", image)?;
    let cipher = cipher(&volume_key());
    let mut sector = 0;
    loop {
        let mut buffer = Vec::new();
        Read::by_ref(&mut from).take((CHUNK * THREADS) as u64).read_to_end(&mut buffer).at("read", plain)?;
        if buffer.is_empty() {
            return to.sync_all().at("write", image);
        }
        if buffer.len() % SECTOR != 0 {
            return Err(Error::Host(format!("{}: not a whole number of sectors", plain.display())));
        }
        thread::scope(|scope| {
            for (index, chunk) in buffer.chunks_mut(CHUNK).enumerate() {
                let (cipher, first) = (&cipher, sector + index * (CHUNK / SECTOR));
                scope.spawn(move || cipher.encrypt_area(chunk, SECTOR, first as u128, get_tweak_default));
            }
        });
        to.write_all(&buffer).at("write", image)?;
        sector += buffer.len() / SECTOR;
    }
}

/// aes-xts-plain64: the first half of the key is for the data, the second for the tweak.
fn cipher(key: &Array<u8, U64>) -> Xts128<Aes256> {
    let (data, tweak) = key.split_ref::<U32>();
    Xts128::new(Aes256::new(data), Aes256::new(tweak))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sector_has_its_own_number() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, image) = (folder.path().join("plain"), folder.path().join("image"));
        let data: Vec<u8> = (0..CHUNK * THREADS + 3 * SECTOR).map(|i| (i / 700) as u8).collect();
        fs::write(&plain, &data).unwrap();
        fs::write(&image, vec![0; DATA_OFFSET as usize]).unwrap();
        encrypt(&plain, &image).unwrap();
        let written = fs::read(&image).unwrap();
        let cipher = cipher(&volume_key());
        for sector in [0, 1, CHUNK / SECTOR, 2 * CHUNK / SECTOR + 2] {
            let start = DATA_OFFSET as usize + sector * SECTOR;
            let mut bytes = written[start..start + SECTOR].to_vec();
            cipher.decrypt_sector(&mut bytes, get_tweak_default(sector as u128));
            assert_eq!(bytes, data[sector * SECTOR..(sector + 1) * SECTOR], "sector {sector}");
        }
    }
}
