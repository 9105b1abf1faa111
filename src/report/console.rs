//! The console and the kernel's log.
//!
//! Each line goes to /dev/kmsg, where the journal keeps it. It also goes to the person in front: to the terminal
//! the agent was started from, else to /dev/console, unless the kernel puts its log there anyway.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;

use super::event::Event;
use crate::engine::host::Host;

/// Facility 3 (daemon), in front of the level (linux/kern_levels.h, syslog(2)).
const DAEMON: u32 = 3 << 3;
/// KERN_INFO.
const INFO: u32 = 6;
/// KERN_WARNING.
const WARNING: u32 = 4;

/// Where lines go.
pub struct Console {
    screen: Option<File>,
    kmsg: Option<File>,
    /// Levels below this one the kernel itself puts where `screen` is.
    shown_by_kernel: u32,
}

impl Console {
    /// Opens what there is on `host`; what cannot be opened is done without.
    pub fn open(host: &Host) -> Console {
        if std::io::stdout().is_terminal() {
            let screen = write(host, "/dev/stdout");
            return Console { screen, kmsg: write(host, "/dev/kmsg"), shown_by_kernel: 0 };
        }
        Console::of_machine(host)
    }

    /// The caller's, be it a terminal or not: for what somebody has asked for by hand.
    pub fn of_caller(host: &Host) -> Console {
        let screen = std::io::stdout().as_fd().try_clone_to_owned().ok().map(File::from);
        Console { screen, kmsg: write(host, "/dev/kmsg"), shown_by_kernel: 0 }
    }

    /// That of the machine, wherever this process was started from: what the kernel shows there stands there once.
    pub fn of_machine(host: &Host) -> Console {
        let printk = std::fs::read_to_string(host.path("/proc/sys/kernel/printk")).unwrap_or_default();
        let kmsg = write(host, "/dev/kmsg");
        let shown_by_kernel = if kmsg.is_some() { console_level(&printk) } else { 0 };
        Console { screen: write(host, "/dev/console"), kmsg, shown_by_kernel }
    }

    /// Only the kernel's log of `host`: for what nobody in front of a console waits for.
    pub fn log(host: &Host) -> Console {
        Console { screen: None, ..Console::open(host) }
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
        if let Some(screen) = &mut self.screen
            && level >= self.shown_by_kernel
        {
            let _ = screen.write_all(format!("diskless: {line}\r\n").as_bytes());
        }
    }
}

/// The file at `path`, to be written to behind what is there, as of a standard output that is one; none if it cannot be.
fn write(host: &Host, path: &str) -> Option<File> {
    File::options().append(true).open(host.path(path)).ok()
}

/// The first number of /proc/sys/kernel/printk: the kernel puts lines of lower levels on the console.
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
