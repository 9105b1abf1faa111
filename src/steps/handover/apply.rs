//! Writes into the new root.

use std::fmt;

use zeroize::Zeroizing;

use super::host_keys::{self, Make};
use super::observe::{accept_ra, open, root_of};
use super::{failed, image, kept};
use crate::engine::host::Host;
use crate::error::Result;
use crate::steps::overlay::SYSROOT;
use crate::sys::address::Timed;

/// What to do in the new root.
pub enum Action {
    /// These, one after the other; at least one.
    All(Vec<Action>),
    /// Write one file. There may be a secret in it.
    Write {
        /// Absolute, in the new root.
        path: String,
        /// Its permissions.
        mode: u32,
        /// Its content.
        bytes: Zeroizing<Vec<u8>>,
    },
    /// Remove one file.
    Remove {
        /// Absolute, in the new root.
        path: String,
    },
    /// Make an SSH host key.
    MakeHostKey(Make),
    /// Have the kernel listen to routers on an interface.
    Listen {
        /// Its name.
        interface: String,
    },
    /// Have the kernel keep an address for ever.
    Keep {
        /// It.
        address: Timed,
    },
    /// Something about the image's own files.
    Image(image::Action),
    /// Make a symbolic link.
    Link {
        /// Absolute, in the new root.
        path: String,
        /// Where it leads.
        to: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::All(actions) => {
                let first = actions.first().map(ToString::to_string).unwrap_or_default();
                match actions.len().saturating_sub(1) {
                    0 => f.write_str(&first),
                    more => write!(f, "{first}, and {more} more"),
                }
            }
            Action::Write { path, .. } => write!(f, "write {path}"),
            Action::Remove { path } => write!(f, "remove {path}"),
            Action::MakeHostKey(_) => write!(f, "make {}", host_keys::MADE),
            Action::Listen { interface } => write!(f, "listen to routers on {interface}"),
            Action::Keep { address } => write!(f, "keep {} beyond its lease", address.address),
            Action::Image(action) => action.fmt(f),
            Action::Link { path, to } => write!(f, "link {path} to {to}"),
        }
    }
}

pub fn apply(host: &Host, action: Action) -> Result<()> {
    match action {
        Action::All(actions) => actions.into_iter().try_for_each(|action| apply(host, action)),
        Action::Write { path, mode, bytes } => {
            open(host, root_of(&path))?.write(&path, &bytes, mode).map_err(failed(&path))
        }
        Action::Remove { path } => open(host, SYSROOT)?.remove(&path).map_err(failed(&path)),
        Action::MakeHostKey(key) => host_keys::make(host, &open(host, SYSROOT)?, &key),
        Action::Link { path, to } => open(host, SYSROOT)?.link(&path, &to).map_err(failed(&path)),
        Action::Image(action) => image::apply(&open(host, SYSROOT)?, action),
        Action::Listen { interface } => {
            let path = accept_ra(&interface);
            std::fs::write(host.path(&path), "1").map_err(failed(&path))
        }
        Action::Keep { address: timed } => {
            kept::keep(host, &timed).map_err(failed(&timed.address.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::Duration;

    use super::*;
    use crate::engine::converge::{Converge, Next, converge};
    use crate::error::Code;
    use crate::steps::handover::Step;
    use crate::steps::handover::fixture::{document, identity, image};

    fn run(folder: &tempfile::TempDir, plan: serde_json::Value) -> Result<String> {
        let document = document(plan);
        let identity = identity();
        let step = Step::new(&document, &identity)?;
        converge(&step, &Host::fake(folder.path()), Duration::ZERO, &mut |_| ())
    }

    #[test]
    fn what_is_told_of_a_file_is_its_path() {
        let bytes = b"node.session.auth.password = 0123".to_vec().into();
        let action = Action::Write { path: "/etc/iscsi/iscsid.conf".into(), mode: 0o600, bytes };
        assert_eq!(action.to_string(), "write /etc/iscsi/iscsid.conf");
        let all = Action::All(vec![action, Action::Remove { path: "/a".into() }]);
        assert_eq!(all.to_string(), "write /etc/iscsi/iscsid.conf, and 1 more");
    }

    #[test]
    fn after_applying_nothing_is_left_to_do() {
        let folder = image();
        let root = folder.path().join("sysroot");
        let plan = serde_json::json!({
            "multipath": {},
            "handover": {
                "services": ["getty@ttyS0", "multipath-tools-boot"],
                "files": [{"path": "/opt/site/key", "mode": "0400", "content": "0123"}]
            }
        });
        let done = run(&folder, plan.clone()).unwrap();
        assert_eq!(
            done,
            "/etc/hostname /etc/iscsi/initiatorname.iscsi /etc/iscsi/iscsid.conf \
             /opt/site/key /etc/multipath.conf /etc/machine-id \
             /etc/systemd/system-preset/00-diskless.preset \
             iscsid.service multipathd.service multipathd.socket getty@ttyS0.service \
             multipath-tools-boot.service (masked in the image: left so)"
        );
        for (file, mode, begins) in [
            ("etc/hostname", 0o644, "node1\n"),
            ("etc/iscsi/initiatorname.iscsi", 0o600, "InitiatorName=iqn.2026-01.org.example:node1\n"),
            ("etc/iscsi/iscsid.conf", 0o600, "# The image's own.\nx = 1\niscsid.startup = "),
            ("etc/multipath.conf", 0o644, "# Written by diskless"),
            ("opt/site/key", 0o400, "0123"),
        ] {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            assert!(text.starts_with(begins), "{file}: {text}");
            assert_eq!(root.join(file).metadata().unwrap().permissions().mode() & 0o7777, mode, "{file}");
        }
        for (link, leads) in [
            ("sysinit.target.wants/iscsid.service", "/usr/lib/systemd/system/iscsid.service"),
            ("sysinit.target.wants/multipathd.service", "/usr/lib/systemd/system/multipathd.service"),
            ("sockets.target.wants/multipathd.socket", "/usr/lib/systemd/system/multipathd.socket"),
            ("getty.target.wants/getty@ttyS0.service", "/usr/lib/systemd/system/getty@.service"),
        ] {
            let link = root.join("etc/systemd/system").join(link).read_link().unwrap();
            assert_eq!(link, std::path::Path::new(leads));
        }
        assert!(!root.join(".autorelabel").exists());
        let document = document(plan);
        let identity = identity();
        let step = Step::new(&document, &identity).unwrap();
        let seen = step.observe(&Host::fake(folder.path())).unwrap();
        assert!(matches!(step.plan(&seen), Ok(Next::Done(what)) if what == done));
    }

    #[test]
    fn paths_out_of_the_root_are_refused_by_their_own_code() {
        let folder = image();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        symlink("../../outside", folder.path().join("sysroot/etc/out")).unwrap();
        let plan = serde_json::json!({"handover": {"files": [{"path": "/etc/out/a", "content": "0123456"}]}});
        let error = run(&folder, plan).unwrap_err();
        assert_eq!(error.code(), Code::HandoverPath);
        let text = error.to_string();
        assert!(text.starts_with("/etc/out/a: ") && text.contains("out of the root"), "{text}");
        assert!(!text.contains("0123456"));
        assert_eq!(std::fs::read_dir(folder.path().join("outside")).unwrap().count(), 0);
    }

    #[test]
    fn a_unit_that_the_image_does_not_have_is_named_and_nothing_is_written() {
        let folder = image();
        let error = run(&folder, serde_json::json!({"handover": {"services": ["slurmd"]}})).unwrap_err();
        assert_eq!(error.code(), Code::HandoverUnit);
        assert!(error.to_string().starts_with("slurmd.service: "), "{error}");
        let hostname = std::fs::read(folder.path().join("sysroot/etc/hostname")).unwrap();
        assert_eq!(hostname, b"vm\n");
    }

    #[test]
    fn a_file_that_is_too_long_is_replaced_or_refused() {
        let folder = image();
        let root = folder.path().join("sysroot");
        let long = vec![b'#'; (1 << 20) + 1];
        std::fs::write(root.join("etc/hostname"), &long).unwrap();
        run(&folder, serde_json::json!({})).unwrap();
        assert_eq!(std::fs::read(root.join("etc/hostname")).unwrap(), b"node1\n");
        std::fs::write(root.join("etc/iscsi/iscsid.conf"), &long).unwrap();
        let error = run(&folder, serde_json::json!({})).unwrap_err();
        assert_eq!(error.code(), Code::Handover);
    }
}
