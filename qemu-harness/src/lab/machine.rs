//! The virtual machine.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::console::Consoles;
use super::network::tap;
use super::{cable, qmp};
use crate::chroot::Root;
use crate::command;
use crate::error::{At, Error, Result};
use crate::recipe::Ready;
use crate::scenario::{Document, Firmware, Link, Machine as Hardware};

/// What a node's firmware says that it is. Without firmware that asks it says nothing: plans of these nodes have no need
/// of it, and an initiator's name comes from the MAC.
fn system(node: usize) -> String {
    format!("5d15c1e5-0000-4000-8000-{:012x}", node + 1)
}

/// The address of card `number` of a node; 01 in the place of the node is a target machine's.
pub(super) fn mac(node: usize, number: usize) -> String {
    let node = if node == 0 { 0 } else { node + 1 };
    format!("52:54:00:00:{node:02x}:{:02x}", number + 1)
}

/// The folder of a node in that of a run: the first has the run's own.
pub fn node_folder(run: &Path, node: usize) -> PathBuf {
    if node == 0 { run.to_path_buf() } else { run.join(super::node(node)) }
}

/// How long QEMU may take to end once its console is closed.
const END: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// UEFI's code in the builder, and the variables that a machine starts with.
const UEFI: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const UEFI_VARIABLES: &str = "usr/share/OVMF/OVMF_VARS_4M.fd";

/// What QEMU loads itself, where no firmware fetches it.
pub struct Boot<'a> {
    /// The kernel.
    pub kernel: &'a Path,
    /// The initramfs.
    pub initramfs: &'a Path,
    /// The kernel's command line.
    pub command_line: &'a str,
}

/// A running QEMU; dropping it ends it.
pub struct Machine {
    child: Child,
    folder: PathBuf,
    cards: usize,
}

impl Machine {
    /// Starts QEMU as node `node`, from 0, at its cables of a scenario, with `boot` where the hardware has no firmware that
    /// fetches anything. `consoles` have its console then. In the node's folder of that of the run, `run`: `reports` takes
    /// what the booted root reports, a line each time, `serial.log` the console.
    pub fn start(
        tools: &Root,
        run: &Path,
        ready: &Ready,
        document: &Document,
        boot: &Boot,
        node: usize,
        consoles: &Consoles,
    ) -> Result<Machine> {
        let hardware = &document.machine;
        let folder = &node_folder(run, node);
        fs::create_dir_all(folder).at("create", folder)?;
        let mut qemu = tools.command("qemu-system-x86_64");
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none"]);
        // Without graphics a BIOS talks to the serial port.
        qemu.args(["-machine", "q35,graphics=off"]);
        if hardware.reboots == 0 {
            qemu.arg("-no-reboot");
        }
        if let Some(clock) = &hardware.clock {
            qemu.args(["-rtc", &format!("base={clock}")]);
        }
        qemu.args(accelerator()?).args([
            "-m",
            &hardware.memory.to_string(),
            "-smp",
            &hardware.cpus.to_string(),
        ]);
        qemu.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
        let inside = tools.inside(folder)?;
        for (number, link) in document.network.links.iter().enumerate() {
            qemu.args(cards(&inside, node, number, link, hardware));
        }
        qemu.arg("-qmp").arg(format!("unix:{},server=on,wait=off", qmp::socket(&inside).display()));
        match hardware.firmware {
            Firmware::Kernel => {
                qemu.arg("-kernel").arg(tools.inside(boot.kernel)?);
                qemu.arg("-initrd").arg(tools.inside(boot.initramfs)?);
                qemu.arg("-append").arg(boot.command_line);
            }
            Firmware::Ipxe => {
                qemu.args(["-uuid", &system(node)]);
            }
            Firmware::Uefi => {
                qemu.args(["-uuid", &system(node)]);
                let variables = folder.join("uefi-variables");
                fs::copy(ready.builder.join(UEFI_VARIABLES), &variables).at("write", &variables)?;
                let flash = |more: &str| format!("if=pflash,format=raw,{more}");
                qemu.arg("-drive").arg(flash(&format!("readonly=on,file={UEFI}")));
                let variables = tools.inside(&variables)?;
                qemu.arg("-drive").arg(flash(&format!("file={}", variables.display())));
            }
        }
        if let Some(disk) = hardware.disk {
            let image = tools.inside(ready.image(disk)?)?;
            qemu.arg("-drive").arg(format!("if=virtio,format=raw,snapshot=on,file={}", image.display()));
        }
        qemu.args(["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]);
        let facts = tools.inside(&folder.join("reports"))?;
        qemu.arg("-chardev").arg(format!("file,id=facts,path={}", facts.display()));
        qemu.args(["-device", "virtserialport,chardev=facts,name=org.diskless.facts"]);
        let path = folder.join("qemu.command");
        fs::write(&path, command::line(&qemu) + "\n").at("write", &path)?;
        let child = spawn(&mut qemu, folder, node, consoles)?;
        Ok(Machine { child, folder: folder.clone(), cards: document.network.links.len() })
    }

    /// Pulls a cable out of its card, or puts it in: that of this number, or all.
    pub fn carrier(&self, link: Option<usize>, up: bool) -> Result<()> {
        let mut all = (0..self.cards).filter(|number| link.is_none_or(|link| link == *number));
        all.try_for_each(|number| qmp::set_link(&self.folder, &card(number), up))
    }

    /// Types a line at the console.
    pub fn type_line(&mut self, text: &str) -> Result<()> {
        match &mut self.child.stdin {
            Some(keyboard) => writeln!(keyboard, "{text}").at("type at", "the console"),
            None => Ok(()),
        }
    }

    /// How QEMU ended, once its console is closed.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().at("wait for", "qemu")? {
                return Ok(status);
            }
            if start.elapsed() > END {
                return Err(Error::Late { what: "QEMU's end".into(), seconds: END.as_secs() });
            }
            thread::sleep(POLL);
        }
    }
}

fn spawn(qemu: &mut Command, folder: &Path, node: usize, consoles: &Consoles) -> Result<Child> {
    let log = folder.join("qemu.log");
    let mut child = qemu
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(command::open_log(&log)?)
        .spawn()
        .map_err(|source| Error::Start { program: "qemu".to_owned(), source })?;
    let Some(stdout) = child.stdout.take() else {
        return Err(Error::Host("QEMU without a console".into()));
    };
    consoles.read(node, stdout, &folder.join("serial.log"))?;
    Ok(child)
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What QEMU calls a network card.
fn card(number: usize) -> String {
    format!("card{number}")
}

/// A network card at its cable. One that does something to the frames has sockets in `folder`: QEMU passes frames on
/// between them and the card, and at the other end between them and the tap, which meet in a hub.
fn cards(folder: &Path, node: usize, number: usize, link: &Link, hardware: &Hardware) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |option: &str, value: String| words.extend([option.to_owned(), value]);
    let (tap, card) = (tap(node, number), card(number));
    let tap = format!("ifname={tap},script=no,downscript=no");
    if link.acts() {
        let [near, near_lab, far, far_lab] = cable::sockets(folder, number);
        let sockets = |from: &Path, to: &Path| {
            let (from, to) = (from.display(), to.display());
            format!("local.type=unix,local.path={from},remote.type=unix,remote.path={to}")
        };
        add("-netdev", format!("dgram,id=net{number},{}", sockets(&near, &near_lab)));
        add("-netdev", format!("dgram,id=far{number},{}", sockets(&far, &far_lab)));
        add("-netdev", format!("tap,id=tap{number},{tap}"));
        for end in ["far", "tap"] {
            add("-netdev", format!("hubport,id={end}port{number},hubid={number},netdev={end}{number}"));
        }
    } else {
        add("-netdev", format!("tap,id=net{number},{tap}"));
    }
    // Of the ROMs that QEMU has for network cards only a BIOS needs one: UEFI has drivers and PXE of its own.
    let rom = if hardware.firmware == Firmware::Ipxe && number == 0 { "" } else { ",romfile=" };
    let mtu = link.mtu.map(|mtu| format!(",host_mtu={mtu}")).unwrap_or_default();
    let (nic, mac, order) = (&hardware.nic, mac(node, number), number + 1);
    add("-device", format!("{nic},id={card},netdev=net{number},mac={mac},bootindex={order}{mtu}{rom}"));
    words
}

/// KVM where the processor itself offers it; /dev/kvm alone says too little.
pub fn accelerator() -> Result<[&'static str; 4]> {
    let text = fs::read_to_string("/proc/cpuinfo").at("read", "/proc/cpuinfo")?;
    Ok(match virtualizes(&text) && Path::new("/dev/kvm").exists() {
        true => ["-accel", "kvm", "-cpu", "host"],
        // Without "enhanced rep movsb/stosb": the kernel would clear pages with it, byte by byte in an emulation.
        false => ["-accel", "tcg,thread=multi", "-cpu", "max,-erms,-fsrm"],
    })
}

fn virtualizes(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .flat_map(str::split_whitespace)
        .any(|flag| flag == "vmx" || flag == "svm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cable_that_acts_goes_through_sockets() {
        let card = |node, link: &Link, number| {
            cards(Path::new("/run"), node, number, link, &Hardware::default()).join(" ")
        };
        let plain = card(0, &Link::default(), 0);
        assert_eq!(
            plain,
            "-netdev tap,id=net0,ifname=node0,script=no,downscript=no -device \
             virtio-net-pci,id=card0,netdev=net0,mac=52:54:00:00:00:01,bootindex=1,romfile="
        );
        let second = card(1, &Link::default(), 0);
        assert!(second.contains("ifname=node0of2,") && second.contains("mac=52:54:00:00:02:01,"), "{second}");
        let acting = card(0, &Link { vlan: Some(7), mtu: Some(9000), ..Link::default() }, 1);
        assert!(acting.contains("local.path=/run/node1.card,"), "{acting}");
        assert!(acting.contains("mac=52:54:00:00:00:02,bootindex=2,host_mtu=9000"), "{acting}");
    }

    #[test]
    fn kvm_only_where_the_processor_has_it() {
        assert!(virtualizes("model name\t: x\nflags\t\t: fpu vmx sse\n"));
        assert!(!virtualizes("model name\t: svm\nflags\t\t: fpu sse\n"));
    }
}
