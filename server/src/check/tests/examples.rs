//! A good site, and what makes it a bad one: at least one example a rule.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// In its folder it has no findings. All that is edited stands in it once, or the first time is meant.
pub const GOOD: &str = r#"
[server]
url = "http://198.18.0.2:32001"
listen = ["[::]:32001"]
silent_after = "3m"
files = "files"
token_file = "operator.token"

[[webhooks]]
name = "st2"
url = "http://198.18.0.5/hook"
token_header = "St2-Api-Key"
token_file = "st2.token"

[networks.boot]
address = "198.18.0.0/24"
ranges = ["198.18.0.10-198.18.0.99"]
gateway = "198.18.0.254"
dns = ["198.18.0.53"]
mtu = 1500
pool = "198.18.0.200-198.18.0.220"

[networks.storage]
address = "198.18.1.0/24"
mtu = 9000
vlan = 12

[links.fabric]
mtu = 9000
networks = ["boot", "storage"]
trunk = true

[links.fabric.bond]
mode = "802.3ad"
lacp_rate = "fast"
xmit_hash_policy = "layer3+4"
miimon = 100
updelay = 200

[images.el9]
kernel = "vmlinuz"
initramfs = "initramfs.img"
cmdline = "console=ttyS0"
disk = "el9.img"
plan.luks.key.file = "/etc/diskless/image.key"
plan.luks.uuid = "2b1c6b0e-7f0f-4f36-9d0e-6f2f5b0c9a11"
plan.overlay.size = "50%"
plan.overlay.mounts = [{ at = "/", lower = "/dev/mapper/luks_root1" }]

[servers.disk1]
portals = ["198.18.1.1"]
target_prefix = "iqn.2026-01.org.example:"
plan.iscsi.auth = { username = "node", secret = "0123456789abcdef" }

[defaults]
image = "el9"
servers = ["disk1"]
profile = "compute"
memory = "64G"
plan.iscsi.initiator = "iqn.2026-01.org.example:${node}"

[profiles.compute]
cmdline = "selinux=0"

[groups.rack1]
nodes = "node[1-2]"

[[nodes]]
names = "node[1-4]"
uuid = "2b1c6b0e-7f0f-4f36-9d0e-6f2f5b0c9a[11-14]"
[nodes.interfaces.eth0]
mac = "52:54:00:00:00:[11-14]"
link = "fabric"
networks = { boot = "198.18.0.[11-14]", storage = "198.18.1.[11-14]" }
"#;

/// How a good site becomes a bad one.
pub struct Example {
    /// The finding that it has then.
    pub code: &'static str,
    /// What is replaced in its text, by what.
    pub edits: &'static [(&'static str, &'static str)],
    /// What is done in its folder.
    pub disturb: fn(&Path),
    /// Other findings that come with it.
    pub also: &'static [&'static str],
    /// The object of the finding.
    pub object: &'static str,
}

const fn edited(
    code: &'static str,
    object: &'static str,
    edits: &'static [(&'static str, &'static str)],
) -> Example {
    Example { code, edits, disturb: |_| (), also: &[], object }
}

const fn disturbed(code: &'static str, object: &'static str, disturb: fn(&Path)) -> Example {
    Example { code, edits: &[], disturb, also: &[], object }
}

impl Example {
    const fn also(mut self, also: &'static [&'static str]) -> Example {
        self.also = also;
        self
    }
}

const URL: &str = "url = \"http://198.18.0.2:32001\"";
const MAC: &str = "mac = \"52:54:00:00:00:[11-14]\"";
const UUID: &str = "uuid = \"2b1c6b0e-7f0f-4f36-9d0e-6f2f5b0c9a[11-14]\"";
const NETWORKS: &str = "networks = [\"boot\", \"storage\"]";
const CMDLINE: &str = "cmdline = \"console=ttyS0\"";
const SIZE: &str = "plan.overlay.size = \"50%\"";
const KEY: &str = "plan.luks.key.file = \"/etc/diskless/image.key\"\n";

/// The key of the tests, readable by its owner alone.
fn signing_key(folder: &Path) {
    let key = folder.join("site.key");
    fs::write(&key, include_str!("../../../../tests/data/signatures/minisign.key")).unwrap();
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
}

const SIGN: (&str, &str) = ("[server]\n", "[server]\nsign_key = \"site.key\"\n");

pub const EXAMPLES: &[Example] = &[
    // sign.rs
    edited("sign-key", "FOLDER/site.key", &[SIGN]),
    Example {
        code: "sign-node",
        edits: &[SIGN, (MAC, ""), (UUID, "")],
        disturb: signing_key,
        also: &["node-unrecognized"],
        object: "node[1-4]",
    },
    // server.rs
    edited("server-url", "server url", &[(URL, "url = \"\"")]),
    edited("server-url", "server url", &[(URL, "url = \"198.18.0.2:32001\"")]),
    edited("server-url", "server url", &[(URL, "url = \"http://198.18.0.2:32001/disklessd\"")]),
    edited("server-url-https", "server url", &[(URL, "url = \"https://198.18.0.2:32001\"")]),
    edited("server-url-local", "server url", &[(URL, "url = \"http://[::1]:32001\"")]),
    edited("server-url-local", "server url", &[(URL, "url = \"http://localhost:32001\"")]),
    edited("server-listen", "server listen", &[("listen = [\"[::]:32001\"]", "listen = []")]),
    edited("server-listen", "server listen", &[("listen = [\"[::]:32001\"]", "listen = [\"198.18.0.2\"]")]),
    edited("plans-from", "server plans_from", &[("[server]\n", "[server]\nplans_from = [\"198.18.0.1\"]\n")]),
    edited("paths-shape", "server paths.up", &[("[server]\n", "[server]\npaths.up = \"up?x=1\"\n")]),
    edited("paths-collide", "server paths.up", &[("[server]\n", "[server]\npaths.up = \"/v1/up\"\n")]),
    edited(
        "paths-collide",
        "server paths.up",
        &[("[server]\n", "[server]\npaths.up = \"/phone_home/ipxe\"\n")],
    ),
    edited(
        "webhook-twice",
        "webhook st2",
        &[("[[webhooks]]\n", "[[webhooks]]\nname = \"st2\"\nurl = \"http://h/\"\n[[webhooks]]\n")],
    ),
    edited("webhook-url", "webhook st2", &[("http://198.18.0.5/hook", "198.18.0.5/hook")]),
    edited(
        "webhook-trigger",
        "webhook st2",
        &[("name = \"st2\"", "name = \"st2\"\ntriggers = [\"diskless.up\"]")],
    ),
    edited("webhook-ca", "webhook st2", &[("http://198.18.0.5/hook", "https://198.18.0.5/hook")]),
    edited("webhook-token", "webhook st2", &[("token_header = \"St2-Api-Key\"\n", "")]),
    edited("webhook-token", "webhook st2", &[("token_file = \"st2.token\"\n", "")]),
    // name.rs
    edited("node-set", "group rack1", &[("nodes = \"node[1-2]\"", "nodes = \"node[1-\"")]),
    edited("node-set", "group rack1", &[("nodes = \"node[1-2]\"", "nodes = \"@rack2\"")]),
    edited("count", "nodes node[1-4] eth0 boot", &[("198.18.0.[11-14]", "198.18.0.[11-13]")]),
    edited("address-syntax", "nodes node[1-4] eth0 boot", &[("198.18.0.[11-14]", "198.18.0.[11-14]/24")]),
    edited("mac-syntax", "nodes node[1-4] eth0", &[(MAC, "mac = \"52:54:00:00:[11-14]\"")]),
    edited("uuid-syntax", "nodes node[1-4] uuid", &[(UUID, "uuid = \"2b1c6b0e-[11-14]\"")]),
    edited("memory-syntax", "defaults", &[("memory = \"64G\"", "memory = \"lots\"")]),
    edited("duration-syntax", "server silent_after", &[("silent_after = \"3m\"", "silent_after = \"3\"")]),
    edited("stranger", "group rack1", &[("nodes = \"node[1-2]\"", "nodes = \"node[1-9]\"")]),
    edited("side-file", "nodes node[1-4] eth0 FOLDER/files", &[(MAC, "ethers = \"files\"")]),
    edited("side-file", "server disk1 chap", &[("secret = \"0123456789abcdef\"", "secret_file = \"chap\"")]),
    edited("unknown-variable", "profile compute cmdline", &[("selinux=0", "a=${rack}")])
        .also(&["script-refused"]),
    edited(
        "misplaced",
        "profile compute",
        &[("[profiles.compute]\n", "[profiles.compute]\nprofile = \"gpu\"\n")],
    ),
    edited("unknown-profile", "node[1-4]", &[("[profiles.compute]", "[profiles.gpu]")]),
    edited("unknown-image", "node[1-4]", &[("image = \"el9\"", "image = \"el8\"")]),
    edited("unknown-server", "node[1-4]", &[("servers = [\"disk1\"]", "servers = [\"disk2\"]")]),
    edited("unknown-link", "node[1-4] eth0", &[("link = \"fabric\"", "link = \"rack\"")]),
    edited("unknown-network", "node[1-4] eth0", &[("storage = \"198.18.1.[11-14]\" }", "ib = \"dhcp\" }")]),
    edited("unknown-network", "link fabric", &[(NETWORKS, "networks = [\"boot\", \"storage\", \"ib\"]")]),
    // network.rs
    edited("network-syntax", "network boot address", &[("198.18.0.0/24", "198.18.0.1/24")]),
    edited("network-syntax", "network boot address", &[("198.18.0.0/24", "198.18.0.0")]),
    edited(
        "network-syntax",
        "network boot ranges",
        &[("198.18.0.10-198.18.0.99", "198.18.0.99-198.18.0.10")],
    ),
    edited("network-syntax", "network boot dns", &[("dns = [\"198.18.0.53\"]", "dns = [\"ns1\"]")]),
    edited(
        "network-overlap",
        "network storage",
        &[("address = \"198.18.0.0/24\"", "address = \"198.18.0.0/23\"")],
    ),
    edited("range-outside", "network boot ranges", &[("198.18.0.10-198.18.0.99", "198.18.0.10-198.18.2.99")])
        .also(&["pool-range"]),
    edited("range-outside", "network boot pool", &[("198.18.0.200-198.18.0.220", "198.18.3.1-198.18.3.9")]),
    edited(
        "gateway-outside",
        "network boot gateway",
        &[("gateway = \"198.18.0.254\"", "gateway = \"198.18.3.1\"")],
    ),
    edited("pool-range", "network boot pool", &[("198.18.0.200-198.18.0.220", "198.18.0.90-198.18.0.99")]),
    edited("mtu-bounds", "network boot mtu", &[("mtu = 1500", "mtu = 150")]),
    edited("mtu-bounds", "link fabric mtu", &[("mtu = 9000\nnetworks", "mtu = 90000\nnetworks")]),
    edited("mtu-link", "network storage mtu", &[("mtu = 9000\nnetworks", "networks")]),
    // link.rs
    edited(
        "network-links",
        "network boot",
        &[("[links.fabric.bond]", "[links.other]\nnetworks = [\"boot\"]\n[links.fabric.bond]")],
    ),
    edited("trunk-missing", "link fabric", &[("trunk = true\n", "")]),
    edited("vlan-missing", "link fabric", &[("vlan = 12\n", "")]),
    edited("vlan-twice", "link fabric", &[("mtu = 1500", "mtu = 1500\nvlan = 12")]),
    edited("vlan-bounds", "network storage vlan", &[("vlan = 12", "vlan = 4095")]),
    edited("interface-network", "node[1-4] eth0", &[(NETWORKS, "networks = [\"boot\"]")]),
    edited("bond-mode", "link fabric bond", &[("mode = \"802.3ad\"", "mode = \"lacp\"")]),
    edited("bond-options", "link fabric bond", &[("mode = \"802.3ad\"", "mode = \"balance-xor\"")]),
    edited(
        "bond-options",
        "link fabric bond",
        &[("mode = \"802.3ad\"\nlacp_rate = \"fast\"", "mode = \"active-backup\"")],
    ),
    edited("bond-options", "link fabric bond", &[("lacp_rate = \"fast\"", "lacp_rate = \"2\"")]),
    edited("bond-options", "link fabric bond", &[("lacp_rate = \"fast\"", "primary = \"eth0\"")]),
    edited("bond-options", "link fabric bond", &[("updelay = 200", "updelay = 250")]),
    edited("bond-options", "link fabric bond", &[("miimon = 100\nupdelay = 200", "downdelay = 200")])
        .also(&["bond-miimon"]),
    edited("bond-miimon", "link fabric bond", &[("miimon = 100\nupdelay = 200\n", "")]),
    // address.rs
    edited("ip-twice", "node[1-4] eth0", &[("198.18.0.[11-14]", "198.18.0.11")]),
    edited(
        "ip-twice",
        "node4 eth0, network boot gateway",
        &[("gateway = \"198.18.0.254\"", "gateway = \"198.18.0.14\"")],
    ),
    edited(
        "ip-twice",
        "node1 eth0, server disk1 portals",
        &[("portals = [\"198.18.1.1\"]", "portals = [\"198.18.1.11\"]")],
    ),
    edited("ip-twice", "node2 eth0, server url", &[(URL, "url = \"http://198.18.0.12:32001\"")]),
    edited("ip-outside", "node[1-4] eth0", &[("198.18.1.[11-14]", "198.18.3.[11-14]")]),
    edited("ip-ranges", "node4 eth0", &[("198.18.0.10-198.18.0.99", "198.18.0.10-198.18.0.13")]),
    edited(
        "ip-pool",
        "network boot gateway",
        &[("gateway = \"198.18.0.254\"", "gateway = \"198.18.0.220\"")],
    ),
    edited(
        "ip-pool",
        "node[1-4] eth0",
        &[
            ("ranges = [\"198.18.0.10-198.18.0.99\"]\n", ""),
            ("pool = \"198.18.0.200-198.18.0.220\"", "pool = \"198.18.0.10-198.18.0.20\""),
        ],
    ),
    edited(
        "ip-pool",
        "server disk1 portals",
        &[("vlan = 12", "vlan = 12\npool = \"198.18.1.1-198.18.1.9\"")],
    ),
    edited("ip-unusable", "node4 eth0", &[("198.18.1.[11-14]", "198.18.1.[252-255]")]),
    edited("ip-unusable", "node1 eth0", &[("198.18.1.[11-14]", "198.18.1.[0,12-14]")]),
    edited(
        "portal-unreachable",
        "node[1-4] iscsi.portals",
        &[("gateway = \"198.18.0.254\"\n", ""), ("portals = [\"198.18.1.1\"]", "portals = [\"198.18.3.1\"]")],
    ),
    edited(
        "portal-unreachable",
        "node[1-4] iscsi.portals",
        &[
            ("gateway = \"198.18.0.254\"\n", ""),
            (
                "plan.iscsi.initiator",
                "plan.iscsi.portals = [{ portal = \"198.18.3.1\", interface = \"eth0\" }]\nplan.iscsi.initiator",
            ),
        ],
    ),
    // identity.rs
    edited(
        "node-name",
        "no_de[1-4]",
        &[
            ("names = \"node[1-4]\"", "names = \"no_de[1-4]\""),
            ("nodes = \"node[1-2]\"", "nodes = \"no_de[1-2]\""),
        ],
    ),
    edited("node-unrecognized", "node[1-4]", &[(MAC, ""), (UUID, "")]),
    edited(
        "hostname-twice",
        "node[1-4]",
        &[("plan.iscsi.initiator", "plan.hostname = \"node\"\nplan.iscsi.initiator")],
    ),
    edited("mac-twice", "node[1-4] eth0", &[(MAC, "mac = \"52:54:00:00:00:11\"")]),
    edited("mac-unusable", "node[1-4] eth0", &[(MAC, "mac = \"53:54:00:00:00:[11-14]\"")]),
    edited("uuid-twice", "node[1-4]", &[(UUID, "uuid = \"2b1c6b0e-7f0f-4f36-9d0e-6f2f5b0c9a11\"")]),
    edited("uuid-unusable", "node[1-4] uuid", &[(UUID, "uuid = \"03000200-0400-0500-0006-000700080009\"")])
        .also(&["uuid-twice"]),
    edited("initiator-twice", "node[1-4] iscsi.initiator", &[(":${node}\"", ":node\"")]),
    edited(
        "machine-id-twice",
        "node[1-4] machine_id",
        &[(
            "plan.iscsi.initiator",
            "plan.machine_id = \"4b596e977250487ca0917906bfa6bbd9\"\nplan.iscsi.initiator",
        )],
    ),
    // image.rs
    edited("image-incomplete", "image el9 initramfs", &[("initramfs = \"initramfs.img\"\n", "")]),
    edited("image-unserved", "image el9 kernel", &[("files = \"files\"\n", "")]),
    edited("image-unserved", "image el9 kernel", &[("kernel = \"vmlinuz\"", "kernel = \"../el9.img\"")]),
    edited("image-key", "node[1-4] luks.key", &[(KEY, "")]),
    disturbed("image-file", "image el9 initramfs", |folder| {
        fs::remove_file(folder.join("files/initramfs.img")).unwrap()
    }),
    disturbed("image-file", "image el9 initramfs", |folder| {
        fs::write(folder.join("files/initramfs.img"), b"").unwrap()
    }),
    edited("image-file", "image el9 kernel", &[("kernel = \"vmlinuz\"", "kernel = \"vmlinux\"")]),
    disturbed("disk-unreadable", "image el9 disk", |folder| fs::remove_file(folder.join("el9.img")).unwrap()),
    edited("disk-unreadable", "image el9 disk", &[("disk = \"el9.img\"", "disk = \"/dev/null\"")]),
    disturbed("disk-luks", "image el9 disk", |folder| {
        fs::write(folder.join("el9.img"), [0; 1 << 16]).unwrap()
    }),
    edited("disk-uuid", "node[1-4] luks.uuid", &[("plan.luks.uuid = \"2b", "plan.luks.uuid = \"3b")]),
    // plan.rs
    edited("plan-refused", "node[1-4] plan", &[("at = \"/\"", "at = \"/var\"")]),
    edited("plan-refused", "node[1-4] plan", &[(SIZE, "plan.overlay.size = \"150%\"")]),
    edited("plan-refused", "node[1-4] plan", &[("plan.luks.uuid", "plan.luks.uid")]),
    edited("plan-refused", "node[1-4] plan", &[("servers = [\"disk1\"]\n", "")]),
    edited("script-refused", "node[1-4] boot script", &[(CMDLINE, "cmdline = \"a=1 && shell\"")]),
    edited(
        "script-refused",
        "node[1-4] boot script",
        &[("kernel = \"vmlinuz\"", "kernel = \"tftp://198.18.0.1/k\"")],
    ),
    edited(
        "server-copies",
        "node[1-4] servers",
        &[
            ("servers = [\"disk1\"]", "servers = [\"disk1\", \"disk2\"]"),
            (
                "[defaults]\n",
                "[servers.disk2]\nportals = [\"198.18.1.2\"]\ntarget_prefix = \"iqn.2026-01.org.example.two:\"\n[defaults]\n",
            ),
        ],
    ),
    edited(
        "server-contradiction",
        "node[1-4] iscsi.auth.secret",
        &[
            ("servers = [\"disk1\"]", "servers = [\"disk1\", \"disk2\"]"),
            (
                "[defaults]\n",
                "[servers.disk2]\nportals = [\"198.18.1.2\"]\ntarget_prefix = \"iqn.2026-01.org.example:\"\n\
                 plan.iscsi.auth = { username = \"node\", secret = \"fedcba9876543210\" }\n[defaults]\n",
            ),
        ],
    ),
    edited("node-image", "node[1-4]", &[("image = \"el9\"\n", "")]),
    // storage.rs
    edited("overlay-small", "node[1-4] overlay.size", &[(SIZE, "plan.overlay.size = \"32M\"")]),
    edited(
        "overlay-small",
        "node[1-4] overlay.size",
        &[
            (SIZE, "plan.overlay.size = \"1%\"\nplan.overlay.fs = \"xfs\""),
            ("memory = \"64G\"", "memory = \"16G\""),
        ],
    ),
    edited("overlay-memory", "node[1-4] overlay.size", &[(SIZE, "plan.overlay.size = \"64G\"")]),
    edited(
        "overlay-memory",
        "node[1-4] overlay.mem_limit",
        &[(SIZE, "plan.overlay.size = \"50%\"\nplan.overlay.mem_limit = \"65G\"")],
    ),
    edited("overlay-large", "node[1-4] overlay.size", &[(SIZE, "plan.overlay.size = \"80%\"")]),
    // secret.rs
    edited("secret-cmdline", "node[1-4] cmdline", &[(CMDLINE, "cmdline = \"rd.iscsi.password=hunter22\"")]),
    edited(
        "secret-cmdline",
        "node[1-4] cmdline",
        &[(CMDLINE, "cmdline = \"netroot=iscsi:u:hunter22@198.18.0.1::::iqn.a:b\"")],
    ),
    edited(
        "secret-cmdline",
        "node[1-4] cmdline",
        &[(CMDLINE, "cmdline = \"inst.repo=http://u:hunter22@198.18.0.1/\"")],
    ),
    edited("secret-script", "node[1-4] boot script", &[(CMDLINE, "cmdline = \"x=0123456789abcdef\"")]),
    edited(
        "secret-cmdline",
        "image el8 cmdline",
        &[(
            "[images.el9]",
            "[images.el8]\nkernel = \"vmlinuz\"\ninitramfs = \"initramfs.img\"\ncmdline = \"systemd.set_credential=a:b\"\n[images.el9]",
        )],
    ),
    edited(
        "secret-url",
        "image el9 kernel",
        &[("kernel = \"vmlinuz\"", "kernel = \"http://u:hunter22@198.18.0.1/vmlinuz\"")],
    ),
    edited(
        "secret-script",
        "node[1-4] boot script",
        &[("initramfs = \"initramfs.img\"", "initramfs = \"http://198.18.0.1/0123456789abcdef\"")],
    ),
    Example {
        code: "secret-open",
        edits: &[("secret = \"0123456789abcdef\"", "secret_file = \"chap\"")],
        disturb: |folder| {
            fs::write(folder.join("chap"), "0123456789abcdef\n").unwrap();
            mode(&folder.join("chap"), 0o604);
        },
        also: &[],
        object: "secret_file chap",
    },
    Example {
        code: "site-readable",
        edits: &[],
        disturb: |folder| mode(&folder.join("site.toml"), 0o644),
        also: &[],
        object: "FOLDER/site.toml",
    },
    disturbed("file-missing", "server token_file", |folder| {
        fs::remove_file(folder.join("operator.token")).unwrap()
    }),
    disturbed("file-missing", "webhook st2 token_file", |folder| {
        fs::remove_file(folder.join("st2.token")).unwrap()
    }),
    edited(
        "file-missing",
        "webhook st2 ca_file",
        &[("http://198.18.0.5/hook\"", "https://198.18.0.5/hook\"\nca_file = \"ca.pem\"")],
    ),
    disturbed("secret-open", "server token_file", |folder| mode(&folder.join("operator.token"), 0o644)),
    disturbed("secret-open", "webhook st2 token_file", |folder| mode(&folder.join("st2.token"), 0o620)),
    disturbed("token-short", "server token_file", |folder| {
        fs::write(folder.join("operator.token"), "secret\n").unwrap()
    }),
];

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A LUKS1 header (LUKS1 On-Disk Format Specification, section 2.2) without a keyslot in use, with the UUID of the good
/// site's plan.
pub fn luks() -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let mut put = |at: usize, data: &[u8]| bytes[at..at + data.len()].copy_from_slice(data);
    put(0, b"LUKS\xba\xbe\0\x01aes");
    put(40, b"xts-plain64");
    put(72, b"sha256");
    put(104, &4096u32.to_be_bytes());
    put(108, &64u32.to_be_bytes());
    put(164, &1000u32.to_be_bytes());
    put(168, b"2b1c6b0e-7f0f-4f36-9d0e-6f2f5b0c9a11");
    for (id, at) in (0..8u32).zip((208..).step_by(48)) {
        put(at, &0x0000_deadu32.to_be_bytes());
        put(at + 40, &(8 + id * 512).to_be_bytes());
        put(at + 44, &4000u32.to_be_bytes());
    }
    bytes
}
