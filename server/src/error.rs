//! What can go wrong, outside of the site's file (that is [`crate::check`]'s).

use std::io;
use std::path::PathBuf;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error; it names its object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The site's file is not TOML, or has members that nobody knows.
    #[error("{}: {message}", path.display())]
    Site {
        /// Which.
        path: PathBuf,
        /// Where in it, and what.
        message: String,
    },
    /// The database.
    #[error("database {}: {message}", path.display())]
    Database {
        /// Which.
        path: PathBuf,
        /// What it says.
        message: String,
    },
    /// The writer of the database has ended.
    #[error("the database is closed")]
    Closed,
    /// A node set that is none.
    #[error("node set {text:?}: {message}")]
    NodeSet {
        /// What was given.
        text: String,
        /// What is wrong with it.
        message: String,
    },
    /// A node that the site's file does not have.
    #[error("there is no node {node:?} in {}", path.display())]
    NoNode {
        /// Which node.
        node: String,
        /// In which file.
        path: PathBuf,
    },
    /// A server that was asked, by a verb or by a check.
    #[error("{url}: {message}")]
    Http {
        /// Which, without account and query.
        url: String,
        /// What it said.
        message: String,
    },
    /// Anything else of the operating system: a socket, a signal.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}
