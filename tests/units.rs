//! Every setting in a unit of ours, or in a unit that the agent writes, is known to systemd 239 (EL 8), or does no harm
//! where it is passed over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// That of EL 8, the oldest ground.
const OLDEST: u16 = 239;

/// Settings that systemd had before its manual pages say since when.
const ANCIENT: &str = "CapabilityBoundingSet ConditionKernelCommandLine ConditionPathExists \
    ConditionPathIsMountPoint DefaultDependencies ExecReload ExecStart ExecStartPre ExecStop ExecStopPost \
    Group LimitNOFILE Name Nice OOMScoreAdjust OnActiveSec OnUnitInactiveSec OriginalName PrivateTmp \
    ListenStream PathExists RemainAfterExit Restart RestartSec StandardError StandardInput StandardOutput SyslogIdentifier Type UMask User What \
    Where";

/// The others, and with which version they came, by the manual pages of systemd 257.
const SINCE: &[(&str, u16)] = &[
    ("AccuracySec", 209),
    ("After", 201),
    ("AmbientCapabilities", 229),
    ("Before", 201),
    ("ClientIdentifier", 220),
    ("Conflicts", 201),
    ("DHCP", 211),
    ("DUIDRawData", 230),
    ("DUIDType", 230),
    ("Description", 201),
    ("DeviceAllow", 208),
    ("DevicePolicy", 208),
    ("Documentation", 201),
    ("IAID", 230),
    ("IgnoreOnIsolate", 201),
    ("KeepConfiguration", 243),
    ("KeyringMode", 235),
    ("KillMode", 187),
    ("KillSignal", 187),
    ("LoadCredential", 247),
    ("LockPersonality", 235),
    ("LogLevelMax", 236),
    ("MemoryDenyWriteExecute", 231),
    ("NamePolicy", 211),
    ("NoNewPrivileges", 187),
    ("PrivateDevices", 209),
    ("PrivateUsers", 232),
    ("ProcSubset", 247),
    ("ProtectClock", 245),
    ("ProtectControlGroups", 232),
    ("ProtectHome", 214),
    ("ProtectHostname", 242),
    ("ProtectKernelLogs", 244),
    ("ProtectKernelModules", 232),
    ("ProtectKernelTunables", 232),
    ("ProtectProc", 247),
    ("ProtectSystem", 214),
    ("ReadWritePaths", 231),
    ("RefuseManualStop", 201),
    ("RemoveIPC", 232),
    ("RestrictAddressFamilies", 211),
    ("RestrictNamespaces", 233),
    ("RestrictRealtime", 231),
    ("RestrictSUIDSGID", 242),
    ("RuntimeDirectory", 211),
    ("RuntimeMaxSec", 229),
    ("SendSIGHUP", 207),
    ("SendSIGKILL", 187),
    ("StartLimitIntervalSec", 229),
    ("StateDirectory", 235),
    ("StateDirectoryMode", 235),
    ("SystemCallArchitectures", 209),
    ("SystemCallErrorNumber", 209),
    ("SystemCallFilter", 187),
    ("TimeoutStartSec", 188),
    ("TimeoutStopSec", 188),
    ("Unmanaged", 233),
    ("WantedBy", 201),
    ("Wants", 201),
];

/// What is newer and used all the same: where, and why that is no fault.
const NEWER: &[(&str, &str, &str)] = &[
    (
        "KeepConfiguration",
        "src",
        "before it, systemd-networkd keeps addresses that the kernel keeps for ever",
    ),
    ("LoadCredential", "disklessd.service", "the package of disklessd wants systemd 247"),
    ("ProcSubset", "disklessd.service", "a wall less"),
    ("ProtectClock", "disklessd.service", "a wall less"),
    ("ProtectHostname", "disklessd.service", "a wall less"),
    ("ProtectKernelLogs", "disklessd.service", "a wall less"),
    ("ProtectProc", "disklessd.service", "a wall less"),
    ("RestrictSUIDSGID", "disklessd.service", "a wall less"),
];

/// The settings in `text` at the beginning of a line, be it one of a unit or of a text in the code.
fn settings(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for line in text.split('\n').flat_map(|line| line.split("\\n")) {
        let line = line.trim_start_matches(|c: char| c == '"' || c.is_whitespace());
        if let Some((name, _)) = line.split_once('=')
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            found.insert(name);
        }
    }
    found
}

/// The files below `folder` whose names end in `suffix`.
fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, suffix));
        } else if path.to_str().unwrap().ends_with(suffix) {
            found.push(path);
        }
    }
    found
}

/// Where settings are, and which: our units, and the texts of units in the code, without its tests.
fn all() -> Vec<(String, String)> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    let units = repository.join("systemd-units");
    let module = repository.join("dracut-module");
    let kinds = [".service", ".timer", ".path", ".socket"];
    let of_folders = [&units, &module].into_iter().flat_map(|folder| kinds.map(|kind| files(folder, kind)));
    for file in of_folders.flatten() {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        all.extend(settings(&text).into_iter().map(|setting| (name.to_owned(), setting.to_owned())));
    }
    let of_tests =
        |file: &Path| ["fixture.rs", "tests.rs"].iter().any(|end| file.to_str().unwrap().ends_with(end));
    for file in files(&repository.join("src"), ".rs").into_iter().filter(|file| !of_tests(file)) {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let of_units = ["[Unit]", "[Service]", "[Mount]", "[Network]", "[DHCPv4]", "[Link]", "[Timer]"];
        if of_units
            .iter()
            .any(|section| code.contains(&format!("{section}\n")) || code.contains(&format!("{section}\\n")))
        {
            all.extend(settings(code).into_iter().map(|setting| ("src".to_owned(), setting.to_owned())));
        }
    }
    all
}

#[test]
fn every_setting_is_known_to_the_oldest_systemd_or_harmless_there() {
    let all = all();
    assert!(all.iter().any(|(place, _)| place == "src") && all.len() > 80, "{all:?}");
    for (place, setting) in &all {
        let since = match SINCE.iter().find(|(name, _)| name == setting) {
            Some((_, since)) => *since,
            None if ANCIENT.split_whitespace().any(|name| name == setting) => 0,
            None => {
                panic!("{place}: {setting}= is not in the table: since which version of systemd is it there?")
            }
        };
        let allowed = NEWER.iter().any(|(name, of, _)| name == setting && of == place);
        assert_eq!(since > OLDEST, allowed, "{place}: {setting}= is there since systemd {since}");
    }
    for (name, place, _) in NEWER {
        assert!(
            all.iter().any(|(of, setting)| of == place && setting == name),
            "{place} has no {name}= any more"
        );
    }
}

#[test]
fn settings_are_found_in_units_and_in_code() {
    let code =
        "\"[Service]\\nExecStop=\\nType=simple\\n\"\n  let x = 5;\n[Mount]\nWhere=/a\n# No=1\nif a == b {}\n";
    assert_eq!(settings(code), BTreeSet::from(["ExecStop", "Type", "Where"]));
}
