//! The addresses that the kernel was told to keep. Whoever leased one in the initramfs runs on until the pivot, and may
//! renew the lease once more: the address has an end again then, and nobody who would renew it further.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::net::IpAddr;

use crate::engine::host::Host;
use crate::sys::address::{self, Timed};

/// A line `NUMBER ADDRESS` for each, with the number of its interface.
const FILE: &str = "/run/diskless/addresses";
/// What of it is read.
const LONGEST: u64 = 64 * 1024;

/// Keeps `timed` for ever, and notes that it is to stay so.
///
/// # Errors
/// The kernel's error, or that of the file.
pub fn keep(host: &Host, timed: &Timed) -> io::Result<()> {
    address::keep_for_ever(timed)?;
    let path = host.path(FILE);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{} {}", timed.interface, timed.address)
}

/// Keeps those again that have an end once more; says which.
pub fn keep_again(host: &Host) -> Vec<String> {
    let mut text = String::new();
    let file = std::fs::File::open(host.path(FILE)).map(|file| file.take(LONGEST));
    if file.and_then(|mut file| file.read_to_string(&mut text)).is_err() || text.is_empty() {
        return Vec::new();
    }
    let ending = among(address::timed().unwrap_or_default(), &text);
    let kept = ending.into_iter().filter(|timed| address::keep_for_ever(timed).is_ok());
    kept.map(|timed| format!("{} had an end with its lease again: it stays", timed.address)).collect()
}

/// Those of `timed` that the lines of `text` name.
fn among(timed: Vec<Timed>, text: &str) -> Vec<Timed> {
    let noted = text.lines().filter_map(|line| {
        let (interface, address) = line.split_once(' ')?;
        Some((interface.parse::<u32>().ok()?, address.parse::<IpAddr>().ok()?))
    });
    let noted: Vec<_> = noted.collect();
    timed.into_iter().filter(|timed| noted.contains(&(timed.interface, timed.address))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_noted_is_kept_again() {
        let timed = |interface, address: [u8; 4]| Timed::of(interface, address);
        let all = vec![timed(2, [10, 0, 0, 5]), timed(3, [10, 0, 0, 5]), timed(2, [10, 0, 0, 6])];
        let text = "2 10.0.0.5\nnothing\n2 fd00::1\n4294967296 10.0.0.6\n2 10.0.0.5\n";
        assert_eq!(among(all.clone(), text), [timed(2, [10, 0, 0, 5])]);
        assert!(among(all, "").is_empty());
    }

    #[test]
    fn without_a_note_nothing_is_done() {
        let root = tempfile::tempdir().unwrap();
        assert!(keep_again(&Host::fake(root.path())).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_note_is_read(text: String) {
            let _ = among(vec![Timed::of(2, [10, 0, 0, 5])], &text);
        }
    }
}
