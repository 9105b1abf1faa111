//! `rd.diskless.console_shell=`: who may type what at the consoles of a node that stands still.

use super::cmdline::Cmdline;
use super::config::unusable;
use super::words::CONSOLE_SHELL;
use crate::error::Result;

/// What the consoles offer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConsoleShell {
    /// Keys of the agent's: whoever stands in front of the machine may see, try again and go on, and nothing else.
    #[default]
    No,
    /// A shell for who knows root's password.
    Password,
    /// A shell for everybody.
    Yes,
}

impl ConsoleShell {
    /// Reads it.
    ///
    /// # Errors
    /// [`crate::error::Code::Parameter`]: it is none of these words. Then the consoles stay closed.
    pub fn read(cmdline: &Cmdline) -> Result<ConsoleShell> {
        match cmdline.last(CONSOLE_SHELL) {
            None | Some("no" | "0") => Ok(ConsoleShell::No),
            Some("password") => Ok(ConsoleShell::Password),
            Some("" | "yes" | "1") => Ok(ConsoleShell::Yes),
            Some(_) => Err(unusable(CONSOLE_SHELL, "neither no, password nor yes")),
        }
    }
}

/// Whether somebody may become root with a password here, by the texts of /etc/passwd and /etc/shadow (passwd(5),
/// shadow(5)); the error says why not. Without a password there is nobody to be told from others.
///
/// # Errors
/// The account is locked, has no password, or is not there.
pub fn root_has_password(passwd: &str, shadow: &str) -> std::result::Result<(), &'static str> {
    let field = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("root:"))?;
        Some(line.split(':').next().unwrap_or_default().to_owned())
    };
    let hash = match field(passwd).ok_or("there is no account of root's")? {
        hash if hash == "x" => field(shadow).ok_or("root is not in /etc/shadow")?,
        hash => hash,
    };
    match hash.chars().next() {
        None => Err("root has no password"),
        Some('!' | '*') => Err("root is locked"),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words() {
        for (text, expected) in [
            ("quiet", ConsoleShell::No),
            ("rd.diskless.console_shell=no", ConsoleShell::No),
            ("rd.diskless.console_shell=password", ConsoleShell::Password),
            ("rd.diskless.console-shell=yes", ConsoleShell::Yes),
            ("rd.diskless.console_shell", ConsoleShell::Yes),
        ] {
            assert_eq!(ConsoleShell::read(&Cmdline::parse(text)).unwrap(), expected, "{text}");
        }
        let error = ConsoleShell::read(&Cmdline::parse("rd.diskless.console_shell=maybe")).unwrap_err();
        assert!(error.to_string().starts_with("rd.diskless.console_shell="), "{error}");
    }

    #[test]
    fn only_a_password_tells_root_from_others() {
        let shadow = |hash: &str| format!("daemon:*:1::::::\nroot:{hash}:19000:0:99999:7:::\n");
        let verdict = |passwd: &str, hash: &str| root_has_password(passwd, &shadow(hash)).err();
        assert_eq!(verdict("root:x:0:0::/root:/bin/sh", "$y$j9T$a$b"), None);
        for locked in ["!", "*", "!$y$j9T$a$b", "!*", "!unprovisioned"] {
            assert_eq!(verdict("root:x:0:0::/root:/bin/sh", locked), Some("root is locked"), "{locked}");
        }
        assert_eq!(verdict("root:x:0:0::/root:/bin/sh", ""), Some("root has no password"));
        // As dracut makes it for any machine.
        assert_eq!(verdict("root::0:0::/root:/bin/sh", "$y$j9T$a$b"), Some("root has no password"));
        assert_eq!(root_has_password("", ""), Err("there is no account of root's"));
        assert_eq!(root_has_password("root:x:0", "rooted:$1$a:"), Err("root is not in /etc/shadow"));
        assert_eq!(root_has_password("root:$1$a$b:0:0", ""), Ok(()));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(passwd: String, shadow: String) {
            let _ = root_has_password(&passwd, &shadow);
        }
    }
}
