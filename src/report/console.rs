//! The console and the kernel's log.
//!
//! Each line goes to /dev/kmsg, where the journal keeps it. It also goes to the person in front: to the terminal
//! the agent was started from, else to /dev/console, unless the kernel puts its log there anyway.

use std::fs::File;
use std::io::{IsTerminal, Write};

use super::event::Event;
use crate::engine::host::Host;

/// KERN_INFO (linux/kern_levels.h), facility 3 (daemon): 3 << 3 | 6.
const PRIORITY: &str = "<30>";
const INFO: u32 = 6;

/// Where lines go.
pub struct Console {
    screen: Option<File>,
    kmsg: Option<File>,
}

impl Console {
    /// Opens what there is on `host`; what cannot be opened is done without.
    pub fn open(host: &Host) -> Console {
        let write = |path: &str| File::options().write(true).open(host.path(path)).ok();
        let printk = std::fs::read_to_string(host.path("/proc/sys/kernel/printk")).unwrap_or_default();
        let kmsg = write("/dev/kmsg");
        let on_console = kmsg.is_some() && kernel_shows_info(&printk);
        let screen = if std::io::stdout().is_terminal() {
            write("/dev/stdout")
        } else if on_console {
            None
        } else {
            write("/dev/console")
        };
        Console { screen, kmsg }
    }

    /// Tells `event`. That something starts is no news in front of a console: what it does, or waits for, is.
    pub fn tell(&mut self, event: &Event) {
        if !matches!(event, Event::Run | Event::Started { .. }) {
            self.write(&event.to_string());
        }
    }

    fn write(&mut self, line: &str) {
        // A cause may hold text of others: it stays on this line.
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        // A console that cannot be written to must not stop the boot.
        if let Some(kmsg) = &mut self.kmsg {
            let _ = kmsg.write_all(format!("{PRIORITY}diskless: {line}\n").as_bytes());
        }
        if let Some(screen) = &mut self.screen {
            let _ = screen.write_all(format!("diskless: {line}\r\n").as_bytes());
        }
    }
}

/// Whether the kernel puts lines of the level INFO on the console, from /proc/sys/kernel/printk.
fn kernel_shows_info(printk: &str) -> bool {
    let level = printk.split_whitespace().next().and_then(|level| level.parse::<u32>().ok());
    level.is_some_and(|level| level > INFO)
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
}
