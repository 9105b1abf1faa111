//! The host keys of the initramfs's sshd: those that the site put into the initramfs, else one of Ed25519 that is made
//! once in a boot. The plan's are the booted system's: a key that changed while somebody logs in would be taken for an
//! attack.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{FOLDER, name};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::ssh_key::{self, Kind, Public};
use crate::steps::handover::host_keys::{generate, text_of};
use crate::sys::whole_file;

/// Where a site puts its own.
const SITE: &str = "/etc/diskless";
/// In the order in which they are shown and offered.
const KINDS: [Kind; 3] = [Kind::Ed25519, Kind::Ecdsa, Kind::Rsa];

fn file(folder: &str, kind: Kind) -> String {
    format!("{folder}/ssh_host_{kind}_key")
}

/// Puts the keys below [`FOLDER`], where sshd takes them whatever their permissions were in the initramfs; their paths.
pub fn prepare(host: &Host, warnings: &mut Vec<Error>) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for kind in KINDS {
        let from = file(SITE, kind);
        let Some(text) = read(&host.path(&from)).transpose() else { continue };
        let key = text.context(Code::HostKey, &from).and_then(|text| {
            let public = ssh_key::public_of(kind, &text);
            Ok((public.map_err(|why| Error::new(Code::HostKey, &from).because(why))?, text))
        });
        match key {
            Ok((public, text)) => {
                let path = file(FOLDER, kind);
                write(host, &path, &text, &public)?;
                paths.push(path);
            }
            Err(error) => warnings.push(error),
        }
    }
    if paths.is_empty() {
        let path = file(FOLDER, Kind::Ed25519);
        if known(&host.path(&path)).is_none() {
            let (text, public) = generate(&path, "diskless")?;
            write(host, &path, &text, &public)?;
        }
        paths.push(path);
    }
    Ok(paths)
}

/// What is public of the keys that [`prepare`] put there.
pub fn public(host: &Host) -> Vec<Public> {
    KINDS.iter().filter_map(|kind| known(&host.path(file(FOLDER, *kind)))).collect()
}

fn known(path: &Path) -> Option<Public> {
    ssh_key::public(&read(path).ok()??).ok()
}

/// The text of the key at `path`; none: there is no such file.
fn read(path: &Path) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
    match text_of(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some),
    }
}

/// The private half first: who sees the public one may use both.
fn write(host: &Host, path: &str, text: &[u8], public: &Public) -> Result<()> {
    let at = host.path(path);
    whole_file::write(&at, text, 0o600, None)?;
    let beside: PathBuf = at.with_file_name(format!("{}.pub", name(&at)));
    whole_file::write(&beside, public.line("diskless").as_bytes(), 0o644, None)
}
