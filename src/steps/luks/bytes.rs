//! Fields of binary headers: numbers are big endian, texts end with a NUL.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use crate::error::{Code, Context, Error, Result};

/// What a LUKS1 header, and the primary LUKS2 header, begin with; the version follows.
pub const PRIMARY: &[u8] = b"LUKS\xba\xbe";

/// Fills `buffer` from `offset`; false if the disk ends before.
pub fn read_at(disk: &mut (impl Read + Seek), name: &str, offset: u64, buffer: &mut [u8]) -> Result<bool> {
    disk.seek(SeekFrom::Start(offset)).context(Code::Io, name)?;
    match disk.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(Error::new(Code::Io, name).because(error)),
    }
}

pub fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The text in the field of `length` bytes at `at`, which a NUL ends.
pub fn text(bytes: &[u8], at: usize, length: usize) -> Option<String> {
    let field = bytes.get(at..at.checked_add(length)?)?;
    let end = field.iter().position(|byte| *byte == 0)?;
    String::from_utf8(field.get(..end)?.to_vec()).ok()
}

/// It goes into the names of maps and keys, so nothing else may be in it.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, char)| match at {
            8 | 13 | 18 | 23 => char == '-',
            _ => char.is_ascii_hexdigit(),
        })
}
