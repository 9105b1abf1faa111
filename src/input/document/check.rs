//! What the types alone cannot say. Each rule has its own code.

mod access;
mod layer;
mod lowers;
mod paths;
mod validity;

use super::{
    Chap, CloudInit, Document, Handover, Header, HostKey, Iscsi, KeySource, LONGEST_KEY, Luks, Multipath,
    Overlay, Report,
};
use crate::error::{Code, Error, Result};
use crate::input::facts::is_uuid;
use crate::input::identity::is_machine_id;
use crate::input::ssh_key;
use crate::input::url::{self, is_url};

/// Of a LUKS2 header; LUKS1 has 8 (LUKS2 On-Disk Format Specification, section 3.2).
const KEYSLOTS: u32 = 32;
/// What an iSCSI name that is none should be.
const ISCSI_NAME: &str = "not an iSCSI name: iqn.YYYY-MM.DOMAIN[:ID], eui.… or naa.…";
/// PATH_MAX without the NUL (linux/limits.h).
const LONGEST_PATH: usize = 4095;

/// A rule.
type Rule = fn(&Document) -> Result<()>;

/// All of them, in the order in which they are looked at.
const RULES: &[Rule] = &[
    |document| document.validity.as_ref().map_or(Ok(()), validity::validity),
    hostname,
    machine_id,
    |document| iscsi_names(&document.iscsi),
    |document| paths::portals(&document.iscsi),
    |document| document.iscsi.auth.as_ref().map_or(Ok(()), |auth| chap("iscsi.auth", auth)),
    |document| match document.iscsi.discovery.as_ref().and_then(|discovery| discovery.auth.as_ref()) {
        Some(auth) => chap("iscsi.discovery.auth", auth),
        None => Ok(()),
    },
    |document| map_name(&document.luks),
    |document| key(&document.luks),
    |document| keyslot(&document.luks),
    |document| layer::layer(&document.overlay),
    |document| mounts(&document.overlay),
    |document| services(&document.handover),
    |document| files(&document.handover),
    |document| host_keys(&document.handover),
    |document| access::access(&document.access),
    |document| document.cloud_init.as_ref().map_or(Ok(()), cloud_init),
    |document| document.multipath.as_ref().map_or(Ok(()), multipath),
    paths::map,
    paths::quorum,
    |document| document.report.as_ref().map_or(Ok(()), report),
];

/// Holds `document` to all rules; the first that it breaks is the error.
pub fn check(document: &Document) -> Result<()> {
    RULES.iter().try_for_each(|rule| rule(document))
}

/// Everything that is wrong with `document`.
pub fn findings(document: &Document) -> Vec<Error> {
    RULES.iter().filter_map(|rule| rule(document).err()).collect()
}

fn hostname(document: &Document) -> Result<()> {
    match &document.hostname {
        Some(hostname) if !is_hostname(hostname) => broken(
            Code::PlanHostname,
            "hostname",
            "not a host name: letters, digits, `-` and `.`, 64 at most",
        ),
        _ => Ok(()),
    }
}

fn machine_id(document: &Document) -> Result<()> {
    if document.machine_id.as_deref().is_some_and(|id| !is_machine_id(id)) {
        let cause = "not 32 lower-case hexadecimal digits, neither all 0 nor all f";
        return broken(Code::PlanMachineId, "machine_id", cause);
    }
    Ok(())
}

fn report(report: &Report) -> Result<()> {
    if !is_url(&report.url) {
        return broken(Code::PlanReport, "report.url", url::EXPECTED);
    }
    match &report.phone_home {
        Some(url) if !is_url(url) => broken(Code::PlanReport, "report.phone_home", url::EXPECTED),
        _ => Ok(()),
    }
}

fn broken(
    code: Code,
    place: impl Into<String>,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Result<()> {
    Err(Error::new(code, place).because(cause))
}

fn iscsi_names(iscsi: &Iscsi) -> Result<()> {
    let names = [("iscsi.initiator", iscsi.initiator.as_ref()), ("iscsi.target", Some(&iscsi.target))];
    for (place, name) in names {
        if name.is_some_and(|name| !is_iscsi_name(name)) {
            return broken(Code::PlanIscsiName, place, ISCSI_NAME);
        }
    }
    Ok(())
}

fn chap(place: &str, auth: &Chap) -> Result<()> {
    let mut texts = vec![("username", auth.username.as_bytes()), ("secret", auth.secret.expose())];
    if let Some(mutual) = &auth.mutual {
        texts.push(("mutual.username", mutual.username.as_bytes()));
        texts.push(("mutual.secret", mutual.secret.expose()));
        if mutual.secret.expose() == auth.secret.expose() {
            // RFC 7143, section 9.2.1: else the initiator's answer could be reflected.
            let cause = "must be another secret than the initiator's";
            return broken(Code::PlanChap, format!("{place}.mutual.secret"), cause);
        }
    }
    for (field, text) in texts {
        // They are lines of configuration files too.
        if text.is_empty() || text.len() > 255 || text.iter().any(u8::is_ascii_control) {
            let cause = "1 to 255 characters, none of them a control character";
            return broken(Code::PlanChap, format!("{place}.{field}"), cause);
        }
    }
    if auth.algorithms.is_empty() {
        return broken(Code::PlanChap, format!("{place}.algorithms"), "at least one");
    }
    Ok(())
}

fn map_name(luks: &Luks) -> Result<()> {
    if !is_map_name(&luks.name) {
        return broken(Code::PlanMapName, "luks.name", "letters, digits, `.`, `_` and `-`, 100 at most");
    }
    Ok(())
}

fn key(luks: &Luks) -> Result<()> {
    let mut places = match &luks.key {
        KeySource::File(path) => vec![("luks.key.file", Some(path), None)],
        KeySource::Url(url) => vec![("luks.key.url", None, Some(url))],
    };
    match &luks.header {
        Some(Header::File(path)) => places.push(("luks.header.file", Some(path), None)),
        Some(Header::Url(url)) => places.push(("luks.header.url", None, Some(url))),
        None => (),
    }
    for (place, path, url) in places {
        if path.is_some_and(|path| !is_path(path)) {
            return broken(Code::PlanKey, place, "not the absolute path of a file, without `..`");
        }
        if url.is_some_and(|url| !is_url(url)) {
            return broken(Code::PlanKey, place, url::EXPECTED);
        }
    }
    if luks.key_size.is_some_and(|size| !(1..=LONGEST_KEY).contains(&size)) {
        return broken(Code::PlanKey, "luks.key_size", "not from 1 byte to 8 MiB");
    }
    Ok(())
}

fn keyslot(luks: &Luks) -> Result<()> {
    if luks.keyslot.is_some_and(|keyslot| keyslot >= KEYSLOTS) {
        return broken(Code::PlanKeyslot, "luks.keyslot", "not a number from 0 to 31");
    }
    if luks.uuid.as_deref().is_some_and(|uuid| !is_uuid(uuid)) {
        return broken(Code::PlanUuid, "luks.uuid", "not 8-4-4-4-12 hexadecimal digits");
    }
    Ok(())
}

fn mounts(overlay: &Overlay) -> Result<()> {
    for (i, mount) in overlay.mounts.iter().enumerate() {
        let place = format!("overlay.mounts[{i}]");
        if !is_mount_point(&mount.at) {
            return broken(Code::PlanMounts, place, "`at` is not a plain absolute path");
        }
        if overlay.mounts.iter().take(i).any(|other| other.at == mount.at) {
            return broken(Code::PlanMounts, place, format!("{} is mounted twice", mount.at));
        }
        lowers::lowers(&place, mount)?;
        if mount.fs.as_deref().is_some_and(|fs| !is_word(fs)) {
            return broken(Code::PlanMounts, place, "`fs` is not a file system's name, like ext4");
        }
    }
    if !overlay.mounts.iter().any(|mount| mount.at == "/") {
        return broken(Code::PlanMounts, "overlay.mounts", "nothing is mounted at /");
    }
    Ok(())
}

fn services(handover: &Handover) -> Result<()> {
    for (i, service) in handover.services.iter().enumerate() {
        let place = format!("handover.services[{i}]");
        // systemd.unit(5): these, and 255 at most.
        let plain =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_' | b'.' | b'\\' | b'@');
        if service.is_empty()
            || service.len() > 255
            || service.starts_with(['.', '-'])
            || !service.bytes().all(plain)
        {
            return broken(Code::PlanServices, place, "not a unit's name, like multipathd");
        }
        if handover.services.iter().take(i).any(|other| other == service) {
            return broken(Code::PlanServices, place, format!("{service} stands twice"));
        }
    }
    Ok(())
}

fn files(handover: &Handover) -> Result<()> {
    for (i, file) in handover.files.iter().enumerate() {
        let place = format!("handover.files[{i}]");
        if !is_path(&file.path) {
            return broken(Code::PlanFiles, place, "`path` is not an absolute path without `..`");
        }
        if handover.files.iter().take(i).any(|other| other.path == file.path) {
            return broken(Code::PlanFiles, place, format!("{} is written twice", file.path));
        }
        if file.mode.0 & 0o400 == 0 {
            return broken(Code::PlanFiles, place, "`mode` gives not even the owner the right to read it");
        }
    }
    Ok(())
}

fn host_keys(handover: &Handover) -> Result<()> {
    for (kind, key) in handover.ssh_host_keys.iter() {
        let place = format!("handover.ssh_host_keys.{kind}");
        let wrong = match key {
            HostKey::Secret(text) => ssh_key::public_of(kind, text.expose()).err().map(ToString::to_string),
            HostKey::File(path) if !is_path(path) => {
                Some("not the absolute path of a file, without `..`".to_owned())
            }
            HostKey::Url(url) if !is_url(url) => Some(url::EXPECTED.to_owned()),
            HostKey::File(_) | HostKey::Url(_) => None,
        };
        if let Some(cause) = wrong {
            return broken(Code::PlanHostKeys, place, cause);
        }
    }
    Ok(())
}

fn cloud_init(cloud_init: &CloudInit) -> Result<()> {
    // It becomes the name of a folder, and of files.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':');
    let is_id = |id: &str| id.len() <= 128 && !id.is_empty() && !id.starts_with('.') && id.bytes().all(plain);
    if cloud_init.instance_id.as_deref().is_some_and(|id| !is_id(id)) {
        let cause = "letters, digits, `.`, `_`, `:` and `-`, 128 at most, and no `.` in front";
        return broken(Code::PlanCloudInit, "cloud_init.instance_id", cause);
    }
    if cloud_init.meta_data.contains_key("instance-id") {
        return broken(Code::PlanCloudInit, "cloud_init.meta_data", "the id is cloud_init.instance_id");
    }
    Ok(())
}

/// Both end up in lines `key "value"` of multipath.conf, which has no way to quote a quote.
fn multipath(multipath: &Multipath) -> Result<()> {
    let Multipath::Map(multipath) = multipath else { return Ok(()) };
    let plain = |text: &str| {
        !text.is_empty()
            && text.len() <= 1000
            && !text.chars().any(|c| c.is_control() || matches!(c, '"' | '{' | '}'))
    };
    for (key, value) in &multipath.defaults {
        if !is_word(key) {
            return broken(
                Code::PlanMultipath,
                "multipath.defaults",
                "a key is not a word, like no_path_retry",
            );
        }
        if !plain(value) {
            let cause = "not one line without quotes and braces";
            return broken(Code::PlanMultipath, format!("multipath.defaults.{key}"), cause);
        }
    }
    for (i, devnode) in multipath.blacklist.iter().flatten().enumerate() {
        if !plain(devnode) {
            let cause = "not one line without quotes and braces";
            return broken(Code::PlanMultipath, format!("multipath.blacklist[{i}]"), cause);
        }
    }
    Ok(())
}

/// A word as the kernel and multipath.conf have them: `lzo-rle`, `no_path_retry`.
fn is_word(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    !text.is_empty() && text.len() <= 64 && text.bytes().all(plain)
}

/// An absolute path of a file, without `.`, `..`, empty parts or control characters.
fn is_path(path: &str) -> bool {
    let part = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255;
    path.len() <= LONGEST_PATH
        && !path.chars().any(char::is_control)
        && path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(part))
}

/// RFC 1123, and the kernel's limit.
pub fn is_hostname(name: &str) -> bool {
    name.len() <= 64
        && name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

/// RFC 7143 section 4.2.7: 223 bytes at most; what stringprep forbids is left to the target.
pub fn is_iscsi_name(name: &str) -> bool {
    let known = ["iqn.", "eui.", "naa."].iter().any(|kind| name.len() > kind.len() && name.starts_with(kind));
    known && name.len() <= 223 && !name.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Below the kernel's 127 bytes, so that the number of a partition fits behind it.
fn is_map_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.bytes().all(plain)
}

/// The longest mount point. The folder of a lower is named after it, and all of them are in one page of mount options.
const LONGEST_MOUNT_POINT: usize = 100;

/// `/`, or an absolute path without `.`, `..`, empty parts or what mount options and mountinfo would have to quote.
fn is_mount_point(path: &str) -> bool {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    path == "/"
        || path.len() <= LONGEST_MOUNT_POINT
            && path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain))
}
