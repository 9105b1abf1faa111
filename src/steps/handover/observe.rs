//! Reads the files and units as they are in the new root.

use super::files::{self, Content, File};
use super::nic::{self, Nic};
use super::units::{self, Unit};
use super::{AUTORELABEL, Step, failed, host_keys, image, managers, own, paths, pins, stale};
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::steps::overlay::SYSROOT;
use crate::sys::address::Timed;
use crate::sys::in_root::{Found, Root};

/// No file that is changed, and no unit, is longer.
pub const LONGEST: u64 = 1 << 20;

/// The new root, as far as it is ours to change.
pub struct Seen {
    /// The name that the kernel has for the node; none: it has none yet.
    pub hostname: Option<String>,
    /// The files that the plan does not ask for, but what there is of the disk and of the network.
    pub more: Vec<File>,
    /// For each of the step's files, and then of those: what is there, if it is one.
    pub files: Vec<Option<Found>>,
    /// Addresses of the root's interfaces that the kernel would remove with their lease.
    pub ending: Vec<Timed>,
    /// The root's interfaces on which nobody will listen to the routers that gave them addresses.
    pub deaf: Vec<String>,
    /// The image's own files.
    pub image: image::Seen,
    /// The whole file system is to be labelled anew at the next boot.
    pub autorelabel: bool,
    /// What is to be removed: the image's, and no node's own.
    pub stale: Vec<String>,
    /// The SSH host key that is to be made.
    pub host_key: Option<host_keys::Make>,
    /// The units that are wanted, and those that are to be enabled with them.
    pub units: Vec<Unit>,
}

pub fn observe(host: &Host, step: &Step<'_>) -> Result<Seen> {
    let Step { document, identity, host_keys, files, units: wanted } = step;
    let root = open(host, SYSROOT)?;
    let hostname = hostname(host);
    let name = document.hostname.as_ref().or(hostname.as_ref());
    let autorelabel = root.is_there(AUTORELABEL).map_err(failed(AUTORELABEL))?;
    let nics = nic::nics(host, &document.iscsi);
    let managers = managers::managers(host, &root, wanted, &nics)?;
    let mut more = pins::files(&nics, managers);
    if let Some(map) = document.map() {
        more.extend(paths::files(map, paths::below(host, &document.luks.name).as_ref())?);
    }
    more.extend(own::files(&root, identity, name)?);
    more.extend(host_keys.files(host)?);
    let (image, of_image) = image::observe(host, &root, document, hostname.as_deref())?;
    more.extend(of_image);
    let units = units::look(&root, wanted)?;
    more.extend(units::preset(&units));
    more.retain(|file| !files::is_of_plan(document, &file.path));
    let host_key = host_keys.to_make(host, &root, name)?;
    let mut stale = stale::stale(&root, &identity.macs)?;
    stale.retain(|path| {
        !files.iter().chain(&more).any(|file| file.path == *path) && !host_keys.are_ours(path)
    });
    let deaf = if managers.nobody_listens() { deaf(host, &nics) } else { Vec::new() };
    let ending = nics.into_iter().flat_map(|nic| nic.timed).filter(|_| managers.addresses_stay()).collect();
    Ok(Seen {
        hostname,
        files: files.iter().chain(&more).map(|file| current(host, file)).collect::<Result<_>>()?,
        more,
        ending,
        deaf,
        image,
        autorelabel,
        stale,
        host_key,
        units,
    })
}

/// The root folder that `path` is in: /run goes along into the new root, and what is in it is not of the image.
pub fn root_of(path: &str) -> &'static str {
    if path.starts_with("/run/") { "/" } else { SYSROOT }
}

/// That of [`root_of`].
pub fn open(host: &Host, root: &str) -> Result<Root> {
    Root::open(&host.path(root)).context(Code::Handover, root)
}

/// Those of `nics` with addresses that a router gave, on which the kernel does not listen to routers.
fn deaf(host: &Host, nics: &[Nic]) -> Vec<String> {
    let deaf = nics.iter().filter(|nic| {
        let accept = std::fs::read(host.path(accept_ra(&nic.name))).unwrap_or_default();
        nic.timed.iter().any(|timed| timed.address.is_ipv6()) && accept.trim_ascii() == b"0"
    });
    deaf.map(|nic| nic.name.clone()).collect()
}

/// Whether the kernel itself listens to routers (RFC 4861) on an interface. systemd-networkd turns it off, to do it in
/// the kernel's place.
pub fn accept_ra(interface: &str) -> String {
    format!("/proc/sys/net/ipv6/conf/{interface}/accept_ra")
}

fn current(host: &Host, file: &File) -> Result<Option<Found>> {
    let root = open(host, root_of(&file.path))?;
    match root.read(&file.path, LONGEST.max(file.content.length())) {
        // Not what it is to be, and nothing of it is to stay.
        Err(error)
            if error.kind() == std::io::ErrorKind::FileTooLarge
                && !matches!(file.content, Content::Settings(_) | Content::Line(_)) =>
        {
            Ok(None)
        }
        result => result.map_err(failed(&file.path)),
    }
}

/// What the kernel calls the node, unless that is what an initramfs calls itself where nobody told it a name.
fn hostname(host: &Host) -> Option<String> {
    let name = std::fs::read_to_string(host.path("/proc/sys/kernel/hostname")).ok()?;
    let name = name.trim();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let is_name = !name.is_empty() && name.bytes().all(plain) && !name.starts_with("localhost");
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_says_nothing_is_none() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        assert_eq!(hostname(&host), None);
        std::fs::create_dir_all(root.path().join("proc/sys/kernel")).unwrap();
        for (name, seen) in [
            ("node1.example.org\n", Some("node1.example.org")),
            ("(none)\n", None),
            ("localhost\n", None),
            ("localhost.localdomain\n", None),
            ("\n", None),
        ] {
            std::fs::write(root.path().join("proc/sys/kernel/hostname"), name).unwrap();
            assert_eq!(hostname(&host).as_deref(), seen);
        }
    }
}
