//! What keeps the image's network configuration from the interfaces that the root hangs on, as values.
//!
//! Every one of these programs would give such an interface the addresses that the image has for it, in place of those
//! that the sessions are bound to, and take it down when it stops.

use super::files::{Content, File};
use super::nic::Nic;
use crate::input::secret::Secret;

/// What of all that manages interfaces the image has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Managers {
    /// systemd-udevd, which gives interfaces their names.
    pub udev: bool,
    /// systemd-networkd.
    pub networkd: bool,
    /// It will be started: what it has a lease for, it renews.
    pub networkd_starts: bool,
    /// NetworkManager.
    pub network_manager: bool,
    /// It was NetworkManager that set the interfaces up in the initramfs, and what it remembers of that is in /run: the
    /// image's goes on with it, lease and all (NetworkManager(8)).
    pub network_manager_goes_on: bool,
    /// Debian's ifupdown.
    pub ifupdown: bool,
}

impl Managers {
    /// The kernel is to keep the addresses whatever becomes of a lease. Also with a systemd-networkd: until it has the
    /// lease, and if the server gives it another, the sessions are bound to what there is.
    pub fn addresses_stay(self) -> bool {
        !(self.network_manager && self.network_manager_goes_on)
    }

    /// Nobody will listen to IPv6 routers.
    pub fn nobody_listens(self) -> bool {
        self.addresses_stay() && !self.networkd_starts
    }
}

/// The files that pin `nics`.
pub fn files(nics: &[Nic], managers: Managers) -> Vec<File> {
    let mut files = Vec::new();
    let mut put = |path: String, text: String| {
        files.push(File { path, mode: 0o644, content: Content::Whole(Secret::new(text.into())) });
    };
    for nic in nics {
        if managers.udev {
            put(format!("/etc/systemd/network/00-diskless-{}.link", nic.name), link(nic));
        }
        if managers.networkd {
            let text = network(nic);
            put(format!("/etc/systemd/network/00-diskless-{}.network", nic.name), text);
        }
        if managers.ifupdown {
            let unit = escaped(&nic.name);
            put(format!("/etc/systemd/system/ifup@{unit}.service.d/50-diskless.conf"), HOTPLUGGED.into());
            // What is up already, by this, is not set up once more, and who waits for it need not.
            put(format!("/run/network/ifstate.{}", nic.name), format!("{}\n", nic.name));
        }
    }
    if nics.is_empty() {
        return files;
    }
    if managers.networkd {
        put(
            "/etc/systemd/system/systemd-network-generator.service.d/50-diskless.conf".into(),
            GENERATED.into(),
        );
    }
    if managers.network_manager && !managers.network_manager_goes_on {
        put("/etc/NetworkManager/conf.d/90-diskless.conf".into(), unmanaged(nics));
    }
    if managers.ifupdown {
        put("/etc/systemd/system/networking.service.d/50-diskless.conf".into(), no_ifdown(nics));
        // The same, for ifquery.
        put("/run/network/ifstate".into(), nics.iter().map(|nic| format!("{0}={0}\n", nic.name)).collect());
    }
    files
}

/// systemd.link(5): the name that the interface has is the name that it keeps, whatever the image would call it.
fn link(nic: &Nic) -> String {
    format!(
        "# Written by diskless: the root hangs on this interface.\n[Match]\nOriginalName={}\n\n[Link]\nNamePolicy=keep\n",
        nic.name
    )
}

/// systemd.network(5). `00-` sorts before all that an image, netplan or an initramfs has: the first that matches wins.
fn network(nic: &Nic) -> String {
    let mut text =
        format!("# Written by diskless: the root hangs on this interface.\n[Match]\nName={}\n\n", nic.name);
    if nic.carries {
        let dhcp = if nic.lease.is_some() { "yes" } else { "no" };
        text += &format!(
            "[Network]\nDHCP={dhcp}\n# Addresses and routes stay as they are, also when there is no lease any more.\n\
             KeepConfiguration=yes\n"
        );
        if let Some(client) = &nic.lease {
            text += "\n[DHCPv4]\n# As in the initramfs: by it the server knows the node again.\n";
            text += &client.lines();
        }
    } else {
        // Managed, a part of a bond would be taken out of it.
        text += "[Link]\nUnmanaged=yes\n";
    }
    text
}

/// NetworkManager.conf(5).
fn unmanaged(nics: &[Nic]) -> String {
    let names: Vec<String> = nics.iter().map(|nic| format!("interface-name:={}", nic.name)).collect();
    format!(
        "# Written by diskless: the root hangs on these interfaces.\n[device-diskless]\nmatch-device={}\nmanaged=0\n\
         keep-configuration=yes\n",
        names.join(",")
    )
}

/// What it made of `ip=` in the initramfs is still in /run, and it fails where its files are there already.
const GENERATED: &str = "\
# Written by diskless: what the kernel command line says of the network was for the initramfs.
[Unit]
ConditionKernelCommandLine=!ip
";

/// ifup@.service, for `allow-hotplug`: its start does nothing, for the interface is up; its stop must not, either.
const HOTPLUGGED: &str = "\
# Written by diskless: the root hangs on this interface.
[Service]
ExecStop=
";

/// networking.service: ifdown(8) at its stop, which is at shutdown or when the package is upgraded.
fn no_ifdown(nics: &[Nic]) -> String {
    let excluded: String = nics.iter().map(|nic| format!(" --exclude={}", nic.name)).collect();
    format!(
        "# Written by diskless: the root hangs on these interfaces.\n[Service]\nExecStop=\n\
         ExecStop=/sbin/ifdown -a --read-environment --exclude=lo{excluded}\n"
    )
}

/// The instance of a unit for `name`, as systemd-escape(1) has it.
fn escaped(name: &str) -> String {
    let mut text = String::new();
    for (i, byte) in name.bytes().enumerate() {
        match byte {
            b'/' => text.push('-'),
            b'.' if i > 0 => text.push('.'),
            b'_' | b':' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            byte => text += &format!("\\x{byte:02x}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::handover::lease::Client;
    use crate::steps::handover::written::is_listed;

    fn nic(name: &str, carries: bool, lease: Option<Client>) -> Nic {
        Nic { name: name.into(), index: 2, carries, lease, timed: Vec::new() }
    }

    fn text(nics: &[Nic], managers: Managers) -> Vec<(String, String)> {
        let files = files(nics, managers).into_iter();
        files
            .map(|file| {
                let bytes = file.content.bytes(b"", None).unwrap();
                (file.path, String::from_utf8_lossy(&bytes).into_owned())
            })
            .collect()
    }

    #[test]
    fn only_what_the_image_has_is_told() {
        let nics = [nic("eth0", true, None)];
        let all = Managers {
            udev: true,
            networkd: true,
            networkd_starts: true,
            network_manager: true,
            network_manager_goes_on: false,
            ifupdown: true,
        };
        assert!(text(&nics, Managers::default()).is_empty());
        assert!(text(&[], all).is_empty());
        let paths =
            |managers| -> Vec<String> { text(&nics, managers).into_iter().map(|(path, _)| path).collect() };
        let none = Managers::default();
        assert_eq!(
            paths(Managers { network_manager: true, ..none }),
            ["/etc/NetworkManager/conf.d/90-diskless.conf"]
        );
        assert!(paths(Managers { network_manager: true, network_manager_goes_on: true, ..none }).is_empty());
        assert_eq!(
            paths(Managers { udev: true, networkd: true, ..none }),
            [
                "/etc/systemd/network/00-diskless-eth0.link",
                "/etc/systemd/network/00-diskless-eth0.network",
                "/etc/systemd/system/systemd-network-generator.service.d/50-diskless.conf"
            ]
        );
        assert_eq!(
            paths(Managers { ifupdown: true, ..none }),
            [
                "/etc/systemd/system/ifup@eth0.service.d/50-diskless.conf",
                "/run/network/ifstate.eth0",
                "/etc/systemd/system/networking.service.d/50-diskless.conf",
                "/run/network/ifstate"
            ]
        );
        assert_eq!(paths(all).len(), 8);
        for path in paths(all) {
            assert!(is_listed(&path, &["eth0"]), "{path}");
        }
    }

    #[test]
    fn a_carrier_keeps_its_addresses_and_what_is_below_is_left_alone() {
        let managers = Managers { networkd: true, networkd_starts: true, ..Managers::default() };
        let files = text(&[nic("bond0", true, None), nic("eth0", false, None)], managers);
        assert!(files[0].1.contains("\nName=bond0\n"), "{}", files[0].1);
        let leased = text(&[nic("bond0", true, Some(Client::Mac))], managers).remove(0).1;
        assert!(leased.contains("\nDHCP=yes\n") && leased.ends_with("\nClientIdentifier=mac\n"), "{leased}");
        assert!(files[0].1.contains("\nDHCP=no\n") && files[0].1.contains("\nKeepConfiguration=yes\n"));
        assert!(files[1].1.ends_with("\nName=eth0\n\n[Link]\nUnmanaged=yes\n"), "{}", files[1].1);
    }

    #[test]
    fn ifupdown_holds_both_for_up_and_takes_none_down() {
        let managers = Managers { ifupdown: true, ..Managers::default() };
        let files = text(&[nic("br-lan", true, None), nic("eth0", false, None)], managers);
        assert_eq!(files[0].0, "/etc/systemd/system/ifup@br\\x2dlan.service.d/50-diskless.conf");
        assert_eq!(files[1], ("/run/network/ifstate.br-lan".to_owned(), "br-lan\n".to_owned()));
        assert!(files[4].1.ends_with(" --exclude=lo --exclude=br-lan --exclude=eth0\n"), "{}", files[4].1);
        assert_eq!(files[5].1, "br-lan=br-lan\neth0=eth0\n");
    }

    #[test]
    fn addresses_stay_unless_who_has_them_goes_on() {
        let none = Managers::default();
        assert!(none.addresses_stay() && none.nobody_listens());
        let networkd = Managers { networkd_starts: true, ..none };
        assert!(networkd.addresses_stay() && !networkd.nobody_listens());
        let manager = Managers { network_manager: true, ..none };
        assert!(manager.addresses_stay() && manager.nobody_listens());
        let goes_on = Managers { network_manager_goes_on: true, ..manager };
        assert!(!goes_on.addresses_stay() && !goes_on.nobody_listens());
    }

    #[test]
    fn units_of_interfaces_are_escaped() {
        assert_eq!(escaped("eth0.5"), "eth0.5");
        assert_eq!(escaped(".a:b_c"), "\\x2ea:b_c");
    }
}
