//! Mounts and swaps that the image has as units of its own, systemd.mount(5) and systemd.swap(5), in place of lines in
//! fstab: text in, verdict out.

use super::device::Presence;

/// Why a unit of the image has to go; none: it stays.
///
/// A unit cannot be turned into a read-only one as a line of fstab can: what is on the disk of the root goes as well.
pub fn why_it_goes(unit: &str, mounted: &[&str], presence: &dyn Fn(&str) -> Presence) -> Option<String> {
    let what = value(unit, "What")?;
    if value(unit, "Where").is_some_and(|at| mounted.contains(&at.as_str())) {
        return Some("diskless has mounted it".into());
    }
    match presence(&what) {
        Presence::Absent => Some(format!("the node does not have {what}")),
        Presence::OfRoot => Some(format!("{what} is on the disk of the root, which all nodes share")),
        Presence::NoDevice | Presence::There => None,
    }
}

/// The last value of `key` in the sections of mounts and swaps.
fn value(unit: &str, key: &str) -> Option<String> {
    let mut in_section = false;
    let mut found = None;
    for line in unit.lines().map(str::trim) {
        if line.starts_with('[') {
            in_section = matches!(line, "[Mount]" | "[Swap]");
        } else if let Some((name, value)) = line.split_once('=').filter(|_| in_section)
            && name.trim() == key
        {
            found = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(spec: &str) -> Presence {
        match spec {
            "/dev/disk/by-label/there" => Presence::There,
            "/dev/mapper/system-home" => Presence::OfRoot,
            "tmpfs" => Presence::NoDevice,
            _ => Presence::Absent,
        }
    }

    #[test]
    fn units_of_every_kind() {
        for (unit, why) in [
            (
                "[Mount]\nWhat=/dev/disk/by-uuid/1\nWhere=/data\n",
                Some("the node does not have /dev/disk/by-uuid/1"),
            ),
            ("[Swap]\nWhat = UUID=1\n", Some("the node does not have UUID=1")),
            ("[Mount]\nWhat=/dev/vda1\nWhere=/var\n", Some("diskless has mounted it")),
            (
                "[Mount]\nWhat=/dev/mapper/system-home\nWhere=/home\n",
                Some("/dev/mapper/system-home is on the disk of the root, which all nodes share"),
            ),
            ("[Mount]\nWhat=/dev/disk/by-label/there\nWhere=/data\n", None),
            ("[Mount]\nWhat=tmpfs\nWhere=/tmp\n", None),
            ("[Unit]\nWhat=/dev/vda1\n[Install]\nWantedBy=local-fs.target\n", None),
            ("[Mount]\nWhat=/dev/vda1\nWhat=\n", None),
            ("", None),
        ] {
            assert_eq!(why_it_goes(unit, &["/", "/var"], &presence).as_deref(), why, "{unit}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_unit(unit: String, rest: String) {
            let _ = why_it_goes(&unit, &["/"], &presence);
            let _ = why_it_goes(&format!("[Mount]\nWhat={unit}\n{rest}"), &["/"], &presence);
        }
    }
}
