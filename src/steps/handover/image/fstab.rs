//! The image's fstab(5), written for the machine that the image comes from: what of it this node can mount.

use super::device::Presence;
use super::table::{self, Change, Edited, MOST_WAITED, Verdict, edit, has};
use crate::steps::overlay::mountinfo::unescape;

/// Options that make or grow a file system: not one that all nodes share.
const CHANGES_IT: [&str; 3] = ["x-systemd.growfs", "x-systemd.makefs", "x-systemd.rw-only"];

/// What is known of the node.
pub struct Facts<'a> {
    /// The mount points that are mounted when the image starts, as the plan writes them.
    pub mounted: &'a [&'a str],
    /// What there is of what a line's first field names.
    pub device: &'a dyn Fn(&str) -> Presence,
}

/// A line, as far as it is there: fstab(5) wants four fields, and takes two.
struct Line<'a> {
    spec: &'a str,
    /// As it stands there.
    at: &'a str,
    kind: &'a str,
    options: &'a str,
    dump: &'a str,
    /// When it is checked; 0: never.
    pass: &'a str,
}

impl<'a> Line<'a> {
    fn of(fields: &[&'a str]) -> Option<Line<'a>> {
        let field = |at: usize, missing| fields.get(at).copied().unwrap_or(missing);
        let [spec, at, ..] = *fields else { return None };
        let (kind, options) = (field(2, "auto"), field(3, "defaults"));
        Some(Line { spec, at, kind, options, dump: field(4, "0"), pass: field(5, "0") })
    }

    /// Its mount point, as a plan writes it.
    fn mount_point(&self) -> String {
        let at = unescape(self.at);
        let parts: Vec<&str> = at.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        format!("/{}", parts.join("/"))
    }

    /// Nothing mounts it but who asks for it.
    fn is_asked_for(&self) -> bool {
        has(self.options, "noauto") && !has(self.options, "x-systemd.automount")
    }

    /// The image's makers thought of nodes that do not have it, or have it mounted when it is looked at.
    fn may_be_missing(&self) -> bool {
        has(self.options, "nofail") || has(self.options, "x-systemd.automount")
    }

    fn with(&self, options: &str, pass: &str) -> String {
        format!("{} {} {} {options} {} {pass}", self.spec, self.at, self.kind, self.dump)
    }
}

/// `fstab` for this node.
///
/// Mount points that are mounted already go, also from the view of systemd-remount-fs.service. Devices that the node does
/// not have go, unless the line says itself that they may be missing: then systemd waits for them for [`MOST_WAITED`] s at
/// most, with nobody waiting for that. What is on the disk of the root becomes read-only and is not checked. Swap is only
/// left on a device of the node's own.
pub fn rewrite(fstab: &[u8], facts: &Facts<'_>) -> Edited {
    let disks = own_mounts(fstab, facts);
    edit(fstab, |fields| {
        let Some(line) = Line::of(fields) else { return Verdict::Stays };
        let presence = (facts.device)(line.spec);
        if line.kind == "swap" {
            swap(&line, presence, &disks)
        } else {
            mount(&line, presence, facts.mounted)
        }
    })
}

fn goes(about: &str, what: String) -> Verdict {
    Verdict::Goes(Change { about: about.to_owned(), what })
}

fn swap(line: &Line<'_>, presence: Presence, disks: &[String]) -> Verdict {
    let on_disk = |disk: &String| {
        unescape(line.spec).strip_prefix(disk.as_str()).is_some_and(|rest| rest.starts_with('/'))
    };
    let why = match presence {
        _ if line.is_asked_for() => return Verdict::Stays,
        Presence::There => return Verdict::Stays,
        Presence::NoDevice if disks.iter().any(on_disk) => return Verdict::Stays,
        Presence::NoDevice => "no file on the writable layer can be swap",
        Presence::Absent => "the node does not have the device",
        Presence::OfRoot => "it is on the disk of the root, which all nodes share",
    };
    goes(line.spec, format!("swap taken out, {why}"))
}

fn mount(line: &Line<'_>, presence: Presence, mounted: &[&str]) -> Verdict {
    if mounted.contains(&line.mount_point().as_str()) {
        return goes(line.at, "taken out, diskless has mounted it".into());
    }
    if line.is_asked_for() {
        return Verdict::Stays;
    }
    match presence {
        Presence::NoDevice | Presence::There => Verdict::Stays,
        Presence::Absent if line.may_be_missing() => match table::with_timeout(line.options) {
            Some(options) => {
                let what = format!(
                    "waited for no longer than {MOST_WAITED} s, the node does not have {} yet",
                    line.spec
                );
                Verdict::Becomes(Change { about: line.at.to_owned(), what }, line.with(&options, line.pass))
            }
            None => Verdict::Stays,
        },
        Presence::Absent => goes(line.at, format!("taken out, the node does not have {}", line.spec)),
        Presence::OfRoot => {
            let options = read_only(line.options);
            if options == line.options && line.pass == "0" {
                return Verdict::Stays;
            }
            let what =
                "read-only and unchecked, it is on the disk of the root, which all nodes share".to_owned();
            Verdict::Becomes(Change { about: line.at.to_owned(), what }, line.with(&options, "0"))
        }
    }
}

/// `options` for a file system that cannot be written to, and without which the node does as well.
fn read_only(options: &str) -> String {
    let is_kept = |option: &&str| {
        !matches!(*option, "" | "rw" | "ro" | "defaults" | "nofail") && !CHANGES_IT.contains(option)
    };
    ["ro", "nofail"].into_iter().chain(options.split(',').filter(is_kept)).collect::<Vec<_>>().join(",")
}

/// The mount points of disks that are the node's own.
fn own_mounts(fstab: &[u8], facts: &Facts<'_>) -> Vec<String> {
    let fields = fstab.split(|byte| *byte == b'\n').filter_map(table::fields);
    let mounts = fields.filter_map(|fields| {
        let line = Line::of(&fields)?;
        let is_own = line.kind != "swap" && (facts.device)(line.spec) == Presence::There;
        is_own.then(|| line.mount_point())
    });
    mounts.filter(|at| at != "/" && !facts.mounted.contains(&at.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The devices of a node: by what the specification has in it.
    fn device(spec: &str) -> Presence {
        match spec {
            spec if super::super::device::path(spec).is_none() => Presence::NoDevice,
            spec if spec.contains("there") => Presence::There,
            spec if spec.contains("root") => Presence::OfRoot,
            _ => Presence::Absent,
        }
    }

    const FACTS: Facts<'static> = Facts { mounted: &["/", "/var"], device: &device };

    fn rewritten(fstab: &str) -> String {
        let edited = rewrite(fstab.as_bytes(), &FACTS);
        let again = rewrite(&edited.bytes, &FACTS);
        assert_eq!(again.bytes, edited.bytes, "a second time changes nothing");
        assert!(again.changes.is_empty(), "{:?}", again.changes);
        String::from_utf8(edited.bytes).unwrap()
    }

    /// As Debian's installer writes it, with LVM, and what people add to it.
    #[test]
    fn that_of_a_virtual_machine() {
        let fstab = include_str!("../../../../tests/data/fstab/debian-vm");
        let expected = include_str!("../../../../tests/data/fstab/debian-vm.expected");
        let edited = rewrite(fstab.as_bytes(), &FACTS);
        assert_eq!(String::from_utf8(edited.bytes).unwrap(), expected);
        let changes: Vec<String> = edited.changes.iter().map(ToString::to_string).collect();
        assert_eq!(changes.len(), expected.matches("# diskless: ").count());
        assert_eq!(changes[0], "/: taken out, diskless has mounted it");
        rewritten(fstab);
    }

    #[test]
    fn lines_of_every_kind() {
        let goes = |line: &str| rewritten(line).lines().all(|line| line.starts_with('#'));
        for line in [
            "UUID=1 / ext4 errors=remount-ro 0 1",
            "/dev/mapper/vg-var /var/ xfs defaults 0 0",
            "tmpfs /var tmpfs",
            "LABEL=root-x / btrfs subvol=@ 0 0",
            "UUID=1 /boot ext4",
            "/dev/vda2 /boot",
            "PARTUUID=1 /home\\040of\\040all ext4 defaults 0 2",
            "UUID=1 none swap sw 0 0",
            "UUID=1 none swap nofail",
            "/dev/mapper/root-swap none swap sw 0 0",
            "/swapfile none swap sw 0 0",
        ] {
            assert!(goes(line), "{line}: {}", rewritten(line));
        }
        for line in [
            "# UUID=1 /boot ext4",
            "",
            "x",
            "UUID=there /scratch xfs defaults 0 2",
            "UUID=there none swap sw",
            "UUID=1 /mnt auto noauto,user 0 0",
            "UUID=1 none swap noauto",
            "server:/home /home nfs4 _netdev,x-systemd.automount 0 0",
            "//server/share /s cifs credentials=/etc/c 0 0",
            "tmpfs /tmp tmpfs size=1G 0 0",
            "proc /proc proc defaults 0 0",
            "/srv/a /srv/b none bind 0 0",
            "UUID=1 /data xfs nofail,x-systemd.device-timeout=2s 0 2",
        ] {
            assert_eq!(rewritten(line), line);
        }
        for (line, new) in [
            ("UUID=1 /data xfs nofail 0 2", "UUID=1 /data xfs nofail,x-systemd.device-timeout=10s 0 2"),
            (
                "UUID=1 /efi vfat umask=0077,x-systemd.automount,noauto",
                "UUID=1 /efi vfat umask=0077,x-systemd.automount,noauto,x-systemd.device-timeout=10s 0 0",
            ),
            ("UUID=root-1 /boot ext4 defaults 1 2", "UUID=root-1 /boot ext4 ro,nofail 1 0"),
            (
                "LABEL=root-2 /home btrfs rw,subvol=@home,x-systemd.growfs 0 2",
                "LABEL=root-2 /home btrfs ro,nofail,subvol=@home 0 0",
            ),
        ] {
            assert_eq!(rewritten(line).lines().last(), Some(new), "{line}");
        }
    }

    #[test]
    fn a_file_on_a_disk_of_the_node_s_own_can_be_swap() {
        let fstab = "UUID=there /scratch xfs defaults 0 2\n/scratch/swap none swap sw 0 0\n";
        assert_eq!(rewritten(fstab), fstab);
        assert!(
            rewritten("UUID=there /scratch xfs\n/scratching/swap none swap")
                .contains("# diskless: /scratching/swap: ")
        );
    }

    proptest::proptest! {
        #[test]
        fn any_file_keeps_its_lines_and_waits_for_nothing_missing(
            lines in proptest::collection::vec("(#? ?)(UUID=(there|root|1)|/dev/x|srv:/e|/f|\\PC{0,9})( |\t)(/|/var|/boot|none)( (ext4|swap|nfs)( (nofail|noauto|ro,x=1|defaults)( 0 2)?)?)?", 0..9)
        ) {
            let fstab = lines.join("\n");
            let edited = rewrite(fstab.as_bytes(), &FACTS);
            let text = String::from_utf8(edited.bytes.clone()).unwrap();
            for line in fstab.lines() {
                proptest::prop_assert!(text.lines().any(|new| new.ends_with(line)), "{} is not in {}", line, text);
            }
            for line in text.lines().filter_map(|line| table::fields(line.as_bytes())) {
                let Some(line) = Line::of(&line) else { continue };
                proptest::prop_assert!(line.kind == "swap" || line.mount_point() != "/");
                let waits = device(line.spec) == Presence::Absent && !line.is_asked_for() && !line.options.contains("device-timeout");
                proptest::prop_assert!(!waits, "{}", text);
            }
            let again = rewrite(&edited.bytes, &FACTS);
            proptest::prop_assert_eq!(again, Edited { bytes: edited.bytes, changes: Vec::new() });
        }

        #[test]
        fn any_bytes_are_a_file(fstab: Vec<u8>) {
            let edited = rewrite(&fstab, &FACTS);
            proptest::prop_assert_eq!(rewrite(&edited.bytes, &FACTS).bytes, edited.bytes);
        }
    }
}
