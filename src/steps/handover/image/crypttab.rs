//! The image's crypttab(5), written for the machine that the image comes from: which of its maps this node can make.

use super::device::{self, Presence};
use super::table::{self, Change, Edited, MOST_WAITED, Verdict, edit, has};

/// Keys that are other ones each time: what is encrypted with such a key is made anew.
const RANDOM: [&str; 3] = ["/dev/urandom", "/dev/random", "/dev/hw_random"];

/// A line: crypttab(5) wants two fields.
struct Line<'a> {
    name: &'a str,
    spec: &'a str,
    key: &'a str,
    options: &'a str,
}

impl<'a> Line<'a> {
    fn of(fields: &[&'a str]) -> Option<Line<'a>> {
        let field = |at: usize| fields.get(at).copied().unwrap_or("none");
        let [name, spec, ..] = *fields else { return None };
        Some(Line { name, spec, key: field(2), options: field(3) })
    }

    /// Whatever is on the device is overwritten.
    fn overwrites(&self) -> bool {
        RANDOM.contains(&self.key) || has(self.options, "swap") || has(self.options, "tmp")
    }
}

/// `crypttab` for this node; `presence` says what there is of a device.
///
/// What is the disk of the root, or is open by that name already, goes: it would be asked a passphrase for, and detached at
/// shutdown. Devices that the node does not have go, or are waited for for [`MOST_WAITED`] s at most if the line says
/// itself that they may be missing. What would overwrite a disk known by nothing but its place in the order of all goes.
pub fn rewrite(crypttab: &[u8], presence: &dyn Fn(&str) -> Presence) -> Edited {
    edit(crypttab, |fields| Line::of(fields).map_or(Verdict::Stays, |line| judge(&line, presence)))
}

fn judge(line: &Line<'_>, presence: &dyn Fn(&str) -> Presence) -> Verdict {
    let change = |what: &str| Change { about: line.name.to_owned(), what: what.to_owned() };
    let goes = |why: &str| Verdict::Goes(change(&format!("taken out, {why}")));
    let found = presence(line.spec);
    if found == Presence::OfRoot || presence(&format!("/dev/mapper/{}", line.name)) == Presence::OfRoot {
        return goes("it is the disk of the root, which diskless has opened");
    }
    // By a path like /dev/sdb: another disk on each machine, and at each boot.
    if line.overwrites() && device::path(line.spec).is_some_and(|path| !path.starts_with("/dev/disk/")) {
        return goes("it would overwrite whatever has that name here");
    }
    match found {
        _ if has(line.options, "noauto") => Verdict::Stays,
        Presence::NoDevice | Presence::OfRoot | Presence::There => Verdict::Stays,
        Presence::Absent if has(line.options, "nofail") => match table::with_timeout(line.options) {
            Some(options) => Verdict::Becomes(
                change(&format!(
                    "waited for no longer than {MOST_WAITED} s, the node does not have {} yet",
                    line.spec
                )),
                format!("{} {} {} {options}", line.name, line.spec, line.key),
            ),
            None => Verdict::Stays,
        },
        Presence::Absent => goes(&format!("the node does not have {}", line.spec)),
    }
}

/// Whether the image will make the map at `path`, `/dev/mapper/NAME`, by itself.
pub fn makes(crypttab: &[u8], path: &str) -> bool {
    let Some(name) = path.strip_prefix("/dev/mapper/") else { return false };
    let mut lines = crypttab.split(|byte| *byte == b'\n').filter_map(table::fields);
    lines
        .any(|fields| Line::of(&fields).is_some_and(|line| line.name == name && !has(line.options, "noauto")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(spec: &str) -> Presence {
        match spec {
            spec if device::path(spec).is_none() => Presence::NoDevice,
            spec if spec.contains("there") => Presence::There,
            spec if spec.contains("root") => Presence::OfRoot,
            _ => Presence::Absent,
        }
    }

    #[test]
    fn lines_of_every_kind() {
        for (line, what) in [
            (
                "vda3_crypt UUID=root none luks,discard",
                "taken out, it is the disk of the root, which diskless has opened",
            ),
            (
                "luks_root /dev/vda3 none luks",
                "taken out, it is the disk of the root, which diskless has opened",
            ),
            ("home UUID=1 none luks", "taken out, the node does not have UUID=1"),
            (
                "swap1 /dev/sdb2 /dev/urandom swap,cipher=x",
                "taken out, it would overwrite whatever has that name here",
            ),
            ("tmp /dev/there /dev/random", "taken out, it would overwrite whatever has that name here"),
        ] {
            let edited = rewrite(line.as_bytes(), &presence);
            assert_eq!(
                edited.changes.iter().map(|change| change.what.as_str()).collect::<Vec<_>>(),
                [what],
                "{line}"
            );
            assert_eq!(edited.bytes, format!("# diskless: {}: {line}\n", edited.changes[0]).as_bytes());
        }
        for line in [
            "# x UUID=1",
            "x",
            "data UUID=there /etc/key luks",
            "swap2 PARTUUID=there /dev/urandom swap",
            "data UUID=1 none luks,noauto",
            "file /srv/container none luks",
            "data UUID=1 none luks,nofail,x-systemd.device-timeout=1s",
        ] {
            assert_eq!(
                rewrite(line.as_bytes(), &presence),
                Edited { bytes: line.into(), changes: Vec::new() }
            );
        }
        let edited = rewrite(b"data UUID=1 none luks,nofail", &presence);
        assert!(edited.bytes.ends_with(b"\ndata UUID=1 none luks,nofail,x-systemd.device-timeout=10s\n"));
        assert_eq!(rewrite(&edited.bytes, &presence), Edited { changes: Vec::new(), ..edited });
    }

    #[test]
    fn what_the_image_opens_itself_is_known() {
        let crypttab = b"#gone UUID=1\nlater UUID=2 none noauto\nhome UUID=there none luks\n";
        for (path, makes_it) in [
            ("/dev/mapper/home", true),
            ("/dev/mapper/later", false),
            ("/dev/mapper/gone", false),
            ("home", false),
        ] {
            assert_eq!(makes(crypttab, path), makes_it, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_file(crypttab: Vec<u8>, path: String) {
            let edited = rewrite(&crypttab, &presence);
            proptest::prop_assert!(rewrite(&edited.bytes, &presence).changes.is_empty());
            let _ = makes(&crypttab, &path);
        }
    }
}
