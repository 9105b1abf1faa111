//! A boot plan from kernel parameters alone, in the words that dracut and systemd have for its parts.
//!
//! What stands on the command line may be secret: no message quotes a value.

use super::cmdline::Cmdline;
use super::config::{self, unusable};
use super::document::{
    Algorithm, Backing, Chap, Document, FileSystem, Header, Iscsi, KeySource, Lowers, Luks, Mount, Multipath,
    Mutual, Overlay, Report, TargetPortal, Unclean, check,
};
use super::facts::is_uuid;
use super::netroot::{Netroot, lun_number, portal};
use super::secret::Secret;
use super::settings::{SETTINGS, Settings};
use super::size::Size;
use super::url::{has_account, is_url};
use super::words::{
    GRACE, HOSTNAME, ISCSI_PARAM, LUKS_KEY, LUKS_NAME, LUKS_OPTIONS, LUKS_UUID, LUN, MIN_PATHS, MOUNT,
    NETROOT, OVERLAY, PARAMETERS, PASSWORD, PASSWORD_IN, PLAN, REPORT, ROOT, ROOT_FS, TARGET_IP, TARGET_NAME,
    TARGET_PORT, USERNAME, USERNAME_IN,
};
use crate::error::{Code, Error, Result};
use crate::input::cmdline::normal;

/// Words of others that change nothing for the agent: how dracut waits and looks, and what only dm-crypt volumes that are
/// written to need. All other `rd.iscsi.*` and `rd.luks.*` that are not in the table are refused.
const PASSED_OVER: &[&str] = &[
    "rd.iscsi.target.group",
    "rd.iscsi.waitnet",
    "rd.iscsi.testroute",
    "rd.luks.allow_discards",
    "rd.luks.crypttab",
    "rd.luks.key.tout",
    "rd.luks.timeout",
];

/// The boot plan that `cmdline` describes, held to the same rules as a document.
///
/// # Errors
/// [`Code::Parameter`], with the parameter or the rule of the plan that it breaks.
pub fn document(cmdline: &Cmdline) -> Result<Document> {
    for key in cmdline.keys().filter(|key| key.starts_with("rd.iscsi.") || key.starts_with("rd.luks.")) {
        let known = PARAMETERS.iter().any(|parameter| normal(parameter.name) == key);
        if !known && !PASSED_OVER.contains(&key) {
            return Err(unusable(key, "diskless has nothing that does this"));
        }
    }
    let multipath = config::multipath(cmdline)?;
    let document = Document {
        version: "1.0".into(),
        validity: None,
        hostname: cmdline.last(HOSTNAME).map(str::to_owned),
        // The command line's goes before any plan.
        machine_id: None,
        iscsi: iscsi(cmdline)?,
        multipath: if multipath { None } else { Some(Multipath::Off) },
        luks: luks(cmdline)?,
        overlay: overlay(cmdline)?,
        cloud_init: None,
        handover: Default::default(),
        access: Default::default(),
        report: cmdline.last(REPORT).map(|url| Report { url: url.to_owned(), phone_home: None }),
    };
    check::check(&document)
        .map_err(|error| Error::new(Code::Parameter, "kernel command line").because(error))?;
    Ok(document.with_timers())
}

/// What the person in front must know of secrets on the command line.
pub fn warning(cmdline: &Cmdline) -> Option<&'static str> {
    let account = |netroot: &str| {
        netroot
            .split_once('@')
            .is_some_and(|(account, rest)| account != "iscsi:" && rest.matches(':').count() >= 4)
    };
    let secret = cmdline.all(NETROOT).any(account)
        || [PASSWORD, PASSWORD_IN].iter().any(|name| cmdline.last(name).is_some())
        || [PLAN, REPORT, LUKS_KEY]
            .iter()
            .any(|name| cmdline.all(name).flat_map(|urls| urls.split(',')).any(has_account));
    secret.then_some(
        "there is a secret on the kernel command line (CHAP, or an account in a URL): every process of this node can \
         read it; a boot plan hides it",
    )
}

fn required<'a>(cmdline: &'a Cmdline, name: &str) -> Result<&'a str> {
    cmdline.last(name).ok_or_else(|| unusable(name, "missing: a boot from kernel parameters needs it"))
}

fn iscsi(cmdline: &Cmdline) -> Result<Iscsi> {
    let mut disks = Vec::new();
    for netroot in cmdline.all(NETROOT) {
        if let Some(disk) = netroot.strip_prefix("iscsi:").filter(|disk| !disk.is_empty()) {
            disks.push(Netroot::parse(disk).map_err(|why| unusable(NETROOT, why))?);
        }
    }
    if disks.is_empty() {
        let portal = portal(required(cmdline, TARGET_IP)?, cmdline.last(TARGET_PORT).unwrap_or_default());
        disks.push(Netroot {
            portal: portal.map_err(|why| unusable(TARGET_IP, why))?,
            lun: lun_number(cmdline.last(LUN).unwrap_or_default()).map_err(|why| unusable(LUN, why))?,
            interface: None,
            target: required(cmdline, TARGET_NAME)?.to_owned(),
            auth: None,
        });
    }
    // There is one: it was pushed above, if not before.
    let Some(Netroot { target, lun, auth, .. }) = disks.first().cloned() else {
        return Err(unusable(NETROOT, "names no disk"));
    };
    for other in &disks {
        if other.lun != lun {
            return Err(unusable(NETROOT, "names two LUNs; a path has the same one as the others"));
        }
        if other.auth.as_ref().is_some_and(|other| auth.as_ref().is_none_or(|auth| !same(auth, other))) {
            return Err(unusable(NETROOT, "has another account than the first; all paths have one"));
        }
    }
    let portals = disks.into_iter().map(|disk| TargetPortal {
        target: Some(disk.target).filter(|other| *other != target),
        interface: disk.interface,
        ..disk.portal.into()
    });
    let portals: Vec<TargetPortal> = portals.collect();
    let mut auth = match auth {
        Some(auth) => Some(auth),
        None => account(cmdline)?,
    };
    let mut settings = Settings::default();
    for param in cmdline.all(ISCSI_PARAM) {
        let (key, value) = param.split_once('=').ok_or_else(|| unusable(ISCSI_PARAM, "not KEY=VALUE"))?;
        match (key, &mut auth) {
            ("node.session.auth.chap_algs", Some(auth)) => auth.algorithms = algorithms(value)?,
            ("node.session.auth.chap_algs", None) => {
                return Err(unusable(ISCSI_PARAM, "node.session.auth.chap_algs without an account"));
            }
            _ => settings.set(key, value).map_err(|_| unusable(ISCSI_PARAM, not_a_setting(key)))?,
        }
    }
    Ok(Iscsi {
        // The command line's name has its own place: it is also the name of a plan without one.
        initiator: None,
        target,
        portals,
        min_paths: number(cmdline, MIN_PATHS)?.unwrap_or(1),
        grace: number(cmdline, GRACE)?.unwrap_or(10),
        lun,
        require_readonly_lun: false,
        auth,
        discovery: None,
        settings,
    })
}

/// Whether two accounts are one.
fn same(one: &Chap, other: &Chap) -> bool {
    let mutual = match (&one.mutual, &other.mutual) {
        (Some(one), Some(other)) => {
            one.username == other.username && one.secret.expose() == other.secret.expose()
        }
        (None, None) => true,
        _ => false,
    };
    mutual && one.username == other.username && one.secret.expose() == other.secret.expose()
}

fn number(cmdline: &Cmdline, name: &str) -> Result<Option<u32>> {
    let number = |text: &str| {
        text.parse()
            .ok()
            .filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(|| unusable(name, "not a number"))
    };
    cmdline.last(name).map(number).transpose()
}

/// Why a setting was refused; not in the table's own words, which quote the value.
fn not_a_setting(key: &str) -> String {
    match SETTINGS.iter().find(|setting| setting.key == key) {
        Some(setting) => format!("{key}: not {}", setting.kind),
        None => "no setting of iscsid.conf that may be set here; an account is rd.iscsi.username=".into(),
    }
}

/// The account in `rd.iscsi.*`.
fn account(cmdline: &Cmdline) -> Result<Option<Chap>> {
    let pair = |username, password| match (cmdline.last(username), cmdline.last(password)) {
        (Some(name), Some(secret)) => {
            Ok(Some(Mutual { username: name.to_owned(), secret: Secret::new(secret.as_bytes().to_vec()) }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(unusable(password, "missing: there is an account without its secret")),
        (None, Some(_)) => Err(unusable(username, "missing: there is a secret without its account")),
    };
    match (pair(USERNAME, PASSWORD)?, pair(USERNAME_IN, PASSWORD_IN)?) {
        (Some(own), mutual) => Ok(Some(Chap {
            username: own.username,
            secret: own.secret,
            mutual,
            algorithms: vec![Algorithm::Md5],
        })),
        (None, None) => Ok(None),
        (None, Some(_)) => {
            Err(unusable(USERNAME, "missing: a target proves who it is only to those who do so themselves"))
        }
    }
}

fn algorithms(text: &str) -> Result<Vec<Algorithm>> {
    let algorithm = |name: &str| {
        Algorithm::parse(name.trim()).ok_or_else(|| {
            unusable(ISCSI_PARAM, "node.session.auth.chap_algs: not a list of MD5, SHA1, SHA256 and SHA3-256")
        })
    };
    text.split(',').map(algorithm).collect()
}

fn luks(cmdline: &Cmdline) -> Result<Luks> {
    let mut uuids = Vec::new();
    for uuid in cmdline.all(LUKS_UUID) {
        uuids.push((LUKS_UUID, uuid.strip_prefix("luks-").unwrap_or(uuid)));
    }
    let mut name = "luks_root";
    for value in cmdline.all(LUKS_NAME) {
        let (uuid, value) = value.split_once('=').ok_or_else(|| unusable(LUKS_NAME, "not UUID=NAME"))?;
        uuids.push((LUKS_NAME, uuid));
        name = value;
    }
    let (uuid, key) = of_disk(required(cmdline, LUKS_KEY)?);
    uuids.extend(uuid.map(|uuid| (LUKS_KEY, uuid)));
    let (uuid, options) = of_disk(cmdline.last(LUKS_OPTIONS).unwrap_or_default());
    uuids.extend(uuid.map(|uuid| (LUKS_OPTIONS, uuid)));
    for (parameter, uuid) in &uuids {
        if !is_uuid(uuid) {
            return Err(unusable(parameter, "not a whole UUID"));
        }
        if uuids.iter().any(|(_, other)| !other.eq_ignore_ascii_case(uuid)) {
            return Err(unusable(parameter, "names another disk than the others; diskless opens one"));
        }
    }
    let mut luks = Luks {
        name: name.to_owned(),
        key: key_source(key)?,
        key_offset: 0,
        key_size: None,
        keyslot: None,
        header: None,
        uuid: uuids.first().map(|(_, uuid)| uuid.to_ascii_lowercase()),
    };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        luks_option(&mut luks, option)?;
    }
    Ok(luks)
}

/// `[UUID=]REST`, as systemd-cryptsetup-generator(8) has it.
fn of_disk(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        Some((uuid, rest)) if is_uuid(uuid) => (Some(uuid), rest),
        _ => (None, text),
    }
}

fn key_source(text: &str) -> Result<KeySource> {
    if is_url(text) {
        Ok(KeySource::Url(text.to_owned()))
    } else if text.starts_with('/') && !text.contains(':') {
        Ok(KeySource::File(text.to_owned()))
    } else {
        Err(unusable(
            LUKS_KEY,
            "neither the absolute path of a file in the initramfs nor an http:// or https:// URL",
        ))
    }
}

fn luks_option(luks: &mut Luks, option: &str) -> Result<()> {
    let refused = |why: String| Err(unusable(LUKS_OPTIONS, why));
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    // The names of crypttab(5).
    match (name, value.parse::<u64>()) {
        ("keyfile-offset", Ok(offset)) => luks.key_offset = offset,
        ("keyfile-size", Ok(size)) => luks.key_size = Some(size),
        ("key-slot", Ok(slot)) => luks.keyslot = Some(u32::try_from(slot).unwrap_or(u32::MAX)),
        ("header", _) if value.starts_with('/') && !value.contains(':') => {
            luks.header = Some(Header::File(value.to_owned()));
        }
        ("keyfile-offset" | "keyfile-size" | "key-slot", Err(_)) => {
            return refused(format!("{name}: not a number"));
        }
        ("header", _) => return refused("header: not an absolute path".into()),
        _ => {
            return refused(
                "has an option other than keyfile-offset, keyfile-size, key-slot and header".into(),
            );
        }
    }
    Ok(())
}

fn overlay(cmdline: &Cmdline) -> Result<Overlay> {
    let fs = |text: &str| Some(text.to_owned()).filter(|fs| !fs.is_empty() && fs != "auto");
    let mut mounts = vec![Mount {
        at: "/".into(),
        lower: Lowers::one(required(cmdline, ROOT)?),
        fs: cmdline.last(ROOT_FS).and_then(fs),
        unclean: Unclean::Refuse,
    }];
    for mount in cmdline.all(MOUNT) {
        let (at, lower, kind) = match mount.split(':').collect::<Vec<_>>().as_slice() {
            [at, lower] => (*at, *lower, ""),
            [at, lower, kind] => (*at, *lower, *kind),
            _ => return Err(unusable(MOUNT, "not MOUNT_POINT:/dev/mapper/NAME[:FSTYPE]")),
        };
        mounts.push(Mount {
            at: at.to_owned(),
            lower: Lowers::one(lower),
            fs: fs(kind),
            unclean: Unclean::Refuse,
        });
    }
    let mut overlay = Overlay::over(mounts);
    let layer = cmdline.last(OVERLAY).unwrap_or("zram");
    let (backing, options) = layer.split_once(':').unwrap_or((layer, ""));
    overlay.backing = match backing {
        "zram" => Backing::Zram,
        "tmpfs" => Backing::Tmpfs,
        _ => return Err(unusable(OVERLAY, "diskless writes to zram[:OPTION,...] or tmpfs[:OPTION,...]")),
    };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        layer_option(&mut overlay, option)?;
    }
    Ok(overlay)
}

/// Which of them go together, the rules of the plan say.
fn layer_option(overlay: &mut Overlay, option: &str) -> Result<()> {
    let size = |text| Size::parse(text).map(Some).ok_or_else(|| unusable(OVERLAY, "has a size that is none"));
    match option.split_once('=').unwrap_or((option, "")) {
        ("size", value) => overlay.size = size(value)?,
        ("mem_limit", value) => overlay.mem_limit = size(value)?,
        ("overcommit", "" | "1") => overlay.overcommit = true,
        ("algorithm", value) => overlay.algorithm = Some(value.to_owned()),
        ("fs", "ext4") => overlay.fs = Some(FileSystem::Ext4),
        ("fs", "xfs") => overlay.fs = Some(FileSystem::Xfs),
        ("nr_inodes", value) if value.bytes().all(|b| b.is_ascii_digit()) => {
            let inodes = value.parse().map_err(|_| unusable(OVERLAY, "nr_inodes: not a number"))?;
            overlay.nr_inodes = Some(inodes);
        }
        _ => {
            let known = "size=, mem_limit=, overcommit, algorithm=, fs=ext4, fs=xfs and nr_inodes=";
            return Err(unusable(OVERLAY, format!("has an option other than {known}")));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "parameters_tests.rs"]
mod tests;
