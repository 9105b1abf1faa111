//! Processes that systemd spares, and the one of them that keeps the sessions.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::SPARED;
use super::perform::failed;
use crate::error::Result;

/// Where the keeper listens: one request and one answer a connection, both JSON.
const KEEPER: &str = "/run/diskless/keeper.socket";
/// No answer of the keeper is longer.
const LONGEST_ANSWER: u64 = 256 * 1024;

/// The pids below `proc` of spared processes of ours which have `word` among their arguments; this one is not among them.
pub fn spared(proc: &Path, word: &str) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(proc) else { return Vec::new() };
    let own = std::process::id();
    let is_wanted = |pid: &u32| {
        let command_line = std::fs::read(proc.join(pid.to_string()).join("cmdline")).unwrap_or_default();
        *pid != own && is_spared(&command_line, word)
    };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut pids: Vec<u32> = pids.filter(is_wanted).collect();
    pids.sort_unstable();
    pids
}

fn is_spared(command_line: &[u8], word: &str) -> bool {
    let mut words = command_line.split(|byte| *byte == 0);
    words.next() == Some(SPARED.as_bytes()) && words.any(|argument| argument == word.as_bytes())
}

/// Says `request` (`end`, `ending`) to the keeper, which has `limit` to take it and `limit` to answer.
///
/// # Errors
/// [`crate::error::Code::Io`]: it is not there, or does not answer.
pub fn ask_keeper(request: &str, limit: Duration) -> Result<()> {
    ask(Path::new(KEEPER), request, limit).map_err(|cause| failed(KEEPER, cause))
}

fn ask(socket: &Path, request: &str, limit: Duration) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(format!("\"{request}\"").as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    // What it says does not matter; that it has said it, does.
    std::io::copy(&mut stream.take(LONGEST_ANSWER), &mut std::io::sink())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_our_own_that_are_spared() {
        let folder = tempfile::tempdir().unwrap();
        for (pid, command_line) in [
            ("12", "@diskless\0keeper\0"),
            ("7", "@diskless\0exit\0--watch\0poweroff\0"),
            ("9", "diskless\0keeper\0"),
            ("10", "@other\0keeper\0"),
            ("11", ""),
            ("self", "@diskless\0keeper\0"),
        ] {
            std::fs::create_dir(folder.path().join(pid)).unwrap();
            std::fs::write(folder.path().join(pid).join("cmdline"), command_line).unwrap();
        }
        assert_eq!(spared(folder.path(), "keeper"), [12]);
        assert_eq!(spared(folder.path(), "--watch"), [7]);
        assert!(spared(&folder.path().join("none"), "keeper").is_empty());
    }

    #[test]
    fn the_keeper_is_asked_and_one_that_is_silent_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        assert!(ask(&socket, "end", Duration::from_secs(60)).is_err());
        let listener = UnixListener::bind(&socket).unwrap();
        let keeper = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            stream.read_to_string(&mut request).unwrap();
            stream.write_all(b"{}").unwrap();
            drop(stream);
            let silent = listener.accept().unwrap();
            (request, silent)
        });
        ask(&socket, "ending", Duration::from_secs(60)).unwrap();
        let error = ask(&socket, "end", Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        assert_eq!(keeper.join().unwrap().0, "\"ending\"");
    }
}
