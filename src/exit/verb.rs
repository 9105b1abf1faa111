//! How a machine is to end.

use std::fmt;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Off.
    Poweroff,
    /// On again, from the firmware on.
    Reboot,
    /// Stopped, with the power on.
    Halt,
    /// On again, with the kernel that was loaded for it; without one, from the firmware on.
    Kexec,
}

impl Verb {
    /// All of them.
    pub const ALL: [Verb; 4] = [Verb::Poweroff, Verb::Reboot, Verb::Halt, Verb::Kexec];

    /// What systemd calls it, on the command line of systemd-shutdown and in the name of the target.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Poweroff => "poweroff",
            Verb::Reboot => "reboot",
            Verb::Halt => "halt",
            Verb::Kexec => "kexec",
        }
    }

    /// The verb of this name. `exit` is how systemd ends a container; a machine is switched off.
    pub fn parse(word: &str) -> Option<Verb> {
        match word {
            "exit" => Some(Verb::Poweroff),
            word => Verb::ALL.into_iter().find(|verb| verb.as_str() == word),
        }
    }

    /// The verb that systemd brings about by the unit `name`.
    pub fn of_target(name: &str) -> Option<Verb> {
        Verb::ALL.into_iter().find(|verb| name.strip_suffix(".target") == Some(verb.as_str()))
    }

    /// The verb of a process whose command line, NUL after each word, is this: that of systemd-shutdown.
    pub fn of_command_line(command_line: &[u8]) -> Option<Verb> {
        let mut words = command_line.split(|byte| *byte == 0);
        let program = words.next()?;
        program.ends_with(b"systemd-shutdown").then_some(())?;
        Verb::parse(std::str::from_utf8(words.next()?).ok()?)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_word_target_and_command_line() {
        for verb in Verb::ALL {
            assert_eq!(Verb::parse(verb.as_str()), Some(verb));
            assert_eq!(Verb::of_target(&format!("{verb}.target")), Some(verb));
        }
        assert_eq!(Verb::parse("exit"), Some(Verb::Poweroff));
        for word in ["", "sleep", "Reboot"] {
            assert_eq!(Verb::parse(word), None);
        }
        for name in ["reboot", "reboot.service", "soft-reboot.target", "shutdown.target", ".target"] {
            assert_eq!(Verb::of_target(name), None);
        }
        let line = |text: &str| Verb::of_command_line(text.replace(' ', "\0").as_bytes());
        assert_eq!(line("/lib/systemd/systemd-shutdown reboot --log-level 6"), Some(Verb::Reboot));
        assert_eq!(line("/sbin/init reboot"), None);
        assert_eq!(line("/lib/systemd/systemd-shutdown"), None);
        assert_eq!(line(""), None);
    }
}
