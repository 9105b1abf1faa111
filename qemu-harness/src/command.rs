//! Runs a program to its end, with its output in a log file and its progress on the terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{At, Error, Result};

/// How often a long program's last line is shown.
const SHOW_EVERY: Duration = Duration::from_secs(10);
/// How often the end of a program is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How much of a log's end an error quotes.
const TAIL: u64 = 1500;

/// Runs `command`, appending all it prints to `log`; a failure quotes the log's end.
pub fn run(command: &mut Command, log: &Path) -> Result<()> {
    let program = line(command);
    let file = open_log(log)?;
    let errors = file.try_clone().at("open", log)?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .spawn()
        .map_err(|source| Error::Start { program: program.clone(), source })?;
    let start = Instant::now();
    let mut shown = start;
    let status = loop {
        if let Some(status) = child.try_wait().at("wait for", &program)? {
            break status;
        }
        if shown.elapsed() >= SHOW_EVERY {
            shown = Instant::now();
            let last = tail(log).lines().last().unwrap_or_default().chars().take(90).collect::<String>();
            println!("      {:>3} s  {last}", start.elapsed().as_secs());
        }
        thread::sleep(LOOK_EVERY);
    };
    if status.success() {
        return Ok(());
    }
    let tail = tail(log).lines().map(|line| format!("\n    {line}")).collect();
    Err(Error::Failed { program, status, log: log.to_path_buf(), tail })
}

/// Runs `command` and returns what it prints; its errors go to `log`.
pub fn output(command: &mut Command, log: &Path) -> Result<String> {
    let program = line(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(open_log(log)?)
        .output()
        .map_err(|source| Error::Start { program: program.clone(), source })?;
    if !output.status.success() {
        let tail = tail(log).lines().map(|line| format!("\n    {line}")).collect();
        return Err(Error::Failed { program, status: output.status, log: log.to_path_buf(), tail });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Opens `log` for appending, creating it and its folder.
pub fn open_log(log: &Path) -> Result<File> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder).at("create", folder)?;
    }
    OpenOptions::new().create(true).append(true).open(log).at("open", log)
}

/// The last lines of a file, lossily; nothing when it cannot be read.
pub fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

/// The command as one line, for messages; of a script only its first line.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let shown = words.map(|word| match word.to_string_lossy().split_once('\n') {
        Some((first, _)) => format!("'{first} …'"),
        None => word.to_string_lossy().into_owned(),
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_quotes_the_end_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let error = run(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]), &log).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("one") && text.contains("two") && text.contains('3'), "{text}");
    }

    #[test]
    fn output_is_returned() {
        let folder = tempfile::tempdir().unwrap();
        let text = output(Command::new("echo").arg("hello"), &folder.path().join("log")).unwrap();
        assert_eq!(text, "hello\n");
    }
}
