//! The ciphers of keyslot areas and segments. A segment is decrypted by the kernel, an area here.

use aes::cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockSizeUser, InnerIvInit,
};
use aes::cipher::{KeyInit, consts::U16};
use aes::{Aes128, Aes192, Aes256};
use xts_mode::{Xts128, get_tweak_default};

use super::hash::Hash;

/// The sector of keyslot areas, in bytes, whatever the segment's sector size is.
pub const SECTOR: usize = 512;

/// A cipher with its mode and the way its initialisation vectors are made (Documentation/admin-guide/device-mapper/
/// dm-crypt.rst of the kernel). Modes that show which sectors are alike (ecb) are none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// AES in XTS mode; the vector is the sector's number in 32 bits.
    AesXtsPlain,
    /// The same; the number has 64 bits.
    AesXtsPlain64,
    /// AES in CBC mode; the vector is the sector's number in 32 bits.
    AesCbcPlain,
    /// The same; the number has 64 bits.
    AesCbcPlain64,
    /// AES in CBC mode; the vector is the sector's number in 64 bits, encrypted with the SHA-256 of the key.
    AesCbcEssivSha256,
}

impl Cipher {
    /// All of them.
    pub const ALL: [Cipher; 5] = [
        Cipher::AesXtsPlain,
        Cipher::AesXtsPlain64,
        Cipher::AesCbcPlain,
        Cipher::AesCbcPlain64,
        Cipher::AesCbcEssivSha256,
    ];

    /// The cipher called `name` in a header.
    ///
    /// # Errors
    /// What to say of one that is not supported.
    pub fn from_name(name: &str) -> Result<Cipher, String> {
        let known = Cipher::ALL.into_iter().find(|cipher| cipher.name() == name);
        known.ok_or_else(|| format!("cipher {name:?}"))
    }

    /// The name, as LUKS2 headers and dm-crypt tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Cipher::AesXtsPlain => "aes-xts-plain",
            Cipher::AesXtsPlain64 => "aes-xts-plain64",
            Cipher::AesCbcPlain => "aes-cbc-plain",
            Cipher::AesCbcPlain64 => "aes-cbc-plain64",
            Cipher::AesCbcEssivSha256 => "aes-cbc-essiv:sha256",
        }
    }

    /// A key of `bytes` bytes is one for this cipher. XTS takes two keys, one after the other.
    pub fn takes_key_of(self, bytes: usize) -> bool {
        match self {
            Cipher::AesXtsPlain | Cipher::AesXtsPlain64 => matches!(bytes, 32 | 64),
            Cipher::AesCbcPlain | Cipher::AesCbcPlain64 | Cipher::AesCbcEssivSha256 => {
                matches!(bytes, 16 | 24 | 32)
            }
        }
    }

    /// Decrypts a keyslot area in place; its first sector has the number 0. False, and nothing is decrypted,
    /// unless [`Cipher::takes_key_of`] the key's size; bytes after the last whole sector stay.
    #[must_use]
    pub fn decrypt_area(self, key: &[u8], area: &mut [u8]) -> bool {
        // An area has far fewer than 2^32 sectors, so that both kinds of plain vectors are the same here.
        match (self, key.len()) {
            (Cipher::AesXtsPlain | Cipher::AesXtsPlain64, 32) => decrypt_xts::<Aes128>(key, area),
            (Cipher::AesXtsPlain | Cipher::AesXtsPlain64, 64) => decrypt_xts::<Aes256>(key, area),
            (Cipher::AesXtsPlain | Cipher::AesXtsPlain64, _) => false,
            (Cipher::AesCbcPlain | Cipher::AesCbcPlain64, _) => decrypt_cbc(key, area, plain),
            (Cipher::AesCbcEssivSha256, _) => {
                let Ok(essiv) = Aes256::new_from_slice(&Hash::Sha256.of(&[key])) else {
                    return false;
                };
                decrypt_cbc(key, area, |number| {
                    let mut vector = plain(number);
                    essiv.encrypt_block(&mut vector);
                    vector
                })
            }
        }
    }
}

type Block = Array<u8, U16>;

/// The number of a sector, little endian, with zeros behind it.
fn plain(number: u64) -> Block {
    u128::from(number).to_le_bytes().into()
}

fn decrypt_xts<C>(key: &[u8], area: &mut [u8]) -> bool
where
    C: KeyInit + BlockCipherDecrypt + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let Some((data, tweak)) = key.split_at_checked(key.len() / 2) else {
        return false;
    };
    let (Ok(data), Ok(tweak)) = (C::new_from_slice(data), C::new_from_slice(tweak)) else {
        return false;
    };
    let xts = Xts128::new(data, tweak);
    for (number, sector) in (0u128..).zip(area.chunks_exact_mut(SECTOR)) {
        xts.decrypt_sector(sector, get_tweak_default(number));
    }
    true
}

fn decrypt_cbc(key: &[u8], area: &mut [u8], vector: impl Fn(u64) -> Block) -> bool {
    fn decrypt<C>(key: &[u8], area: &mut [u8], vector: impl Fn(u64) -> Block) -> bool
    where
        C: KeyInit + Clone + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
    {
        let Ok(cipher) = C::new_from_slice(key) else {
            return false;
        };
        for (number, sector) in (0u64..).zip(area.chunks_exact_mut(SECTOR)) {
            let mut cbc = cbc::Decryptor::inner_iv_init(cipher.clone(), &vector(number));
            let (blocks, _) = Block::slice_as_chunks_mut(sector);
            cbc.decrypt_blocks(blocks);
        }
        true
    }
    match key.len() {
        16 => decrypt::<Aes128>(key, area, vector),
        24 => decrypt::<Aes192>(key, area, vector),
        32 => decrypt::<Aes256>(key, area, vector),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_are_numbered_from_zero() {
        let key: Vec<u8> = (0..64).collect();
        let (data, tweak) = key.split_at(32);
        let xts = Xts128::new(Aes256::new_from_slice(data).unwrap(), Aes256::new_from_slice(tweak).unwrap());
        let mut area = vec![7u8; 3 * SECTOR];
        xts.encrypt_area(&mut area, SECTOR, 0, get_tweak_default);
        assert!(Cipher::AesXtsPlain64.decrypt_area(&key, &mut area));
        assert_eq!(area, vec![7u8; 3 * SECTOR]);
    }

    #[test]
    fn cbc_gives_what_nist_says() {
        // SP 800-38A, F.2: the vector there is not that of a sector, so the first block differs by both.
        let key =
            [0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c];
        let mut area = vec![0u8; 2 * SECTOR];
        let first =
            [0x76, 0x49, 0xab, 0xac, 0x81, 0x19, 0xb2, 0x46, 0xce, 0xe9, 0x8e, 0x9b, 0x12, 0xe9, 0x19, 0x7d];
        let clear =
            [0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a];
        area[..16].copy_from_slice(&first);
        area[SECTOR..SECTOR + 16].copy_from_slice(&first);
        assert!(Cipher::AesCbcPlain.decrypt_area(&key, &mut area));
        for (number, at) in [(0, 0), (1, SECTOR)] {
            for (i, byte) in clear.iter().enumerate() {
                let nist = i as u8;
                let ours = if i == 0 { number } else { 0 };
                assert_eq!(area[at + i], byte ^ nist ^ ours, "byte {i} of sector {number}");
            }
        }
    }

    #[test]
    fn other_keys_are_refused() {
        for cipher in Cipher::ALL {
            assert_eq!(Cipher::from_name(cipher.name()), Ok(cipher));
            for size in [0, 1, 16, 24, 32, 48, 64, 65] {
                let mut area = vec![7u8; SECTOR];
                let took = cipher.decrypt_area(&vec![0; size], &mut area);
                assert_eq!(took, cipher.takes_key_of(size), "{} {size}", cipher.name());
                assert_eq!(took, area != vec![7u8; SECTOR]);
            }
        }
        for refused in ["aes-ecb", "aes-cbc-null", "serpent-xts-plain64", ""] {
            assert_eq!(Cipher::from_name(refused), Err(format!("cipher {refused:?}")));
        }
    }
}
