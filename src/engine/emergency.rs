//! What the units of the emergency shell run on a node of the agent's: its own keys in the place of dracut's shell, unless
//! the site wants that (dracut-emergency.service(8), systemd.unit(5) for drop-ins).

use std::path::Path;

use crate::error::{Code, Context, Result};
use crate::input::cmdline::Cmdline;
use crate::input::console_shell::ConsoleShell;
use crate::input::trap::Trap;

/// The first is started when the boot of the initramfs has failed, the second where it holds.
const UNITS: [&str; 2] = ["emergency.service", "dracut-emergency.service"];

/// Not before all others of the unit: a drop-in of the image's maker goes last.
const FILE: &str = "50-diskless.conf";

/// Writes what `cmdline` asks for into the generator folder `early`.
///
/// # Errors
/// A folder or file cannot be made.
pub fn generate(cmdline: &Cmdline, early: &Path) -> Result<()> {
    // dracut ends the machine then, and opens nothing.
    if Trap::read(cmdline).0.no_shell {
        return Ok(());
    }
    // What cannot be used opens no shell.
    let Some(text) = drop_in(ConsoleShell::read(cmdline).unwrap_or_default()) else { return Ok(()) };
    for unit in UNITS {
        let folder = early.join(format!("{unit}.d"));
        let file = folder.join(FILE);
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(&file, &text))
            .context(Code::Io, file.display().to_string())?;
    }
    Ok(())
}

/// None: dracut's shell opens.
fn drop_in(shell: ConsoleShell) -> Option<String> {
    let words = match shell {
        ConsoleShell::No => "",
        ConsoleShell::Password => " --password",
        ConsoleShell::Yes => return None,
    };
    Some(format!(
        "# Made by diskless: keys on the consoles, and no shell without a password (rd.diskless.console_shell=).\n\
         [Service]\n\
         ExecStart=\n\
         ExecStart=-/usr/bin/diskless console{words}\n\
         # The hang-up that a shell is stopped by comes from a pulled cable, too: that does not end the keys.\n\
         KillSignal=SIGTERM\n\
         SendSIGHUP=yes\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(cmdline: &str) -> Vec<String> {
        let early = tempfile::tempdir().unwrap();
        generate(&Cmdline::parse(cmdline), early.path()).unwrap();
        let file =
            |unit: &str| std::fs::read_to_string(early.path().join(format!("{unit}.d/50-diskless.conf")));
        UNITS.iter().filter_map(|unit| file(unit).ok()).collect()
    }

    #[test]
    fn both_units_or_none() {
        for closed in ["", "rd.diskless.console_shell=no", "rd.diskless.console_shell=whatever"] {
            let texts = generated(closed);
            assert_eq!(texts.len(), 2, "{closed}");
            assert!(
                texts
                    .iter()
                    .all(|text| text.contains("\nExecStart=\nExecStart=-/usr/bin/diskless console\n"))
            );
        }
        let texts = generated("rd.diskless.console_shell=password");
        assert!(texts.iter().all(|text| text.contains("diskless console --password\n")) && texts.len() == 2);
        assert!(generated("rd.diskless.console_shell=yes").is_empty());
        assert!(generated("rd.shell=0").is_empty());
    }
}
