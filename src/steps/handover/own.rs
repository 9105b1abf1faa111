//! What makes the node itself and no other: a table of what an image has of it, as docs/handover.md lists it, and the files
//! that are written.

use super::failed;
use super::files::{Content, File};
use super::observe::LONGEST;
use crate::error::Result;
use crate::input::identity::Identity;
use crate::input::secret::Secret;
use crate::sys::in_root::Root;

/// Something in an image that is a node's own.
#[derive(Debug)]
pub struct Own {
    /// Its path; there may be one `*` in the last part.
    pub path: &'static str,
    /// What it is.
    pub what: &'static str,
    /// What is done with it.
    pub done: Done,
    /// With what, or why.
    pub why: &'static str,
}

/// What is done with something of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It is written.
    Written,
    /// It is removed, unless it is also written.
    Removed,
    /// It is removed where it speaks of none of the node's interfaces: one that does is the site's for all of its nodes.
    RemovedUnlessOurs,
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Done::Written => "written",
            Done::Removed => "removed",
            Done::RemovedUnlessOurs => "removed where no MAC address of the node is in it",
        })
    }
}

const fn written(path: &'static str, what: &'static str, why: &'static str) -> Own {
    Own { path, what, done: Done::Written, why }
}

const fn removed(path: &'static str, what: &'static str, why: &'static str) -> Own {
    Own { path, what, done: Done::Removed, why }
}

const SEED: &str = "all nodes would start from it; systemd makes a new one when it goes down";
const LEASE: &str = "the client would ask for the address of the machine that the image was made on";

/// All of them; the initiator's and the host's name are among [`super::WRITTEN`].
pub const OWN: &[Own] = &[
    written(
        MACHINE_ID,
        "machine-id",
        "the plan's, else derived ([plan.md](plan.md)), mode 0444, so that no boot is a first one; emptied where there is \
         nothing to derive one from. Where the image says `uninitialized`, each boot is to be a first one: left so",
    ),
    written(
        DBUS_ID,
        "D-Bus's machine-id",
        "the same, where it is a file of its own; also where the other one says `uninitialized`, for systemd takes it from here \
         then",
    ),
    written(
        HOSTS,
        "the image's own name",
        "the line of `127.0.1.1`, where there is one, has the node's name: Debian's installer writes it",
    ),
    written(
        NVME_NQN,
        "name of the NVMe host",
        "`nqn.2014-08.org.nvmexpress:uuid:` and the system UUID, else one derived from the MAC, where there is `/etc/nvme`",
    ),
    written(NVME_ID, "id of the NVMe host", "that UUID"),
    written(
        "/etc/ssh/ssh_host_*_key",
        "SSH host key",
        "the plan's; else a new one of Ed25519 at each boot, where there is sshd",
    ),
    written("/etc/ssh/ssh_host_*_key.pub", "its public half", "for reports, and for who looks"),
    removed("/etc/ssh/ssh_host_*_key", "SSH host key", "whoever has the image could pretend to be any node"),
    removed("/etc/ssh/ssh_host_*_key.pub", "its public half", "goes with it"),
    removed("/etc/ssh/ssh_host_*_key-cert.pub", "its certificate", "goes with it"),
    removed("/var/lib/systemd/random-seed", "random seed", SEED),
    removed("/boot/loader/random-seed", "the boot loader's", SEED),
    removed("/boot/efi/loader/random-seed", "the boot loader's", SEED),
    removed("/efi/loader/random-seed", "the boot loader's", SEED),
    removed(
        "/var/lib/systemd/credential.secret",
        "key of systemd-creds(1)",
        "one for all nodes is none. What was encrypted with it in the image cannot be read any more",
    ),
    removed("/var/lib/dhcp/*.leases", "leases of dhclient", LEASE),
    removed("/var/lib/dhclient/*.lease", "the same on EL", LEASE),
    removed("/var/lib/dhclient/*.leases", "the same on EL", LEASE),
    removed("/var/lib/dhcpcd/*.lease", "leases of dhcpcd", LEASE),
    removed("/var/lib/dhcpcd/duid", "identifier of dhcpcd", "the server would take all nodes for one"),
    removed("/var/lib/dhcpcd/secret", "secret of dhcpcd", "stable private addresses are made of it"),
    removed("/var/lib/NetworkManager/*.lease", "leases of NetworkManager", LEASE),
    removed(
        "/var/lib/NetworkManager/secret_key",
        "secret of NetworkManager",
        "identifiers and stable private addresses are made of it; a new one is made",
    ),
    Own {
        path: "/etc/udev/rules.d/*-persistent-net.rules",
        what: "names of the interfaces of a machine",
        done: Done::RemovedUnlessOurs,
        why: "they keep names from the node's interfaces",
    },
    Own {
        path: "/etc/systemd/network/*-persistent-net.link",
        what: "the same",
        done: Done::RemovedUnlessOurs,
        why: "they keep names from the node's interfaces",
    },
];

const MACHINE_ID: &str = "/etc/machine-id";
const DBUS_ID: &str = "/var/lib/dbus/machine-id";
const HOSTS: &str = "/etc/hosts";
const NVME: &str = "/etc/nvme";
const NVME_NQN: &str = "/etc/nvme/hostnqn";
const NVME_ID: &str = "/etc/nvme/hostid";
/// What /etc/machine-id says of an image whose next boot is to be a first boot (machine-id(5), since systemd 247).
const UNINITIALIZED: &[u8] = b"uninitialized";
/// By this address Debian's installer makes the host's name known (Debian Reference, section 5.1.1).
const OWN_ADDRESS: &str = "127.0.1.1";

/// The files that say who the node is: that is `identity`, called `name`.
pub fn files(root: &Root, identity: &Identity, name: Option<&String>) -> Result<Vec<File>> {
    let file = |path: &str, mode, text: String| File {
        path: path.into(),
        mode,
        content: Content::Whole(Secret::new(text.into_bytes())),
    };
    let mut files = Vec::new();
    // Without an id systemd is to make one, and not to take the image's.
    let id = identity.machine_id.as_ref().map_or(String::new(), |id| format!("{}\n", id.id));
    let first_boot = text(root, MACHINE_ID)?.is_some_and(|text| text.trim_ascii() == UNINITIALIZED);
    if !first_boot {
        files.push(file(MACHINE_ID, 0o444, id.clone()));
    }
    let linked = root.link_target(DBUS_ID).map_err(failed(DBUS_ID))?.is_some();
    let of_its_own = !linked && root.is_there(DBUS_ID).map_err(failed(DBUS_ID))?;
    if of_its_own || (first_boot && !id.is_empty()) {
        files.push(file(DBUS_ID, 0o644, id));
    }
    if let (Some(hosts), Some(name)) = (text(root, HOSTS)?, name)
        && let Some(hosts) = with_name(&String::from_utf8_lossy(&hosts), name)
    {
        files.push(file(HOSTS, 0o644, hosts));
    }
    if root.is_there(NVME).map_err(failed(NVME))? {
        // nvme-cli takes an empty file for none, and asks the firmware.
        let uuid = identity.nvme_host.as_deref();
        let line = |prefix: &str| uuid.map_or(String::new(), |uuid| format!("{prefix}{uuid}\n"));
        files.push(file(NVME_NQN, 0o644, line("nqn.2014-08.org.nvmexpress:uuid:")));
        files.push(file(NVME_ID, 0o644, line("")));
    }
    Ok(files)
}

fn text(root: &Root, path: &str) -> Result<Option<Vec<u8>>> {
    match root.read(path, LONGEST) {
        Ok(found) => Ok(found.map(|found| found.bytes.to_vec())),
        // No file that these are is so long: one that is says nothing, and is replaced or left.
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

/// hosts(5) with `name` in the place of the names that the host's own address has there; none: it has no such line.
pub(super) fn with_name(hosts: &str, name: &str) -> Option<String> {
    let short = name.split('.').next().unwrap_or(name);
    let names = if short == name { name.to_owned() } else { format!("{name} {short}") };
    let is_own = |line: &str| line.split_whitespace().next() == Some(OWN_ADDRESS);
    let mut left = hosts.lines().any(is_own).then(|| format!("{OWN_ADDRESS}\t{names}\n"))?;
    let mut text = String::with_capacity(hosts.len() + left.len());
    for line in hosts.split_inclusive('\n') {
        // What is written stands once, where the first was.
        text += if is_own(line) { &left } else { line };
        if is_own(line) {
            left.clear();
        }
    }
    Some(text)
}

/// Whether a file at `path` is among those that the document lists as written.
#[cfg(test)]
pub fn is_listed(path: &str) -> bool {
    OWN.iter().filter(|own| own.done == Done::Written).any(|own| match own.path.split_once('*') {
        Some((start, end)) => path.starts_with(start) && path.ends_with(end),
        None => own.path == path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::identity::{Initiator, MachineId, Origin};
    use crate::steps::handover::files::Content;

    const ID: &str = "4b596e977250487ca0917906bfa6bbd9";

    fn node(known: bool) -> Identity {
        Identity {
            initiator: Initiator { name: "iqn.a:b".into(), origin: Origin::Uuid },
            machine_id: known.then(|| MachineId { id: ID.into(), origin: Origin::Uuid }),
            nvme_host: known.then(|| "4c4c4544-0042-3510-8058-b7c04f4a3233".into()),
            macs: Vec::new(),
        }
    }

    /// What is written into an image with these files, as `path mode: text`.
    fn written_into(image: &[(&str, &str)], node: &Identity, name: Option<&str>) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in image {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match text.strip_prefix("-> ") {
                Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
                None => std::fs::write(path, text).unwrap(),
            }
        }
        let root = Root::open(folder.path()).unwrap();
        let files = files(&root, node, name.map(str::to_owned).as_ref()).unwrap();
        files
            .iter()
            .map(|file| {
                assert!(is_listed(&file.path), "{}", file.path);
                let Content::Whole(text) = &file.content else { panic!("not whole") };
                format!("{} {:o}: {}", file.path, file.mode, String::from_utf8_lossy(text.expose()))
            })
            .collect()
    }

    #[test]
    fn the_machine_id_is_the_node_s_in_every_kind_of_image() {
        let ours = format!("/etc/machine-id 444: {ID}\n");
        let bus = format!("/var/lib/dbus/machine-id 644: {ID}\n");
        let vm = "0123456789abcdef0123456789abcdef\n";
        for (image, expected) in [
            (&[][..], vec![ours.clone()]),
            (&[("etc/machine-id", "")], vec![ours.clone()]),
            (&[("etc/machine-id", vm)], vec![ours.clone()]),
            (&[("etc/machine-id", vm), ("var/lib/dbus/machine-id", vm)], vec![ours.clone(), bus.clone()]),
            (&[("etc/machine-id", vm), ("var/lib/dbus/machine-id", "-> /etc/machine-id")], vec![ours]),
            (&[("etc/machine-id", "uninitialized\n")], vec![bus.clone()]),
            (
                &[("etc/machine-id", "uninitialized"), ("var/lib/dbus/machine-id", "-> /etc/machine-id")],
                vec![bus],
            ),
        ] {
            assert_eq!(written_into(image, &node(true), None), expected, "{image:?}");
        }
        assert_eq!(written_into(&[("etc/machine-id", vm)], &node(false), None), ["/etc/machine-id 444: "]);
        assert_eq!(written_into(&[("etc/machine-id", "uninitialized")], &node(false), None), [""; 0]);
    }

    #[test]
    fn the_nvme_host_is_the_node_s_where_the_image_has_one() {
        let files = written_into(&[("etc/nvme/hostid", "x")], &node(true), None);
        assert_eq!(
            files[1..],
            [
                "/etc/nvme/hostnqn 644: nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0042-3510-8058-b7c04f4a3233\n",
                "/etc/nvme/hostid 644: 4c4c4544-0042-3510-8058-b7c04f4a3233\n"
            ]
        );
        assert_eq!(
            written_into(&[("etc/nvme/hostid", "x")], &node(false), None)[2],
            "/etc/nvme/hostid 644: "
        );
    }

    #[test]
    fn the_host_s_own_line_has_the_node_s_name() {
        let hosts = "127.0.0.1\tlocalhost\n127.0.1.1\tvm.example vm\n\n# x\n127.0.1.1 old\n10.0.0.1 a";
        for (name, line) in [("node1", "node1"), ("node1.site.example", "node1.site.example node1")] {
            let text = with_name(hosts, name).unwrap();
            assert_eq!(text, format!("127.0.0.1\tlocalhost\n127.0.1.1\t{line}\n\n# x\n10.0.0.1 a"));
            assert_eq!(
                with_name(&text, name).as_deref(),
                Some(text.as_str()),
                "a second time changes nothing"
            );
        }
        assert_eq!(with_name("127.0.0.1 localhost\n#127.0.1.1 x\n127.0.1.10 y\n", "node1"), None);
        let image = [("etc/hosts", "127.0.1.1 vm\n")];
        assert_eq!(written_into(&image, &node(true), Some("n"))[1], "/etc/hosts 644: 127.0.1.1\tn\n");
        assert_eq!(written_into(&image, &node(true), None).len(), 1);
    }

    #[test]
    fn patterns_have_one_star_in_their_last_part() {
        for Own { path, .. } in OWN {
            assert!(path.starts_with('/') && path.matches('*').count() <= 1, "{path}");
            assert!(path.rsplit_once('/').unwrap().0.find('*').is_none(), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_hosts_file_gets_one_line(hosts: String, before in "[ \t]{0,2}") {
            let hosts = format!("{hosts}\n{before}127.0.1.1 vm");
            let text = with_name(&hosts, "node1").unwrap();
            let own = |text: &str| text.lines().filter(|line| line.split_whitespace().next() == Some(OWN_ADDRESS)).count();
            proptest::prop_assert_eq!(own(&text), 1);
            proptest::prop_assert_eq!(with_name(&text, "node1"), Some(text.clone()));
        }
    }
}
