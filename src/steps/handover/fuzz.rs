//! Fuzz targets of this folder; see [`crate::fuzz`].

pub use super::image::fuzz::{crypttab, fstab, mount_unit};

use super::files::Content;
use super::own::with_name;
use super::units::joined;
use crate::input::secret::Secret;

/// A unit of the image, and a link in it.
pub fn install(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for name in ["iscsid.service", "getty@tty1.service"] {
        for link in super::install::install(name, &[&text]).links {
            assert!(link.starts_with("/etc/systemd/system/") && link.split('/').count() <= 6, "{link}");
        }
    }
    let path = joined("/etc/systemd/system/iscsid.service", &text);
    assert!(path.starts_with('/') && path.split('/').all(|part| part != ".."), "{path}");
}

/// The image's iscsid.conf.
pub fn iscsid_conf(data: &[u8]) {
    let settings = Content::Settings(vec![
        ("node.session.auth.authmethod", Some(Secret::new(b"CHAP".to_vec()))),
        ("node.session.auth.chap_algs", None),
        ("node.session.cmds_max", Some(Secret::new(b"128".to_vec()))),
    ]);
    let Some(once) = settings.bytes(data, None) else { return };
    assert!(once.ends_with(b"node.session.auth.authmethod = CHAP\nnode.session.cmds_max = 128\n"));
    assert_eq!(settings.bytes(&once, None), Some(once));
}

/// The image's /etc/hosts.
pub fn hosts(data: &[u8]) {
    let hosts = String::from_utf8_lossy(data);
    let Some(once) = with_name(&hosts, "node1.example") else { return };
    let own = once.split('\n').filter(|line| line.split_whitespace().next() == Some("127.0.1.1"));
    assert_eq!(own.count(), 1, "{once}");
    assert_eq!(with_name(&once, "node1.example"), Some(once.clone()));
}
