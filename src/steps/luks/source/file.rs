//! Files of the initramfs.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::Path;

use crate::error::{Code, Context, Result};
use crate::input::secret::Secret;

use super::{Bytes, Piece, cut};

/// The `piece` of the file `path`, as it is: a newline at its end is part of it.
pub fn key(path: &Path, piece: Piece) -> Result<Secret> {
    let object = path.display().to_string();
    let mut file = File::open(path).context(Code::LuksKeyMissing, &object)?;
    let metadata = file.metadata().context(Code::LuksKeyMissing, &object)?;
    let mut left = piece;
    if metadata.is_file() && piece.offset <= metadata.len() {
        file.seek(SeekFrom::Start(piece.offset)).context(Code::LuksKeyMissing, &object)?;
        left.offset = 0;
    }
    // What is no regular file (a pipe, a device) does not tell how much it gives.
    let expected = if metadata.is_file() { metadata.len() } else { super::LONGEST_KEY };
    cut(file, &object, expected, left)
}

/// The header in the file `path`, open: of a large one, little is read.
///
/// # Errors
/// [`Code::LuksHeaderMissing`]: it cannot be opened.
pub fn header(path: &Path) -> Result<Box<dyn Bytes>> {
    let file = File::open(path).context(Code::LuksHeaderMissing, path.display().to_string())?;
    Ok(Box::new(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_or_what_is_wrong_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let piece = Piece { offset: 1, size: Some(2) };
        assert_eq!(key(&path, piece).err().unwrap().code(), Code::LuksKeyMissing);
        assert_eq!(header(&path).err().unwrap().code(), Code::LuksHeaderMissing);
        std::fs::write(&path, b"key\n").unwrap();
        assert_eq!(key(&path, Piece::default()).ok().unwrap().expose(), b"key\n");
        assert_eq!(key(&path, piece).ok().unwrap().expose(), b"ey");
        let error = key(&path, Piece { offset: 9, size: None }).err().unwrap();
        assert!(error.to_string().ends_with("it has 4 bytes, the key is to start at byte 9"), "{error}");
        assert!(key(folder.path(), Piece::default()).is_err());
        let endless = key(Path::new("/dev/zero"), Piece { offset: 5000, size: Some(3) });
        assert_eq!(endless.ok().unwrap().expose(), [0; 3]);
    }
}
