//! `diskless plan keygen`: a pair of keys.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use lexopt::Parser;
use zeroize::Zeroizing;

use super::given::Options;
use crate::cli::{Failed, print};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::signature::SecretKey;
use crate::sys::random;

/// Makes `NAME.key` and `NAME.pub`.
pub fn main(args: &mut Parser, _: &Host) -> Result<(), Failed> {
    let Some(options) = Options::parse(args, &[], 1)? else { return Ok(()) };
    for name in &options.words {
        let name = name.to_str().ok_or_else(|| lexopt::Error::from("NAME is not a text"))?;
        make(name)?;
        print(&format!(
            "{name}.key signs plans; keep it where plans are made\n{name}.pub goes into the initramfs, as \
             /etc/diskless/trusted.d/NAME.pub\n"
        ))?;
    }
    Ok(())
}

fn make(name: &str) -> Result<()> {
    let refused = |why| Error::new(Code::SigningKey, name).because(why);
    let seed = Zeroizing::new(random::bytes().context(Code::NoRandom, name)?);
    let key = SecretKey::new(random::bytes().context(Code::NoRandom, name)?, seed).map_err(refused)?;
    let public = key.public().map_err(refused)?;
    write(&format!("{name}.key"), 0o600, key.text().as_bytes())?;
    write(&format!("{name}.pub"), 0o644, public.text().as_bytes())
}

/// Writes a new file: a key that is there signs what somebody trusts.
fn write(file: &str, mode: u32, text: &[u8]) -> Result<()> {
    let mut open = std::fs::File::options();
    open.write(true).create_new(true).mode(mode);
    open.open(file).and_then(|mut file| file.write_all(text)).context(Code::Io, file)
}
