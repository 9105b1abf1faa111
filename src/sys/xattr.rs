//! Extended attributes: SELinux labels, ACLs and all others alike.

use std::ffi::{CStr, CString};
use std::io;
use std::path::Path;

use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};
use rustix::io::Errno;

/// The kernel's limits for a list of names and for a value (linux/limits.h, XATTR_LIST_MAX and XATTR_SIZE_MAX).
const MOST: usize = 65536;

/// Copies the extended attributes of `from` to `to`, except overlayfs's own, which say what `from` is in an overlay.
///
/// A file system without extended attributes has none to copy, or drops what it cannot keep.
///
/// # Errors
/// They cannot be listed, read or set.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut list = vec![0; MOST];
    let length = match llistxattr(from, list.as_mut_slice()) {
        Err(Errno::OPNOTSUPP) => return Ok(()),
        length => length?,
    };
    let mut value = vec![0; MOST];
    for name in names(list.get(..length).unwrap_or_default()) {
        let length = match lgetxattr(from, &name, value.as_mut_slice()) {
            // Taken away since it was listed, or only shown to others.
            Err(Errno::NODATA | Errno::OPNOTSUPP) => continue,
            length => length?,
        };
        match lsetxattr(to, &name, value.get(..length).unwrap_or_default(), XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP) => (),
            Err(error) => return Err(io::Error::new(io::Error::from(error).kind(), named(&name, error))),
        }
    }
    Ok(())
}

fn named(name: &CStr, error: Errno) -> String {
    format!("{}: {error}", name.to_string_lossy())
}

/// The names in what listxattr(2) gives: each ends with a zero.
fn names(list: &[u8]) -> Vec<CString> {
    list.split_inclusive(|byte| *byte == 0)
        .filter_map(|name| CStr::from_bytes_with_nul(name).ok())
        .filter(|name| !name.is_empty() && !name.to_bytes().starts_with(b"trusted.overlay."))
        .map(CStr::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_but_those_of_overlayfs() {
        let found = names(b"user.a\0trusted.overlay.opaque\0\0security.selinux\0cut");
        assert_eq!(found, [c"user.a".to_owned(), c"security.selinux".to_owned()]);
        assert!(names(b"").is_empty());
    }

    #[test]
    fn all_that_can_be_listed_is_copied() {
        // The build's folder is on a disk: not every kernel's tmpfs has attributes for users.
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::create_dir(&from).unwrap();
        std::fs::create_dir(&to).unwrap();
        // struct posix_acl_xattr_header and _entry: version 2; the owner, user 1, the group, the mask, the others.
        let entries =
            [(1u16, 7u16, u32::MAX), (2, 5, 1), (4, 5, u32::MAX), (16, 5, u32::MAX), (32, 0, u32::MAX)];
        let mut acl = vec![2, 0, 0, 0];
        for (tag, rights, id) in entries {
            acl.extend([tag.to_le_bytes(), rights.to_le_bytes()].concat());
            acl.extend(id.to_le_bytes());
        }
        let label = b"system_u:object_r:var_t:s0\0".to_vec();
        let mut set = vec![("user.diskless", b"x".to_vec()), ("system.posix_acl_access", acl)];
        if rustix::process::geteuid().is_root() {
            set.push(("security.selinux", label));
        } else {
            eprintln!("SKIPPED security.selinux: only root may set it");
        }
        for (name, value) in &set {
            lsetxattr(&from, *name, value, XattrFlags::empty()).unwrap();
        }
        copy(&from, &to).unwrap();
        copy(&from, &to).unwrap();
        for (name, value) in &set {
            let mut found = vec![0; MOST];
            let length = lgetxattr(&to, *name, found.as_mut_slice()).unwrap();
            assert_eq!(&found[..length], value, "{name}");
        }
    }
}
