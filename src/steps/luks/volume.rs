//! An encrypted volume, of either version of LUKS: the magic at the start of its header says which.

use std::fmt;
use std::io::{Read, Seek};

use crate::error::{Code, Error, Result};

use super::bytes::{PRIMARY, be16, read_at};
use super::luks1;
use super::luks2::{check, header};
use super::metadata::Metadata;

/// The version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// LUKS1.
    One,
    /// LUKS2.
    Two,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::One => "LUKS1",
            Version::Two => "LUKS2",
        })
    }
}

/// A volume's header, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The disk's name for people: `disk sda`.
    pub name: String,
    /// The version of the header.
    pub version: Version,
    /// Its UUID in its usual form, 36 characters.
    pub uuid: String,
    /// Where the copy of the header is that holds, in bytes; 0 unless it is the secondary one.
    pub header_offset: u64,
    /// What is wrong with the other copy, if it matters, in words for a person.
    pub note: Option<String>,
    /// What the header says.
    pub metadata: Metadata,
}

impl Volume {
    /// Reads the header in `disk`: a block device, or a file with an image or with the header alone. `name` is what
    /// people call it.
    ///
    /// # Errors
    /// [`Code::LuksHeader`]: no copy of the header is whole, or it breaks the format. [`Code::LuksUnsupported`]: it
    /// asks for something that is not done here; the cause names it. [`Code::Io`].
    pub fn read(disk: &mut (impl Read + Seek), name: &str) -> Result<Volume> {
        match version(disk, name)? {
            Version::One => {
                let header = luks1::read(disk, name)?;
                let metadata = luks1::metadata(&header, name)?;
                Ok(Volume {
                    name: name.into(),
                    version: Version::One,
                    uuid: header.uuid,
                    header_offset: 0,
                    note: None,
                    metadata,
                })
            }
            Version::Two => {
                let header = header::read(disk, name)?;
                let metadata = check::metadata(&header.copy, name)?;
                Ok(Volume {
                    name: name.into(),
                    version: Version::Two,
                    uuid: header.copy.uuid,
                    header_offset: header.copy.offset,
                    note: header.note,
                    metadata,
                })
            }
        }
    }

    /// That its data can be where the header says. `detached`: the header is not on the disk with the data.
    ///
    /// # Errors
    /// [`Code::LuksHeader`]: the data would begin with the header itself, so this is a detached one.
    pub fn check_place(&self, detached: bool) -> Result<()> {
        if !detached && self.metadata.segment.offset == 0 {
            return Err(Error::new(Code::LuksHeader, self.name.as_str())
                .because("its data starts at sector 0: it is a detached header"));
        }
        Ok(())
    }
}

/// Which version is in `disk`. What is none at all is for LUKS2 to tell, which has a second copy further on.
pub(super) fn version(disk: &mut (impl Read + Seek), name: &str) -> Result<Version> {
    let mut bytes = [0; 8];
    let whole = read_at(disk, name, 0, &mut bytes)?;
    match whole && bytes.starts_with(PRIMARY) && be16(&bytes, 6) == Some(1) {
        true => Ok(Version::One),
        false => Ok(Version::Two),
    }
}
