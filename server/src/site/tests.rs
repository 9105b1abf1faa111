use std::time::{Duration, Instant};

use super::file::Action;
use super::*;

const SITE: &str = r#"
[server]
url = "http://10.1.0.1:32001/"
silent_after = "90s"

[defaults]
cmdline = "quiet console=tty0"
image = "el9"
profile = "compute"
memory = "64G"

[images.el9]
kernel = "vmlinuz"
initramfs = "initramfs.img"
cmdline = "console=ttyS0 selinux=0"

[profiles.compute]
servers = ["a", "b"]
static_ip = true

[profiles.admin]
action = "local"

[groups.second]
nodes = "ocean[2-4]"
cmdline = "selinux=1 node=${node} of=${group}"
memory = "128G"

[groups.first]
nodes = "ocean2,@second,stranger[1-2]"
image = "el8"

[[nodes]]
names = "ocean[1-4]"
uuid = "2B1C6B0E-7F0F-4F36-9D0E-6F2F5B0C9A1[1-4]"
[nodes.interfaces.eth0]
mac = "52:54:00:00:00:[11-14]"
link = "rack"
networks = { boot = "10.1.1.[1,3,5,7]", ib = "dhcp" }

[[nodes]]
names = "admin1"
profile = "admin"

[[nodes]]
names = "ocean4"
action = "trap"
cmdline = "console=ttyS1"
[nodes.interfaces.eth0]
networks = { ib = "fd00::4" }
"#;

fn site(text: &str) -> Site {
    Site::of(File::parse(text).unwrap(), Aside::default())
}

/// What is remarked: the kind, the object and the message of each.
fn remarks(text: &str) -> Vec<String> {
    let remarks = site(text).remarks;
    remarks
        .iter()
        .map(|remark| format!("{:?} {}: {}", remark.problem, remark.object, remark.message))
        .collect()
}

#[test]
fn the_last_one_that_says_something_wins() {
    let site = site(SITE);
    let names: Vec<_> = site.nodes.keys().map(String::as_str).collect();
    assert_eq!(names, ["admin1", "ocean1", "ocean2", "ocean3", "ocean4"]);
    assert_eq!(site.silent_after(), Duration::from_secs(90));

    let admin = &site.nodes["admin1"];
    assert_eq!(admin.profile.as_deref(), Some("admin"));
    assert_eq!((admin.action, admin.static_ip, admin.servers.len()), (Action::Local, false, 0));
    assert_eq!(admin.origins["profile"], Origin::Nodes("admin1".to_owned()));

    let one = &site.nodes["ocean1"];
    assert_eq!(one.image.as_deref(), Some("el9"));
    assert_eq!(one.servers, ["a", "b"]);
    assert_eq!((one.action, one.static_ip, one.memory), (Action::Boot, true, Some(64 << 30)));
    assert_eq!(one.cmdline, "quiet console=ttyS0 selinux=0");
    assert_eq!(one.uuid.as_deref(), Some("2b1c6b0e-7f0f-4f36-9d0e-6f2f5b0c9a11"));
    assert_eq!(one.origins["servers"], Origin::Profile("compute".to_owned()));

    let four = &site.nodes["ocean4"];
    assert_eq!(four.groups, ["second", "first"]);
    assert_eq!(four.image.as_deref(), Some("el8"));
    assert_eq!((four.action, four.memory), (Action::Trap, Some(128 << 30)));
    assert_eq!(four.cmdline, "quiet selinux=1 node=ocean4 of=second console=ttyS1");
    assert_eq!(four.origins["image"], Origin::Group("first".to_owned()));
    let eth0 = &four.interfaces["eth0"];
    assert_eq!(eth0.mac.as_deref(), Some("52:54:00:00:00:14"));
    assert_eq!(eth0.link.as_deref(), Some("rack"));
    assert_eq!(eth0.networks["boot"], Some("10.1.1.7".parse().unwrap()));
    assert_eq!(eth0.networks["ib"], Some("fd00::4".parse().unwrap()));
    assert_eq!(one.interfaces["eth0"].networks["ib"], None);

    assert_eq!(remarks(SITE), ["Stranger group first: no nodes: stranger[1-2]"]);
}

#[test]
fn nodes_are_found_by_what_they_say() {
    let names = |found: Vec<&Node>| found.iter().map(|node| node.name.clone()).collect::<Vec<_>>().join(" ");
    let mut site = site(SITE);
    assert_eq!(names(site.by_mac("52:54:00:00:00:12").collect()), "ocean2");
    assert_eq!(names(site.by_mac("52:54:00:00:00:99").collect()), "");
    assert_eq!(names(site.by_uuid("2b1c6b0e-7f0f-4f36-9d0e-6f2f5b0c9a13").collect()), "ocean3");
    site.index = Index::default();
    site.nodes.get_mut("admin1").unwrap().interfaces = site.nodes["ocean2"].interfaces.clone();
    assert_eq!(names(site.by_mac("52:54:00:00:00:12").collect()), "admin1 ocean2");
    assert_eq!(site.expand("@second,admin1,@second").unwrap(), ["ocean2", "ocean3", "ocean4", "admin1"]);
    assert_eq!(site.expand("@*").unwrap().len(), 5);
    assert!(site.expand("@third").is_err());
}

#[test]
fn what_cannot_be_read_is_remarked() {
    let cases = [
        (
            "[server]\nsilent_after = \"3\"",
            "Duration server silent_after: \"3\" is no duration like 90s or 3m",
        ),
        ("[defaults]\nmemory = \"50%\"", "Memory defaults: memory \"50%\" is nothing like 256G"),
        ("[profiles.a]\nprofile = \"b\"", "Misplaced profile a: a profile has no profile itself"),
        ("[groups.a]\nnodes = \"n[2\"", "NodeSet group a: node set \"n[2\": a bracket is not closed"),
        (
            "[groups.a]\nnodes = \"@b\"\n[groups.b]\nnodes = \"@a\"",
            "NodeSet group a: node set \"@b\": there is no group \"b\"",
        ),
        ("[[nodes]]\nnames = \"n[1-2]\"\nuuid = \"x\"", "Uuid nodes n[1-2] uuid: x: no UUID"),
        (
            "[[nodes]]\nnames = \"n[1-3]\"\ninterfaces.eth0.mac = \"52:54:00:00:00:0[1-2]\"",
            "Count nodes n[1-3] eth0: 2 for 3 nodes: must be one, or as many",
        ),
        ("[[nodes]]\nnames = \"n1\"\ninterfaces.eth0.mac = \"n1\"", "Mac nodes n1 eth0: n1: no MAC"),
        (
            "[[nodes]]\nnames = \"n[1-4]\"\ninterfaces.eth0.networks.boot = \"10.1.1.[254-257]\"",
            "Address nodes n[1-4] eth0 boot: 10.1.1.[256-257]: no IP address, and not dhcp",
        ),
        (
            "[[nodes]]\nnames = \"n1\"\ninterfaces.eth0.networks.boot = \"10.1.1.[\"",
            "Address nodes n1 eth0 boot: node set \"10.1.1.[\": a bracket is not closed",
        ),
        (
            "[images.a.plan]\nhandover.files = [{ path = \"/a\", content = \"${HOME}\" }]",
            "Variable image a plan.handover.files.content: ${HOME} is no variable here; $${ stands for a plain ${",
        ),
        (
            "[[nodes]]\nnames = \"n1\"\ncmdline = \"a=${group}\"",
            "Variable nodes n1 cmdline: ${group} is no variable here; $${ stands for a plain ${",
        ),
        (
            "[servers.a.plan.iscsi.auth]\nusername = \"n\"\nsecret_file = \"chap\"",
            "SideFile server a chap: it was not read",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(remarks(text).first().map(String::as_str), Some(expected), "{text}");
    }
    let own =
        "[servers.a.plan]\nhandover.files = [{ path = \"/a\", content = \"$${HOME} ${server} ${node}\" }]";
    assert_eq!(remarks(own), [""; 0]);
}

#[test]
fn errors_have_their_place() {
    let cases = [
        ("[server]\nurl = ", "line 2: "),
        ("[serve]\n", "line 1: serve: unknown field `serve`"),
        ("[server]\nurll = \"x\"\n", "line 2: server.urll: unknown field `urll`"),
        ("[defaults]\n\nimages = \"x\"\n", "line 3: defaults.images: unknown field `images`"),
        (
            "[groups.a]\nnodes = \"n1\"\nactoin = \"trap\"\n",
            "line 3: groups.a.actoin: unknown field `actoin`",
        ),
        (
            "[groups.a]\nnodes = \"n1\"\naction = \"trapp\"\n",
            "line 3: groups.a.action: unknown variant `trapp`",
        ),
        ("[groups.a]\naction = \"trap\"\n", "line 1: groups.a: missing field `nodes`"),
        (
            "[[nodes]]\nnames = \"n1\"\n[[nodes]]\nnames = 1\n",
            "line 4: nodes[1].names: invalid type: integer `1`",
        ),
        (
            "[[nodes]]\nnames = \"n1\"\n[nodes.interfaces.eth0]\nmacs = \"\"\n",
            "line 4: nodes[0].interfaces.eth0.macs: unknown field `macs`",
        ),
        ("[images.a]\nplan = \"x\"\n", "line 2: images.a.plan: invalid type: string \"x\""),
    ];
    for (text, expected) in cases {
        let error = File::parse(text).unwrap_err();
        assert!(error.starts_with(expected), "{text}\n{error}");
    }
    let secret = "[servers.a.plan]\niscsi.auth.secret = \"hunter2\" x\n";
    assert!(!File::parse(secret).unwrap_err().contains("hunter2"));
}

#[test]
fn files_beside_it_are_below_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "site.toml",
        "[server]\ndatabase = \"d.db\"\nfiles = \"/srv\"\n[servers.a.plan.iscsi.auth]\nusername = \"n\"\n\
         secret_file = \"chap\"\n[[nodes]]\nnames = \"n[1-3]\"\n[nodes.interfaces.eth0]\nethers = \"ethers\"\n\
         [nodes.interfaces.eth1]\nethers = \"none\"\n",
    );
    write("ethers", "52:54:0:0:0:1 n1\n52:54:0:0:0:2 n2\n");
    write("chap", "hunter2hunter2\n");
    let site = read(&folder.path().join("site.toml")).unwrap();
    assert_eq!(site.file.server.database, folder.path().join("d.db"));
    assert_eq!(site.file.server.files.as_deref(), Some(Path::new("/srv")));
    assert_eq!(site.nodes["n2"].interfaces["eth0"].mac.as_deref(), Some("52:54:00:00:00:02"));
    assert_eq!(site.nodes["n3"].interfaces["eth0"].mac, None);
    let files: Vec<_> = site.files.iter().map(|file| file.strip_prefix(folder.path()).unwrap()).collect();
    assert_eq!(files, ["site.toml", "chap", "ethers", "none"].map(Path::new));
    assert_eq!(site.secrets.get("chap"), Ok("hunter2hunter2"));
    assert!(!format!("{site:?}").contains("hunter2"));
    let problems: Vec<_> =
        site.remarks.iter().map(|remark| (remark.problem, remark.object.as_str())).collect();
    let none = format!("nodes n[1-3] eth1 {}", folder.path().join("none").display());
    assert_eq!(problems, [(Problem::Stranger, "nodes n[1-3] eth0"), (Problem::SideFile, none.as_str())]);
    assert!(matches!(read(&folder.path().join("none.toml")), Err(Error::File { .. })));
    write("site.toml", "nodes = 1");
    assert!(matches!(read(&folder.path().join("site.toml")), Err(Error::Site { .. })));
}

#[test]
fn a_long_list_of_names_is_not_kept_by_each_node() {
    let names: Vec<String> = (0..1000).map(|at| format!("n{at}")).collect();
    let site = site(&format!("[[nodes]]\nnames = \"{}\"\nimage = \"el9\"", names.join(",")));
    assert_eq!(site.nodes.len(), 1000);
    let origin = site.nodes["n7"].origins["image"].to_string();
    assert!(origin.starts_with("nodes n0,n1,") && origin.chars().count() < 220, "{origin}");
}

#[test]
fn secrets_are_in_no_debug() {
    let site = site("[servers.a.plan.iscsi.auth]\nusername = \"n\"\nsecret = \"hunter2\"\n");
    assert!(!format!("{site:?}").contains("hunter2"));
}

/// Far from what it takes (tenths of a second without optimization), and near to what something quadratic would.
#[test]
fn a_large_site_is_read_at_once() {
    let text = SITE
        .replace("ocean[1-4]", "ocean[1-20000]")
        .replace("2B1C6B0E-7F0F-4F36-9D0E-6F2F5B0C9A1[1-4]", "2B1C6B0E-7F0F-4F36-9D0E-6F2F5B0[10001-30000]")
        .replace("52:54:00:00:00:[11-14]", "52:54:[10-29]:[10-19]:[10-19]:[10-19]")
        .replace("10.1.1.[1,3,5,7]", "10.1.[1-100].[1-200]")
        .replace("ocean[2-4]", "ocean[2-20000]");
    let began = Instant::now();
    let site = site(&text);
    assert_eq!(site.nodes.len(), 20_001);
    assert_eq!(
        site.by_mac("52:54:29:19:19:19").map(|node| node.name.as_str()).collect::<Vec<_>>(),
        ["ocean20000"]
    );
    for node in site.nodes.values() {
        let mac = node.interfaces.get("eth0").and_then(|eth0| eth0.mac.as_deref()).unwrap_or_default();
        assert!(site.by_mac(mac).count() <= 1);
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_site_or_an_error(
        lines in proptest::collection::vec(
            "(\\[\\[?(nodes|groups|groups.a|defaults|servers.a.plan)\\]?\\]|(names|nodes|uuid|cmdline|memory|image) = \
             \"[a-z@${}\\[\\]0-9,-]{0,12}\")", 0..12)
    ) {
        if let Ok(file) = File::parse(&lines.join("\n")) {
            let _ = Site::of(file, Aside::default());
        }
    }
}
