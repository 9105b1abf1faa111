//! The kernel's consoles, /proc/consoles (fs/proc/consoles.c): text in, terminals out.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::engine::host::Host;

/// The list.
const LIST: &str = "/proc/consoles";
/// That of process 1, for a kernel that has none in its list.
const LAST_RESORT: &str = "/dev/console";

/// A console that has a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// `ttyS0`; `tty0` is the virtual terminal in front.
    pub name: String,
    /// The kernel writes its log there.
    pub has_log: bool,
}

/// The terminals of `host` that are consoles, each with whether the kernel's log is there too. There is always one.
pub fn terminals(host: &Host) -> Vec<(PathBuf, bool)> {
    let list = std::fs::read_to_string(host.path(LIST)).unwrap_or_default();
    let devices = parse(&list).into_iter();
    let mut found: Vec<(PathBuf, bool)> = devices
        .map(|device| (host.path("/dev").join(&device.name), device.has_log))
        .filter(|(path, _)| path.exists())
        .collect();
    if found.is_empty() {
        found.push((host.path(LAST_RESORT), true));
    }
    found
}

/// Whether the standard output is a console where the kernel's log is, too.
pub fn is_stdout(host: &Host) -> bool {
    let device = |path: &Path| std::fs::metadata(path).map(|found| found.rdev()).unwrap_or(0);
    // By what it is a link to: a terminal has its own number, /dev/console one that is no terminal's.
    let stdout = device(&host.path("/dev/stdout"));
    let with_log = terminals(host).into_iter().filter(|(_, has_log)| *has_log).map(|(path, _)| path);
    let mut consoles = with_log.chain([host.path(LAST_RESORT)]);
    stdout != 0 && consoles.any(|path| device(&path) == stdout)
}

/// The consoles of the list that can be written to and are devices; a line that is none is passed over.
pub fn parse(list: &str) -> Vec<Device> {
    list.lines().filter_map(parse_line).collect()
}

/// `ttyS0                -W- (EC p a)    4:64`
fn parse_line(line: &str) -> Option<Device> {
    let (name, rest) = line.split_once(' ')?;
    let (access, rest) = rest.trim_start().split_once(" (")?;
    let (flags, number) = rest.split_once(')')?;
    let (major, minor) = number.trim().split_once(':')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_name && access.contains('W') && is_number(major) && is_number(minor))
        .then(|| Device { name: name.to_owned(), has_log: flags.starts_with('E') })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a machine with a serial console, a screen, a disabled port and netconsole.
    const REAL: &str = "\
ttyS0                -W- (EC p a)    4:64
tty0                 -WU (E  p  )    4:7
ttyS1                -W- (   p a)    4:65
hvc0                 RW- (E  p  )  229:0
netcon0              -W- (E     )
pstore               --- (E  p  )    7:1
";

    #[test]
    fn those_that_are_devices_and_can_be_written_to() {
        let found: Vec<_> = parse(REAL).into_iter().map(|device| (device.name, device.has_log)).collect();
        let found: Vec<_> = found.iter().map(|(name, log)| (name.as_str(), *log)).collect();
        assert_eq!(found, [("ttyS0", true), ("tty0", true), ("ttyS1", false), ("hvc0", true)]);
        assert!(parse("../x -W- (E) 1:2\nx\n\nx -W- (E\n").is_empty());
    }

    #[test]
    fn there_is_always_one() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        assert_eq!(terminals(&host), [(root.path().join("dev/console"), true)]);
        for (file, text) in [("proc/consoles", REAL), ("dev/ttyS1", "")] {
            std::fs::create_dir_all(root.path().join(file).parent().unwrap()).unwrap();
            std::fs::write(root.path().join(file), text).unwrap();
        }
        assert_eq!(terminals(&host), [(root.path().join("dev/ttyS1"), false)]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            let _ = parse(&text);
        }
    }
}
