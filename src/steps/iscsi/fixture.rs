//! A machine's sysfs, made for tests in the shape of a 6.1 kernel's.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use crate::engine::host::Host;
use crate::input::document::{Algorithm, Chap, Iscsi, Mutual};
use crate::input::portal::Portal;
use crate::input::secret::Secret;
use crate::input::settings::Settings;

/// A machine without sessions, to begin with.
pub struct Machine(TempDir);

impl Machine {
    pub fn new() -> Machine {
        Machine(TempDir::new().unwrap())
    }

    pub fn host(&self) -> Host {
        Host::fake(self.0.path())
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.host().path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.host().path(path)).unwrap()
    }

    /// A session at another portal.
    pub fn session_at(&self, sid: u32, state: &str, address: &str) {
        self.session(sid, state);
        self.write(&format!("/sys/class/iscsi_connection/connection{sid}:0/persistent_address"), address);
    }

    /// A session of [`iscsi`]'s target, on the SCSI host of the same number.
    pub fn session(&self, sid: u32, state: &str) {
        let device = format!("/sys/devices/platform/host{sid}/session{sid}");
        let real = format!("{device}/iscsi_session/session{sid}");
        for (name, text) in [
            ("targetname", "iqn.2026-01.example:image"),
            ("initiatorname", "iqn.2026-01.example:n1"),
            ("state", state),
            ("creator", "321"),
        ] {
            self.write(&format!("{real}/{name}"), text);
        }
        symlink("../..", self.host().path(format!("{real}/device"))).unwrap();
        let class = self.host().path("/sys/class/iscsi_session");
        fs::create_dir_all(&class).unwrap();
        let link = format!("../../devices/platform/host{sid}/session{sid}/iscsi_session/session{sid}");
        symlink(link, class.join(format!("session{sid}"))).unwrap();
        let connection = format!("/sys/class/iscsi_connection/connection{sid}:0");
        self.write(&format!("{connection}/persistent_address"), "198.18.0.1");
        self.write(&format!("{connection}/persistent_port"), "3260");
    }

    /// A disk of 1 MiB in the session; its minor number is the LUN.
    pub fn disk(&self, sid: u32, lun: u64, name: &str) {
        let device = format!("/sys/devices/platform/host{sid}/session{sid}/target{sid}:0:0/{sid}:0:0:{lun}");
        self.write(&format!("{device}/type"), "0");
        self.write(&format!("{device}/state"), "running");
        self.write(&format!("{device}/block/{name}/ro"), "0");
        self.write(&format!("/sys/block/{name}/dev"), &format!("8:{lun}"));
        self.write(&format!("/sys/block/{name}/size"), "2048");
        self.write(&format!("/dev/{name}"), "");
    }
}

/// The node's initiator name.
pub const INITIATOR: &str = "iqn.2026-01.example:n1";

/// The plan's part.
pub fn iscsi() -> Iscsi {
    Iscsi {
        initiator: None,
        target: "iqn.2026-01.example:image".into(),
        portals: vec![Portal::parse("198.18.0.1:3260").unwrap().into()],
        min_paths: 1,
        grace: 10,
        lun: 1,
        require_readonly_lun: false,
        auth: Some(Chap {
            username: "node".into(),
            secret: Secret::new(b"secret-of-node".to_vec()),
            mutual: None,
            algorithms: vec![Algorithm::Md5],
        }),
        discovery: None,
        settings: Settings::default(),
    }
}

/// The target's account, for plans that want it.
pub fn mutual() -> Mutual {
    Mutual { username: "store".into(), secret: Secret::new(b"secret-of-store".to_vec()) }
}
