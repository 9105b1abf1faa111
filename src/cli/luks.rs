//! `diskless luks`: looks at LUKS headers and tries keys, on disks and on plain files; touches no device-mapper and
//! needs no rights but to read.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use super::{Failed, print};
use crate::engine::host::Host;
use crate::error::{Code, Context};
use crate::steps::luks::describe::{Description, Keyslot, describe};
use crate::steps::luks::open_volume;
use crate::steps::luks::source::{self, Piece};

pub(super) const HELP: &str = "\
usage: diskless luks dump [--header FILE] [--json] FILE|DEVICE
       diskless luks test --key-file FILE [--key-offset BYTES] [--key-size BYTES] [--keyslot NUMBER]
                          [--header FILE] FILE|DEVICE

Looks at the LUKS header of a disk or of a plain file, and tries a key as the boot would. No rights but to read are needed.

  dump              what the header says; never key material
  test              whether a keyslot opens with the key, and which one; the exit code is 1 if none does
  --header FILE     the LUKS header is there, not at the start of the disk
  --json            for scripts
  --key-file FILE   the key, as it is: a newline at its end is part of it; - is standard input
  --key-offset BYTES, --key-size BYTES
                    the key is only this piece of the file
  --keyslot NUMBER  try only this one
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

/// A header for people: a line each.
fn text(header: &Description) -> String {
    let mut lines = vec![(format!("LUKS{}", header.version), format!("UUID {}", header.uuid))];
    let mut line = |name: &str, what: String| lines.push((name.to_owned(), what));
    for (name, text) in [("label", &header.label), ("subsystem", &header.subsystem)] {
        text.iter().for_each(|text| line(name, text.clone()));
    }
    let sequence = header.sequence.map(|sequence| format!(", change {sequence}")).unwrap_or_default();
    let Description { copy, header_offset, header_size, .. } = header;
    line("header", format!("{copy}, {header_size} bytes at byte {header_offset}{sequence}"));
    header.note.iter().for_each(|note| line("note", note.clone()));
    for (name, words) in [("requires", &header.requirements), ("flags", &header.flags)] {
        if !words.is_empty() {
            line(name, words.join(" "));
        }
    }
    for segment in &header.segments {
        let mut what = vec![segment.kind.clone()];
        what.extend(segment.cipher.clone());
        what.push(format!("sectors of {} bytes", segment.sector_size));
        what.push(match segment.size {
            Some(size) => format!("{size} bytes from byte {}", segment.offset),
            None => format!("from byte {} to the end", segment.offset),
        });
        what.extend(segment.integrity.as_ref().map(|kind| format!("integrity {kind}")));
        line(&format!("segment {}", segment.id), what.join(", "));
    }
    for keyslot in &header.keyslots {
        line(&format!("keyslot {}", keyslot.id), keyslot_text(keyslot));
    }
    for digest in &header.digests {
        let mut what = vec![digest.kind.clone()];
        what.extend(digest.hash.clone());
        what.extend(digest.iterations.map(|iterations| format!("{iterations} iterations")));
        what.push(format!("keyslots [{}]", list(&digest.keyslots)));
        what.push(format!("segments [{}]", list(&digest.segments)));
        line(&format!("digest {}", digest.id), what.join(", "));
    }
    let verdict = header.problem.as_ref().map(|problem| format!("cannot open it: {problem}"));
    line("diskless", verdict.unwrap_or_else(|| "can open it".into()));
    lines.iter().fold(String::new(), |text, (name, what)| text + &plain(&format!("{name:<11} {what}")) + "\n")
}

fn keyslot_text(keyslot: &Keyslot) -> String {
    let mut what = vec![keyslot.kind.clone()];
    what.extend(keyslot.key_size.map(|bytes| format!("{}-bit key", u64::from(bytes) * 8)));
    if let Some(kdf) = &keyslot.kdf {
        what.push(kdf.kind.clone());
        what.extend(kdf.hash.clone());
        for (number, unit) in [
            (kdf.iterations, "iterations"),
            (kdf.time, "passes"),
            (kdf.memory, "KiB of memory"),
            (kdf.cpus, "lanes"),
        ] {
            what.extend(number.map(|number| format!("{number} {unit}")));
        }
    }
    what.extend(keyslot.cipher.clone());
    what.extend(keyslot.offset.map(|offset| format!("at byte {offset}")));
    if keyslot.priority != "normal" {
        what.push(format!("priority {}", keyslot.priority));
    }
    what.extend(keyslot.problem.as_ref().map(|problem| format!("cannot be used: {problem}")));
    what.join(", ")
}

fn list(ids: &[u64]) -> String {
    ids.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

/// Names in a header are anybody's: nothing in them may move the cursor.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::luks::describe::{Digest, Kdf, Segment};

    #[test]
    fn a_header_for_people() {
        let header = Description {
            version: 2,
            uuid: "01234567-89ab-cdef-0123-456789abcdef".into(),
            label: Some("image\x1b[2J\n1".into()),
            subsystem: None,
            copy: "secondary",
            header_offset: 16384,
            header_size: 16384,
            sequence: Some(3),
            note: Some("the primary LUKS header is damaged".into()),
            requirements: vec!["opal".into()],
            flags: vec![],
            segments: vec![Segment {
                id: 0,
                kind: "crypt".into(),
                cipher: Some("aes-xts-plain64".into()),
                sector_size: 4096,
                offset: 16_777_216,
                size: None,
                integrity: None,
            }],
            keyslots: vec![Keyslot {
                id: 1,
                kind: "luks2".into(),
                priority: "prefer",
                key_size: Some(64),
                cipher: Some("aes-xts-plain64".into()),
                offset: Some(32768),
                kdf: Some(Kdf {
                    kind: "argon2id".into(),
                    hash: None,
                    iterations: None,
                    time: Some(4),
                    memory: Some(65536),
                    cpus: Some(2),
                }),
                problem: None,
            }],
            digests: vec![Digest {
                id: 0,
                kind: "pbkdf2".into(),
                hash: Some("sha256".into()),
                iterations: Some(1000),
                keyslots: vec![0, 1],
                segments: vec![0],
            }],
            problem: Some("disk: requirement \"opal\"".into()),
        };
        let expected = "\
LUKS2       UUID 01234567-89ab-cdef-0123-456789abcdef
label       image\u{fffd}[2J\u{fffd}1
header      secondary, 16384 bytes at byte 16384, change 3
note        the primary LUKS header is damaged
requires    opal
segment 0   crypt, aes-xts-plain64, sectors of 4096 bytes, from byte 16777216 to the end
keyslot 1   luks2, 512-bit key, argon2id, 4 passes, 65536 KiB of memory, 2 lanes, aes-xts-plain64, at byte 32768, \
            priority prefer
digest 0    pbkdf2, sha256, 1000 iterations, keyslots [0 1], segments [0]
diskless    cannot open it: disk: requirement \"opal\"
";
        assert_eq!(text(&header), expected);
    }
}
