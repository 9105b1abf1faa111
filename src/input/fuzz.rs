//! Fuzz targets of this folder; see [`crate::fuzz`].

use super::authorized_key::AuthorizedKey;
use super::cmdline::Cmdline;
use super::conf::Conf;
use super::config::{Acts, Config, acts};
use super::document::{Document, Map, Shown, is_iscsi_name};
use super::facts::{Facts, is_uuid, mac, system_serial};
use super::identity::{Identity, baked_name, is_machine_id};
use super::memory::Memory;
use super::multipath_settings::{Device, file};
use super::netroot::{Netroot, lun_number};
use super::parameters;
use super::portal::Portal;
use super::settings::{Preset, SETTINGS, Settings};
use super::signature::{PublicKey, SecretKey, Signature};
use super::size::Size;
use super::ssh_key;
use super::time::Time;
use super::trap::{Mode, Trap};
use super::url::{has_account, is_url};
use crate::steps::luks::kdf::available_memory;
use crate::sys::http;

/// A key that the seeds' signatures are by.
const KEY: &[u8] = include_bytes!("../../tests/data/signatures/minisign.pub");

/// A boot plan.
pub fn plan(data: &[u8]) {
    if let Ok(shown) = Shown::of(data) {
        let _ = (shown.to_string(), shown.leaves().len());
    }
    match Document::parse(data) {
        Ok(document) => assert!(is_iscsi_name(&document.iscsi.target)),
        Err(error) => _ = error.to_string(),
    }
}

/// A kernel command line, with all that is read from it.
pub fn cmdline(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let cmdline = Cmdline::parse(&text);
    let config = Config::from_cmdline(&cmdline);
    if config.is_ok() && !matches!(Mode::read(&cmdline), Ok(Mode::Off)) {
        assert_eq!(acts(&cmdline), Acts::Boots);
    }
    let _ = Trap::read(&cmdline);
    let document = parameters::document(&cmdline);
    let _ = parameters::warning(&cmdline);
    if let (Ok(config), Ok(document)) = (config, document) {
        let identity = Identity::of(&document, &config, &Facts::default(), None);
        assert!(
            identity.ok().and_then(|identity| identity.machine_id).is_none_or(|id| is_machine_id(&id.id))
        );
    }
}

/// A configuration file.
pub fn conf(data: &[u8]) {
    let conf = Conf::parse(&String::from_utf8_lossy(data));
    let merged = conf.behind(Cmdline::parse("rd.diskless.timeout=7"));
    assert_eq!(merged.last(super::words::TIMEOUT), Some("7"));
    for parameter in super::words::PARAMETERS {
        for value in merged.all(parameter.name) {
            let _ = super::shown::value(parameter.name, value);
        }
    }
}

/// A line of an operator's key. sshd takes the whole line: what is taken must be one.
pub fn authorized_key(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for key in [AuthorizedKey::alone(&text).ok(), AuthorizedKey::of_file(&text).ok().flatten()] {
        assert!(key.is_none_or(|key| key.to_string().lines().count() == 1));
    }
}

/// The words that plans and parameters are made of.
pub fn words(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    if let Some(size) = Size::parse(text) {
        assert!(size.bytes(u64::MAX) > 0 && text.starts_with(|first: char| first.is_ascii_digit()));
    }
    if let Some(portal) = Portal::parse(text) {
        assert_eq!(Portal::parse(&portal.to_string()), Some(portal));
    }
    let _ = (Netroot::parse(text), lun_number(text), is_iscsi_name(text));
    let _ = (has_account(text), http::server(text));
    if is_url(text) {
        // What people are shown must not have the account in it.
        assert!(!has_account(&http::shown(text)), "{text}");
    }
    let mut settings = Settings::preset(Preset::Multipath);
    if let Some((key, value)) = text.split_once('=')
        && settings.set(key, value).is_ok()
    {
        assert_eq!(settings.get(key), Some(value));
    }
    for setting in SETTINGS {
        if settings.set(setting.key, text).is_ok() {
            assert_eq!(settings.effective(setting.key), text);
        }
    }
}

/// What firmware, kernel and initramfs say of the node.
pub fn facts(data: &[u8]) {
    if let Ok(facts) = serde_json::from_slice::<Facts>(data) {
        let _ = facts.checked("facts");
    }
    let text = &*String::from_utf8_lossy(data);
    let _ =
        (Memory::parse(text), available_memory(text), baked_name(text), is_uuid(text), is_machine_id(text));
    if let Some(mac) = mac(text) {
        assert_eq!(self::mac(&mac), Some(mac));
    }
    if let Some(serial) = system_serial(text) {
        assert!(serial.len() <= 64 && !serial.contains(char::is_control));
    }
}

/// A private SSH host key.
pub fn ssh_key(data: &[u8]) {
    if let Ok(public) = ssh_key::public(data) {
        // One line of a file, whatever the key says of its type.
        assert_eq!(public.line("comment").matches('\n').count(), 1);
    }
}

/// A signature, or a key of either kind; and a time.
pub fn signature(data: &[u8]) {
    let signature = Signature::parse(data);
    if let (Ok(signature), Ok(key)) = (&signature, PublicKey::parse(KEY)) {
        let _ = (signature.id.to_string(), signature.verify(&key, data));
    }
    if let Ok(key) = PublicKey::parse(data) {
        assert_eq!(PublicKey::parse(key.text().as_bytes()), Ok(key));
    }
    if let Ok(key) = SecretKey::parse(data) {
        assert!(SecretKey::parse(key.text().as_bytes()).is_ok());
    }
    if let Some(time) = Time::parse(&String::from_utf8_lossy(data)) {
        assert_eq!(Time::parse(&time.to_string()), Some(time));
    }
}

/// The lines of multipath.conf that a plan has.
pub fn multipath_conf(data: &[u8]) {
    let Ok(multipath) = serde_json::from_slice::<Map>(data) else { return };
    let _ = (multipath.queueing(), multipath.path_selector());
    if let Ok(text) = file(&multipath, None) {
        // No value makes a line of its own, or another section.
        assert_eq!(text.lines().filter(|line| !line.starts_with('\t')).count(), 5, "{text}");
    }
    let disk = String::from_utf8_lossy(data).into_owned();
    let device = Device { vendor: disk.clone(), product: disk, uid_attribute: None };
    if let Ok(text) = file(&multipath, Some(&device)) {
        assert_eq!(text.lines().filter(|line| !line.starts_with('\t')).count(), 9, "{text}");
    }
}
