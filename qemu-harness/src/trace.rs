//! What a run could leave behind on the host: changed files, mounts, interfaces, processes. `selfcheck` looks
//! before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{At, Result};

/// Where a system keeps its files. Not /home, /run and /tmp: others work there meanwhile.
const FOLDERS: [&str; 7] = ["/boot", "/etc", "/opt", "/root", "/srv", "/usr", "/var"];

/// Below them, what the system's own services write at any time.
const BUSY: [&str; 2] = ["/var/lib/systemd", "/var/log"];

/// A host at one time.
pub struct Trace {
    /// Modification and change time, size, mode.
    files: BTreeMap<PathBuf, (i64, i64, u64, u32)>,
    mounts: String,
    interfaces: BTreeSet<String>,
    /// Pid namespaces, each with a process in it.
    namespaces: BTreeMap<String, String>,
}

impl Trace {
    /// Looks at the host, except at folders below one of `except`.
    pub fn of_host(except: &[PathBuf]) -> Result<Trace> {
        let mut files = BTreeMap::new();
        let except: Vec<PathBuf> = except.iter().cloned().chain(BUSY.map(PathBuf::from)).collect();
        for folder in FOLDERS {
            walk(Path::new(folder), &except, &mut files);
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").at("read", "/proc/self/mountinfo")?;
        let interfaces = names(Path::new("/sys/class/net"))?.into_iter().collect();
        let mut namespaces = BTreeMap::new();
        for pid in names(Path::new("/proc"))?.into_iter().filter(|name| name.parse::<u32>().is_ok()) {
            // A process that has just ended has no namespace.
            if let Ok(link) = fs::read_link(format!("/proc/{pid}/ns/pid")) {
                namespaces.insert(link.to_string_lossy().into_owned(), pid);
            }
        }
        Ok(Trace { files, mounts, interfaces, namespaces })
    }

    /// What is different in `later`, one line each.
    pub fn differences(&self, later: &Trace) -> Vec<String> {
        let mut found = Vec::new();
        for (path, state) in &later.files {
            match self.files.get(path) {
                None => found.push(format!("new file {}", path.display())),
                Some(before) if before != state => found.push(format!("changed file {}", path.display())),
                Some(_) => {}
            }
        }
        let gone = self.files.keys().filter(|path| !later.files.contains_key(*path));
        found.extend(gone.map(|path| format!("missing file {}", path.display())));
        if self.mounts != later.mounts {
            found.push("other mounts".to_owned());
        }
        let interfaces = later.interfaces.difference(&self.interfaces);
        found.extend(interfaces.map(|name| format!("new interface {name}")));
        let namespaces = later.namespaces.iter().filter(|(name, _)| !self.namespaces.contains_key(*name));
        found.extend(namespaces.map(|(_, pid)| format!("process {pid} left in a pid namespace")));
        found
    }
}

/// Files that vanish while they are looked at are no finding.
fn walk(path: &Path, except: &[PathBuf], files: &mut BTreeMap<PathBuf, (i64, i64, u64, u32)>) {
    let Ok(meta) = path.symlink_metadata() else { return };
    if except.iter().any(|folder| path.starts_with(folder)) {
        return;
    }
    // A folder's own times tell nothing that its entries do not, and change around excepted ones.
    if !meta.is_dir() {
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        let modified = nanoseconds(meta.mtime(), meta.mtime_nsec());
        let changed = nanoseconds(meta.ctime(), meta.ctime_nsec());
        files.insert(path.to_path_buf(), (modified, changed, meta.size(), meta.mode()));
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        walk(&entry.path(), except, files);
    }
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).at("list", folder)?;
    Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(folder: &Path, except: &[PathBuf]) -> Trace {
        let mut files = BTreeMap::new();
        walk(folder, except, &mut files);
        Trace { files, mounts: String::new(), interfaces: BTreeSet::new(), namespaces: BTreeMap::new() }
    }

    #[test]
    fn every_kind_of_change_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["kept", "changed", "removed"] {
            fs::write(path(name), name).unwrap();
        }
        fs::create_dir(path("cache")).unwrap();
        let except = [path("cache")];
        let before = trace(folder.path(), &except);
        fs::write(path("changed"), "other").unwrap();
        fs::remove_file(path("removed")).unwrap();
        fs::write(path("added"), "").unwrap();
        fs::write(path("cache/image"), "").unwrap();
        let found = before.differences(&trace(folder.path(), &except));
        let kinds: Vec<_> = found.iter().map(|line| line.rsplit_once('/').unwrap().1).collect();
        assert_eq!(kinds, ["added", "changed", "removed"]);
    }
}
