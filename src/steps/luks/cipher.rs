//! The ciphers of keyslot areas and segments. A segment is decrypted by the kernel, an area here.

use aes::cipher::{BlockCipherDecrypt, BlockSizeUser, KeyInit, consts::U16};
use aes::{Aes128, Aes256};
use xts_mode::{Xts128, get_tweak_default};

/// The sector of keyslot areas, in bytes, whatever the segment's sector size is.
pub const SECTOR: usize = 512;

/// A cipher with its mode and the way its initialisation vectors are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// AES in XTS mode; the vector is the sector's number in 64 bits.
    AesXtsPlain64,
}

impl Cipher {
    /// The cipher called `name` in a header.
    ///
    /// # Errors
    /// What to say of one that is not supported.
    pub fn from_name(name: &str) -> Result<Cipher, String> {
        match name {
            "aes-xts-plain64" => Ok(Cipher::AesXtsPlain64),
            other => Err(format!("cipher {other:?}")),
        }
    }

    /// The name, as headers and dm-crypt tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Cipher::AesXtsPlain64 => "aes-xts-plain64",
        }
    }

    /// A key of `bytes` bytes is one for this cipher.
    pub fn takes_key_of(self, bytes: usize) -> bool {
        match self {
            Cipher::AesXtsPlain64 => matches!(bytes, 32 | 64),
        }
    }

    /// Decrypts a keyslot area in place; its first sector has the number 0. False, and nothing is decrypted,
    /// unless [`Cipher::takes_key_of`] the key's size; bytes after the last whole sector stay.
    #[must_use]
    pub fn decrypt_area(self, key: &[u8], area: &mut [u8]) -> bool {
        match key.len() {
            32 => decrypt_xts::<Aes128>(key, area),
            64 => decrypt_xts::<Aes256>(key, area),
            _ => false,
        }
    }
}

fn decrypt_xts<C>(key: &[u8], area: &mut [u8]) -> bool
where
    C: KeyInit + BlockCipherDecrypt + aes::cipher::BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
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
    fn other_keys_are_refused() {
        let mut area = vec![7u8; SECTOR];
        assert!(!Cipher::AesXtsPlain64.decrypt_area(&[0; 48], &mut area));
        assert!(!Cipher::AesXtsPlain64.decrypt_area(&[], &mut area));
        assert_eq!(area, vec![7u8; SECTOR]);
    }
}
