//! `diskless luks`: looks at LUKS headers and tries keys, on disks and on plain files; touches no device-mapper and
//! needs no rights but to read.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use lexopt::{Arg, Parser, ValueExt};

use super::{Failed, no_more, print};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::steps::luks::source::{self, Piece};
use crate::steps::luks::{Description, describe, open_volume};

const HELP: &str = "\
diskless luks - looks at LUKS headers and tries keys

usage: diskless luks dump [--header FILE] [--json] FILE|DEVICE
           what the header says; never key material
       diskless luks test --key-file FILE [--key-offset BYTES] [--key-size BYTES] [--keyslot NUMBER]
                          [--header FILE] FILE|DEVICE
           whether a keyslot opens with the key, and which one

  --header FILE     the LUKS header is there, not at the start of the disk
  --json            for scripts
  --key-file FILE   the key, as it is: a newline at its end is part of it; - is standard input
  --key-offset, --key-size
                    the key is only this piece of the file
  --keyslot NUMBER  try only this one

Works on plain files, too, and needs no rights but to read.
Exit codes: 0 done (test: the key opens a keyslot), 1 failed, 2 usage.
";

/// Runs `diskless luks dump` or `diskless luks test`.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    match args.next()? {
        Some(Arg::Short('h') | Arg::Long("help")) => print(HELP),
        Some(Arg::Value(word)) if word == "dump" => dump(args),
        Some(Arg::Value(word)) if word == "test" => test(args, host),
        Some(Arg::Value(word)) => {
            Err(lexopt::Error::from(format!("unknown verb luks {}", word.display())).into())
        }
        Some(other) => Err(other.unexpected().into()),
        None => Err(lexopt::Error::from("luks dump or luks test").into()),
    }
}

/// What both have: where the header is.
#[derive(Default)]
struct Place {
    disk: Option<PathBuf>,
    header: Option<PathBuf>,
}

impl Place {
    /// Takes the disk's name.
    fn disk(&mut self, word: OsString) -> Result<(), lexopt::Error> {
        match self.disk.replace(word.into()) {
            None => Ok(()),
            Some(_) => Err("more than one disk".into()),
        }
    }

    /// Opens what the header is in; its name is that of the disk.
    fn open(self) -> Result<(File, String), Failed> {
        let disk = self.disk.ok_or_else(|| lexopt::Error::from("no disk"))?;
        let path = self.header.as_deref().unwrap_or(&disk);
        let file = File::open(path).context(Code::Io, path.display().to_string())?;
        if self.header.is_some() {
            // The test is about the disk, even if all that is read is its header.
            File::open(&disk).context(Code::Io, disk.display().to_string())?;
        }
        Ok((file, disk.display().to_string()))
    }
}

fn dump(args: &mut Parser) -> Result<(), Failed> {
    let mut place = Place::default();
    let mut json = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            Arg::Long("header") => place.header = Some(args.value()?.into()),
            Arg::Long("json") => json = true,
            Arg::Value(word) => place.disk(word)?,
            other => return Err(other.unexpected().into()),
        }
    }
    let (mut header, name) = place.open()?;
    let described = describe(&mut header, &name)?;
    if json {
        let text = serde_json::to_string_pretty(&described).context(Code::Io, name)?;
        return print(&format!("{text}\n"));
    }
    print(&text(&described))
}

fn test(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let mut place = Place::default();
    let mut piece = Piece::default();
    let (mut key, mut keyslot) = (None, None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            Arg::Long("header") => place.header = Some(args.value()?.into()),
            Arg::Long("key-file") => key = Some(PathBuf::from(args.value()?)),
            Arg::Long("key-offset") => piece.offset = args.value()?.parse()?,
            Arg::Long("key-size") => piece.size = Some(args.value()?.parse()?),
            Arg::Long("keyslot") => keyslot = Some(args.value()?.parse()?),
            Arg::Value(word) => place.disk(word)?,
            other => return Err(other.unexpected().into()),
        }
    }
    let key = key.ok_or_else(|| lexopt::Error::from("no --key-file"))?;
    let (mut header, name) = place.open()?;
    let key = source::key_file(&key, piece)?;
    let (volume, unlocked) = open_volume(host, &mut header, &name, &key, keyslot)?;
    let mut text = format!("keyslot {} opens", unlocked.keyslot);
    if let Some(keyslot) = volume.metadata.keyslots.get(&unlocked.keyslot) {
        let _ = write!(text, " ({}), {}-bit key", keyslot.kdf, unlocked.volume_key.len() * 8);
    }
    if let Some(note) = volume.note {
        let _ = write!(text, "; {note}");
    }
    print(&format!("{text}\n"))
}
