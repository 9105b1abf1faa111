//! Reads the files as they are in the new root.

use zeroize::Zeroizing;

use super::files::File;
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::steps::overlay::SYSROOT;
use crate::sys::in_root::Root;

/// No file that is changed is longer.
const LONGEST: u64 = 1 << 20;

/// For each file: its bytes and permissions, if it is there.
pub type Seen = Vec<Option<(Zeroizing<Vec<u8>>, u32)>>;

pub fn observe(host: &Host, files: &[File]) -> Result<Seen> {
    let root = Root::open(&host.path(SYSROOT)).context(Code::Handover, SYSROOT)?;
    let read = |file: &File| root.read(file.path, LONGEST).context(Code::Handover, file.path);
    files.iter().map(read).collect()
}
