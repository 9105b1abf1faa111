//! Whether the image's own iscsid and multipathd run, and what they have adopted, seen in /proc alone: to ask them, by
//! socket or command, would start them, for systemd listens in their place.
//!
//! An iscsid that has adopted a session holds the TCP socket of its connection open (the kernel's initiator has it from
//! there), and a multipathd the disks that it checks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::engine::host::Host;

/// USER_HZ, in which proc_pid_stat(5) counts: 100 on all machines that Linux still runs on but alpha.
const TICKS_PER_SECOND: u64 = 100;
/// Files of a process that are looked at, and TCP sockets of the machine.
const MOST_FILES: usize = 4096;
const MOST_SOCKETS: usize = 65536;

/// A daemon that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// Its processes, in order: iscsid has one for its log beside the one that works.
    pub pids: Vec<u32>,
    /// When the first of them started, since boot.
    pub since: Duration,
}

/// The daemon whose processes call themselves `comm`, in this network: one in a container does not concern us.
pub fn find(host: &Host, comm: &str) -> Option<Daemon> {
    let mut pids = Vec::new();
    let mut since: Option<Duration> = None;
    let network = |pid: &str| std::fs::read_link(host.path(format!("/proc/{pid}/ns/net"))).ok();
    let own = network("self");
    for entry in std::fs::read_dir(host.path("/proc")).ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let text = |name: &str| std::fs::read_to_string(host.path(format!("/proc/{pid}/{name}"))).ok();
        if text("comm").is_none_or(|text| text.trim_end() != comm) {
            continue;
        }
        let Some(Stat { state, started }) = text("stat").as_deref().and_then(stat) else {
            continue;
        };
        // A zombie does nothing any more.
        if matches!(state, 'Z' | 'X') || network(&pid.to_string()) != own {
            continue;
        }
        pids.push(pid);
        since = Some(since.map_or(started, |since| since.min(started)));
    }
    pids.sort_unstable();
    since.map(|since| Daemon { pids, since })
}

/// What of /proc/PID/stat is of use.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    started: Duration,
}

/// Reads /proc/PID/stat (proc_pid_stat(5)); the second member is the name, in parentheses, and may hold any.
fn stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut members = rest.split_ascii_whitespace();
    let state = members.next()?.chars().next()?;
    // The 22nd; the state is the third.
    let ticks: u64 = members.nth(18)?.parse().ok()?;
    Some(Stat { state, started: Duration::from_millis(ticks.saturating_mul(1000 / TICKS_PER_SECOND)) })
}

/// What the process `pid` has open: `/dev/sda`, `socket:[4711]`.
pub fn open_files(host: &Host, pid: u32) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(host.path(format!("/proc/{pid}/fd"))) else {
        return Vec::new();
    };
    let links = folder.flatten().take(MOST_FILES).filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links.filter_map(|link| link.into_os_string().into_string().ok()).collect()
}

/// A TCP socket of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp {
    /// The other end.
    pub remote: SocketAddr,
    /// Its inode.
    pub inode: u64,
}

/// The TCP connections of this network that are made.
pub fn connections(host: &Host) -> Vec<Tcp> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(host.path(path)));
    tables.iter().flatten().flat_map(|table| table.lines().take(MOST_SOCKETS).filter_map(tcp)).collect()
}

/// Reads a line of /proc/net/tcp or tcp6 (the kernel's Documentation/networking/proc_net_tcp.rst); none: the head, or a
/// socket that is not connected.
fn tcp(line: &str) -> Option<Tcp> {
    let mut words = line.split_ascii_whitespace();
    let (remote, state) = (words.nth(2)?, words.next()?);
    // TCP_ESTABLISHED
    if state != "01" {
        return None;
    }
    let inode = words.nth(5)?.parse().ok()?;
    let (address, port) = remote.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Tcp { remote: SocketAddr::new(address_of(address)?, port), inode })
}

/// Words of 32 bits, each in the machine's byte order.
fn address_of(hex: &str) -> Option<IpAddr> {
    if !hex.is_ascii() {
        return None;
    }
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (to, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                to.copy_from_slice(&word(at)?);
            }
            // A socket for both families shows IPv4 so.
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn process(root: &std::path::Path, pid: u32, comm: &str, state: char, network: &str) {
        let folder = root.join(format!("proc/{pid}"));
        std::fs::create_dir_all(folder.join("ns")).unwrap();
        std::fs::create_dir_all(folder.join("fd")).unwrap();
        std::fs::write(folder.join("comm"), format!("{comm}\n")).unwrap();
        let stat =
            format!("{pid} ({comm} ) x) {state} 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 0 0 1 0 {} 0 0", pid * 100);
        std::fs::write(folder.join("stat"), stat).unwrap();
        let _ = std::os::unix::fs::symlink(network, folder.join("ns/net"));
    }

    #[test]
    fn a_daemon_is_found_by_its_name_in_this_network() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        assert_eq!(find(&host, "iscsid"), None);
        std::fs::create_dir_all(root.path().join("proc/self/ns")).unwrap();
        std::os::unix::fs::symlink("net:[1]", root.path().join("proc/self/ns/net")).unwrap();
        process(root.path(), 2, "iscsid", 'Z', "net:[1]");
        process(root.path(), 3, "iscsid", 'S', "net:[2]");
        process(root.path(), 4, "iscsi_q_0", 'S', "net:[1]");
        assert_eq!(find(&host, "iscsid"), None);
        process(root.path(), 21, "iscsid", 'S', "net:[1]");
        process(root.path(), 9, "iscsid", 'R', "net:[1]");
        let found = Daemon { pids: vec![9, 21], since: Duration::from_secs(9) };
        assert_eq!(find(&host, "iscsid"), Some(found));
        assert_eq!(find(&host, "multipathd"), None);
        std::os::unix::fs::symlink("/dev/sda", root.path().join("proc/9/fd/3")).unwrap();
        assert_eq!(open_files(&host, 9), ["/dev/sda"]);
        assert!(open_files(&host, 10).is_empty());
    }

    #[test]
    fn connections_as_the_kernel_lists_them() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("proc/net")).unwrap();
        std::fs::write(
            root.path().join("proc/net/tcp"),
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 17 1 0 100 0 0 10 0
   1: 640012C6:D2F4 010012C6:0CBC 01 00000000:00000000 02:00000F2C 00000000     0        0 8451 2 0 22 4 30 10 -1
   2: 640012C6:D2F6 010012C6:0CBC 02 00000000:00000000 02:00000F2C 00000000     0        0 8452 2 0 22 4 30 10 -1
",
        )
        .unwrap();
        std::fs::write(
            root.path().join("proc/net/tcp6"),
            "   1: B80D0120000000000000000064000000:D2F4 B80D0120000000000000000001000000:0CBC 01 0:0 0:0 0 0 0 99 2\n",
        )
        .unwrap();
        let host = Host::fake(root.path());
        let found = [("198.18.0.1:3260", 8451), ("[2001:db8::1]:3260", 99)];
        let found = found.map(|(remote, inode)| Tcp { remote: remote.parse().unwrap(), inode });
        assert_eq!(connections(&host), found);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in ".{0,200}", hex in "[0-9A-Fa-fé]{0,33}") {
            let _ = stat(&text);
            let _ = stat(&format!("1 (x) {text}"));
            let _ = tcp(&text);
            let _ = tcp(&format!("0: x {hex}:{text} 01 {text}"));
            let _ = address_of(&hex);
        }
    }
}
