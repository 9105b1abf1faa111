//! The console and the kernel's log.
//!
//! Each line goes to /dev/kmsg, where the journal keeps it. It also goes to the person in front: to the terminal
//! the agent was started from, else to /dev/console, unless the kernel puts its log there anyway.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::event::Event;
use crate::engine::host::Host;

/// A wait shorter than this is not worth a line.
const SHORT: Duration = Duration::from_secs(1);
/// A wait for the same thing is told again after this.
const AGAIN: Duration = Duration::from_secs(10);
/// KERN_INFO (linux/kern_levels.h), facility 3 (daemon): 3 << 3 | 6.
const PRIORITY: &str = "<30>";
const INFO: u32 = 6;

/// Where lines go.
pub struct Console {
    screen: Option<File>,
    kmsg: Option<File>,
    told: Option<Told>,
}

/// The wait that goes on.
struct Told {
    step: String,
    what: String,
    since: Duration,
    last: Option<Duration>,
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
        Console { screen, kmsg, told: None }
    }

    /// Tells `event`, which happened `now`. Nobody is told twice of one wait within ten seconds.
    pub fn tell(&mut self, now: Duration, event: &Event) {
        if self.is_worth_a_line(now, event) {
            self.write(&event.to_string());
        }
    }

    fn is_worth_a_line(&mut self, now: Duration, event: &Event) -> bool {
        let Event::Waiting { step, what, .. } = event else {
            self.told = None;
            return true;
        };
        match &mut self.told {
            Some(told) if told.step == *step && told.what == *what => {
                let last = told.last.map_or(told.since + SHORT, |last| last + AGAIN);
                if now < last {
                    return false;
                }
                told.last = Some(now);
                true
            }
            _ => {
                self.told =
                    Some(Told { step: (*step).to_owned(), what: (*what).to_owned(), since: now, last: None });
                false
            }
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
            console(root.path(), printk).tell(Duration::ZERO, &DONE);
            let read = |file: &str| std::fs::read_to_string(root.path().join(file)).unwrap();
            assert_eq!(read("dev/kmsg"), "<30>diskless: luks done in 0.000 s: a b\n");
            assert_eq!(!read("dev/console").is_empty(), on_console, "{printk}");
        }
    }

    #[test]
    fn a_wait_is_told_after_a_second_and_then_every_ten() {
        let root = tempfile::tempdir().unwrap();
        let mut console = console(root.path(), "7");
        let mut told = Vec::new();
        for tenth in 0..250u64 {
            let now = Duration::from_millis(tenth * 100);
            let event = Event::Waiting { step: "iscsi", what: "disk", left: Duration::ZERO };
            if console.is_worth_a_line(now, &event) {
                told.push(now.as_millis());
            }
        }
        assert_eq!(told, [1000, 11000, 21000]);
    }
}
