//! The consoles as keyboards.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sys::flag::Flag;
use crate::sys::terminal::{self, Terminal};
use crate::sys::wake;

/// Between two looks at where the boot stands.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A console that cannot be opened, or hangs, is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// Between two looks whether a program has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A verb of the agent's.
    Verb(&'static str),
    /// What the keys are.
    Help,
    /// Where the boot stands.
    Where,
}

impl Key {
    /// None: it is no key, and passed over.
    pub fn of(byte: u8) -> Option<Key> {
        match byte.to_ascii_lowercase() {
            b's' => Some(Key::Verb("status")),
            b'd' => Some(Key::Verb("diagnose")),
            b'r' => Some(Key::Verb("retry")),
            b'c' => Some(Key::Verb("release")),
            b'h' | b'?' => Some(Key::Help),
            b'\r' | b'\n' => Some(Key::Where),
            _ => None,
        }
    }
}

/// A console.
pub struct Screen {
    path: PathBuf,
    terminal: Option<Terminal>,
    /// It has keys, as far as is known.
    has_keys: bool,
    /// Where the boot stands was shown there.
    pub greeted: bool,
    /// When it is tried to be opened again.
    again: Option<Instant>,
}

impl Screen {
    /// The console at `path`, not opened yet.
    pub fn new(path: PathBuf) -> Screen {
        Screen { path, terminal: None, has_keys: false, greeted: false, again: None }
    }

    /// Opens it, if it is not and it is time for it.
    pub fn open(&mut self) {
        if self.terminal.is_some() || self.again.is_some_and(|again| Instant::now() < again) {
            return;
        }
        let keys = Terminal::for_keys(&self.path);
        self.has_keys = keys.is_ok();
        self.terminal = keys.or_else(|_| Terminal::to_write(&self.path)).ok();
        self.again = Some(Instant::now() + AGAIN);
    }

    /// Shows where the boot stands.
    pub fn show(&mut self, text: &str) {
        self.greeted = self.terminal.is_some();
        self.write(text);
    }

    /// Writes to it, if it is there.
    pub fn write(&mut self, text: &str) {
        if let Some(terminal) = &mut self.terminal {
            terminal.write(text);
        }
    }

    /// The first key that asks for something. One that hangs is opened again later.
    fn pressed(&mut self) -> Option<Key> {
        let terminal = self.terminal.as_mut().filter(|_| self.has_keys)?;
        match terminal.keys() {
            Ok(keys) => keys.into_iter().find_map(Key::of),
            Err(_) => {
                (self.terminal, self.greeted) = (None, false);
                self.again = Some(Instant::now() + AGAIN);
                None
            }
        }
    }

    /// Runs `verb` of this program, with the console as its output; whether it succeeded. It is left alone, and has not, when
    /// `ended` is raised meanwhile. What is pressed meanwhile is forgotten.
    pub fn run(&mut self, verb: &str, ended: &Flag) -> bool {
        let output = || terminal::for_program(&self.path).map_or_else(|_| Stdio::null(), Stdio::from);
        let child = Command::new("/proc/self/exe")
            .arg(verb)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .spawn();
        let success = match child {
            Ok(mut child) => loop {
                match child.try_wait() {
                    Ok(Some(status)) => break status.success(),
                    Ok(None) if !ended.is_raised() => ended.sleep(PAUSE),
                    _ => break false,
                }
            },
            Err(error) => {
                self.write(&format!("diskless {verb}: {error}\n"));
                false
            }
        };
        if let Some(terminal) = self.terminal.as_ref().filter(|_| self.has_keys) {
            // Whatever it has done to the terminal; one that hangs is found out by the next look.
            let _ = terminal.take_keys();
            terminal.forget_keys();
        }
        success
    }
}

/// What was pressed within a second, on which screen; nothing when `ended` is raised.
pub fn wait(screens: &mut [Screen], ended: &Flag) -> Vec<(usize, Key)> {
    let fds: Vec<_> = screens
        .iter()
        .filter(|screen| screen.has_keys)
        .filter_map(|screen| Some(screen.terminal.as_ref()?.as_fd()))
        .collect();
    wake::wait(&fds, ended, LOOK_EVERY);
    screens.iter_mut().enumerate().filter_map(|(at, screen)| Some((at, screen.pressed()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_what_is_none() {
        assert_eq!(Key::of(b's'), Some(Key::Verb("status")));
        assert_eq!(Key::of(b'C'), Some(Key::Verb("release")));
        assert_eq!(Key::of(b'\r'), Some(Key::Where));
        for byte in [3, 4, 26, 27, 28, b'x', b'!', b' ', 255] {
            assert_eq!(Key::of(byte), None, "{byte}");
        }
    }

    #[test]
    fn a_file_is_written_to_and_has_no_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console");
        let mut screens = [Screen::new(path.clone()), Screen::new("/nonexistent".into())];
        screens.iter_mut().for_each(Screen::open);
        assert!(screens.iter().all(|screen| screen.terminal.is_none()));
        std::fs::write(&path, "").unwrap();
        screens[0].open();
        assert!(screens[0].terminal.is_none(), "it is not tried again at once");
        screens[0].again = None;
        screens[0].open();
        screens[0].show("x");
        let flag = Flag::default();
        flag.raise();
        assert!(wait(&mut screens, &flag).is_empty());
        assert!(screens[0].greeted && !screens[0].has_keys);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "x");
    }
}
