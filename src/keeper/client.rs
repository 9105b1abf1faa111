//! Talks to the keeper.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::wire::{self, Answer, LONGEST_ANSWER, Request};
use super::{Journal, SOCKET};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::{Iscsi, Map};

/// The keeper answers at once, or after its first look at what it is to keep.
const LIMIT: Duration = Duration::from_secs(15);

/// Asks the keeper for `request`; gives its journal.
///
/// # Errors
/// [`Code::Keeper`]: there is none, it does not answer, or it refuses.
pub fn ask(host: &Host, request: &Request) -> Result<Journal> {
    send(host, &wire::plain(request)?)
}

/// Hands these sessions, and the map over them, to the keeper.
///
/// # Errors
/// As [`ask`].
pub fn hand_over(host: &Host, iscsi: &Iscsi, map: Option<&Map>, initiator: &str) -> Result<Journal> {
    send(host, &wire::keep(iscsi, map, initiator)?)
}

fn send(host: &Host, request: &[u8]) -> Result<Journal> {
    let mut stream = UnixStream::connect(host.path(SOCKET)).context(Code::Keeper, SOCKET)?;
    let mut bytes = Vec::new();
    stream
        .set_read_timeout(Some(LIMIT))
        .and_then(|()| stream.set_write_timeout(Some(LIMIT)))
        .and_then(|()| stream.write_all(request))
        .and_then(|()| stream.shutdown(Shutdown::Write))
        .and_then(|()| (&mut stream).take(LONGEST_ANSWER as u64).read_to_end(&mut bytes))
        .context(Code::Keeper, SOCKET)?;
    match wire::read_answer(&bytes)? {
        Answer::Journal(journal) => Ok(*journal),
        Answer::Refused(why) => Err(Error::new(Code::Keeper, SOCKET).because(why)),
    }
}
