//! Sources that the kernel or systemd keeps.

use std::fmt::Write as _;
use std::time::Duration;

use super::source::Member;
use super::{bounded, folders};
use crate::engine::host::Host;
use crate::input::redact::{HIDDEN, free_text};
use crate::report::told;
use crate::sys::dm::{self, Target};
use crate::sys::{program, routes};

/// Of each file in /proc so much is taken.
const LONGEST: u64 = 512 << 10;
/// journalctl reads files on disks that may hang; what it has said by then is taken.
const JOURNAL: Duration = Duration::from_secs(8);
/// Of the journal and the kernel's log, the end.
const MOST_JOURNAL: usize = 2 << 20;
const MOST_LINES: &str = "20000";

/// Files of /proc in which nothing is a secret, but for mount options.
const PROC: &[&str] = &[
    "filesystems",
    "interrupts",
    "loadavg",
    "meminfo",
    "modules",
    "mounts",
    "net/dev",
    "net/netstat",
    "net/snmp",
    "net/snmp6",
    "net/sockstat",
    "partitions",
    "pressure/cpu",
    "pressure/io",
    "pressure/memory",
    "self/mountinfo",
    "swaps",
    "uptime",
    "version",
    "vmstat",
];

type Members = Result<Vec<Member>, String>;

pub fn proc(host: &Host) -> Members {
    let file = |name: &&str| {
        let bytes = bounded(&host.path(format!("/proc/{name}")), LONGEST)?;
        let text = String::from_utf8_lossy(&bytes);
        // Not by line: a mount's options are one word with commas.
        let text: String = text.split_inclusive([',', ' ', '\n']).map(option).collect();
        Some(Member::of(format!("proc/{name}"), text))
    };
    Ok(PROC.iter().filter_map(file).collect())
}

/// A mount option that may be a secret, without it.
fn option(word: &str) -> String {
    let end = word.trim_end_matches([',', ' ', '\n']);
    match end.split_once('=') {
        Some((key @ ("password" | "pass" | "passwd" | "password2" | "secret" | "key"), _)) => {
            format!("{key}={HIDDEN}{}", word.get(end.len()..).unwrap_or_default())
        }
        _ => word.to_owned(),
    }
}

pub fn dmesg(host: &Host) -> Members {
    let lines = told::kernel_log(host);
    if lines.is_empty() {
        return Err("the kernel's log cannot be read, or is empty".to_owned());
    }
    let text: String = lines.iter().map(|line| line.describe() + "\n").collect();
    Ok(vec![Member::of("dmesg.txt", free_text(end_of(&text, 1 << 20)))])
}

pub fn journal(_: &Host) -> Members {
    let args = ["-b", "--no-pager", "-o", "short-monotonic", "-n", MOST_LINES];
    let said =
        program::output("journalctl", &args, MOST_JOURNAL, JOURNAL).map_err(|failure| failure.to_string())?;
    Ok(vec![Member::of("journal.txt", free_text(&String::from_utf8_lossy(&said)))])
}

/// The last `most` bytes of `text`, from the beginning of a line on.
fn end_of(text: &str, most: usize) -> &str {
    let from = text.len().saturating_sub(most);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let end = text.get(from..).unwrap_or_default();
    if from == 0 { end } else { end.split_once('\n').map_or("", |(_, rest)| rest) }
}

pub fn network(host: &Host) -> Members {
    // The kernel of a test's host is that of the machine: it is asked all the same, and shows what is there.
    let mut text = routes::describe().map_err(|error| error.to_string())?;
    for file in ["/etc/resolv.conf", "/etc/hosts"] {
        if let Some(bytes) = bounded(&host.path(file), 16 << 10) {
            let _ = write!(text, "\n{file}\n{}", String::from_utf8_lossy(&bytes));
        }
    }
    Ok(vec![Member::of("network.txt", free_text(&text))])
}

pub fn maps(host: &Host) -> Members {
    let mut text = String::new();
    for device in folders(&host.path("/sys/block")) {
        let Some(name) = bounded(&device.join("dm/name"), 256) else { continue };
        let name = String::from_utf8_lossy(&name).trim().to_owned();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}");
        for (what, lines) in [("table", dm::table(&name)), ("status", dm::status(&name))] {
            match lines {
                Ok(lines) => lines.iter().for_each(|target| {
                    let Target { start, length, kind, .. } = target;
                    let _ = writeln!(text, "  {what:<6} {start} {length} {kind} {}", without_key(target));
                }),
                Err(error) => _ = writeln!(text, "  {what:<6} {error}"),
            }
        }
    }
    if text.is_empty() { Err("there are no maps".to_owned()) } else { Ok(vec![Member::of("dm.txt", text)]) }
}

/// The parameters of a target, without a key: that of dm-crypt is its second word, and stands there itself if another tool
/// has put it there. One in the keyring is named, `:64:logon:NAME`. Of targets that nobody here knows only the type is shown.
fn without_key(target: &Target) -> String {
    const PLAIN: &[&str] =
        &["linear", "striped", "multipath", "error", "zero", "snapshot", "snapshot-origin", "mirror"];
    let words: Vec<&str> = target.params.split(' ').collect();
    match (target.kind.as_str(), words.as_slice()) {
        (kind, _) if PLAIN.contains(&kind) => target.params.clone(),
        ("crypt", [cipher, key, rest @ ..]) => {
            let key = if key.starts_with(':') { key } else { HIDDEN };
            format!("{cipher} {key} {}", rest.join(" "))
        }
        (_, []) => String::new(),
        _ if target.params.is_empty() => String::new(),
        _ => HIDDEN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_no_key() {
        let shown = |kind: &str, params: &str| {
            without_key(&Target { start: 0, length: 8, kind: kind.into(), params: params.into() })
        };
        assert_eq!(shown("crypt", "aes-xts-plain64 00ff00ff 0 8:0 4096"), "aes-xts-plain64 *** 0 8:0 4096");
        let named = "aes-xts-plain64 :64:logon:cryptsetup:u-d0 0 8:0 4096 1 sector_size:4096";
        assert_eq!(shown("crypt", named), named);
        assert_eq!(shown("linear", "8:0 2048"), "8:0 2048");
        assert_eq!(shown("integrity", "8:0 0 32 J 1 internal_hash:hmac(sha256):00ff"), "***");
        assert_eq!(shown("crypt", ""), "");
    }

    #[test]
    fn mount_options_show_no_password() {
        assert_eq!(option("password=hunter2,"), "password=***,");
        assert_eq!(option("rw,"), "rw,");
    }

    #[test]
    fn the_end_begins_with_a_line() {
        assert_eq!(end_of("ab\ncd\n", 100), "ab\ncd\n");
        assert_eq!(end_of("abé\ncd\n", 4), "cd\n");
        assert_eq!(end_of("abé\ncd\n", 6), "cd\n");
    }
}
