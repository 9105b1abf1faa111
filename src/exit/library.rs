//! What a program needs to be started: its interpreter and its libraries, as its ELF file says (elf(5), ld.so(8)).

/// What an ELF file names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The path of the dynamic linker.
    pub interpreter: Option<String>,
    /// Names of libraries.
    pub libraries: Vec<String>,
    /// Folders to look for them in, before all others.
    pub folders: Vec<String>,
}

const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;
const NEEDED: u64 = 1;
const STRINGS: u64 = 5;
const OLD_FOLDERS: u64 = 15;
const FOLDERS: u64 = 29;
/// An entry of the table of segments, and of the dynamic section.
const SEGMENT: usize = 56;
const ENTRY: usize = 16;
/// No text is longer: it is a path.
const LONGEST: usize = 4096;
/// No file has more segments, nor more dynamic entries.
const MOST: usize = 4096;

/// What the 64-bit little-endian ELF file `file` names; nothing for any other.
pub fn needs(file: &[u8]) -> Needs {
    parse(file).unwrap_or_default()
}

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    length: u64,
}

fn parse(file: &[u8]) -> Option<Needs> {
    file.starts_with(b"\x7fELF\x02\x01").then_some(())?;
    let first = usize::try_from(u64_at(file, 32)?).ok()?;
    let count = usize::from(u16_at(file, 56)?).min(MOST);
    (usize::from(u16_at(file, 54)?) == SEGMENT).then_some(())?;
    let segment = |index: usize| {
        let at = first.checked_add(index * SEGMENT)?;
        let word = |more: usize| u64_at(file, at.checked_add(more)?);
        Some(Segment { kind: u32_at(file, at)?, offset: word(8)?, address: word(16)?, length: word(32)? })
    };
    let segments: Vec<Segment> = (0..count).map_while(segment).collect();
    let mut needs = Needs::default();
    for segment in &segments {
        match segment.kind {
            INTERPRETER => needs.interpreter = text(file, segment.offset),
            DYNAMIC => dynamic(file, segment, &segments, &mut needs)?,
            _ => (),
        }
    }
    Some(needs)
}

fn dynamic(file: &[u8], segment: &Segment, segments: &[Segment], needs: &mut Needs) -> Option<()> {
    let begin = usize::try_from(segment.offset).ok()?;
    let end = begin.checked_add(usize::try_from(segment.length).ok()?)?;
    let (entries, _) = file.get(begin..end)?.as_chunks::<ENTRY>();
    let entries = entries.iter().take(MOST).filter_map(|entry| Some((u64_at(entry, 0)?, u64_at(entry, 8)?)));
    let entries: Vec<(u64, u64)> = entries.take_while(|(tag, _)| *tag != 0).collect();
    let (_, address) = entries.iter().find(|(tag, _)| *tag == STRINGS)?;
    let strings = offset_of(*address, segments)?;
    for (tag, value) in &entries {
        let named = || text(file, strings.checked_add(*value)?);
        match *tag {
            NEEDED => needs.libraries.extend(named()),
            OLD_FOLDERS | FOLDERS => {
                let folders = named().unwrap_or_default();
                // `$ORIGIN` and its like are not expanded: what is looked for stands in folders of the system.
                let folders =
                    folders.split(':').filter(|folder| folder.starts_with('/') && !folder.contains('$'));
                needs.folders.extend(folders.map(str::to_owned));
            }
            _ => (),
        }
    }
    Some(())
}

/// Where in the file the address is.
fn offset_of(address: u64, segments: &[Segment]) -> Option<u64> {
    let holds = |segment: &&Segment| {
        segment.kind == LOAD && address.checked_sub(segment.address).is_some_and(|into| into < segment.length)
    };
    let segment = segments.iter().find(holds)?;
    segment.offset.checked_add(address - segment.address)
}

/// The text that begins there and ends with a NUL.
fn text(file: &[u8], offset: u64) -> Option<String> {
    let rest = file.get(usize::try_from(offset).ok()?..)?;
    let rest = rest.get(..rest.len().min(LONGEST))?;
    let length = rest.iter().position(|byte| *byte == 0)?;
    String::from_utf8(rest.get(..length)?.to_vec()).ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An ELF file with this interpreter, these libraries, and these folders.
    pub fn elf(interpreter: &str, libraries: &[&str], folders: &str) -> Vec<u8> {
        let mut strings = vec![0];
        let mut string = |text: &str| {
            let at = strings.len() as u64;
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            at
        };
        let interpreter = string(interpreter);
        let mut entries: Vec<(u64, u64)> = libraries.iter().map(|name| (NEEDED, string(name))).collect();
        entries.push((FOLDERS, string(folders)));
        // The file: header, three segments, dynamic section, strings; all loaded at 0x10000.
        let dynamic = 64 + 3 * SEGMENT as u64;
        let at = dynamic + (entries.len() as u64 + 2) * ENTRY as u64;
        entries.extend([(STRINGS, 0x10000 + at), (0, 0)]);
        let mut file = b"\x7fELF\x02\x01".to_vec();
        file.resize(64, 0);
        file[32..40].copy_from_slice(&64u64.to_le_bytes());
        file[54..56].copy_from_slice(&(SEGMENT as u16).to_le_bytes());
        file[56..58].copy_from_slice(&3u16.to_le_bytes());
        for (kind, offset, address, length) in [
            (LOAD, 0, 0x10000, 1 << 20),
            (INTERPRETER, at + interpreter, 0, 0),
            (DYNAMIC, dynamic, 0x10000 + dynamic, entries.len() as u64 * ENTRY as u64),
        ] {
            let begin = file.len();
            file.extend_from_slice(&kind.to_le_bytes());
            file.extend_from_slice(&0u32.to_le_bytes());
            for word in [offset, address, 0, length] {
                file.extend_from_slice(&u64::to_le_bytes(word));
            }
            file.resize(begin + SEGMENT, 0);
        }
        for (tag, value) in entries {
            file.extend_from_slice(&tag.to_le_bytes());
            file.extend_from_slice(&value.to_le_bytes());
        }
        file.extend_from_slice(&strings);
        file
    }

    #[test]
    fn what_a_file_names() {
        let file = elf("/lib64/ld.so", &["liba.so.1", "libb.so.2"], "/usr/lib/x:$ORIGIN/y:relative");
        let needs = needs(&file);
        assert_eq!(needs.interpreter.as_deref(), Some("/lib64/ld.so"));
        assert_eq!(needs.libraries, ["liba.so.1", "libb.so.2"]);
        assert_eq!(needs.folders, ["/usr/lib/x"]);
    }

    #[test]
    fn a_real_program_names_its_libc() {
        let needs = needs(&std::fs::read("/bin/ls").unwrap());
        assert!(needs.interpreter.unwrap().contains("ld-linux"), "glibc's dynamic linker");
        assert!(needs.libraries.iter().any(|name| name.starts_with("libc.so")), "{:?}", needs.libraries);
    }

    #[test]
    fn what_is_no_program_needs_nothing() {
        for file in [
            &b""[..],
            b"#!/bin/sh\n",
            b"\x7fELF\x02\x01",
            b"\x7fELF\x01\x01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(needs(file), Needs::default());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, at in 0usize..400, value: u64, cut in 0usize..600) {
            let _ = needs(&bytes);
            let mut file = elf("/ld.so", &["a", "b"], "/x");
            if let Some(place) = file.get_mut(at..at + 8) {
                place.copy_from_slice(&value.to_le_bytes());
            }
            let _ = needs(&file);
            file.truncate(cut);
            let _ = needs(&file);
        }
    }
}
