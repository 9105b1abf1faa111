//! What libraries log, warnings and errors, goes to the kernel's log.

use std::fs::File;
use std::io::Write;
use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::engine::host::Host;

struct KernelLog(Mutex<File>);

/// Sends the `log` crate's records to /dev/kmsg; without that file, nowhere.
pub fn install(host: &Host) {
    let Ok(kmsg) = File::options().write(true).open(host.path("/dev/kmsg")) else { return };
    // It is only ever installed once, and a second one would be no loss.
    if log::set_boxed_logger(Box::new(KernelLog(Mutex::new(kmsg)))).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

impl Log for KernelLog {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record) {
        if let (true, Ok(mut kmsg)) = (self.enabled(record.metadata()), self.0.lock()) {
            // <28>: facility daemon, level warning.
            let _ = kmsg.write_all(format!("<28>diskless: {}\n", record.args()).as_bytes());
        }
    }

    fn flush(&self) {}
}
