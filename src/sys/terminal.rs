//! Terminals: written to without ever being held up by one, and read key by key.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector, SpecialCodeIndex, Termios, tcflush,
    tcgetattr, tcsetattr,
};

/// A terminal that takes nothing (flow control, a cable without an end) is waited for so long, once.
const PATIENCE: Duration = Duration::from_secs(1);
/// Keys are pressed one by one: what comes in larger pieces is nobody's fingers.
const MOST_KEYS: usize = 64;

/// A terminal, or whatever file stands in its place.
#[derive(Debug)]
pub struct Terminal {
    file: File,
    /// It did not take all that was written to it in time.
    stuck: bool,
    /// Its modes before keys were read from it.
    before: Option<Termios>,
}

impl Terminal {
    /// What is open already, and waited for as whoever opened it has it.
    pub fn of(file: File) -> Terminal {
        Terminal { file, stuck: false, before: None }
    }

    /// Opens the terminal at `path` to write to it. It does not become the controlling terminal of the process.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn to_write(path: &Path) -> io::Result<Terminal> {
        // Behind what is there, where it is a file.
        Ok(Terminal { file: open(File::options().append(true), path)?, stuck: false, before: None })
    }

    /// Opens it for keys too: each is read as it is pressed, and neither is shown nor makes a signal. As it was, it is again
    /// when this value is dropped.
    ///
    /// # Errors
    /// It cannot be opened, or is no terminal.
    pub fn for_keys(path: &Path) -> io::Result<Terminal> {
        let file = open(File::options().read(true).write(true), path)?;
        let before = tcgetattr(&file)?;
        let terminal = Terminal { file, stuck: false, before: Some(before) };
        terminal.take_keys()?;
        Ok(terminal)
    }

    /// Sets the modes for keys: also after somebody else has changed them.
    ///
    /// # Errors
    /// It hangs.
    pub fn take_keys(&self) -> io::Result<()> {
        let Some(before) = &self.before else { return Ok(()) };
        let mut modes = before.clone();
        modes
            .local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN);
        // Ctrl-S would stop the output, and a break of the line makes a signal.
        modes.input_modes.remove(InputModes::IXON | InputModes::BRKINT);
        modes.input_modes.insert(InputModes::IGNBRK);
        // Lines end as in any other program.
        modes.output_modes.insert(OutputModes::OPOST | OutputModes::ONLCR);
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&self.file, OptionalActions::Now, &modes)?;
        Ok(())
    }

    /// Gives the terminal back to programs that read lines, until [`Terminal::take_keys`].
    pub fn give_back(&self) {
        if let Some(before) = &self.before {
            // It may hang: then there is nobody to give it to.
            let _ = tcsetattr(&self.file, OptionalActions::Now, before);
        }
    }

    /// Writes `text`, and does without what it does not take within a second.
    pub fn write(&mut self, text: &str) {
        let until = Instant::now() + if self.stuck { Duration::ZERO } else { PATIENCE };
        let mut rest = text.as_bytes();
        self.stuck = true;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return,
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() || !is_ready(self.file.as_fd(), PollFlags::OUT, left) {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
        self.stuck = false;
    }

    /// The keys that were pressed, none if there are none.
    ///
    /// # Errors
    /// It hangs: there will never be any.
    pub fn keys(&mut self) -> io::Result<Vec<u8>> {
        let mut keys = [0; MOST_KEYS];
        match self.file.read(&mut keys) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => Ok(keys.get(..count).unwrap_or_default().to_vec()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// Forgets the keys that were pressed and not read.
    pub fn forget_keys(&self) {
        let _ = tcflush(&self.file, QueueSelector::IFlush);
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Opens `path` for a program whose output it is to be: it waits there as programs do.
///
/// # Errors
/// It cannot be opened.
pub fn for_program(path: &Path) -> io::Result<File> {
    let file = open(File::options().read(true).write(true), path)?;
    rustix::fs::fcntl_setfl(&file, rustix::fs::fcntl_getfl(&file)?.difference(OFlags::NONBLOCK))?;
    Ok(file)
}

/// Without waiting for a carrier, which a serial port may never have.
fn open(options: &mut std::fs::OpenOptions, path: &Path) -> io::Result<File> {
    options.custom_flags((libc::O_NOCTTY | libc::O_NONBLOCK) as _).open(path)
}

fn is_ready(fd: BorrowedFd<'_>, what: PollFlags, at_most: Duration) -> bool {
    let timeout = Timespec {
        tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: at_most.subsec_nanos().into(),
    };
    matches!(poll(&mut [PollFd::from_borrowed_fd(fd, what)], Some(&timeout)), Ok(1..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::OwnedFd;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::path::PathBuf;

    /// A terminal, with the end that a person has.
    fn pair() -> (File, PathBuf) {
        let person: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        (File::from(person), PathBuf::from(name.to_str().unwrap()))
    }

    /// The keys that come within ten seconds.
    fn pressed(terminal: &mut Terminal) -> io::Result<Vec<u8>> {
        is_ready(terminal.as_fd(), PollFlags::IN, Duration::from_secs(10));
        terminal.keys()
    }

    #[test]
    fn each_key_is_read_as_it_is_pressed_and_none_makes_a_signal() {
        let (mut person, path) = pair();
        let other = for_program(&path).unwrap();
        let mut terminal = Terminal::for_keys(&path).unwrap();
        assert_eq!(terminal.keys().unwrap(), [0; 0]);
        // Ctrl-C, Ctrl-D, Ctrl-Z, Ctrl-S, Ctrl-\ too.
        for key in [b's', 3, 4, 26, 19, 28] {
            person.write_all(&[key]).unwrap();
            assert_eq!(pressed(&mut terminal).unwrap(), [key]);
        }
        let modes = |file: &File| tcgetattr(file).unwrap().local_modes;
        assert!(!modes(&other).intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
        terminal.give_back();
        assert!(modes(&other).contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
        terminal.take_keys().unwrap();
        person.write_all(b"xyz").unwrap();
        is_ready(terminal.as_fd(), PollFlags::IN, Duration::from_secs(10));
        terminal.forget_keys();
        assert_eq!(terminal.keys().unwrap(), [0; 0]);
        drop(terminal);
        assert!(modes(&other).contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
    }

    #[test]
    fn a_terminal_that_hangs_says_so_instead_of_being_silent_for_ever() {
        let (person, path) = pair();
        let mut terminal = Terminal::for_keys(&path).unwrap();
        drop(person);
        assert!(pressed(&mut terminal).is_err());
        // No more than an error to whoever writes to it.
        terminal.write("x");
        assert!(Terminal::for_keys(Path::new("/dev/null")).is_err());
    }

    #[test]
    fn one_that_takes_nothing_holds_nobody_up() {
        let (mut person, path) = pair();
        let mut terminal = Terminal::to_write(&path).unwrap();
        let begin = Instant::now();
        let long = "x".repeat(1 << 20);
        terminal.write(&long);
        let once = begin.elapsed();
        assert!(once >= PATIENCE && once < 20 * PATIENCE, "{once:?}");
        let begin = Instant::now();
        (0..1000).for_each(|_| terminal.write(&long));
        assert!(begin.elapsed() < PATIENCE * 20);
        // Somebody looks again.
        let mut all = [0; 65536];
        while is_ready(person.as_fd(), PollFlags::IN, Duration::from_millis(200)) {
            assert!(person.read(&mut all).unwrap() > 0);
        }
        terminal.write("again");
        assert!(is_ready(person.as_fd(), PollFlags::IN, Duration::from_secs(10)));
        let count = person.read(&mut all).unwrap();
        assert_eq!(&all[..count], b"again");
    }
}
