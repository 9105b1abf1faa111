//! What each step goes by, and where that comes from.

use serde::Serialize;

use super::InForce;
use crate::input::document::{Header, KeySource};
use crate::input::words::TIMEOUT;
use crate::sys::http;

/// A value that a step goes by.
#[derive(Debug, Serialize)]
pub struct Value {
    /// The member of the plan, or the parameter.
    pub member: String,
    /// What holds, without secrets.
    pub value: String,
    /// Who said so: `plan`, `preset`, `kernel parameters`, or more exactly.
    pub from: String,
}

/// The values of `step`.
pub fn of(step: &str, boot: &InForce) -> Vec<Value> {
    let mut values = Values { boot, values: Vec::new() };
    match step {
        "network" => values.timeout(),
        "plan" => values.plan(),
        "iscsi" => values.iscsi(),
        "multipath" => values.multipath(),
        "luks" => values.luks(),
        "zram" => values.layer(),
        "overlay" => values.overlay(),
        "modules" => {
            values.put("handover.require_modules", Some(boot.document.handover.require_modules));
        }
        "handover" => values.handover(),
        _ => (),
    }
    values.values
}

struct Values<'a> {
    boot: &'a InForce,
    values: Vec<Value>,
}

impl Values<'_> {
    /// The value of a member; none: nothing holds, and nobody need know.
    fn put(&mut self, member: &str, value: Option<impl ToString>) {
        let from = match &self.boot.shown {
            Some(shown) if shown.says(member) => "plan",
            Some(_) => "preset",
            None => "kernel parameters",
        };
        self.put_from(member, value, from.to_owned());
    }

    fn put_from(&mut self, member: &str, value: Option<impl ToString>, from: String) {
        if let Some(value) = value {
            self.values.push(Value { member: member.to_owned(), value: value.to_string(), from });
        }
    }

    fn timeout(&mut self) {
        let said = self.boot.node.cmdline.last(TIMEOUT).is_some();
        let from = if said { "parameter" } else { "preset" };
        self.put_from(TIMEOUT, Some(self.boot.node.config.timeout.as_secs()), from.to_owned());
    }

    fn plan(&mut self) {
        let validity = self.boot.document.validity.as_ref();
        self.put("validity.serial", validity.and_then(|validity| validity.serial));
        self.put("validity.not_before", validity.and_then(|validity| validity.not_before));
        self.put("validity.not_after", validity.and_then(|validity| validity.not_after));
    }

    fn iscsi(&mut self) {
        let iscsi = &self.boot.document.iscsi;
        let initiator = &self.boot.identity.initiator;
        self.put_from("iscsi.initiator", Some(&initiator.name), initiator.origin.to_string());
        self.put("iscsi.target", Some(&iscsi.target));
        for (i, portal) in iscsi.portals.iter().enumerate() {
            self.put(&format!("iscsi.portals[{i}]"), Some(portal));
        }
        self.put("iscsi.lun", Some(iscsi.lun));
        self.put("iscsi.min_paths", Some(iscsi.min_paths));
        self.put("iscsi.grace", Some(format!("{} s", iscsi.grace)));
        self.put("iscsi.auth.username", iscsi.auth.as_ref().map(|auth| &auth.username));
        let mutual = iscsi.auth.as_ref().and_then(|auth| auth.mutual.as_ref());
        self.put("iscsi.auth.mutual.username", mutual.map(|mutual| &mutual.username));
    }

    fn multipath(&mut self) {
        let Some(map) = self.boot.document.map() else { return };
        let identify = serde_json::to_value(map.identify).ok();
        self.put("multipath.identify", identify.as_ref().and_then(|word| word.as_str()));
        self.put("multipath.defaults.path_selector", Some(map.path_selector()));
    }

    fn luks(&mut self) {
        let luks = &self.boot.document.luks;
        self.put("luks.name", Some(&luks.name));
        self.put("luks.uuid", luks.uuid.as_ref());
        self.put(
            "luks.key",
            Some(match &luks.key {
                KeySource::File(path) => path.clone(),
                KeySource::Url(url) => http::shown(url),
            }),
        );
        self.put("luks.keyslot", luks.keyslot);
        self.put(
            "luks.header",
            luks.header.as_ref().map(|header| match header {
                Header::File(path) => path.clone(),
                Header::Url(url) => http::shown(url),
            }),
        );
    }

    fn layer(&mut self) {
        let overlay = &self.boot.document.overlay;
        self.put("overlay.size", Some(overlay.size()));
        self.put("overlay.fs", Some(overlay.fs.unwrap_or_default()));
        self.put("overlay.algorithm", overlay.algorithm.as_ref());
        self.put("overlay.mem_limit", overlay.mem_limit);
        self.put("overlay.overcommit", Some(overlay.overcommit));
    }

    fn overlay(&mut self) {
        let overlay = &self.boot.document.overlay;
        for (i, mount) in overlay.mounts.iter().enumerate() {
            self.put(&format!("overlay.mounts[{i}]"), Some(format!("{} of {}", mount.at, mount.lower)));
        }
        let watermarks: Vec<String> = overlay.watermarks.iter().map(|mark| format!("{mark}%")).collect();
        self.put("overlay.watermarks", Some(watermarks.join(" ")));
    }

    fn handover(&mut self) {
        let InForce { document, identity, .. } = self.boot;
        self.put("hostname", Some(document.hostname.as_deref().unwrap_or("as the node has it by then")));
        let id = identity.machine_id.as_ref();
        let from = id.map(|id| id.origin.to_string()).unwrap_or_default();
        self.put_from("machine_id", id.map(|id| &id.id), from);
        for (i, service) in document.handover.services.iter().enumerate() {
            self.put(&format!("handover.services[{i}]"), Some(service));
        }
        for (i, file) in document.handover.files.iter().enumerate() {
            self.put(&format!("handover.files[{i}]"), Some(&file.path));
        }
        self.put("report.url", document.report.as_ref().map(|report| http::shown(&report.url)));
    }
}
