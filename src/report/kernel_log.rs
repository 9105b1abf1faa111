//! What is wrong and stops nothing, ours and what libraries log, goes to the kernel's log and the console.

use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::console::Console;
use crate::engine::host::Host;

struct KernelLog(Mutex<Console>);

/// Sends the `log` crate's records there.
pub fn install(host: &Host) {
    // It is only ever installed once, and a second one would be no loss.
    if log::set_boxed_logger(Box::new(KernelLog(Mutex::new(Console::open(host))))).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

impl Log for KernelLog {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record) {
        if let (true, Ok(mut console)) = (self.enabled(record.metadata()), self.0.lock()) {
            console.warn(&record.args().to_string());
        }
    }

    fn flush(&self) {}
}
