//! The settings of iSCSI sessions, in the words of open-iscsi's iscsid.conf: one table of all that a plan may set, with
//! the values that the original procedure used (the presets), and where each of them lands.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A line of iscsid.conf.
#[derive(Debug)]
pub struct Setting {
    /// As in iscsid.conf.
    pub key: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// The value for a disk with several paths; none: the line is not in the original's file.
    pub multipath: Option<&'static str>,
    /// The value for a disk with one path.
    pub single_path: Option<&'static str>,
    /// What the agent itself takes where neither plan nor preset says anything; none: nothing.
    pub otherwise: Option<&'static str>,
    /// Where the value shows, beside iscsid.conf of the new root, in which every one stands.
    pub lands: Lands,
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A decimal number, from and to.
    Number(u32, u32),
    /// A nice value, -20 (first) to 19 (setpriority(2)).
    Nice,
    /// `Yes` or `No`.
    YesNo,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One line of text.
    Text,
}

/// Where a value shows on the booted node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lands {
    /// Offered to the target under this key (RFC 7143, section 13); the result is this attribute of the session in
    /// sysfs, /sys/class/iscsi_session/sessionN.
    Negotiated(&'static str, &'static str),
    /// The same, and the result is this attribute of the connection.
    NegotiatedConnection(&'static str, &'static str),
    /// This attribute of the session in sysfs (the kernel's drivers/scsi/scsi_transport_iscsi.c).
    Session(&'static str),
    /// This attribute of the connection in sysfs, /sys/class/iscsi_connection/connectionN:0.
    Connection(&'static str),
    /// This attribute of the SCSI host in sysfs, /sys/class/scsi_host/hostN.
    ScsiHost(&'static str),
    /// This attribute of the SCSI device in sysfs, /sys/block/sdX/device.
    ScsiDevice(&'static str),
    /// The agent itself goes by it; says how.
    Agent(&'static str),
    /// Only the image's iscsid goes by it; says why.
    Image(&'static str),
}

/// Which of the original's files holds where the plan says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// One path: a lost connection is waited for.
    SinglePath,
    /// Several paths: a lost one is given up soon.
    Multipath,
}

const SECONDS: Kind = Kind::Number(0, 86400);
const LENGTH: Kind = Kind::Number(512, 0x00ff_ffff);
const DIGEST: Kind = Kind::Word(&["None", "CRC32C", "CRC32C,None", "None,CRC32C"]);

const fn both(key: &'static str, kind: Kind, value: &'static str, lands: Lands) -> Setting {
    Setting { key, kind, multipath: Some(value), single_path: Some(value), otherwise: None, lands }
}

/// All of them, in the order of the original's file.
pub const SETTINGS: &[Setting] = &[
    both(
        "iscsid.startup",
        Kind::Text,
        "/bin/systemctl start iscsid.socket iscsiuio.socket",
        Lands::Image("it is how iscsiadm starts iscsid; the agent needs neither"),
    ),
    both(
        "node.startup",
        Kind::Word(&["automatic", "manual", "onboot"]),
        "automatic",
        Lands::Image("it is for node records, which the agent does not make"),
    ),
    both(
        "node.leading_login",
        Kind::YesNo,
        "No",
        Lands::Image("it is for logins that iscsiadm makes of node records"),
    ),
    Setting {
        key: "node.session.timeo.replacement_timeout",
        kind: SECONDS,
        multipath: Some("15"),
        single_path: Some("600"),
        otherwise: None,
        lands: Lands::Session("recovery_tmo"),
    },
    both(
        "node.conn[0].timeo.login_timeout",
        Kind::Number(1, 600),
        "15",
        Lands::Agent("a login may take so many seconds"),
    ),
    both(
        "node.conn[0].timeo.logout_timeout",
        Kind::Number(1, 600),
        "15",
        Lands::Image("the agent never logs a working session out"),
    ),
    Setting {
        key: "node.conn[0].timeo.noop_out_interval",
        kind: SECONDS,
        multipath: None,
        single_path: Some("0"),
        otherwise: Some("5"),
        lands: Lands::Connection("recv_tmo"),
    },
    Setting {
        key: "node.conn[0].timeo.noop_out_timeout",
        kind: SECONDS,
        multipath: None,
        single_path: Some("0"),
        otherwise: Some("5"),
        lands: Lands::Connection("ping_tmo"),
    },
    both("node.session.err_timeo.abort_timeout", SECONDS, "15", Lands::Session("abort_tmo")),
    both("node.session.err_timeo.lu_reset_timeout", SECONDS, "30", Lands::Session("lu_reset_tmo")),
    both("node.session.err_timeo.tgt_reset_timeout", SECONDS, "30", Lands::Session("tgt_reset_tmo")),
    both(
        "node.session.initial_login_retry_max",
        Kind::Number(0, 1000),
        "8",
        Lands::Image("the agent tries again until the time of its step is over"),
    ),
    // The kernel rounds it down to a power of two, and keeps 15 of them for itself (libiscsi's ISCSI_MGMT_CMDS_MAX);
    // with less than 16 it makes no session.
    both("node.session.cmds_max", Kind::Number(16, 2048), "128", Lands::ScsiHost("can_queue")),
    both("node.session.queue_depth", Kind::Number(1, 1024), "32", Lands::ScsiDevice("queue_depth")),
    both(
        "node.session.xmit_thread_priority",
        Kind::Nice,
        "-20",
        Lands::Image(
            "iscsid gives it to a thread called iscsi_q_HOST, if the kernel has one: that of a work queue, which since \
             2.6.36 only helps out when memory is short, and in newer kernels has another name",
        ),
    ),
    both("node.session.iscsi.InitialR2T", Kind::YesNo, "No", Lands::Negotiated("InitialR2T", "initial_r2t")),
    both(
        "node.session.iscsi.ImmediateData",
        Kind::YesNo,
        "Yes",
        Lands::Negotiated("ImmediateData", "immediate_data"),
    ),
    both(
        "node.session.iscsi.FirstBurstLength",
        LENGTH,
        "262144",
        Lands::Negotiated("FirstBurstLength", "first_burst_len"),
    ),
    both(
        "node.session.iscsi.MaxBurstLength",
        LENGTH,
        "16776192",
        Lands::Negotiated("MaxBurstLength", "max_burst_len"),
    ),
    both(
        "node.conn[0].iscsi.MaxRecvDataSegmentLength",
        LENGTH,
        "262144",
        Lands::NegotiatedConnection("MaxRecvDataSegmentLength", "max_recv_dlength"),
    ),
    both(
        "node.conn[0].iscsi.MaxXmitDataSegmentLength",
        Kind::Number(0, 0x00ff_ffff),
        "0",
        // 0: as much as the target takes.
        Lands::Connection("max_xmit_dlength"),
    ),
    both(
        "discovery.sendtargets.iscsi.MaxRecvDataSegmentLength",
        LENGTH,
        "32768",
        Lands::Agent("declared to the target when the plan asks for a discovery"),
    ),
    both(
        "node.conn[0].iscsi.HeaderDigest",
        DIGEST,
        "None",
        Lands::NegotiatedConnection("HeaderDigest", "header_digest"),
    ),
    Setting {
        key: "node.conn[0].iscsi.DataDigest",
        kind: DIGEST,
        multipath: None,
        single_path: None,
        otherwise: Some("None"),
        lands: Lands::NegotiatedConnection("DataDigest", "data_digest"),
    },
    both(
        "node.session.nr_sessions",
        Kind::Number(1, 1),
        "1",
        Lands::Agent("there is one session to each portal of the plan"),
    ),
    both("node.session.iscsi.FastAbort", Kind::YesNo, "Yes", Lands::Session("fast_abort")),
    both(
        "node.session.scan",
        Kind::Word(&["auto", "manual"]),
        "auto",
        Lands::Image("the agent scans for the one LUN that the plan names"),
    ),
];

/// The settings of a plan: those of a preset, and the plan's own in place of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// None: not said, and not followed from the number of paths yet.
    preset: Option<Preset>,
    own: BTreeMap<&'static str, String>,
}

impl Settings {
    /// The preset with nothing of its own.
    pub fn preset(preset: Preset) -> Settings {
        Settings { preset: Some(preset), own: BTreeMap::new() }
    }

    /// Takes `preset` if the plan names none.
    pub fn or_preset(&mut self, preset: Preset) {
        self.preset.get_or_insert(preset);
    }

    /// Sets one.
    ///
    /// # Errors
    /// There is no such key, or it cannot have this value; says so.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            return Err(format!("{key}: no setting of iscsid.conf that a plan may have"));
        };
        if !setting.kind.takes(value) {
            return Err(format!("{key}: {value:?} is not {}", setting.kind));
        }
        self.own.insert(setting.key, value.to_owned());
        Ok(())
    }

    /// What `key` is, in the plan or the preset.
    pub fn get(&self, key: &str) -> Option<&str> {
        let setting = SETTINGS.iter().find(|setting| setting.key == key)?;
        let preset = match self.preset {
            Some(Preset::Multipath) => setting.multipath,
            // What is right for one path is merely slow for several; the other way round, the root would fail.
            Some(Preset::SinglePath) | None => setting.single_path,
        };
        self.own.get(key).map(String::as_str).or(preset)
    }

    /// What `key` is for the agent itself; 0 for what is no number, which the table makes impossible.
    pub fn number(&self, key: &str) -> u32 {
        self.effective(key).parse().unwrap_or_default()
    }

    /// Whether `key` is `Yes` for the agent itself.
    pub fn flag(&self, key: &str) -> bool {
        self.effective(key) == "Yes"
    }

    /// What `key` is for the agent itself: in the plan, the preset, or otherwise.
    pub fn effective(&self, key: &str) -> &str {
        let otherwise =
            || SETTINGS.iter().find(|setting| setting.key == key).and_then(|setting| setting.otherwise);
        self.get(key).or_else(otherwise).unwrap_or_default()
    }

    /// The members that make these settings in a plan: the preset, if one is settled, and the plan's own.
    pub fn members(&self) -> BTreeMap<&str, &str> {
        let preset = self.preset.map(|preset| match preset {
            Preset::SinglePath => "single-path",
            Preset::Multipath => "multipath",
        });
        let preset = preset.map(|preset| ("preset", preset));
        preset.into_iter().chain(self.own.iter().map(|(key, value)| (*key, value.as_str()))).collect()
    }

    /// The lines of iscsid.conf, in the order of the table.
    pub fn lines(&self) -> impl Iterator<Item = (&'static str, &str)> {
        SETTINGS.iter().filter_map(|setting| Some((setting.key, self.get(setting.key)?)))
    }
}

impl Kind {
    /// Whether `value` is one.
    fn takes(self, value: &str) -> bool {
        match self {
            Kind::Number(least, most) => {
                value.bytes().all(|b| b.is_ascii_digit())
                    && value.parse::<u32>().is_ok_and(|number| (least..=most).contains(&number))
            }
            Kind::Nice => {
                value.parse::<i32>().is_ok_and(|nice| (-20..=19).contains(&nice) && nice.to_string() == value)
            }
            Kind::YesNo => matches!(value, "Yes" | "No"),
            Kind::Word(words) => words.contains(&value),
            Kind::Text => !value.is_empty() && value.len() <= 255 && !value.chars().any(char::is_control),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Number(least, most) => write!(f, "a number from {least} to {most}"),
            Kind::Nice => f.write_str("a number from -20 to 19"),
            Kind::YesNo => f.write_str("Yes or No"),
            Kind::Word(words) => f.write_str(&words.join(" or ")),
            Kind::Text => f.write_str("a line of text"),
        }
    }
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Settings, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Value {
            Text(String),
            Number(i64),
        }
        let mut settings = Settings::default();
        for (key, value) in BTreeMap::<String, Value>::deserialize(deserializer)? {
            let value = match value {
                Value::Text(text) => text,
                Value::Number(number) => number.to_string(),
            };
            match (key.as_str(), value.as_str()) {
                ("preset", "single-path") => settings.preset = Some(Preset::SinglePath),
                ("preset", "multipath") => settings.preset = Some(Preset::Multipath),
                ("preset", other) => {
                    return Err(D::Error::custom(format!(
                        "preset: {other:?} is neither single-path nor multipath"
                    )));
                }
                (key, value) => settings.set(key, value).map_err(D::Error::custom)?,
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_the_presets_is_one_of_its_kind() {
        for setting in SETTINGS {
            for value in [setting.multipath, setting.single_path, setting.otherwise].into_iter().flatten() {
                assert!(setting.kind.takes(value), "{} = {value}", setting.key);
            }
        }
    }

    #[test]
    fn a_plan_has_a_preset_and_its_own() {
        let settings: Settings = serde_json::from_value(serde_json::json!({
            "preset": "multipath", "node.session.cmds_max": 64, "node.session.iscsi.InitialR2T": "Yes",
            "node.session.xmit_thread_priority": -5
        }))
        .unwrap();
        assert_eq!(settings.number("node.session.cmds_max"), 64);
        assert_eq!(settings.get("node.session.xmit_thread_priority"), Some("-5"));
        assert_eq!(settings.number("node.session.timeo.replacement_timeout"), 15);
        assert!(settings.flag("node.session.iscsi.InitialR2T"));
        assert_eq!(settings.get("node.conn[0].timeo.noop_out_interval"), None);
        assert_eq!(settings.number("node.conn[0].timeo.noop_out_interval"), 5);
        let timeout = |settings: &Settings| settings.number("node.session.timeo.replacement_timeout");
        let mut unsaid = Settings::default();
        assert_eq!(timeout(&unsaid), 600);
        unsaid.or_preset(Preset::Multipath);
        assert_eq!(timeout(&unsaid), 15);
        let mut said = Settings::preset(Preset::SinglePath);
        said.or_preset(Preset::Multipath);
        assert_eq!(timeout(&said), 600);
        for bad in [
            serde_json::json!({"preset": "fast"}),
            serde_json::json!({"node.session.cmds_max": 0}),
            serde_json::json!({"node.session.cmds_max": -64}),
            serde_json::json!({"node.session.xmit_thread_priority": "20"}),
            serde_json::json!({"node.session.xmit_thread_priority": "+1"}),
            serde_json::json!({"node.session.cmds": 1}),
            serde_json::json!({"node.session.iscsi.InitialR2T": "yes"}),
        ] {
            assert!(serde_json::from_value::<Settings>(bad.clone()).is_err(), "{bad}");
        }
    }
}
