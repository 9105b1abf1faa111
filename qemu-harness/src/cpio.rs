//! Archives in the "newc" form of cpio, which the kernel unpacks one after the other into the initramfs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use crate::error::{At, Error, Result};
use crate::tree;

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_000;
const TRAILER: &str = "TRAILER!!!";
/// The kernel looks for the next archive at a multiple of four; more is customary.
const BLOCK: usize = 512;

/// An archive of every file below `folder`, with its mode, owned by root, of `more` files by name, and of the folders
/// they are in.
pub fn archive(folder: &Path, more: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut entries = BTreeMap::new();
    let mut add = |name: &Path, mode: u32, data: Vec<u8>| {
        for parent in name.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            entries.insert(text(parent)?, (FOLDER, Vec::new()));
        }
        entries.insert(text(name)?, (FILE | mode, data));
        Ok(())
    };
    for path in tree::files(folder)? {
        let mode = path.metadata().at("look at", &path)?.permissions().mode() & 0o777;
        let data = fs::read(&path).at("read", &path)?;
        add(path.strip_prefix(folder).unwrap_or(&path), mode, data)?;
    }
    for (name, data) in more {
        add(Path::new(name), 0o644, data.as_bytes().to_vec())?;
    }
    let mut out = Vec::new();
    // Sorted by name, so a folder comes before what is in it.
    for (inode, (name, (mode, data))) in (1..).zip(&entries) {
        entry(&mut out, name, inode, *mode, data)?;
    }
    entry(&mut out, TRAILER, 0, 0, &[])?;
    out.resize(out.len().next_multiple_of(BLOCK), 0);
    Ok(out)
}

fn entry(out: &mut Vec<u8>, name: &str, inode: u32, mode: u32, data: &[u8]) -> Result<()> {
    let size =
        u32::try_from(data.len()).map_err(|_| Error::Host(format!("{name}: too large for an initramfs")))?;
    let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
    // Files are as new as the archive: a node whose clock is wrong may learn the time from them.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let time = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
    // inode mode uid gid links mtime size, device and its target (major, minor each), name size, check sum
    let fields = [inode, mode, 0, 0, 1, time, size, 0, 0, 0, 0, name_size, 0];
    out.extend(b"070701");
    out.extend(fields.iter().flat_map(|field| format!("{field:08X}").into_bytes()));
    out.extend(name.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(data);
    out.resize(out.len().next_multiple_of(4), 0);
    Ok(())
}

fn text(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::Host(format!("{}: not UTF-8", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_headers_at_multiples_of_four_and_a_trailer() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("etc/diskless")).unwrap();
        let key = folder.path().join("etc/diskless/image.key");
        fs::write(&key, "secret").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let bytes = archive(folder.path(), &[("etc/diskless/ca.pem", "CA")]).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let headers: Vec<usize> = text.match_indices("070701").map(|(at, _)| at).collect();
        assert_eq!(headers.len(), 5);
        assert!(headers.iter().all(|at| at % 4 == 0));
        let order: Vec<_> =
            ["etc\0", "etc/diskless\0", "etc/diskless/ca.pem\0", "etc/diskless/image.key\0", "TRAILER!!!\0"]
                .iter()
                .map(|name| text.find(name).unwrap())
                .collect();
        assert!(order.is_sorted());
        assert!(text.contains("00008180") && text.contains("000041ED"), "modes");
        assert_eq!(bytes.len() % BLOCK, 0);
    }

    #[test]
    fn no_folder_is_an_empty_archive() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = archive(&folder.path().join("absent"), &[]).unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains(TRAILER));
    }
}
