//! cloud-init's phone_home form, for images without cloud-init: what a site's sensor was always told, it goes on being
//! told. The names are those of cloud-init's module cc_phone_home (docs.cloudinit.io, "Phone Home"), the older
//! `pub_key_dsa` among them.

use std::fs::File;
use std::io::Read;

use crate::engine::host::Host;
use crate::input::facts::Facts;

/// cloud-init's word for what there is not.
const NOTHING: &str = "N/A";
/// Host keys by the form's names, and sshd's files of them below `/etc/ssh`.
const KEYS: [(&str, &str); 4] = [
    ("pub_key_dsa", "/etc/ssh/ssh_host_dsa_key.pub"),
    ("pub_key_rsa", "/etc/ssh/ssh_host_rsa_key.pub"),
    ("pub_key_ecdsa", "/etc/ssh/ssh_host_ecdsa_key.pub"),
    ("pub_key_ed25519", "/etc/ssh/ssh_host_ed25519_key.pub"),
];
/// Bytes; an RSA key of 16384 bits has fewer than 3000.
const LONGEST_KEY: u64 = 16 << 10;
/// cloud-init's generator writes it at each boot on which cloud-init is to run. Units say less: the generator leaves out
/// an enabled one where there is no data source.
const CLOUD_INIT: &str = "/run/cloud-init/enabled";

/// Whether the image's own cloud-init runs in this boot: then the form is its to send.
pub fn is_cloud_inits(host: &Host) -> bool {
    host.path(CLOUD_INIT).exists()
}

/// The fields of the form of the booted system, whose name is `hostname`.
///
/// `instance_id` is the system's UUID, else the name. It is neither the id that an image may have in
/// `/var/lib/cloud/data`, which would be that of all nodes, nor the machine-id, which is not for the network
/// (machine-id(5)).
pub fn fields(host: &Host, hostname: Option<&str>) -> Vec<(&'static str, String)> {
    let or_nothing = |value: Option<String>| value.unwrap_or_else(|| NOTHING.to_owned());
    let mut fields: Vec<_> =
        KEYS.iter().map(|(name, path)| (*name, or_nothing(public_key(host, path)))).collect();
    let name = hostname.map(str::to_owned);
    // As cloud-init has it, the host name is the first part of a qualified one.
    let (first, qualified) = match hostname.and_then(|name| name.split_once('.')) {
        Some((first, _)) => (Some(first.to_owned()), name.clone()),
        None => (name.clone(), None),
    };
    fields.push(("instance_id", or_nothing(Facts::read(&host.path("/")).uuid.or(name))));
    fields.push(("hostname", or_nothing(first)));
    fields.push(("fqdn", or_nothing(qualified)));
    fields
}

/// The file as it is, with its newline: so cloud-init sends it. None if it is no text of a key's length.
fn public_key(host: &Host, path: &str) -> Option<String> {
    let mut text = String::new();
    File::open(host.path(path)).ok()?.take(LONGEST_KEY + 1).read_to_string(&mut text).ok()?;
    (!text.trim().is_empty() && text.len() as u64 <= LONGEST_KEY).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        for (path, bytes) in files {
            std::fs::create_dir_all(host.path(path).parent().unwrap()).unwrap();
            std::fs::write(host.path(path), bytes).unwrap();
        }
        (root, host)
    }

    fn field<'a>(fields: &'a [(&str, String)], name: &str) -> &'a str {
        &fields.iter().find(|(field, _)| *field == name).unwrap().1
    }

    #[test]
    fn what_there_is_as_it_is_and_the_rest_as_nothing() {
        let uuid = "7D15C1E5-0A51-4D15-8C1E-5D15C1E50001\n";
        let (_root, host) = host(&[
            ("/etc/ssh/ssh_host_ed25519_key.pub", b"ssh-ed25519 AAAA+/= root@node1\n"),
            ("/etc/ssh/ssh_host_rsa_key.pub", &[b'x'; 20_000]),
            ("/etc/ssh/ssh_host_ecdsa_key.pub", b"\xff\xfe"),
            ("/sys/class/dmi/id/product_uuid", uuid.as_bytes()),
            ("/etc/machine-id", b"0123456789abcdef0123456789abcdef\n"),
            ("/var/lib/cloud/data/instance-id", b"golden\n"),
        ]);
        let fields = fields(&host, Some("node1.cluster"));
        let expected = [
            ("pub_key_dsa", "N/A"),
            ("pub_key_rsa", "N/A"),
            ("pub_key_ecdsa", "N/A"),
            ("pub_key_ed25519", "ssh-ed25519 AAAA+/= root@node1\n"),
            ("instance_id", "7d15c1e5-0a51-4d15-8c1e-5d15c1e50001"),
            ("hostname", "node1"),
            ("fqdn", "node1.cluster"),
        ];
        assert_eq!(fields.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_name_alone_is_no_qualified_one_and_stands_for_the_system() {
        let (_root, host) = host(&[]);
        let named = fields(&host, Some("node1"));
        for (name, value) in [("instance_id", "node1"), ("hostname", "node1"), ("fqdn", "N/A")] {
            assert_eq!(field(&named, name), value, "{name}");
        }
        assert!(fields(&host, None).iter().all(|(_, value)| value == "N/A"));
    }

    #[test]
    fn the_image_s_own_cloud_init_is_seen_by_its_generator_s_word() {
        let (_root, without) =
            host(&[("/etc/systemd/system/cloud-init.target.wants/cloud-final.service", b"")]);
        assert!(!is_cloud_inits(&without));
        let (_root, disabled) = host(&[("/run/cloud-init/disabled", b"")]);
        assert!(!is_cloud_inits(&disabled));
        let (_root, enabled) = host(&[(CLOUD_INIT, b"")]);
        assert!(is_cloud_inits(&enabled));
    }

    proptest! {
        #[test]
        fn any_bytes_and_any_name_make_a_form(bytes in prop::collection::vec(any::<u8>(), 0..200), name in ".{0,80}") {
            let (_root, host) = host(&[("/etc/ssh/ssh_host_rsa_key.pub", &bytes)]);
            prop_assert_eq!(fields(&host, Some(&name)).len(), 7);
        }
    }
}
