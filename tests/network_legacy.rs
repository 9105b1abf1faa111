//! What the dracut module puts before network-legacy's own ifup does what its page says, with a made-up ifup behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const IFUP: &str = include_str!("../dracut-module/95diskless/ifup");
const RULES: &str = include_str!("../dracut-module/95diskless/net-rules.sh");
/// No test takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// An initramfs, as far as the script sees it.
struct Initramfs(tempfile::TempDir);

impl Initramfs {
    /// One whose own ifup notes whom it is called for and then runs `then`, a piece of shell.
    fn new(then: &str) -> Initramfs {
        let initramfs = Initramfs(tempfile::tempdir().unwrap());
        for folder in ["tmp", "sysroot", "bin", "sys/class/net/eth0"] {
            fs::create_dir_all(initramfs.path(folder)).unwrap();
        }
        let root = initramfs.0.path().display().to_string();
        let program = |name: &str, text: String| {
            let path = initramfs.path(name);
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        program("bin/ip", String::new());
        program("bin/ifup", format!("cd {root}\necho \"$1\" >> calls\n{then}"));
        // First of all: the others' places may be below /tmp themselves.
        let mut script = IFUP.replace("/tmp/", &format!("{root}/tmp/"));
        for (path, here) in
            [("/sbin/ifup", "/bin/ifup"), ("/sysroot", "/sysroot"), ("/sys/class", "/sys/class")]
        {
            script = script.replace(path, &format!("{root}{here}"));
        }
        program("bin/ours", script);
        initramfs
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Calls the script, which returns at once; whatever it leaves behind is waited for by [`Initramfs::ends`].
    fn ifup(&self, interface: &str) -> Behind {
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.path("bin").display());
        let mut shell = Command::new("sh");
        shell.arg("-c").arg("\"$0\" \"$1\"; echo returned; cat").arg(self.path("bin/ours")).arg(interface);
        let child = shell.env("PATH", path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Behind(child)
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn wait_until(&self, what: &str, holds: impl Fn(&[String]) -> bool) {
        let start = Instant::now();
        while !holds(&self.calls()) {
            assert!(start.elapsed() < LIMIT, "{what}: {:?}", self.calls());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The shell that called the script; its output is open as long as anything that the script started runs.
struct Behind(std::process::Child);

impl Behind {
    /// Waits until nothing of it runs any more.
    fn ends(mut self) {
        drop(self.0.stdin.take());
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || tell.send(self.0.wait_with_output().unwrap().stdout));
        assert_eq!(told.recv_timeout(LIMIT).expect("it goes on"), b"returned\n");
    }
}

#[test]
fn a_card_is_tried_when_it_has_a_cable_and_until_it_is_up() {
    let initramfs = Initramfs::new("[ \"$(grep -c . calls)\" -lt 2 ] || : > tmp/net.eth0.up");
    initramfs.put("sys/class/net/eth0/carrier", "0\n");
    let behind = initramfs.ifup("eth0");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(initramfs.calls().is_empty(), "{:?}", initramfs.calls());
    initramfs.put("sys/class/net/eth0/carrier", "1\n");
    behind.ends();
    assert_eq!(initramfs.calls(), ["eth0", "eth0"]);
}

#[test]
fn once_the_root_is_there_nothing_is_tried_any_more() {
    let initramfs = Initramfs::new("");
    // A card that is down has a file for its carrier that cannot be read.
    fs::create_dir(initramfs.path("sys/class/net/eth0/carrier")).unwrap();
    let behind = initramfs.ifup("eth0");
    fs::create_dir(initramfs.path("sysroot/proc")).unwrap();
    behind.ends();
    assert!(initramfs.calls().is_empty());
}

#[test]
fn the_loopback_interface_is_tried_once() {
    let initramfs = Initramfs::new("");
    initramfs.ifup("lo").ends();
    assert_eq!(initramfs.calls(), ["lo"]);
}

#[test]
fn the_parts_of_a_bond_take_turns_and_the_bond_is_tried_again() {
    let initramfs = Initramfs::new("mkdir busy || echo twice >> calls\nsleep 0.1\nrmdir busy");
    initramfs.put("tmp/bond.bond0.info", "bondname=bond0\nbondslaves=\"eth0 eth1\"\n");
    initramfs.put("tmp/bond.bond0.up", "");
    let behind = [initramfs.ifup("eth0"), initramfs.ifup("eth1")];
    let of = |calls: &[String], name: &str| calls.iter().filter(|call| *call == name).count();
    initramfs.wait_until("each of them", |calls| {
        of(calls, "bond0") >= 2 && of(calls, "eth0") >= 1 && of(calls, "eth1") >= 1
    });
    fs::create_dir(initramfs.path("sysroot/proc")).unwrap();
    behind.into_iter().for_each(Behind::ends);
    assert_eq!(of(&initramfs.calls(), "twice"), 0);
}

/// Lines as dracut 049 and 059 write them.
#[test]
fn the_rules_of_network_legacy_call_it() {
    let expression = RULES.split('\'').find(|part| part.starts_with("s|")).unwrap();
    for interface in ["$env{INTERFACE}", "$name"] {
        let before = "RUN+=\"/sbin/initqueue --name ifup-";
        let line = |ifup: &str| format!("{before}{interface} --unique --onetime {ifup} {interface}\"\n");
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, line("/sbin/ifup")).unwrap();
        let rewritten = Command::new("sed").arg(expression).arg(file.path()).output().unwrap();
        assert_eq!(String::from_utf8(rewritten.stdout).unwrap(), line("/usr/lib/diskless/ifup"));
    }
}

/// It is no test of the script if its paths are not replaced.
#[test]
fn the_script_has_the_paths_that_are_replaced() {
    for path in ["/sbin/ifup", "/sysroot/proc", "/sys/class/net/", "/tmp/net.", "/tmp/diskless-ifup"] {
        assert!(IFUP.contains(path), "{path}");
    }
}
