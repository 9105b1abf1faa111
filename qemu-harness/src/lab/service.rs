//! A server program that runs as long as the scenario.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command;
use crate::error::{At, Error, Result};

/// How long a server may take to listen.
const LISTEN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// A running program; dropping it ends it.
pub struct Service {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts `command` with its output in `log`.
    pub fn start(name: &'static str, command: &mut Command, log: &Path) -> Result<Service> {
        let file = command::open_log(log)?;
        let errors = file.try_clone().at("open", log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .map_err(|source| Error::Start { program: name.to_owned(), source })?;
        Ok(Service { name, child, log: log.to_path_buf() })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The same, and waits until it listens at `address`.
    pub fn listening(
        name: &'static str,
        command: &mut Command,
        address: &str,
        log: &Path,
    ) -> Result<Service> {
        let mut service = Service::start(name, command, log)?;
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            service.check()?;
            if start.elapsed() > LISTEN {
                return Err(Error::Late { what: format!("{name} to listen"), seconds: LISTEN.as_secs() });
            }
            thread::sleep(POLL);
        }
        Ok(service)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id()).unwrap_or_default();
        kill(Pid::from_raw(id), signal).at("signal", self.name)
    }

    /// An error when it has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait().at("wait for", self.name)? {
            None => Ok(()),
            Some(status) => Err(Error::Failed {
                program: self.name.to_owned(),
                status,
                log: self.log.clone(),
                tail: command::tail(&self.log).lines().map(|line| format!("\n    {line}")).collect(),
            }),
        }
    }
}

impl Drop for Service {
    /// SIGKILL: tgtd ignores SIGTERM while it has sessions, and no state is worth saving.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
