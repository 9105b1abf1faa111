//! What the systemd of the new root needs to know of the keeper, below /run: its unit, and the program in it.

use crate::engine::host::Host;
use crate::error::Result;
use crate::report::after_pivot;
use crate::sys::whole_file;

/// Where the unit is after the switch.
const UNIT: &str = "/run/systemd/system/diskless-keeper.service";
const TEXT: &str = include_str!("../../systemd-units/diskless-keeper.service");
/// The program as the initramfs has it.
const PROGRAM: &str = "=@/usr/bin/diskless ";

/// Makes both.
///
/// # Errors
/// [`crate::error::Code::Io`]: a file cannot be written.
pub fn prepare(host: &Host) -> Result<()> {
    after_pivot::copy_agent(host)?;
    whole_file::write(&host.path(UNIT), text().as_bytes(), 0o644, None)
}

fn text() -> String {
    TEXT.replace(PROGRAM, &format!("=@{} ", after_pivot::AGENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that are not comments.
    fn lines(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
    }

    #[test]
    fn the_unit_runs_the_copy_and_nothing_ends_it() {
        let text = text();
        let lines = lines(&text);
        assert!(lines.contains(&"ExecStart=@/run/diskless/bin/diskless @diskless keeper"), "{text}");
        for line in ["DefaultDependencies=no", "IgnoreOnIsolate=yes", "SendSIGKILL=no", "KillMode=process"] {
            assert!(lines.contains(&line), "{line}");
        }
        for word in ["Conflicts=", "Before=", "After=", "PrivateTmp", "KillMode=none"] {
            assert!(!lines.iter().any(|line| line.starts_with(word)), "{word}");
        }
    }

    #[test]
    fn it_is_below_run() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        std::fs::create_dir_all(root.path().join("proc/self")).unwrap();
        std::fs::write(root.path().join("proc/self/exe"), "agent").unwrap();
        prepare(&host).unwrap();
        assert_eq!(std::fs::read_to_string(host.path(UNIT)).unwrap(), text());
        assert_eq!(std::fs::read_to_string(host.path(after_pivot::AGENT)).unwrap(), "agent");
    }
}
