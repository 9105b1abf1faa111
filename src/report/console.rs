//! The console and the kernel's log.
//!
//! Each line goes to /dev/kmsg, where the journal keeps it. It also goes to the person in front: to the terminal
//! the agent was started from, else to each of the kernel's consoles, unless the kernel puts its log there anyway.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use super::consoles;
use super::event::Event;
use crate::engine::host::Host;
use crate::sys::terminal::Terminal;

/// Facility 3 (daemon), in front of the level (linux/kern_levels.h, syslog(2)).
const DAEMON: u32 = 3 << 3;
/// KERN_INFO.
const INFO: u32 = 6;
/// KERN_WARNING.
const WARNING: u32 = 4;

/// Where lines go.
pub struct Console {
    screens: Vec<Screen>,
    kmsg: Option<File>,
}

/// What a person looks at.
struct Screen {
    terminal: Terminal,
    /// Levels below this one the kernel itself puts there.
    shown_by_kernel: u32,
}

impl Console {
    /// Opens what there is on `host`; what cannot be opened is done without.
    pub fn open(host: &Host) -> Console {
        if std::io::stdout().is_terminal() {
            return Console::at_caller(host, Terminal::to_write(&host.path("/dev/stdout")).ok());
        }
        Console::of_machine(host)
    }

    /// The caller's, be it a terminal or not: for what somebody has asked for by hand.
    pub fn of_caller(host: &Host) -> Console {
        let own = std::io::stdout().as_fd().try_clone_to_owned().ok();
        Console::at_caller(host, own.map(|own| Terminal::of(File::from(own))))
    }

    fn at_caller(host: &Host, terminal: Option<Terminal>) -> Console {
        let kmsg = kmsg(host);
        // Whoever sits at a console, sees the kernel's log as well.
        let level = if kmsg.is_some() && consoles::is_stdout(host) { level(host) } else { 0 };
        let screen = terminal.map(|terminal| Screen { terminal, shown_by_kernel: level });
        Console { screens: screen.into_iter().collect(), kmsg }
    }

    /// Those of the machine, wherever this process was started from: what the kernel shows on one stands there once.
    pub fn of_machine(host: &Host) -> Console {
        let kmsg = kmsg(host);
        let level = if kmsg.is_some() { level(host) } else { 0 };
        let screen = |(path, has_log): (PathBuf, bool)| {
            let terminal = Terminal::to_write(&path).ok()?;
            Some(Screen { terminal, shown_by_kernel: if has_log { level } else { 0 } })
        };
        Console { screens: consoles::terminals(host).into_iter().filter_map(screen).collect(), kmsg }
    }

    /// Only the kernel's log of `host`: for what nobody in front of a console waits for.
    pub fn log(host: &Host) -> Console {
        Console { screens: Vec::new(), kmsg: kmsg(host) }
    }

    /// Tells `event`. That something starts is no news in front of a console: what it does, or waits for, is.
    pub fn tell(&mut self, event: &Event) {
        if !matches!(event, Event::Run | Event::Started { .. }) {
            self.write(INFO, &event.to_string());
        }
    }

    /// Tells what is no event of a boot.
    pub fn say(&mut self, line: &str) {
        self.write(INFO, line);
    }

    /// Tells of what is wrong and does not stop the boot.
    pub fn warn(&mut self, line: &str) {
        self.write(WARNING, line);
    }

    fn write(&mut self, level: u32, line: &str) {
        // A cause may hold text of others: it stays on this line.
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        // A console that cannot be written to must not stop the boot.
        if let Some(kmsg) = &mut self.kmsg {
            let _ = kmsg.write_all(format!("<{}>diskless: {line}\n", DAEMON | level).as_bytes());
        }
        for screen in self.screens.iter_mut().filter(|screen| level >= screen.shown_by_kernel) {
            screen.terminal.write(&format!("diskless: {line}\r\n"));
        }
    }
}

/// To be written to behind what is there, as of a standard output that is a file; none if it cannot be.
fn kmsg(host: &Host) -> Option<File> {
    File::options().append(true).open(host.path("/dev/kmsg")).ok()
}

/// The kernel puts lines of lower levels on its consoles.
fn level(host: &Host) -> u32 {
    console_level(&std::fs::read_to_string(host.path("/proc/sys/kernel/printk")).unwrap_or_default())
}

/// The first number of /proc/sys/kernel/printk.
fn console_level(printk: &str) -> u32 {
    printk.split_whitespace().next().and_then(|level| level.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn console(root: &std::path::Path, printk: &str) -> Console {
        for file in ["dev/kmsg", "dev/console", "proc/sys/kernel/printk"] {
            std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            std::fs::write(root.join(file), "").unwrap();
        }
        std::fs::write(root.join("proc/sys/kernel/printk"), printk).unwrap();
        Console::open(&Host::fake(root))
    }

    const DONE: Event = Event::Done { step: "luks", took: Duration::ZERO, detail: "a\nb" };

    #[test]
    fn a_line_is_on_the_console_once() {
        for (printk, on_console) in [("4\t4\t1\t7\n", true), ("7 4 1 7\n", false)] {
            let root = tempfile::tempdir().unwrap();
            console(root.path(), printk).tell(&DONE);
            let read = |file: &str| std::fs::read_to_string(root.path().join(file)).unwrap();
            assert_eq!(read("dev/kmsg"), "<30>diskless: luks done in 0.000 s: a b\n");
            assert_eq!(!read("dev/console").is_empty(), on_console, "{printk}");
        }
    }

    #[test]
    fn every_console_shows_a_line_once() {
        let root = tempfile::tempdir().unwrap();
        let list = "ttyS0 -W- (EC p a) 4:64\nttyS1 -W- (   p a) 4:65\ntty0 -WU (E  p  ) 4:7\n";
        for (file, text) in [("dev/ttyS0", ""), ("dev/ttyS1", ""), ("dev/tty0", ""), ("proc/consoles", list)]
        {
            std::fs::create_dir_all(root.path().join(file).parent().unwrap()).unwrap();
            std::fs::write(root.path().join(file), text).unwrap();
        }
        console(root.path(), "7 4 1 7").tell(&DONE);
        let shown = |name: &str| std::fs::read_to_string(root.path().join("dev").join(name)).unwrap();
        // Where the kernel's log is, the line is in it.
        assert_eq!((shown("ttyS0").as_str(), shown("tty0").as_str()), ("", ""));
        assert_eq!(shown("ttyS1"), "diskless: luks done in 0.000 s: a b\r\n");
        console(root.path(), "4 4 1 7").tell(&DONE);
        assert_eq!((shown("ttyS0").lines().count(), shown("tty0").lines().count()), (1, 1));
        assert_eq!(shown("console"), "");
    }

    #[test]
    fn a_warning_is_on_a_quiet_console_too() {
        for (printk, written) in [("4 4 1 7", true), ("5 4 1 7", false), ("7 4 1 7", false)] {
            let root = tempfile::tempdir().unwrap();
            console(root.path(), printk).warn("the clock is wrong");
            let read = |file: &str| std::fs::read_to_string(root.path().join(file)).unwrap();
            assert_eq!(read("dev/kmsg"), "<28>diskless: the clock is wrong\n");
            assert_eq!(!read("dev/console").is_empty(), written, "{printk}");
        }
    }
}
