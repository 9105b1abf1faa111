//! The anti-forensic splitter: a key is kept as many stripes, all of which are needed to get it back
//! (LUKS1 on-disk format specification 1.2.3, 2.4; LUKS2 uses it unchanged).

use zeroize::Zeroizing;

use super::hash::Hash;

/// The stripes of every keyslot (LUKS2 on-disk format specification 1.1, 3.2: only 4000 is allowed).
pub const STRIPES: usize = 4000;

/// The key of `size` bytes whose stripes are `split`, `size` bytes each; none if `split` holds no stripe.
pub fn merge(split: &[u8], size: usize, hash: Hash) -> Option<Zeroizing<Vec<u8>>> {
    if size == 0 {
        return None;
    }
    let mut stripes = split.chunks_exact(size);
    let last = stripes.next_back()?;
    let mut key = Zeroizing::new(vec![0u8; size]);
    for stripe in stripes {
        xor(&mut key, stripe);
        diffuse(&mut key, hash);
    }
    xor(&mut key, last);
    Some(key)
}

/// Makes every bit of a block depend on all bits of it: each piece of the hash's size is replaced by the hash of
/// its number (big endian) and itself; the last piece may be shorter.
pub(super) fn diffuse(block: &mut [u8], hash: Hash) {
    for (number, piece) in (0u32..).zip(block.chunks_mut(hash.size())) {
        let digest = hash.of(&[&number.to_be_bytes(), piece]);
        for (byte, new) in piece.iter_mut().zip(digest.iter()) {
            *byte = *new;
        }
    }
}

fn xor(into: &mut [u8], other: &[u8]) {
    for (byte, other) in into.iter_mut().zip(other) {
        *byte ^= other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_undoes_split() {
        for (size, hash) in [(32, Hash::Sha256), (64, Hash::Sha256), (64, Hash::Sha1), (32, Hash::Sha512)] {
            let key: Vec<u8> = (0..size).map(|i| i as u8 ^ 0x5a).collect();
            let split = super::super::fixture::af_split(&key, hash);
            assert_eq!(split.len(), size * STRIPES);
            assert_eq!(merge(&split, size, hash).unwrap().as_slice(), key);
        }
    }

    #[test]
    fn one_wrong_bit_anywhere_spoils_the_key() {
        let key = [9u8; 32];
        let mut split = super::super::fixture::af_split(&key, Hash::Sha256);
        split[5] ^= 1;
        assert_ne!(merge(&split, 32, Hash::Sha256).unwrap().as_slice(), key);
    }

    #[test]
    fn nothing_to_merge_is_no_key() {
        assert!(merge(&[], 32, Hash::Sha256).is_none());
        assert!(merge(&[1, 2], 0, Hash::Sha256).is_none());
    }
}
