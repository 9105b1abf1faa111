//! Keeps what systemd executes at its end readable without the target: the root is an overlay, and what is copied up
//! into its writable layer is in memory. It is done in the booted system, when there is time for it, and takes as much
//! memory as the files are long, before zram's compression.
//!
//! Of process 1 itself, which runs since the pivot, the image's own pages stay in use: reading its files whole puts them
//! into the page cache at least.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::library::{Needs, needs};
use crate::engine::host::Host;

/// What is executed at the end of a system, or to ask for it; where there is one.
const PROGRAMS: [&str; 7] = [
    "/usr/lib/systemd/systemd",
    "/usr/lib/systemd/systemd-executor",
    "/usr/lib/systemd/systemd-shutdown",
    "/lib/systemd/systemd",
    "/lib/systemd/systemd-shutdown",
    "/usr/bin/systemctl",
    "/bin/systemctl",
];
/// Where libraries are, apart from folders that programs name (ld.so(8)): of Debian, of Red Hat and SUSE, of both.
const FOLDERS: [&str; 8] = [
    "/usr/lib/x86_64-linux-gnu",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/lib64",
    "/usr/lib64/systemd",
    "/usr/lib/systemd",
    "/usr/lib",
];
/// The dynamic linker reads it first.
const CACHE: &str = "/etc/ld.so.cache";
/// What the last report asks for names: it is sent when the root is gone.
const NAMES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];
/// The root of the system's very end.
const END_ROOT: &str = "/run/initramfs";
/// No file is longer, and no program has more libraries; what is beyond that is not kept.
const LONGEST: u64 = 64 << 20;
const MOST: usize = 200;

/// What was kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    /// How many files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Keeps them. What cannot be read or copied is left out: it is as it would be without this.
pub fn main(host: &Host) -> Kept {
    for file in NAMES {
        let copy = host.path(END_ROOT).join(file.trim_start_matches('/'));
        if let (Ok(bytes), Some(folder)) = (fs::read(host.path(file)), copy.parent()) {
            let _ = fs::create_dir_all(folder).and_then(|()| fs::write(&copy, bytes));
        }
    }
    let mut kept = Kept { files: 0, bytes: 0 };
    let files = closure(&|path| read(&host.path(path)), &|path| fs::canonicalize(host.path(path)).ok());
    for file in files.into_iter().chain(fs::canonicalize(host.path(CACHE))) {
        if let Ok(length) = copy_up(&file) {
            kept.files += 1;
            kept.bytes += length;
        }
    }
    kept
}

/// The programs, and all that they need, by their real paths. `real` gives that of a path, if there is such a file.
fn closure(
    read: &dyn Fn(&str) -> Option<Vec<u8>>,
    real: &dyn Fn(&str) -> Option<PathBuf>,
) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut queue: Vec<String> = PROGRAMS.map(str::to_owned).into();
    while let Some(path) = queue.pop() {
        let Some(file) = real(&path) else { continue };
        if found.len() >= MOST || !found.insert(file) {
            continue;
        }
        let Needs { interpreter, libraries, folders } = needs(&read(&path).unwrap_or_default());
        queue.extend(interpreter);
        for library in libraries.iter().filter(|name| !name.contains('/')) {
            let folders = folders.iter().map(String::as_str).chain(FOLDERS);
            queue.extend(
                folders.map(|folder| format!("{folder}/{library}")).find(|path| real(path).is_some()),
            );
        }
    }
    found
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let length = fs::metadata(path).ok()?.len();
    if length > LONGEST { None } else { fs::read(path).ok() }
}

/// Copies a file of an overlay up, with its data: it is given the mode that it has. It is not opened to be written, for
/// in that moment nobody could execute it (ETXTBSY).
fn copy_up(file: &Path) -> std::io::Result<u64> {
    let metadata = fs::metadata(file)?;
    if !metadata.is_file() || metadata.len() > LONGEST {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    fs::set_permissions(file, metadata.permissions())?;
    Ok(metadata.len())
}

#[cfg(test)]
mod tests {
    use super::super::library::tests::elf;
    use super::*;

    #[test]
    fn programs_and_what_they_need_are_found_each_once() {
        let files = [
            (
                "/usr/lib/systemd/systemd-shutdown",
                elf("/lib64/ld.so", &["libown.so", "libc.so.6"], "/usr/lib/own"),
            ),
            ("/usr/bin/systemctl", elf("/lib64/ld.so", &["libc.so.6", "libnone.so", "../x"], "")),
            ("/usr/lib/own/libown.so", elf("", &["libc.so.6", "libown.so"], "")),
            ("/usr/lib64/libc.so.6", elf("", &[], "")),
            ("/lib64/ld.so", Vec::new()),
        ];
        let read = |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, bytes)| bytes.clone());
        let real = |path: &str| read(path).map(|_| PathBuf::from(path));
        let found: Vec<PathBuf> = closure(&read, &real).into_iter().collect();
        let mut expected = files.each_ref().map(|(name, _)| PathBuf::from(name));
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn files_stay_as_they_are_and_names_are_kept_for_the_end() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        for (path, bytes) in [
            ("/usr/bin/systemctl", elf("/lib64/ld.so", &["libc.so.6"], "")),
            ("/usr/lib64/libc.so.6", vec![7; 5000]),
            ("/etc/resolv.conf", b"nameserver 198.18.0.1\n".to_vec()),
        ] {
            let path = host.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::set_permissions(host.path("/usr/bin/systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
        let length = fs::metadata(host.path("/usr/bin/systemctl")).unwrap().len();
        assert_eq!(main(&host), Kept { files: 2, bytes: length + 5000 });
        assert_eq!(fs::read(host.path("/usr/lib64/libc.so.6")).unwrap(), vec![7; 5000]);
        assert_eq!(
            fs::metadata(host.path("/usr/bin/systemctl")).unwrap().permissions().mode() & 0o777,
            0o755
        );
        let names = fs::read_to_string(host.path("/run/initramfs/etc/resolv.conf")).unwrap();
        assert_eq!(names, "nameserver 198.18.0.1\n");
        assert!(!host.path("/run/initramfs/etc/hosts").exists());
    }
}
