//! Disks and maps in a machine's sysfs, made for tests in the shape of a 6.1 kernel's.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use crate::engine::host::Host;
use crate::sys::block::Disk;

/// A machine without disks, to begin with.
pub struct Machine(TempDir);

impl Machine {
    pub fn new() -> Machine {
        Machine(TempDir::new().unwrap())
    }

    pub fn host(&self) -> Host {
        Host::fake(self.0.path())
    }

    pub fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.host().path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A disk of 1 MiB.
    pub fn disk(&self, name: &str, minor: u32) -> Disk {
        self.write(&format!("/sys/block/{name}/dev"), format!("8:{minor}\n").as_bytes());
        self.write(&format!("/sys/block/{name}/size"), b"2048\n");
        fs::create_dir_all(self.host().path(format!("/sys/block/{name}/holders"))).unwrap();
        let numbers = self.host().path("/sys/dev/block");
        fs::create_dir_all(&numbers).unwrap();
        // A disk may be made twice.
        let _ = symlink(format!("../../block/{name}"), numbers.join(format!("8:{minor}")));
        Disk { name: name.into(), dev: (8, minor), sectors: 2048 }
    }

    /// A map of 1 MiB.
    pub fn map(&self, node: &str, name: &str, uuid: &str) {
        let minor = node.strip_prefix("dm-").unwrap();
        self.write(&format!("/sys/block/{node}/dev"), format!("254:{minor}\n").as_bytes());
        self.write(&format!("/sys/block/{node}/size"), b"2048\n");
        self.write(&format!("/sys/block/{node}/dm/name"), format!("{name}\n").as_bytes());
        self.write(&format!("/sys/block/{node}/dm/uuid"), format!("{uuid}\n").as_bytes());
        self.write(&format!("/sys/block/{node}/dm/suspended"), b"0\n");
    }
}
