use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

/// A root with links in it, beside a folder that must stay empty.
fn fixture() -> (tempfile::TempDir, PathBuf, Root) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root");
    std::fs::create_dir_all(path.join("usr/etc/deep")).unwrap();
    std::fs::create_dir(folder.path().join("outside")).unwrap();
    symlink("usr/etc", path.join("link")).unwrap();
    symlink("/usr/etc/deep/..", path.join("absolute")).unwrap();
    symlink("deep/../../etc", path.join("usr/etc/round")).unwrap();
    symlink("../outside", path.join("out")).unwrap();
    symlink("../../outside", path.join("usr/out")).unwrap();
    symlink("/../outside", path.join("usr/over")).unwrap();
    symlink("loop", path.join("loop")).unwrap();
    let root = Root::open(&path).unwrap();
    (folder, path, root)
}

#[test]
fn writes_and_reads() {
    let (_folder, path, root) = fixture();
    root.write("/etc/iscsi/name", b"one", 0o600).unwrap();
    root.write("/etc/iscsi/name", b"two", 0o640).unwrap();
    let found = root.read("/etc/iscsi/name", 10).unwrap().unwrap();
    assert_eq!((found.bytes.as_slice(), found.mode, found.owned), (&b"two"[..], 0o640, true));
    assert_eq!(path.join("etc/iscsi").metadata().unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(root.read("/etc/iscsi/name", 2).err().unwrap().kind(), ErrorKind::FileTooLarge);
    assert!(root.read("/no/such", 10).unwrap().is_none());
    assert!(root.read("/etc/iscsi", 10).unwrap().is_none());
    assert!(root.read("/", 10).unwrap().is_none());
    assert!(!root.is_there("/etc/x/link").unwrap());
    root.link("/etc/x/link", "/nowhere").unwrap();
    assert!(root.is_there("/etc/x/link").unwrap());
    assert_eq!(root.link_target("/etc/x/link").unwrap().unwrap(), "/nowhere");
    assert_eq!(root.link_target("/etc/iscsi/name").unwrap(), None);
    assert!(root.read("/etc/x/link", 10).unwrap().is_none());
    assert!(root.link("/etc/x/link", "/nowhere").is_err());
    root.remove("/etc/x/link").unwrap();
    root.remove("/etc/x/link").unwrap();
    assert!(!root.is_there("/etc/x/link").unwrap());
    assert_eq!(std::fs::read_dir(path.join("etc/iscsi")).unwrap().count(), 1);
}

#[test]
fn a_failed_write_leaves_nothing() {
    let (_folder, path, root) = fixture();
    std::fs::write(path.join("usr/etc").join(UNFINISHED), b"left by a killed run").unwrap();
    assert!(root.write("/usr/etc/deep", b"secret", 0o600).is_err());
    assert_eq!(std::fs::read_dir(path.join("usr/etc")).unwrap().count(), 2);
}

#[test]
fn links_inside_are_followed() {
    let (folder, path, root) = fixture();
    for way in ["/link", "/absolute", "/usr/etc/round", "/link/round/round"] {
        root.write(&format!("{way}/a"), way.as_bytes(), 0o600).unwrap();
        assert_eq!(std::fs::read(path.join("usr/etc/a")).unwrap(), way.as_bytes());
        assert_eq!(root.read(&format!("{way}/a"), 99).unwrap().unwrap().bytes.as_slice(), way.as_bytes());
    }
    // What a file's own link leads to is read; writing replaces the link.
    symlink("../usr/etc/a", path.join("link/b")).unwrap();
    assert!(root.read("/link/b", 99).unwrap().is_none(), "../usr is not there from usr/etc");
    std::fs::remove_file(path.join("link/b")).unwrap();
    symlink("/link/a", path.join("link/b")).unwrap();
    assert!(root.read("/link/b", 99).unwrap().is_some());
    root.write("/link/b", b"new", 0o600).unwrap();
    assert!(path.join("usr/etc/b").symlink_metadata().unwrap().is_file());
    assert_eq!(std::fs::read_dir(folder.path().join("outside")).unwrap().count(), 0);
}

#[test]
fn no_way_leads_out() {
    let (folder, _path, root) = fixture();
    std::fs::write(folder.path().join("outside/a"), b"not ours").unwrap();
    let ways = ["/out", "/usr/out", "/usr/over", "/link/../../outside", "/..", "/loop"];
    for way in ways {
        let file = format!("{way}/a");
        for result in [
            root.read(&file, 99).map(|_| ()),
            root.write(&file, b"x", 0o600),
            root.link(&file, "/x"),
            root.remove(&file),
            root.is_there(&file).map(|_| ()),
        ] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput, "{file}");
        }
    }
    for path in ["relative", "", "/usr/../etc/a"] {
        assert_eq!(root.write(path, b"x", 0o600).unwrap_err().kind(), ErrorKind::InvalidInput, "{path}");
    }
    // The last part of a way may be a link out as well.
    root.link("/usr/a", "../../outside/a").unwrap();
    assert_eq!(root.read("/usr/a", 99).err().unwrap().kind(), ErrorKind::InvalidInput);
    assert_eq!(std::fs::read(folder.path().join("outside/a")).unwrap(), b"not ours");
    assert_eq!(std::fs::read_dir(folder.path().join("outside")).unwrap().count(), 1);
}

#[test]
fn a_file_is_no_folder_and_a_device_is_no_file() {
    let (_folder, path, root) = fixture();
    std::fs::write(path.join("file"), b"").unwrap();
    assert_eq!(root.write("/file/a", b"x", 0o600).unwrap_err().kind(), ErrorKind::NotADirectory);
    let _socket = std::os::unix::net::UnixListener::bind(path.join("socket")).unwrap();
    assert!(root.read("/socket", 99).unwrap().is_none());
}

proptest::proptest! {
    #[test]
    fn any_path_is_inside_or_refused(path in "(/|\\.\\.|usr|out|link|round|loop|absolute|a){0,12}") {
        let (folder, _path, root) = fixture();
        let _ = root.write(&path, b"x", 0o600);
        let _ = root.link(&path, "../..");
        let _ = root.read(&path, 9);
        let _ = root.remove(&path);
        proptest::prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        proptest::prop_assert_eq!(std::fs::read_dir(folder.path().join("outside")).unwrap().count(), 0);
    }
}

/// What a policy would have given them is not known in the initramfs, where none is loaded.
#[test]
fn labels_are_those_of_what_is_replaced_or_else_of_the_folder() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED labels: only root may set them");
        return;
    }
    let (_folder, path, root) = fixture();
    let set = |at: &str, label: &str| {
        lsetxattr(path.join(at), LABEL, label.as_bytes(), XattrFlags::empty()).unwrap()
    };
    let label_of = |at: &str| {
        let mut label = [0; LONGEST_LABEL];
        let length = rustix::fs::lgetxattr(path.join(at), LABEL, label.as_mut_slice()).unwrap();
        String::from_utf8(label[..length].to_vec()).unwrap()
    };
    std::fs::write(path.join("usr/etc/old"), "").unwrap();
    set("usr/etc", "system_u:object_r:etc_t:s0\0");
    set("usr/etc/old", "system_u:object_r:shadow_t:s0\0");
    root.write("/usr/etc/old", b"1", 0o600).unwrap();
    root.write("/usr/etc/new", b"1", 0o600).unwrap();
    root.write("/usr/etc/made/deeper/new", b"1", 0o600).unwrap();
    root.link("/usr/etc/made/link", "/nowhere").unwrap();
    // A link that is replaced has no label of a file.
    symlink("nowhere", path.join("usr/etc/gone")).unwrap();
    set("usr/etc/gone", "system_u:object_r:bin_t:s0\0");
    root.write("/usr/etc/gone", b"1", 0o600).unwrap();
    assert_eq!(label_of("usr/etc/old"), "system_u:object_r:shadow_t:s0\0");
    for at in ["new", "made", "made/deeper", "made/deeper/new", "made/link", "gone"] {
        assert_eq!(label_of(&format!("usr/etc/{at}")), "system_u:object_r:etc_t:s0\0", "{at}");
    }
    // Where there are no labels, none is made up.
    root.write("/plain", b"", 0o600).unwrap();
    let none = rustix::fs::lgetxattr(path.join("plain"), LABEL, [0; LONGEST_LABEL].as_mut_slice());
    assert_eq!(none.unwrap_err(), Errno::NODATA);
}
