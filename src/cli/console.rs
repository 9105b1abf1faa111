//! `diskless console`: what the units of the emergency shell run in the place of a shell.

mod keys;

use lexopt::{Arg, Parser};

use super::{Failed, print};
use crate::engine::host::Host;
use crate::engine::state::{self, State, Status};
use crate::input::console_shell::root_has_password;
use crate::report::brief::Brief;
use crate::report::consoles;
use crate::sys::{program, signal};

use keys::{Key, Screen};

pub(super) const HELP: &str = "\
usage: diskless console [--password]

systemd's own: stands on the consoles of a node whose boot stands still, in the place of a shell. It shows the node, the
step, the cause and what to do, and offers keys: s status, d diagnose, r retry, c continue, h help. There is no way out of
it but to go on with the boot.

  --password   a shell for who knows root's password; the keys where root has none in this initramfs
";

/// The programs that ask for root's password and open a shell: util-linux's, wherever a distribution has it.
const SULOGIN: [&str; 3] = ["/usr/sbin/sulogin", "/sbin/sulogin", "/usr/bin/sulogin"];
/// The splash screen hides the console for no longer than this.
const SPLASH: std::time::Duration = std::time::Duration::from_secs(5);
/// What all of it looks for, in tests too: the harness knows a console by it.
const TITLE: &str = "diskless console:";
const OFFER: &str = "keys: s status, d diagnose, r retry, c continue, h help\n";
const EXPLAIN: &str = "\
  s  status     what each step did, and what it waits for
  d  diagnose   looks for the cause, in ten seconds at most
  r  retry      runs the boot again from the step that failed, and shows it here
  c  continue   has the boot go on by itself: past a hold, or trying again after a failure
  Enter         shows once more where the boot stands
There is no shell here: rd.diskless.console_shell=password or yes opens one, and so may ssh.
";

/// Offers the keys until the boot goes on.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let mut password = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            Arg::Long("password") => password = true,
            other => return Err(other.unexpected().into()),
        }
    }
    // It is not there, as a rule, or not running; a splash screen is no reason not to be heard.
    let _ = program::run("plymouth", &["quit"], SPLASH);
    let mut note = String::new();
    if password {
        let why = sulogin(host);
        note = format!("no shell, although rd.diskless.console_shell=password: {why}\n");
    }
    signal::ignore_keyboard();
    let ended = signal::on_request_to_end();
    Console { host, screens: screens(host), note, shown: None, was_done: is_done(host) }.run(&ended);
    Ok(())
}

/// Becomes the program that asks for the password; gives why that is impossible.
fn sulogin(host: &Host) -> String {
    use std::os::unix::process::CommandExt;
    let read = |path: &str| std::fs::read_to_string(host.path(path)).unwrap_or_default();
    if let Err(why) = root_has_password(&read("/etc/passwd"), &read("/etc/shadow")) {
        return format!("{why} in this initramfs");
    }
    let Some(program) = SULOGIN.iter().find(|program| host.path(program).exists()) else {
        return "there is no sulogin in this initramfs".to_owned();
    };
    let greeting =
        Console { host, screens: screens(host), note: String::new(), shown: None, was_done: false };
    greeting.greet("root's password opens a shell; without one, Ctrl-D has the boot go on\n");
    let error = std::process::Command::new(program).exec();
    format!("{program}: {error}")
}

fn screens(host: &Host) -> Vec<Screen> {
    consoles::terminals(host).into_iter().map(|(path, _)| Screen::new(path)).collect()
}

fn read_state(host: &Host) -> Option<State> {
    State::read(&host.path(state::FILE)).ok().flatten()
}

fn is_done(host: &Host) -> bool {
    read_state(host).is_some_and(|state| state.status == Status::Done)
}

/// The consoles, and what was last shown on them.
struct Console<'a> {
    host: &'a Host,
    screens: Vec<Screen>,
    /// What is to be known beside where the boot stands.
    note: String,
    /// Where the boot stood when that was shown.
    shown: Option<Shown>,
    /// All steps were done when this began: it is for something else that the boot stands still.
    was_done: bool,
}

/// What makes it worth showing again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    prompt: String,
    message: Option<String>,
}

impl Console<'_> {
    fn run(mut self, ended: &crate::sys::flag::Flag) {
        while !ended.is_raised() {
            // Somebody else, by ssh, has brought it to its end: there is nothing left to hold.
            if !self.was_done && is_done(self.host) {
                return;
            }
            self.show_news();
            let pressed = keys::wait(&mut self.screens, ended);
            for (at, key) in pressed {
                if ended.is_raised() || self.press(at, key, ended) {
                    return;
                }
            }
        }
    }

    /// On all screens, when something else is to be said than before; and on those that were not there before.
    fn show_news(&mut self) {
        let state = read_state(self.host);
        let brief = Brief::of(self.host, state.as_ref());
        let now = Shown {
            prompt: brief.prompt(),
            message: brief.failure.as_ref().map(|failure| failure.message.clone()),
        };
        let is_news = self.shown.as_ref() != Some(&now);
        let text = self.text(&brief);
        for screen in &mut self.screens {
            screen.open();
            if is_news || !screen.greeted {
                screen.show(&text);
            }
        }
        self.shown = Some(now);
    }

    fn text(&self, brief: &Brief) -> String {
        let now = self.host.now();
        let cause =
            brief.failure.iter().flat_map(|failure| [failure.message.as_str(), failure.advice.as_str()]);
        let lines =
            std::iter::once(brief.stands(now)).chain(cause.map(str::to_owned)).chain(brief.waits(now));
        let lines: String = lines.map(|line| format!("  {}\n", plain(&line))).collect();
        format!("\n{TITLE} {}\n{lines}{}{OFFER}", plain(&brief.who()), self.note)
    }

    /// The same, for whoever takes the console over.
    fn greet(mut self, offer: &str) {
        let brief = Brief::of(self.host, read_state(self.host).as_ref());
        let text = self.text(&brief).replace(OFFER, offer);
        for screen in &mut self.screens {
            screen.open();
            screen.show(&text);
        }
    }

    /// Does what `key` asks for at screen `at`; whether that was the last.
    fn press(&mut self, at: usize, key: Key, ended: &crate::sys::flag::Flag) -> bool {
        let Some(screen) = self.screens.get_mut(at) else { return false };
        match key {
            Key::Where => {
                screen.greeted = false;
                false
            }
            Key::Help => {
                screen.write(EXPLAIN);
                false
            }
            Key::Verb(verb) => {
                screen.write(&format!("diskless {verb}\n"));
                let success = screen.run(verb, ended);
                if !success {
                    screen.write(&format!("diskless {verb} has not succeeded\n"));
                }
                screen.greeted = false;
                // However that ended: with this program, so does what holds the boot.
                verb == "release" || verb == "retry" && success
            }
        }
    }
}

/// A text of others, for a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn machine() -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("dev/console", ""),
            ("proc/sys/kernel/hostname", "node1\n"),
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
            ("etc/shadow", "root:*:19000::::::\n"),
        ] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let host = Host::fake(root.path());
        (root, host)
    }

    #[test]
    fn the_console_says_where_the_boot_stands_and_again_when_that_changes() {
        let (root, host) = machine();
        let mut console = Console {
            host: &host,
            screens: screens(&host),
            note: String::new(),
            shown: None,
            was_done: false,
        };
        let shown = || fs::read_to_string(root.path().join("dev/console")).unwrap();
        console.show_news();
        console.show_news();
        assert_eq!(shown().matches(TITLE).count(), 1, "{}", shown());
        assert!(shown().contains("node1") && shown().contains("has not run") && shown().ends_with(OFFER));
        let mut state = State::new(String::new(), 1);
        state.status = Status::Failed;
        state.write(&host.path(state::FILE)).unwrap();
        console.show_news();
        assert_eq!(shown().matches(TITLE).count(), 2, "{}", shown());
        assert!(!console.press(0, Key::Where, &Default::default()));
        console.show_news();
        assert!(!console.press(0, Key::Help, &Default::default()));
        assert!(shown().matches(TITLE).count() == 3 && shown().ends_with(EXPLAIN), "{}", shown());
    }

    #[test]
    fn it_ends_when_somebody_else_has_brought_the_boot_to_its_end_and_when_it_is_told() {
        let (_root, host) = machine();
        let mut state = State::new(String::new(), 1);
        state.status = Status::Done;
        state.write(&host.path(state::FILE)).unwrap();
        let console = |was_done| Console {
            host: &host,
            screens: screens(&host),
            note: String::new(),
            shown: None,
            was_done,
        };
        let flag = crate::sys::flag::Flag::default();
        console(false).run(&flag);
        flag.raise();
        console(true).run(&flag);
    }

    #[test]
    fn without_a_password_there_is_no_shell() {
        let (root, host) = machine();
        assert_eq!(sulogin(&host), "root is locked in this initramfs");
        fs::write(root.path().join("etc/shadow"), "root:$y$a$b:19000::::::\n").unwrap();
        assert_eq!(sulogin(&host), "there is no sulogin in this initramfs");
    }
}
