//! The few programs that the agent runs, each with a deadline.

use std::ffi::OsStr;
use std::fmt;
use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// As much of what a program says is kept.
const MOST_SAID: u64 = 4096;
/// Between two looks whether a program that closed its output has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// Why a program did not do its work.
#[derive(Debug)]
pub enum Failure {
    /// There is no such program.
    Missing,
    /// It could not be started or waited for.
    Start(std::io::Error),
    /// It ended without success; what it said on its error output, in one line.
    Failed(ExitStatus, String),
    /// It had not ended in this time, and was killed.
    Late(Duration),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Missing => f.write_str("the program is not there"),
            Failure::Start(error) => write!(f, "{error}"),
            Failure::Failed(status, said) if said.is_empty() => write!(f, "{status}"),
            Failure::Failed(_, said) => f.write_str(said),
            Failure::Late(limit) => write!(f, "it was not done after {} s", limit.as_secs()),
        }
    }
}

impl std::error::Error for Failure {}

/// Runs `program`, found in PATH, without input, and waits for it for at most `limit`.
///
/// # Errors
/// See [`Failure`].
pub fn run(program: &str, args: &[&str], limit: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + limit;
    let mut child = start(program, args, Stdio::null(), Stdio::piped())?;
    let (said, listen) = mpsc::channel();
    if let Some(errors) = child.stderr.take() {
        std::thread::spawn(move || {
            // Nobody may be listening any more.
            let _ = said.send(read(errors));
        });
    }
    // The end of its output is the end of the program, or nearly so; a child of its own may keep it open.
    let said = listen.recv_timeout(limit).unwrap_or_default();
    match wait(&mut child, deadline) {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(Failure::Failed(status, said)),
        Ok(None) => Err(Failure::Late(limit)),
        Err(error) => Err(Failure::Start(error)),
    }
}

/// Goes on as `program` with `args`, in this very process; it only comes back with the reason why not.
pub fn replace(program: &Path, args: &[&OsStr]) -> std::io::Error {
    Command::new(program).args(args).exec()
}

/// What `program`, found in PATH or given as a path, says on its output in at most `limit`: the last `most` bytes of it. Of one
/// that does not end, what it said so far; it is killed.
///
/// # Errors
/// [`Failure::Missing`], [`Failure::Start`]; or [`Failure::Failed`], if it said nothing and failed.
pub fn output(program: &str, args: &[&str], most: usize, limit: Duration) -> Result<Vec<u8>, Failure> {
    let deadline = Instant::now() + limit;
    let mut child = start(program, args, Stdio::piped(), Stdio::null())?;
    let (said, listen) = mpsc::channel();
    if let Some(mut output) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut piece = vec![0; 64 * 1024];
            // Until nobody listens any more.
            while let Ok(length @ 1..) = output.read(&mut piece) {
                if said.send(piece.get(..length).unwrap_or_default().to_vec()).is_err() {
                    return;
                }
            }
        });
    }
    let mut all = Vec::new();
    while let Ok(piece) = listen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        all.extend(piece);
        let surplus = all.len().saturating_sub(most);
        all.drain(..surplus);
    }
    match wait(&mut child, deadline) {
        Ok(Some(status)) if !status.success() && all.is_empty() => {
            Err(Failure::Failed(status, String::new()))
        }
        Ok(_) => Ok(all),
        Err(error) => Err(Failure::Start(error)),
    }
}

/// Starts `program` without input.
fn start(program: &str, args: &[&str], output: Stdio, errors: Stdio) -> Result<Child, Failure> {
    let child = Command::new(program).args(args).stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
    child.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::Missing,
        _ => Failure::Start(error),
    })
}

/// Waits for `child`, and kills it at the deadline: then there is no status.
fn wait(child: &mut Child, deadline: Instant) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(PAUSE);
    }
}

/// The beginning of what a program says, in one line; the rest is read too, so that it does not block.
fn read(mut errors: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = errors.by_ref().take(MOST_SAID).read_to_end(&mut bytes);
    let _ = std::io::copy(&mut errors, &mut std::io::sink());
    String::from_utf8_lossy(&bytes).trim().replace('\n', "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Result<(), Failure> {
        run("sh", &["-c", script], limit)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_end_of_what_is_said_is_given() {
        let said = |script: &str, most, limit| output("sh", &["-c", script], most, limit);
        assert_eq!(said("echo abc; echo not this >&2", 3, LONG).unwrap(), b"bc\n");
        assert_eq!(said("echo a; exit 1", 9, LONG).unwrap(), b"a\n");
        assert!(matches!(said("exit 1", 9, LONG), Err(Failure::Failed(..))));
        assert!(matches!(output("no-such-program-of-diskless", &[], 9, LONG), Err(Failure::Missing)));
        let begin = Instant::now();
        assert_eq!(said("echo a; exec sleep 100", 9, Duration::from_secs(1)).unwrap(), b"a\n");
        assert!(begin.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn success_and_failure_with_what_was_said() {
        sh("echo not this; exit 0", LONG).unwrap();
        assert_eq!(sh("echo no >&2; echo way >&2; exit 3", LONG).unwrap_err().to_string(), "no; way");
        assert_eq!(sh("exit 3", LONG).unwrap_err().to_string(), "exit status: 3");
        assert!(matches!(run("no-such-program-of-diskless", &[], LONG), Err(Failure::Missing)));
    }

    #[test]
    fn more_than_a_pipe_holds_is_read_and_not_kept() {
        let error = sh("head -c 200000 /dev/zero | tr '\\0' x >&2; exit 1", LONG).unwrap_err();
        assert_eq!(error.to_string().len() as u64, MOST_SAID);
    }

    #[test]
    fn what_does_not_end_is_killed_at_its_deadline() {
        for script in ["exec sleep 100", "exec 2>&-; exec sleep 100"] {
            let begin = Instant::now();
            let error = sh(script, Duration::from_secs(1)).unwrap_err();
            assert_eq!(error.to_string(), "it was not done after 1 s");
            assert!(begin.elapsed() < Duration::from_secs(30), "{script}");
        }
    }
}
