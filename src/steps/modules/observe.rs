//! Reads which kernel runs, whether it has modules at all, and of which kernels the new root has some.

use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::steps::overlay::SYSROOT;
use crate::sys::in_root::Root;

/// Where kmod looks for modules: in the one, and since its version 33, built so, in the other. With a merged /usr both are
/// one folder.
const FOLDERS: [&str; 2] = ["/lib/modules", "/usr/lib/modules"];
/// What kmod cannot do without; depmod makes both.
const INDEXES: [&str; 2] = ["modules.dep.bin", "modules.dep"];
/// No more kernels of an image are named.
const MOST: usize = 8;
/// A folder with more of them is none that packages made.
const MOST_KERNELS: usize = 1024;

/// The running kernel and the new root.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The kernel's release, as uname(2) says it: `6.1.0-40-amd64`.
    pub release: String,
    /// It has modules loaded: it is none that has all it needs built in.
    pub loads: bool,
    /// The new root has its modules.
    pub there: bool,
    /// The kernels of which the new root has modules.
    pub others: Vec<String>,
}

pub fn observe(host: &Host) -> Result<Seen> {
    let file = "/proc/sys/kernel/osrelease";
    let release = std::fs::read_to_string(host.path(file)).context(Code::Io, file)?.trim().to_owned();
    let root = Root::open(&host.path(SYSROOT)).context(Code::Io, SYSROOT)?;
    let (mut there, mut others) = (false, Vec::new());
    for folder in FOLDERS {
        // They are for the message alone.
        let names = root.names(folder, MOST_KERNELS).unwrap_or_default();
        others.extend(names.into_iter().filter(|name| *name != release).take(MOST));
        for index in INDEXES {
            let path = format!("{folder}/{release}/{index}");
            there |= root.is_there(&path).context(Code::Io, &path)?;
        }
    }
    others.sort();
    others.dedup();
    // A kernel without support for modules has no such file.
    let loads = std::fs::read(host.path("/proc/modules")).is_ok_and(|text| !text.is_empty());
    Ok(Seen { release, loads, there, others })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const RELEASE: &str = "6.1.0-56-amd64";

    /// A node that runs [`RELEASE`], with these files in its new root, and `lib` as a link there if it is one.
    fn seen(files: &[&str], lib: Option<&str>, loaded: Option<&str>) -> Seen {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("sysroot");
        let file = |path: &std::path::Path, text: &str| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        file(&folder.path().join("proc/sys/kernel/osrelease"), &format!("{RELEASE}\n"));
        if let Some(loaded) = loaded {
            file(&folder.path().join("proc/modules"), loaded);
        }
        std::fs::create_dir_all(&root).unwrap();
        // What an absolute link of the new root must not lead to: the initramfs has these modules.
        file(&folder.path().join("usr/lib/modules").join(RELEASE).join("modules.dep"), "");
        if let Some(target) = lib {
            symlink(target, root.join("lib")).unwrap();
        }
        for path in files {
            file(&root.join(path), "");
        }
        observe(&Host::fake(folder.path())).unwrap()
    }

    #[test]
    fn modules_are_found_wherever_kmod_finds_them() {
        let dep = format!("lib/modules/{RELEASE}/modules.dep");
        let merged = format!("usr/lib/modules/{RELEASE}/modules.dep.bin");
        let other = "usr/lib/modules/6.1.0-40-amd64/modules.dep";
        let empty = format!("usr/lib/modules/{RELEASE}/updates/a.ko");
        let older = &["6.1.0-40-amd64"][..];
        for (file, lib, there, others) in [
            (&*dep, None, true, &[][..]),
            (&merged, Some("usr/lib"), true, &[]),
            (&merged, Some("/usr/lib"), true, &[]),
            (&merged, None, true, &[]),
            (other, Some("usr/lib"), false, older),
            (&empty, Some("/usr/lib"), false, &[]),
            ("etc/hostname", None, false, &[]),
        ] {
            let seen = seen(&[file], lib, None);
            assert_eq!((seen.there, seen.release.as_str()), (there, RELEASE), "{file} {lib:?}");
            assert_eq!(seen.others, others, "{file} {lib:?}");
        }
    }

    #[test]
    fn a_kernel_with_all_built_in_is_known_by_having_loaded_nothing() {
        assert!(seen(&[], None, Some("overlay 163840 0 - Live 0x0000000000000000\n")).loads);
        assert!(!seen(&[], None, Some("")).loads);
        assert!(!seen(&[], None, None).loads);
    }
}
