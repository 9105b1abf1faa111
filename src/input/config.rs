//! What the kernel command line tells the agent about how to work: where the plan is, how long to wait, who the node is.
//! What it says about the boot itself is read by [`super::parameters`].

use std::time::Duration;

use super::cmdline::{Cmdline, normal};
use super::console_shell::ConsoleShell;
use super::document::is_iscsi_name;
use super::facts::{is_uuid, mac};
use super::identity::is_machine_id;
use super::trap::Mode;
use super::url::{self, is_url};
use super::words::{
    AUTHORIZED_KEY, BOOTIF, INITIATOR, LEAST_SERIAL, MACHINE_ID, MULTIPATH, NETROOT, PARAMETERS, PLAN,
    REPORT, REQUIRE_SIGNATURE, SHARED, TIMEOUT,
};
use crate::error::{Code, Error, Result};

/// More servers than this are a mistake.
const MOST_URLS: usize = 16;

/// The parameters that say what to boot.
pub const SOURCES: &[&str] = &[PLAN, NETROOT];

/// Where a boot plan is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// On the kernel command line itself.
    Parameters,
    /// The absolute path of a file in the initramfs.
    File(String),
    /// HTTP(S) URLs, to be tried in turn.
    Urls(Vec<String>),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Parameters => f.write_str("kernel command line"),
            Source::File(path) => f.write_str(path),
            Source::Urls(urls) => f.write_str(&urls.join(" ")),
        }
    }
}

/// What the command line says, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the boot plan is.
    pub plan: Source,
    /// What a plan must have to be taken.
    pub signing: Signing,
    /// The node's initiator name, where the plan has none.
    pub initiator: Option<String>,
    /// Whether a name that all nodes of the initramfs share may be used.
    pub shared_initiator: bool,
    /// The hardware address of the interface that the node booted from, lower case with colons.
    pub boot_mac: Option<String>,
    /// The machine-id that systemd goes by whatever a file says.
    pub machine_id: Option<String>,
    /// Whether a map of the paths is made, if the plan wants one.
    pub multipath: bool,
    /// Where events are posted to, unless the plan says otherwise.
    pub report: Option<String>,
    /// How long a step waits for what is outside of the node.
    pub timeout: Duration,
}

/// What a plan must have to be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signing {
    /// A signature, a node and a serial; none: as the initramfs has trusted keys or not.
    pub required: Option<bool>,
    /// The lowest serial that is accepted; 0: any, or none.
    pub least_serial: u64,
}

impl Signing {
    fn from_cmdline(cmdline: &Cmdline) -> Result<Signing> {
        let required = cmdline.last(REQUIRE_SIGNATURE);
        let least_serial = cmdline.last(LEAST_SERIAL).unwrap_or("0");
        Ok(Signing {
            required: required.map(|_| flag(REQUIRE_SIGNATURE, required)).transpose()?,
            least_serial: least_serial
                .parse()
                .ok()
                .filter(|_| least_serial.bytes().all(|byte| byte.is_ascii_digit()))
                .ok_or_else(|| unusable(LEAST_SERIAL, "not a number"))?,
        })
    }
}

/// What the agent does on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acts {
    /// Nothing: the initramfs boots as if it were not there.
    Not,
    /// It holds the boot for a person, and then goes on with what it is told by then; `root=` is systemd's and dracut's.
    Holds,
    /// It brings the root: it is told where its boot plan is, or its iSCSI disk.
    Boots,
}

/// What the agent is to do on this node. A mode that is none is for a person to see.
pub fn acts(cmdline: &Cmdline) -> Acts {
    match Mode::read(cmdline) {
        Ok(Mode::Off) => Acts::Not,
        _ if cmdline.last(PLAN).is_some() || by_parameters(cmdline) => Acts::Boots,
        Ok(Mode::Auto) => Acts::Not,
        Ok(Mode::Trap) | Err(_) => Acts::Holds,
    }
}

/// Whether the command line names an iSCSI disk, as `netroot=iscsi` or `netroot=iscsi:...`.
fn by_parameters(cmdline: &Cmdline) -> bool {
    cmdline.all(NETROOT).any(|netroot| netroot == "iscsi" || netroot.starts_with("iscsi:"))
}

/// The keys of operators on the command line, as they stand there.
pub fn authorized_keys(cmdline: &Cmdline) -> impl Iterator<Item = &str> {
    cmdline.all(AUTHORIZED_KEY)
}

impl Config {
    /// Reads the parameters.
    ///
    /// # Errors
    /// [`Code::NoPlan`]: neither a plan nor an iSCSI disk is named. [`Code::Parameter`]: a value cannot be used, or there
    /// is an unknown parameter `rd.diskless.*`.
    pub fn from_cmdline(cmdline: &Cmdline) -> Result<Config> {
        Config::with_plan(cmdline, None)
    }

    /// Reads the parameters; the boot plan is at `plan`, if that is given, and not where they say.
    ///
    /// # Errors
    /// As [`Config::from_cmdline`].
    pub fn with_plan(cmdline: &Cmdline, plan: Option<Source>) -> Result<Config> {
        for key in cmdline.keys().filter(|key| key.starts_with("rd.diskless")) {
            if !PARAMETERS.iter().any(|parameter| normal(parameter.name) == key) {
                return Err(Error::new(Code::Parameter, key).because("there is no such parameter"));
            }
        }
        let plans: Vec<&str> = cmdline.all(PLAN).collect();
        let plan = match plan {
            Some(plan) => plan,
            None if plans.is_empty() && by_parameters(cmdline) => Source::Parameters,
            None => source(&plans)?,
        };
        let report = cmdline.last(REPORT);
        if report.is_some_and(|report| !is_url(report)) {
            return Err(unusable(REPORT, url::EXPECTED));
        }
        ConsoleShell::read(cmdline)?;
        let initiator = cmdline.last(INITIATOR);
        if initiator.is_some_and(|name| !is_iscsi_name(name)) {
            return Err(unusable(INITIATOR, "not an iSCSI name: iqn.YYYY-MM.DOMAIN[:ID], eui.… or naa.…"));
        }
        Ok(Config {
            plan,
            signing: Signing::from_cmdline(cmdline)?,
            initiator: initiator.map(str::to_owned),
            shared_initiator: flag(SHARED, cmdline.last(SHARED))?,
            boot_mac: boot_mac(cmdline),
            // What is none, and the word `firmware`, are systemd's own affair.
            machine_id: cmdline.last(MACHINE_ID).map(machine_id).filter(|id| is_machine_id(id)),
            multipath: multipath(cmdline)?,
            report: report.map(str::to_owned),
            timeout: timeout(cmdline.last(TIMEOUT).unwrap_or("180"))?,
        })
    }
}

/// The parameter `name` cannot be used. Its value is not quoted: it may be a secret in the wrong place.
pub(super) fn unusable(name: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Code::Parameter, format!("{name}=")).because(cause)
}

fn source(plans: &[&str]) -> Result<Source> {
    let places: Vec<&str> = plans.iter().flat_map(|plan| plan.split(',')).collect();
    match places.as_slice() {
        [] => Err(Error::new(Code::NoPlan, "kernel command line")),
        [path] if path.starts_with('/') => Ok(Source::File((*path).to_owned())),
        urls if urls.iter().all(|place| is_url(place)) && urls.len() <= MOST_URLS => {
            Ok(Source::Urls(urls.iter().map(|url| (*url).to_owned()).collect()))
        }
        _ => Err(unusable(
            PLAN,
            format!("neither one absolute path nor 1 to {MOST_URLS} http:// or https:// URLs"),
        )),
    }
}

fn flag(name: &str, value: Option<&str>) -> Result<bool> {
    match value {
        None | Some("0" | "no") => Ok(false),
        Some("" | "1" | "yes") => Ok(true),
        Some(_) => Err(unusable(name, "neither 0 nor 1")),
    }
}

/// Whether the command line lets a map be made; as dracut's own module for multipath reads the word.
pub(super) fn multipath(cmdline: &Cmdline) -> Result<bool> {
    match cmdline.last(MULTIPATH) {
        None | Some("" | "1" | "yes" | "on" | "default") => Ok(true),
        Some("0" | "no" | "off") => Ok(false),
        Some(_) => Err(unusable(MULTIPATH, "neither 0 nor 1")),
    }
}

/// The hardware address of the interface that the node booted from, as the boot loader tells it.
pub(super) fn boot_mac(cmdline: &Cmdline) -> Option<String> {
    cmdline.last(BOOTIF).and_then(mac_of_loader)
}

/// The address in `BOOTIF=`, which boot loaders write as `01-52-54-00-12-34-56` (01: Ethernet) or as it is.
fn mac_of_loader(text: &str) -> Option<String> {
    let text = text.replace('-', ":");
    mac(text.strip_prefix("01:").filter(|rest| rest.len() == 17).unwrap_or(&text))
}

/// An id as systemd writes it; on the command line it reads UUIDs, and capital letters, too.
fn machine_id(text: &str) -> String {
    if is_uuid(text) { text.replace('-', "").to_ascii_lowercase() } else { text.to_ascii_lowercase() }
}

fn timeout(text: &str) -> Result<Duration> {
    match text.parse::<u64>() {
        Ok(seconds @ 1..=86400) => Ok(Duration::from_secs(seconds)),
        _ => Err(unusable(TIMEOUT, "not a number of seconds from 1 to 86400")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config> {
        Config::from_cmdline(&Cmdline::parse(text))
    }

    #[test]
    fn a_url_or_a_file() {
        let config = read("quiet rd.diskless.plan=http://198.18.0.1/p ip=dhcp").unwrap();
        assert_eq!(config.plan, Source::Urls(vec!["http://198.18.0.1/p".into()]));
        assert_eq!(config.timeout, Duration::from_secs(180));
        let config = read("rd.diskless.plan=/etc/diskless/plan.json rd.diskless.timeout=5").unwrap();
        assert_eq!(config.plan, Source::File("/etc/diskless/plan.json".into()));
        assert_eq!(config.timeout, Duration::from_secs(5));
    }

    #[test]
    fn several_servers_are_tried_in_turn() {
        let expected = Source::Urls(vec!["http://a/p".into(), "https://b/p".into(), "http://c/p".into()]);
        for text in [
            "rd.diskless.plan=http://a/p,https://b/p,http://c/p",
            "rd.diskless.plan=http://a/p rd.diskless.plan=https://b/p,http://c/p netroot=iscsi:x",
        ] {
            assert_eq!(read(text).unwrap().plan, expected, "{text}");
        }
    }

    #[test]
    fn who_the_node_is() {
        let config = read(
            "netroot=iscsi BOOTIF=01-52-54-00-AB-cd-01 rd.iscsi.initiator=iqn.2026-01.a:b rd.diskless.shared-initiator \
             rd.diskless.report=https://r/x",
        )
        .unwrap();
        assert_eq!(config.plan, Source::Parameters);
        assert_eq!(config.boot_mac.as_deref(), Some("52:54:00:ab:cd:01"));
        assert_eq!(config.initiator.as_deref(), Some("iqn.2026-01.a:b"));
        assert_eq!(config.report.as_deref(), Some("https://r/x"));
        assert!(config.shared_initiator && config.multipath);
        assert!(!read("rd.diskless.plan=/p rd.multipath=0").unwrap().multipath);
        assert_eq!(mac_of_loader("52:54:00:ab:cd:01").as_deref(), Some("52:54:00:ab:cd:01"));
        assert_eq!(mac_of_loader("01:54:00:ab:cd:01").as_deref(), Some("01:54:00:ab:cd:01"));
        assert_eq!(mac_of_loader("eth0"), None);
    }

    #[test]
    fn what_a_plan_must_have() {
        let signing = |words: &str| read(&format!("rd.diskless.plan=/p {words}")).unwrap().signing;
        assert_eq!(signing(""), Signing { required: None, least_serial: 0 });
        let both = signing("rd.diskless.require-signature=0 rd.diskless.least_serial=18446744073709551615");
        assert_eq!(both, Signing { required: Some(false), least_serial: u64::MAX });
        assert_eq!(signing("rd.diskless.require_signature").required, Some(true));
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let cases = [
            ("quiet", Code::NoPlan, "kernel command line"),
            ("netroot=nfs:x", Code::NoPlan, "kernel command line"),
            ("rd.diskless.plan=plan.json", Code::Parameter, "rd.diskless.plan="),
            ("rd.diskless.plan=/p,http://a/p", Code::Parameter, "rd.diskless.plan="),
            ("rd.diskless.plan=http://a/p,", Code::Parameter, "rd.diskless.plan="),
            ("rd.diskless.plan=ftp://a/p", Code::Parameter, "rd.diskless.plan="),
            ("rd.diskless.plan=/p rd.diskless.timeout=0", Code::Parameter, "rd.diskless.timeout="),
            ("rd.diskless.plan=/p rd.diskless.timeout=x", Code::Parameter, "rd.diskless.timeout="),
            ("rd.diskless.plan=/p rd.diskless.plam=/q", Code::Parameter, "rd.diskless.plam"),
            ("rd.diskless.plan=/p rd.diskless.report=x", Code::Parameter, "rd.diskless.report="),
            ("rd.diskless.plan=/p rd.diskless.shared_initiator=x", Code::Parameter, "rd.diskless.shared_"),
            ("rd.diskless.plan=/p rd.diskless.require_signature=x", Code::Parameter, "rd.diskless.require_"),
            ("rd.diskless.plan=/p rd.diskless.least_serial=+1", Code::Parameter, "rd.diskless.least_serial="),
            ("rd.diskless.plan=/p rd.iscsi.initiator=node1", Code::Parameter, "rd.iscsi.initiator="),
        ];
        for (text, code, object) in cases {
            let error = read(text).unwrap_err();
            assert_eq!(error.code(), code, "{text}");
            assert!(error.to_string().starts_with(object), "{error}");
        }
    }

    #[test]
    fn the_agent_acts_only_when_told() {
        let cases: [(Acts, &[&str]); 3] = [
            (
                Acts::Boots,
                &[
                    "rd.diskless.plan=/p",
                    "netroot=iscsi",
                    "netroot=dhcp netroot=iscsi:a::::iqn.x",
                    "rd.diskless=trap rd.diskless.plan=/p",
                    "rd.diskless=tarp rd.diskless.plan=/p",
                ],
            ),
            (Acts::Holds, &["rd.diskless=trap root=/dev/vda1", "rd.diskless=tarp", "rd.diskless"]),
            (
                Acts::Not,
                &[
                    "root=/dev/vda1",
                    "netroot=nfs:a:/b",
                    "netroot=iscsiadm",
                    "rd.iscsi.initiator=iqn.x",
                    "rd.diskless=auto",
                    "rd.diskless=off rd.diskless.plan=/p netroot=iscsi",
                ],
            ),
        ];
        for (expected, texts) in cases {
            for text in texts {
                assert_eq!(acts(&Cmdline::parse(text)), expected, "{text}");
            }
        }
    }

    #[test]
    fn a_plan_that_is_tried_goes_before_all_others() {
        let tried = Source::File("/run/diskless/plan.json".into());
        for text in ["quiet", "rd.diskless.plan=http://a/p", "netroot=iscsi:a::::iqn.x"] {
            let config = Config::with_plan(&Cmdline::parse(text), Some(tried.clone())).unwrap();
            assert_eq!(config.plan, tried, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_values_give_a_config_or_an_error(values in proptest::collection::vec("[ -~]{0,30}", 8)) {
            let names = [PLAN, TIMEOUT, REPORT, SHARED, INITIATOR, BOOTIF, REQUIRE_SIGNATURE, LEAST_SERIAL];
            let words: Vec<String> =
                names.iter().zip(&values).map(|(name, value)| format!("{name}={value}")).collect();
            let _ = read(&words.join(" "));
        }
    }
}
