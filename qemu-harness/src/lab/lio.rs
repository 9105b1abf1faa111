//! A machine beside the node whose kernel is the target: LIO.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::PORT;
use super::machine::accelerator;
use super::network::bridge;
use super::service::Service;
use crate::chroot::Root;
use crate::error::{At, Error, Result};
use crate::recipe::Ready;
use crate::scenario::{Lio, Release};
use crate::{command, cpio, tree};

/// How long it may take until it is up, emulated and on a busy host.
const UP: Duration = Duration::from_secs(120);
const INITRAMFS: &str = "lio.initramfs";
const POLL: Duration = Duration::from_millis(100);
/// How long its script may take to see what has changed.
const LOOK: Duration = Duration::from_secs(3);
/// What its console shows.
const IS_UP: &str = "lio: up";
const HAS_FAILED: &str = "lio: failed";
const SESSIONS: &str = "lio: sessions ";

/// The machine's address in a subnet.
pub fn address(subnet: u8) -> String {
    format!("198.18.{subnet}.2")
}

/// The machine's end of its cable to a subnet.
fn tap(subnet: u8) -> String {
    format!("lio{subnet}")
}

fn mac(subnet: u8) -> String {
    format!("52:54:00:00:01:{subnet:02x}")
}

/// A running target machine; dropping it ends it.
pub struct Machine {
    qemu: Service,
    console: PathBuf,
}

impl Machine {
    /// Starts it, in the subnets that are laid, and waits until it is up.
    pub fn start(tools: &Root, folder: &Path, ready: &Ready, lio: &Lio) -> Result<Machine> {
        let log = folder.join("network.log");
        for portal in &lio.portals {
            let (tap, bridge) = (tap(portal.subnet), bridge(portal.subnet));
            let ip = |words: &[&str]| command::run(tools.command("ip").args(words), &log);
            ip(&["tuntap", "add", "dev", &tap, "mode", "tap"])?;
            ip(&["link", "set", &tap, "master", &bridge, "up"])?;
        }
        let initramfs = folder.join(INITRAMFS);
        let mut archive = fs::read(ready.lio()?).at("read", "the target machine's initramfs")?;
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend(cpio::archive(&folder.join("none"), &[("configuration", &configuration(lio))])?);
        fs::write(&initramfs, archive).at("write", &initramfs)?;
        let console = folder.join("lio.log");
        let mut qemu = tools.command("qemu-system-x86_64");
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        qemu.args(["-machine", "q35,graphics=off", "-m", "512", "-smp", "1"]).args(accelerator()?);
        qemu.arg("-kernel").arg(tools.inside(ready.kernel(Release::default())?)?);
        qemu.arg("-initrd").arg(tools.inside(&initramfs)?);
        qemu.args(["-append", "console=ttyS0 panic=-1 mitigations=off quiet"]);
        qemu.args(["-serial", &format!("file:{}", tools.inside(&console)?.display())]);
        let image = tools.inside(ready.image(lio.image)?)?;
        let drive = format!("if=none,id=image,format=raw,readonly=on,file={}", image.display());
        qemu.args(["-drive", &drive, "-device", "virtio-blk-pci,drive=image"]);
        for subnet in lio.portals.iter().map(|portal| portal.subnet) {
            let netdev = format!("tap,id=net{subnet},ifname={},script=no,downscript=no", tap(subnet));
            let device = format!("virtio-net-pci,netdev=net{subnet},mac={},romfile=", mac(subnet));
            qemu.args(["-netdev", &netdev, "-device", &device]);
        }
        let qemu = Service::start("the target machine", &mut qemu, &folder.join("lio-qemu.log"))?;
        let mut machine = Machine { qemu, console };
        machine.wait()?;
        Ok(machine)
    }

    fn wait(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            let shown = self.shown();
            if shown.contains(IS_UP) {
                return Ok(());
            }
            if shown.contains(HAS_FAILED) {
                return Err(Error::Host(format!("the target machine: see {}", self.console.display())));
            }
            self.qemu.check()?;
            if start.elapsed() > UP {
                return Err(Error::Late { what: "the target machine".into(), seconds: UP.as_secs() });
            }
            thread::sleep(POLL);
        }
    }

    /// Removes what is large and nobody looks at after a run.
    pub fn tidy(folder: &Path) -> Result<()> {
        tree::remove(&folder.join(INITRAMFS))
    }

    /// An error when it has ended.
    pub fn check(&mut self) -> Result<()> {
        self.qemu.check()
    }

    /// How many sessions it had at most, and how many it has. Its script looks a few times a second: what has just been
    /// ended is given that time.
    pub fn sessions(&self) -> Sessions {
        let start = Instant::now();
        loop {
            let seen = sessions(&self.shown());
            if seen.left == 0 || start.elapsed() > LOOK {
                return seen;
            }
            thread::sleep(POLL);
        }
    }

    fn shown(&self) -> String {
        fs::read(&self.console).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

/// Sessions of the machine, by its console.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sessions {
    /// At most.
    most: usize,
    /// At the end.
    left: usize,
}

fn sessions(console: &str) -> Sessions {
    let counts = console.lines().filter_map(|line| line.trim().strip_prefix(SESSIONS)?.parse().ok());
    counts.fold(Sessions::default(), |seen, left| Sessions { most: seen.most.max(left), left })
}

/// The lines that the machine's script reads.
fn configuration(lio: &Lio) -> String {
    // As the kernel makes a serial number: the WWID comes of it.
    let mut lines = format!("target {} {} 5d15c1e5-0000-4000-8000-00000000000a\n", lio.iqn, lio.lun);
    for portal in &lio.portals {
        let (subnet, state) = (portal.subnet, portal.state as u8);
        lines += &format!("portal {} {} 24 {PORT} {state}\n", mac(subnet), address(subnet));
    }
    if let Some(chap) = &lio.chap {
        lines += &format!("chap {} {}\n", chap.username, chap.secret);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;

    #[test]
    fn the_machine_is_told_what_the_scenario_says() {
        let text = "summary = 's'\n[lio]\niqn = 'i'\nlun = 3\nchap = { username = 'a', secret = 'b' }\n\
            portals = [{}, { subnet = 1, state = 'standby' }]\n[[network.links]]\n[[network.links]]\nsubnet = 1\n\
            [expect]\nend = 'up'\n";
        let lines = configuration(&parse(text).unwrap().lio.unwrap());
        assert_eq!(
            lines,
            "target i 3 5d15c1e5-0000-4000-8000-00000000000a\n\
             portal 52:54:00:00:01:00 198.18.0.2 24 3260 0\n\
             portal 52:54:00:00:01:01 198.18.1.2 24 3260 2\n\
             chap a b\n"
        );
    }

    #[test]
    fn sessions_are_read_from_the_console() {
        let console = "lio: up\r\nlio: sessions 0\r\nlio: sessions 2\nelse\nlio: sessions 1";
        assert_eq!(sessions(console), Sessions { most: 2, left: 1 });
        assert_eq!(sessions(""), Sessions::default());
    }
}
