//! A boot plan and an image for the tests of this step.

use std::os::unix::fs::symlink;

use crate::input::document::Document;
use crate::input::identity::{Identity, Initiator, MachineId, Origin};

/// A small plan, with the members of `change` in place of its own; null: without it.
pub fn document(change: serde_json::Value) -> Document {
    let mut plan = serde_json::json!({
        "version": "1.0",
        "hostname": "node1",
        "iscsi": {
            "target": "iqn.2026-01.org.example:image",
            "portals": ["198.18.0.1:3260"],
            "auth": { "username": "node", "secret": "0123456789abcdef" }
        },
        "luks": { "key": { "file": "/key" } },
        "overlay": { "mounts": [{ "at": "/", "lower": "/dev/mapper/luks_root1" }] }
    });
    for (member, value) in change.as_object().unwrap() {
        plan[member] = value.clone();
    }
    Document::parse(plan.to_string().as_bytes()).unwrap()
}

/// Who the node is that boots it.
pub fn identity() -> Identity {
    Identity {
        initiator: Initiator { name: "iqn.2026-01.org.example:node1".into(), origin: Origin::Plan },
        machine_id: Some(MachineId { id: "4b596e977250487ca0917906bfa6bbd9".into(), origin: Origin::Uuid }),
        nvme_host: Some("4c4c4544-0042-3510-8058-b7c04f4a3233".into()),
        macs: vec!["52:54:00:00:00:01".into()],
    }
}

/// A machine whose /sysroot has units as Debian has them: /lib is a link, and so are aliases and masks.
pub fn image() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("sysroot");
    let units = root.join("usr/lib/systemd/system");
    for made in [&units, &root.join("etc/systemd/system"), &root.join("etc/iscsi"), &root.join("opt")] {
        std::fs::create_dir_all(made).unwrap();
    }
    symlink("usr/lib", root.join("lib")).unwrap();
    for (name, text) in [
        ("iscsid.service", "[Service]\nExecStart=/sbin/iscsid\n\n[Install]\nWantedBy=sysinit.target\n"),
        (
            "multipathd.service",
            "[Install]\nWantedBy=sysinit.target\nAlso=multipathd.socket\nAlias=multipath-tools.service\n",
        ),
        ("multipathd.socket", "[Install]\nWantedBy=sockets.target\n"),
        ("getty@.service", "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n"),
        ("plain@.service", "[Install]\nWantedBy=getty.target\n"),
        ("ring-a.service", "[Install]\nAlso=ring-b.service\n"),
        ("ring-b.service", "[Install]\nAlso=ring-a.service ring-b.service\n"),
        ("empty.service", ""),
    ] {
        std::fs::write(units.join(name), text).unwrap();
    }
    std::fs::write(root.join("opt/static.service"), "[Service]\nExecStart=/x\n").unwrap();
    std::fs::write(root.join("etc/hostname"), "vm\n").unwrap();
    std::fs::write(root.join("etc/iscsi/iscsid.conf"), "# The image's own.\nnode.startup = manual\nx = 1\n")
        .unwrap();
    std::fs::write(root.join(".autorelabel"), "").unwrap();
    let etc = root.join("etc/systemd/system");
    symlink("/lib/systemd/system/multipathd.service", etc.join("multipath-tools.service")).unwrap();
    symlink("/opt/static.service", etc.join("static.service")).unwrap();
    symlink("loop.service", etc.join("loop.service")).unwrap();
    symlink("/dev/null", units.join("multipath-tools-boot.service")).unwrap();
    folder
}
