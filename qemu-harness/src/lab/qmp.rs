//! QEMU's monitor: what is done to the machine itself while it runs.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{At, Error, Result};

/// How long QEMU may take to answer.
const ANSWER: Duration = Duration::from_secs(20);
/// The most that is read of its answers.
const MOST: u64 = 1 << 20;

/// Where the monitor of a run is.
pub fn socket(folder: &Path) -> PathBuf {
    folder.join("qmp")
}

/// Whether the network card with this id has a carrier.
pub fn set_link(folder: &Path, card: &str, up: bool) -> Result<()> {
    let path = socket(folder);
    let stream = UnixStream::connect(&path).at("connect to", &path)?;
    stream.set_read_timeout(Some(ANSWER)).at("connect to", &path)?;
    tell(&stream, &json!({ "execute": "set_link", "arguments": { "name": card, "up": up } }))
}

/// Says one thing; an error when QEMU does not do it.
fn tell(stream: &UnixStream, command: &Value) -> Result<()> {
    let mut answers = BufReader::new(stream.take(MOST));
    for command in [&json!({ "execute": "qmp_capabilities" }), command] {
        writeln!(&*stream, "{command}").at("write to", "QEMU's monitor")?;
        loop {
            let mut line = String::new();
            answers.read_line(&mut line).at("read from", "QEMU's monitor")?;
            let answer: Value = serde_json::from_str(&line)
                .map_err(|_| Error::Host(format!("QEMU's monitor says {line:?}")))?;
            if answer.get("return").is_some() {
                break;
            }
            if let Some(fault) = answer.get("error") {
                return Err(Error::Host(format!("QEMU refuses {command}: {fault}")));
            }
            // A greeting, or an event.
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(answers: &'static str) -> Result<()> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let qemu = std::thread::spawn(move || {
            (&theirs).write_all(answers.as_bytes()).unwrap();
            theirs.shutdown(std::net::Shutdown::Write).unwrap();
            let mut told = String::new();
            let _ = (&theirs).read_to_string(&mut told);
            told
        });
        let result = tell(&ours, &json!({ "execute": "set_link" }));
        drop(ours);
        assert!(qemu.join().unwrap().starts_with(r#"{"execute":"qmp_capabilities"}"#));
        result
    }

    #[test]
    fn answers_are_told_from_events() {
        with("{\"QMP\": {}}\n{\"return\": {}}\n{\"event\": \"RESUME\"}\n{\"return\": {}}\n").unwrap();
        let fault = with("{\"QMP\": {}}\n{\"return\": {}}\n{\"error\": {\"desc\": \"Device not found\"}}\n");
        assert!(fault.unwrap_err().to_string().contains("not found"));
        assert!(with("{\"QMP\": {}}\n").is_err());
        assert!(with("hello\n").is_err());
    }
}
