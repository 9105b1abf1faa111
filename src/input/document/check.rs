//! What the types alone cannot say. Each rule has its own code.

use super::{Chap, Document, Iscsi, Luks, Overlay};
use crate::error::{Code, Error, Result};

/// Holds `document` to all rules; the first that it breaks is the error.
pub fn check(document: &Document) -> Result<()> {
    if let Some(hostname) = &document.hostname
        && !is_hostname(hostname)
    {
        return broken(
            Code::PlanHostname,
            "hostname",
            "not a host name: letters, digits, `-` and `.`, 64 at most",
        );
    }
    iscsi(&document.iscsi)?;
    luks(&document.luks)?;
    overlay(&document.overlay)
}

fn broken(
    code: Code,
    place: impl Into<String>,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Result<()> {
    Err(Error::new(code, place).because(cause))
}

fn iscsi(iscsi: &Iscsi) -> Result<()> {
    let names = [("iscsi.initiator", iscsi.initiator.as_ref()), ("iscsi.target", Some(&iscsi.target))];
    for (place, name) in names {
        if name.is_some_and(|name| !is_iscsi_name(name)) {
            let cause = "not an iSCSI name: iqn.YYYY-MM.DOMAIN[:ID], eui.… or naa.…";
            return broken(Code::PlanIscsiName, place, cause);
        }
    }
    if iscsi.portals.len() != 1 {
        let cause = "must be one portal; several are not supported yet";
        return broken(Code::PlanPortals, "iscsi.portals", cause);
    }
    if let Some(auth) = &iscsi.auth {
        chap("iscsi.auth", auth)?;
    }
    if let Some(auth) = iscsi.discovery.as_ref().and_then(|discovery| discovery.auth.as_ref()) {
        chap("iscsi.discovery.auth", auth)?;
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

fn luks(luks: &Luks) -> Result<()> {
    if !is_map_name(&luks.name) {
        return broken(Code::PlanMapName, "luks.name", "letters, digits, `.`, `_` and `-`, 100 at most");
    }
    Ok(())
}

fn overlay(overlay: &Overlay) -> Result<()> {
    for (i, mount) in overlay.mounts.iter().enumerate() {
        let place = format!("overlay.mounts[{i}]");
        if !is_mount_point(&mount.at) {
            return broken(Code::PlanMounts, place, "`at` is not a plain absolute path");
        }
        if overlay.mounts.iter().take(i).any(|other| other.at == mount.at) {
            return broken(Code::PlanMounts, place, format!("{} is mounted twice", mount.at));
        }
        if !mount.lower.strip_prefix("/dev/mapper/").is_some_and(is_map_name) {
            let cause = "`lower` is not a volume of the image, /dev/mapper/NAME";
            return broken(Code::PlanMounts, place, cause);
        }
    }
    if !overlay.mounts.iter().any(|mount| mount.at == "/") {
        return broken(Code::PlanMounts, "overlay.mounts", "nothing is mounted at /");
    }
    Ok(())
}

/// RFC 1123, and the kernel's limit.
fn is_hostname(name: &str) -> bool {
    name.len() <= 64
        && name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

/// RFC 7143 section 4.2.7: 223 bytes at most; what stringprep forbids is left to the target.
fn is_iscsi_name(name: &str) -> bool {
    let known = ["iqn.", "eui.", "naa."].iter().any(|kind| name.len() > kind.len() && name.starts_with(kind));
    known && name.len() <= 223 && !name.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Below the kernel's 127 bytes, so that the number of a partition fits behind it.
fn is_map_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.bytes().all(plain)
}

/// `/`, or an absolute path without `.`, `..`, empty parts or what mount options and mountinfo would have to quote.
fn is_mount_point(path: &str) -> bool {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    path == "/" || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain))
}
