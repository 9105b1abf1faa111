//! What is enabled here, beside what systemd's own `systemctl --root=… enable` makes of the same tree.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::units::{State, Wanted, look};
use crate::sys::in_root::Root;

/// Units as packages have them, and some as only a test has.
const UNITS: &[(&str, &str)] = &[
    ("iscsid.service", "[Install]\nWantedBy=multi-user.target\nAlso=iscsid.socket\n"),
    ("iscsid.socket", "[Install]\nWantedBy=sockets.target\n"),
    (
        "multipathd.service",
        "[Install]\nWantedBy=sysinit.target\nAlso=multipathd.socket\nAlias=multipath-tools.service\n",
    ),
    ("multipathd.socket", "[Install]\nWantedBy=sockets.target\n"),
    (
        "plain.service",
        "[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n",
    ),
    ("static.service", "[Service]\nExecStart=/bin/true\n"),
    ("required.service", "[Install]\nRequiredBy=a.target b.target\nWantedBy=c.target\n"),
    ("continued.service", "[Install]\nWantedBy=a.target \\\n  b.target\n# WantedBy=no.target\n"),
    ("reset.service", "[Install]\nWantedBy=a.target\nWantedBy=\nWantedBy=b.target\n"),
    ("aliases.service", "[Install]\nAlias=other.service wrong.socket wrong@x.service\nWantedBy=a.target\n"),
    ("getty@.service", "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n"),
    ("bare@.service", "[Install]\nWantedBy=getty.target\n"),
    (
        "specifiers@.service",
        "[Install]\nWantedBy=%i.target %p.target %j.target x-%%.target\nAlso=also@%i.service\n",
    ),
    ("also@.service", "[Install]\nWantedBy=also.target\n"),
    ("ring-a.service", "[Install]\nWantedBy=a.target\nAlso=ring-b.service\n"),
    ("ring-b.service", "[Install]\nWantedBy=b.target\nAlso=ring-a.service\n"),
    ("also-missing.service", "[Install]\nWantedBy=a.target\n"),
    ("dropped.service", "[Install]\nWantedBy=a.target\n"),
    ("dropped.service.d/10-more.conf", "[Install]\nWantedBy=b.target\nAlias=dropped-alias.service\n"),
    ("dropped.service.d/20-hidden.conf", "[Install]\nWantedBy=c.target\n"),
    ("dropped@.service", "[Install]\nWantedBy=a.target\n"),
    ("dropped@.service.d/10-more.conf", "[Install]\nRequiredBy=b.target\n"),
    ("dropped@one.service.d/10-more.conf", "[Install]\nRequiredBy=c.target\n"),
    ("backup.timer", "[Install]\nWantedBy=timers.target\n"),
    ("site.slice", "[Install]\nWantedBy=slices.target\n"),
];

/// An image with these units in /usr, and what an administrator has put above them in /etc.
fn tree(root: &Path) {
    let (vendor, site) = (root.join("usr/lib/systemd/system"), root.join("etc/systemd/system"));
    for (name, text) in UNITS {
        let path = vendor.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::fs::create_dir_all(site.join("dropped.service.d")).unwrap();
    std::fs::write(site.join("dropped.service.d/20-hidden.conf"), "").unwrap();
    symlink("usr/lib", root.join("lib")).unwrap();
    symlink("plain.service", vendor.join("vendor-alias.service")).unwrap();
    symlink("/dev/null", site.join("masked.service")).unwrap();
    std::fs::write(vendor.join("masked.service"), "[Install]\nWantedBy=a.target\n").unwrap();
    std::fs::write(site.join("overridden.service"), "[Install]\nWantedBy=site.target\n").unwrap();
    std::fs::write(vendor.join("overridden.service"), "[Install]\nWantedBy=vendor.target\n").unwrap();
    std::fs::create_dir_all(root.join("opt")).unwrap();
    std::fs::write(root.join("opt/linked.service"), "[Install]\nWantedBy=a.target\n").unwrap();
    symlink("/opt/linked.service", site.join("linked.service")).unwrap();
}

/// All links below /etc/systemd/system, with the names that they lead to.
fn links(root: &Path) -> BTreeMap<String, String> {
    let site = root.join("etc/systemd/system");
    let mut found = BTreeMap::new();
    let mut folders = vec![site.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if let Ok(target) = path.read_link() {
                let name = target.file_name().unwrap().to_str().unwrap();
                found.insert(path.strip_prefix(&site).unwrap().to_str().unwrap().to_owned(), name.to_owned());
            } else if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

fn enable_here(root: &Path, name: &str) -> bool {
    let opened = Root::open(root).unwrap();
    let units = look(&opened, &[Wanted { name: name.into(), required: true }]).unwrap();
    for unit in &units {
        if let State::There { path, missing } = &unit.state {
            missing.iter().for_each(|link| opened.link(link, path).unwrap());
        }
    }
    matches!(units[0].state, State::There { .. })
}

#[test]
fn the_same_links_as_systemctl_makes() {
    if Command::new("systemctl").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no systemctl to compare with; .ci/deps installs it");
        return;
    }
    let names = UNITS.iter().map(|(name, _)| *name).filter(|name| !name.contains('/'));
    let more = [
        "getty@ttyS0.service",
        "bare@x.service",
        "specifiers@a-b.service",
        "dropped@one.service",
        "dropped@two.service",
        "vendor-alias.service",
        "overridden.service",
        "linked.service",
        "masked.service",
        "missing.service",
    ];
    // What is not there, or for nobody, and what systemctl refuses for want of an instance.
    let refused = [
        "bare@.service",
        "specifiers@.service",
        "also@.service",
        "dropped@.service",
        "masked.service",
        "missing.service",
    ];
    let mut compared = 0;
    for name in names.chain(more) {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        tree(ours.path());
        tree(theirs.path());
        let output = Command::new("systemctl")
            .arg(format!("--root={}", theirs.path().display()))
            .args(["--quiet", "enable", name])
            .env("SYSTEMD_LOG_LEVEL", "err")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let enabled = enable_here(ours.path(), name);
        assert_eq!(enabled, !refused.contains(&name), "{name}");
        assert_eq!(links(ours.path()), links(theirs.path()), "{name}: {told}");
        compared += 1;
    }
    assert!(compared > 30, "{compared}");
}

/// A first boot, as some distributions have it, disables what no preset enables.
#[test]
fn presets_leave_enabled_what_is_enabled_here() {
    if Command::new("systemctl").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no systemctl to ask for presets; .ci/deps installs it");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    tree(root);
    let presets = root.join("usr/lib/systemd/system-preset");
    std::fs::create_dir_all(&presets).unwrap();
    std::fs::write(presets.join("99-default.preset"), "disable *\n").unwrap();
    enable_here(root, "iscsid.service");
    enable_here(root, "plain.service");
    let opened = Root::open(root).unwrap();
    let wanted = Wanted { name: "iscsid.service".into(), required: true };
    let preset = super::units::preset(&look(&opened, &[wanted]).unwrap()).unwrap();
    opened.write(&preset.path, &preset.content.bytes(b"", None).unwrap(), preset.mode).unwrap();
    let status = Command::new("systemctl")
        .arg(format!("--root={}", root.display()))
        .args(["--quiet", "preset-all"])
        .env("SYSTEMD_LOG_LEVEL", "err")
        .status()
        .unwrap();
    assert!(status.success());
    let left = links(root);
    assert!(left.contains_key("multi-user.target.wants/iscsid.service"), "{left:?}");
    assert!(left.contains_key("sockets.target.wants/iscsid.socket"), "{left:?}");
    assert!(
        !left.contains_key("multi-user.target.wants/plain.service"),
        "the presets are in force: {left:?}"
    );
}
