use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::site::aside::Aside;
use crate::site::file::File;

const SITE: &str = r#"
[server]
url = "http://10.1.0.1:32001"

[networks.boot]
address = "10.1.0.0/16"
gateway = "10.1.0.254"
dns = ["10.1.0.2", "10.1.0.3"]
pool = "10.1.251.1-10.1.251.250"

[networks.storage]
address = "10.2.0.0/16"
mtu = 9000

[networks.six]
address = "fd00::/64"
pool = "fd00::1-fd00::2"

[networks.unused]
address = "10.9.0.0/16"

[[nodes]]
names = "ocean[1-2]"
[nodes.interfaces.eth0]
mac = "52:54:00:00:00:0[1-2]"
networks.boot = "10.1.1.[1-2]"
[nodes.interfaces.eth1]
mac = "52:54:00:00:01:0[1-2]"
networks.storage = "10.2.1.[1-2]"

[[nodes]]
names = "guest1"
[nodes.interfaces.eth0]
mac = "52:54:00:00:00:99"
networks.boot = "dhcp"

[[nodes]]
names = "fabric1"
[nodes.interfaces.ib0]
mac = "80:00:00:48:fe:80:00:00:00:00:00:00:f4:52:14:03:00:7b:cb:a1"
networks.boot = "10.1.1.9"
"#;

fn dhcp(site: &str) -> Result<Dhcp, String> {
    Dhcp::of(&Site::of(File::parse(site).unwrap(), Aside::default()), Loaders::default())
}

/// A way to write it down: its name, that of the golden file, and how to ask the real server.
type Format = (&'static str, &'static str, fn(&Dhcp) -> String, &'static [&'static str]);

const FORMATS: [Format; 3] = [
    ("dnsmasq", "dnsmasq.conf", dnsmasq::write, &["--test", "-C"]),
    ("kea-dhcp4", "kea.json", kea::write, &["-t"]),
    ("dhcpd", "dhcpd.conf", isc::write, &["-t", "-cf"]),
];

/// To bring them up to date: `UPDATE_GOLDEN=1 cargo test -p disklessd --lib dhcp::`.
#[test]
fn each_server_is_told_in_its_own_words() {
    let dhcp = dhcp(SITE).unwrap();
    for (_, file, write, _) in FORMATS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dhcp").join(file);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, write(&dhcp)).unwrap();
        }
        assert_eq!(write(&dhcp), std::fs::read_to_string(&path).unwrap(), "{file}");
    }
}

/// Of those that are installed here; the golden files are checked everywhere.
#[test]
fn the_servers_themselves_take_it() {
    let dhcp = dhcp(SITE).unwrap();
    for (program, _, write, arguments) in FORMATS {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(write(&dhcp).as_bytes()).unwrap();
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let said = Command::new(program).args(arguments).arg(file.path()).env("PATH", path).output();
        match said {
            Ok(said) => {
                let text = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
                assert!(said.status.success(), "{program}: {text}");
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // Past the test runner, which keeps what a good test prints to itself.
                let _ = writeln!(
                    std::io::stderr(),
                    "SKIPPED: {program} is not installed: nobody but the golden file has looked at its words"
                );
            }
            Err(error) => panic!("{program}: {error}"),
        }
    }
}

#[test]
fn what_dhcp_cannot_give_is_refused() {
    for (site, reason) in [
        ("", "server.url: DHCP has to name the server"),
        ("[server]\nurl = \"10.1.0.1\"", "server.url: DHCP has to name the server"),
        (&format!("[server]\nurl = \"http://{}/\"", "a".repeat(120)), "server.url: http://aaaa"),
        ("[server]\nurl = \"http://a/,b\"", "server.url: \"http://a/,b/boot.ipxe\" has"),
    ] {
        let error = dhcp(site).unwrap_err();
        assert!(error.starts_with(reason), "{error}");
    }
}

#[test]
fn what_is_wrong_with_a_network_leaves_it_out() {
    for (network, reason) in [
        ("address = \"10.1.0.0\"", "\"10.1.0.0\" is no network"),
        ("address = \"fd00::/64\"", "it is not IPv4"),
        ("address = \"10.0.0.0/8\"\npool = \"10.0.0.1\"", "its pool \"10.0.0.1\" is not ADDRESS-ADDRESS"),
        ("address = \"10.0.0.0/8\"\npool = \"10.0.0.1-b\"", "its pool \"10.0.0.1-b\" is not ADDRESS-ADDRESS"),
        ("address = \"10.0.0.0/8\"\ngateway = \"a\\nb\"", "\"a\\nb\" is no IPv4 address"),
        ("address = \"10.0.0.0/8\"\ndns = [\"::1\"]", "\"::1\" is no IPv4 address"),
    ] {
        let dhcp = dhcp(&format!("[server]\nurl = \"http://a\"\n[networks.n]\n{network}\n")).unwrap();
        assert_eq!(dhcp.left_out, [format!("network n: {reason}")]);
        assert!(dhcp.subnets.is_empty());
    }
}

#[test]
fn the_tftp_server_is_known_where_it_can_be() {
    let tftp = |url: &str| dhcp(&format!("[server]\nurl = \"{url}\"")).unwrap().loaders.tftp;
    assert_eq!(tftp("http://10.1.0.1:32001/a"), Some(Ipv4Addr::new(10, 1, 0, 1)));
    assert_eq!(tftp("http://boot.example:32001"), None);
    assert_eq!(tftp("http://[fd00::1]:32001"), None);
}

/// `SITE` with one more of each, called so.
fn with_names(network: &str, node: &str) -> Dhcp {
    let mut site = Site::of(File::parse(SITE).unwrap(), Aside::default());
    let mut one = site.nodes.get("ocean1").unwrap().clone();
    for interface in one.interfaces.values_mut() {
        interface.networks = [(network.to_owned(), None)].into();
    }
    one.name = node.to_owned();
    site.nodes.insert(node.to_owned(), one);
    let boot = site.file.networks.get("boot").unwrap().clone();
    site.file.networks.insert(network.to_owned(), boot);
    Dhcp::of(&site, Loaders::default()).unwrap()
}

proptest! {
    #[test]
    fn no_name_makes_a_line_of_its_own(network in "[ -~\n]{5,20}", node in "[ -~\n]{9,20}") {
        let dhcp = with_names(&network, &node);
        let lines = |text: String| text.lines().count();
        let plain = with_names("other", "lake1");
        // A node whose name is no host name has as many lines, which say that it is left out.
        prop_assert_eq!(lines(dnsmasq::write(&dhcp)), lines(dnsmasq::write(&plain)));
        prop_assert_eq!(lines(isc::write(&dhcp)), lines(isc::write(&plain)));
        let kea = kea::write(&dhcp);
        let json: String = kea.lines().skip_while(|line| line.starts_with("//")).collect();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }
}
