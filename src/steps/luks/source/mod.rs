//! Where keys and detached headers come from; `file` and `url` have the same functions, `key` and `header`.

mod file;
mod url;

pub use file::header as header_file;
pub use url::header as header_url;

use std::io::{Read, Seek};
use std::path::Path;

use zeroize::Zeroizing;

use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::{KeySource, LONGEST_KEY, Luks};
use crate::input::secret::Secret;

/// No header is longer: two copies of 4 MiB and a keyslots area of 128 MiB (LUKS2 on-disk format specification 1.1,
/// 2.1 and 3.5).
const LONGEST_HEADER: u64 = (2 * 4 + 128) << 20;

/// Which bytes of its source are the key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Piece {
    /// So many bytes come before it.
    pub offset: u64,
    /// So many are the key; none: all the others.
    pub size: Option<u64>,
}

/// What a header is read from.
pub trait Bytes: Read + Seek {}

impl<T: Read + Seek> Bytes for T {}

/// The key that the plan names, wiped when dropped.
///
/// # Errors
/// [`Code::LuksKeyMissing`]: it is not there, too short or too long, or its server refuses it;
/// [`Code::SecretFetch`]: its server does not answer.
pub fn key(host: &Host, luks: &Luks) -> Result<Secret> {
    let piece = Piece { offset: luks.key_offset, size: luks.key_size };
    match &luks.key {
        KeySource::File(path) => file::key(&host.path(path), piece),
        KeySource::Url(url) => url::key(url, piece),
    }
}

/// The key in the file `path`, or in standard input if that is `-`.
///
/// # Errors
/// [`Code::LuksKeyMissing`], as with [`key`].
pub fn key_file(path: &Path, piece: Piece) -> Result<Secret> {
    match path == Path::new("-") {
        true => cut(std::io::stdin().lock(), "standard input", LONGEST_KEY, piece),
        false => file::key(path, piece),
    }
}

/// The `piece` of what `source` gives, which is some `expected` bytes at the most. `object` is its name, for errors.
fn cut(mut source: impl Read, object: &str, expected: u64, piece: Piece) -> Result<Secret> {
    let wrong = |what: String| Error::new(Code::LuksKeyMissing, object).because(what);
    let most = piece.size.unwrap_or(LONGEST_KEY);
    if most > LONGEST_KEY {
        return Err(wrong(format!("its key is to have {most} bytes, {LONGEST_KEY} are the most")));
    }
    let skipped = skip(&mut source, piece.offset).context(Code::LuksKeyMissing, object)?;
    if skipped < piece.offset {
        return Err(wrong(format!("it has {skipped} bytes, the key is to start at byte {}", piece.offset)));
    }
    // All of the room at once: when a vector grows, what it leaves behind is not wiped.
    let room = usize::try_from(expected.min(most).saturating_add(1)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    source.take(most.saturating_add(1)).read_to_end(&mut bytes).context(Code::LuksKeyMissing, object)?;
    let length = bytes.len() as u64;
    match piece.size {
        Some(size) if length < size => {
            return Err(wrong(format!("its key is to have {size} bytes, {length} are there")));
        }
        Some(_) => bytes.truncate(usize::try_from(most).unwrap_or_default()),
        None if length > most => return Err(wrong(format!("its key is longer than {most} bytes"))),
        None => (),
    }
    if bytes.is_empty() {
        return Err(wrong("its key is empty".into()));
    }
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

/// Reads `count` bytes and forgets them; how many there were.
fn skip(source: &mut impl Read, count: u64) -> std::io::Result<u64> {
    let mut buffer = Zeroizing::new([0; 4096]);
    let mut skipped = 0;
    while skipped < count {
        let most = usize::try_from(count - skipped).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        match source.read(buffer) {
            Ok(0) => break,
            Ok(read) => skipped += read as u64,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    Ok(skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(offset: u64, size: Option<u64>) -> Result<Vec<u8>> {
        cut(&b"0123456789"[..], "k", 10, Piece { offset, size }).map(|key| key.expose().to_vec())
    }

    #[test]
    fn a_key_is_a_piece_of_its_source() {
        for (offset, size, key) in [
            (0, None, &b"0123456789"[..]),
            (0, Some(10), b"0123456789"),
            (0, Some(4), b"0123"),
            (3, Some(4), b"3456"),
            (9, None, b"9"),
            (6, Some(4), b"6789"),
        ] {
            assert_eq!(piece(offset, size).unwrap(), key, "{offset} {size:?}");
        }
    }

    #[test]
    fn a_piece_that_is_not_there_is_said() {
        for (offset, size, what) in [
            (0, Some(11), "its key is to have 11 bytes, 10 are there"),
            (7, Some(4), "its key is to have 4 bytes, 3 are there"),
            (11, None, "it has 10 bytes, the key is to start at byte 11"),
            (u64::MAX, Some(1), "it has 10 bytes, the key is to start at byte 18446744073709551615"),
            (10, None, "its key is empty"),
            (0, Some(0), "its key is empty"),
            (0, Some(u64::MAX), "its key is to have 18446744073709551615 bytes, 8388608 are the most"),
        ] {
            let error = piece(offset, size).unwrap_err();
            assert_eq!(error.code(), Code::LuksKeyMissing);
            assert!(error.to_string().ends_with(what), "{error}");
        }
        let error = cut(std::io::repeat(7), "k", LONGEST_KEY, Piece::default()).err().unwrap();
        assert!(error.to_string().ends_with("its key is longer than 8388608 bytes"), "{error}");
        let key = cut(std::io::repeat(7), "k", LONGEST_KEY, Piece { offset: 1, size: Some(2) });
        assert_eq!(key.ok().unwrap().expose(), [7, 7]);
    }
}
