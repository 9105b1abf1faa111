//! Small LUKS disks for tests, made here so that the tests need neither root nor cryptsetup.

use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::TcpListener;

use aes::Aes256;
use aes::cipher::{Array, BlockCipherEncrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use base64ct::{Base64, Encoding};
use xts_mode::{Xts128, get_tweak_default};

use super::af::{STRIPES, diffuse};
use super::hash::Hash;
use super::volume::Volume;

/// The UUID of all disks made here.
pub const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";
/// Their volume key.
pub const VOLUME_KEY: [u8; 64] = [0x42; 64];
/// The secret of their only keyslot.
pub const SECRET: &[u8] = b"a key\n";

/// One copy of a header.
pub fn copy(json: &str, sequence: u64, offset: u64, size: u64) -> Vec<u8> {
    let mut bytes = vec![0u8; size as usize];
    let mut put = |at: usize, data: &[u8]| bytes[at..at + data.len()].copy_from_slice(data);
    put(0, if offset == 0 { b"LUKS\xba\xbe" } else { b"SKUL\xba\xbe" });
    put(6, &2u16.to_be_bytes());
    put(8, &size.to_be_bytes());
    put(16, &sequence.to_be_bytes());
    put(72, b"sha256");
    put(104, &[7; 64]);
    put(168, UUID.as_bytes());
    put(256, &offset.to_be_bytes());
    put(4096, json.as_bytes());
    let sum = Hash::Sha256.of(&[&bytes]);
    bytes[448..480].copy_from_slice(&sum);
    bytes
}

/// Both copies, 16 KiB each.
pub fn disk(json: &str, primary: u64, secondary: u64) -> Vec<u8> {
    let mut bytes = copy(json, primary, 0, 0x4000);
    bytes.extend(copy(json, secondary, 0x4000, 0x4000));
    bytes
}

/// The stripes of `key`.
pub fn af_split(key: &[u8], hash: Hash) -> Vec<u8> {
    let mut split = Vec::new();
    let mut state = vec![0u8; key.len()];
    for number in 0..STRIPES - 1 {
        let stripe: Vec<u8> = (0..key.len()).map(|i| (i * 7 + number * 13) as u8).collect();
        state.iter_mut().zip(&stripe).for_each(|(a, b)| *a ^= b);
        diffuse(&mut state, hash);
        split.extend(stripe);
    }
    split.extend(state.iter().zip(key).map(|(a, b)| a ^ b));
    split
}

/// The metadata of [`volume`].
pub fn json() -> String {
    let salt = Base64::encode_string(&[5; 32]);
    let mut digest = [0; 32];
    Hash::Sha256.pbkdf2(&VOLUME_KEY, &[5; 32], 1000, &mut digest);
    let digest = Base64::encode_string(&digest);
    format!(
        r#"{{"keyslots":{{"0":{{"type":"luks2","key_size":64,"af":{{"type":"luks1","stripes":4000,"hash":"sha256"}},
        "area":{{"type":"raw","offset":"32768","size":"258048","encryption":"aes-xts-plain64","key_size":64}},
        "kdf":{{"type":"pbkdf2","hash":"sha256","iterations":1000,"salt":"{salt}"}}}}}},"tokens":{{}},
        "segments":{{"0":{{"type":"crypt","offset":"16777216","size":"dynamic","iv_tweak":"0",
        "encryption":"aes-xts-plain64","sector_size":4096}}}},
        "digests":{{"0":{{"type":"pbkdf2","keyslots":["0"],"segments":["0"],"hash":"sha256","iterations":1000,
        "salt":"{salt}","digest":"{digest}"}}}},
        "config":{{"json_size":"12288","keyslots_size":"16744448"}}}}"#
    )
}

/// A disk up to the end of its only keyslot, with the metadata `json`.
pub fn volume(json: &str) -> Vec<u8> {
    let mut area_key = [0; 64];
    Hash::Sha256.pbkdf2(SECRET, &[5; 32], 1000, &mut area_key);
    let (data, tweak) = area_key.split_at(32);
    let xts = Xts128::new(Aes256::new_from_slice(data).unwrap(), Aes256::new_from_slice(tweak).unwrap());
    let mut area = af_split(&VOLUME_KEY, Hash::Sha256);
    xts.encrypt_area(&mut area, 512, 0, get_tweak_default);
    area.resize(258_048, 0);
    let mut bytes = disk(json, 1, 1);
    bytes.extend(area);
    bytes
}

/// A LUKS1 disk up to the end of its only keyslot: aes-cbc-essiv:sha256 with the first 32 bytes of the key.
pub fn luks1() -> Vec<u8> {
    let volume_key = &VOLUME_KEY[..32];
    let mut bytes = vec![0; 4096];
    let mut put = |at: usize, data: &[u8]| bytes[at..at + data.len()].copy_from_slice(data);
    put(0, b"LUKS\xba\xbe\0\x01aes");
    put(40, b"cbc-essiv:sha256");
    put(72, b"sha256");
    put(104, &4096u32.to_be_bytes());
    put(108, &32u32.to_be_bytes());
    let mut digest = [0; 20];
    Hash::Sha256.pbkdf2(volume_key, &[6; 32], 1000, &mut digest);
    put(112, &digest);
    put(132, &[6; 32]);
    put(164, &1000u32.to_be_bytes());
    put(168, UUID.as_bytes());
    for (id, at) in (0..8u32).zip((208..).step_by(48)) {
        put(at, &(if id == 0 { 0x00ac_71f3u32 } else { 0x0000_dead }).to_be_bytes());
        put(at + 4, &1000u32.to_be_bytes());
        put(at + 8, &[5; 32]);
        put(at + 40, &(8 + id * 256).to_be_bytes());
        put(at + 44, &4000u32.to_be_bytes());
    }
    let mut area_key = [0; 32];
    Hash::Sha256.pbkdf2(SECRET, &[5; 32], 1000, &mut area_key);
    let essiv = Aes256::new_from_slice(&Hash::Sha256.of(&[&area_key])).unwrap();
    let mut area = af_split(volume_key, Hash::Sha256);
    for (number, sector) in (0u128..).zip(area.chunks_exact_mut(512)) {
        let mut vector = number.to_le_bytes().into();
        essiv.encrypt_block(&mut vector);
        let cipher = Aes256::new_from_slice(&area_key).unwrap();
        let mut cbc = cbc::Encryptor::inner_iv_init(cipher, &vector);
        cbc.encrypt_blocks(Array::slice_as_chunks_mut(sector).0);
    }
    bytes.extend(area);
    bytes
}

/// [`volume`] with [`json`], read.
pub fn volume_read() -> Volume {
    Volume::read(&mut Cursor::new(volume(&json())), "disk sda").unwrap()
}

/// The URL of a server that gives one answer and then goes away.
pub fn answering(status: &'static str, body: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = BufReader::new(stream.try_clone().unwrap()).lines();
        while request.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
        stream.write_all(body).unwrap();
    });
    url
}
