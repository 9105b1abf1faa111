//! One error type: what was being done, to what, and the cause.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// The result of everything in the harness that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong outside of a scenario's own verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, folder or mount could not be handled.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// A verb: "read", "mount".
        action: &'static str,
        /// The object.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("{program} failed ({status}); its output is in {}{tail}", log.display())]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// Where its output went.
        log: PathBuf,
        /// The last lines of its output, each after a newline.
        tail: String,
    },
    /// A scenario cannot be used as it is written.
    #[error("{}: {message}", path.display())]
    Scenario {
        /// The file or folder at fault.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Something did not happen in time.
    #[error("{what}: nothing within {seconds} s")]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// The machine the harness runs on lacks something.
    #[error("{0}")]
    Host(String),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
}

/// Adds the verb and the path to an I/O error.
pub trait At<T> {
    /// `fs::read(p).at("read", p)`
    fn at(self, action: &'static str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T, E: Into<io::Error>> At<T> for std::result::Result<T, E> {
    fn at(self, action: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|cause| Error::File { action, path: path.as_ref().to_path_buf(), source: cause.into() })
    }
}
