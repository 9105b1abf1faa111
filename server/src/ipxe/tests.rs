use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::lint::lint;
use super::*;
use crate::site::file::{File, Image, Server};
use crate::site::{Interface, Node};

/// Nodes of all kinds.
pub(super) fn site() -> Site {
    let server = Server { url: "http://10.0.0.1:32001/".to_owned(), ..Server::default() };
    let image = |kernel: &str, initramfs: &str| Image {
        kernel: kernel.to_owned(),
        initramfs: initramfs.to_owned(),
        ..Image::default()
    };
    let images = BTreeMap::from([
        ("compute".to_owned(), image("compute/vmlinuz", "compute/initramfs, new.img")),
        ("elsewhere".to_owned(), image("https://files.example/vmlinuz", "https://files.example/i.img")),
        ("headless".to_owned(), image("", "i.img")),
        ("hollow".to_owned(), image("vmlinuz", "")),
        ("closed".to_owned(), image("http://user:hush@files.example/vmlinuz", "i.img")),
    ]);
    let node = |name: &str, number: u8| Node {
        name: name.to_owned(),
        image: Some("compute".to_owned()),
        cmdline: "console=tty0 console=ttyS0,115200n8 quiet".to_owned(),
        uuid: Some(format!("4c4c4544-0042-3510-8058-b7c04f4a32{number:02}")),
        interfaces: BTreeMap::from([(
            "eth0".to_owned(),
            Interface { mac: Some(format!("52:54:00:00:00:{number:02}")), ..Interface::default() },
        )]),
        ..Node::default()
    };
    let with = |number, name: &str, image: Option<&str>, cmdline: &str| Node {
        image: image.map(str::to_owned),
        cmdline: cmdline.to_owned(),
        ..node(name, number)
    };
    let nodes = [
        node("ocean7", 7),
        node("ocean8", 8),
        Node {
            static_ip: true,
            ..with(9, "fixed", Some("elsewhere"), "console=ttyS1 rd.diskless.timeout=60")
        },
        Node { uuid: None, ..node("twin1", 99) },
        Node { uuid: None, ..node("twin2", 99) },
        with(11, "bare", None, ""),
        with(12, "lost", Some("gone"), ""),
        with(13, "headless", Some("headless"), ""),
        with(14, "hollow", Some("hollow"), ""),
        with(15, "closed", Some("closed"), ""),
        with(16, "clever", Some("compute"), "a=1 && shell"),
        with(17, "chap", Some("compute"), "rd.iscsi.password=0123456789ab"),
        with(18, "long", Some("compute"), &"word ".repeat(400)),
    ];
    let nodes = nodes.into_iter().map(|node| (node.name.clone(), node)).collect();
    Site { file: File { server, images, ..File::default() }, nodes, ..Site::default() }
}

fn by_name(name: &str) -> Asked {
    Asked { hostname: Some(name.to_owned()), ..Asked::default() }
}

fn given(name: &str, wanted: Option<Action>) -> Answer {
    let (site, asked) = (site(), by_name(name));
    answer(&site, &asked, &who(&site, &asked), wanted)
}

/// Each kind of answer, as it is given to a node.
fn kinds() -> Vec<(&'static str, &'static str, Answer)> {
    let site = site();
    let twin = Asked { mac: Some("52:54:00:00:00:99".to_owned()), ..Asked::default() };
    vec![
        ("ask", "ask", answer(&site, &Asked::default(), &Who::Nobody, None)),
        ("boot", "boot", given("ocean7", None)),
        ("boot-static", "boot", given("fixed", None)),
        ("trap", "trap", given("ocean7", Some(Action::Trap))),
        ("rescue", "rescue", given("ocean7", Some(Action::Rescue))),
        ("local", "local", given("ocean7", Some(Action::Local))),
        ("unknown", "unknown", given("lake1", None)),
        ("contradiction", "error", answer(&site, &twin, &who(&site, &twin), None)),
        ("no-image", "error", given("bare", None)),
        ("refused", "error", refuse(&site, &by_name("ocean7"), "the store has the action \"dance\" for it")),
    ]
}

/// To bring them up to date: `UPDATE_GOLDEN=1 cargo test -p disklessd --lib ipxe::`.
#[test]
fn each_kind_of_script_is_as_expected() {
    for (name, kind, answer) in kinds() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/ipxe/{name}.ipxe"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &answer.script).unwrap();
        }
        assert_eq!(answer.script, std::fs::read_to_string(&path).unwrap(), "{name}");
        assert_eq!(answer.given, kind, "{name}");
        assert_eq!(answer.warning.is_some(), ["unknown", "error"].contains(&kind), "{name}");
    }
}

#[test]
fn ipxe_would_stumble_over_none_of_them() {
    for (name, _, answer) in kinds() {
        assert_eq!(lint(&answer.script), [""; 0], "{name}");
        // Whatever happens, it ends with a wait and another question: no script ends in silence, or spins.
        assert!(answer.script.ends_with(" || goto again\n"), "{name}");
    }
}

#[test]
fn who_cannot_be_booted_is_told_why() {
    for (node, reason) in [
        ("bare", "bare: the site has no image for it"),
        ("lost", "lost: there is no image gone"),
        ("headless", "headless: the kernel of image headless is not named in the site"),
        ("hollow", "hollow: the initramfs of image hollow is not named in the site"),
        (
            "closed",
            "closed: the kernel of image closed has an account in its URL, which everybody could read",
        ),
        (
            "clever",
            "clever: word 2 of the kernel command line (??) cannot be given: iPXE would take it for a separator or a \
             comment",
        ),
        (
            "chap",
            "chap: its kernel command line would have a secret in it, which everybody could read: it belongs into \
             the boot plan",
        ),
        ("long", "long: its kernel command line is "),
    ] {
        let answer = given(node, None);
        assert_eq!(answer.given, "error", "{node}");
        assert!(answer.warning.unwrap().starts_with(reason), "{node}");
        assert!(answer.script.contains(&format!("echo {node}: ")), "{}", answer.script);
        // Its own disk needs no image.
        assert_eq!(given(node, Some(Action::Local)).given, "local");
    }
}

#[test]
fn an_operator_wins_over_the_site() {
    let mut site = site();
    site.nodes.get_mut("ocean7").unwrap().action = Action::Local;
    let given = |wanted| answer(&site, &by_name("ocean7"), &Who::Node("ocean7".to_owned()), wanted).given;
    assert_eq!((given(None), given(Some(Action::Boot))), ("local", "boot"));
}

#[test]
fn what_a_script_needs_is_not_the_sites_to_say() {
    let mut site = site();
    let node = site.nodes.get_mut("ocean7").unwrap();
    node.cmdline =
        "ip=eno1:dhcp rd.break=cmdline initrd=x rd.shell=0 rd.systemd.unit=a root=/dev/sda netroot=iscsi \
                    rd.diskless.plan=/etc/plan -- last"
            .to_owned();
    let kernel = |action| {
        let asked = Asked::default();
        let script = answer(&site, &asked, &Who::Node("ocean7".to_owned()), Some(action)).script;
        let line = script.lines().find(|line| line.starts_with("kernel ")).unwrap().to_owned();
        line.split(" initrd=").nth(1).unwrap().replace("BOOTIF=01-${netX/mac:hexhyp} ", "")
    };
    let report = "rd.diskless.report=http://10.0.0.1:32001/report/ocean7";
    assert_eq!(
        kernel(Action::Trap),
        format!(
            "initramfs.img rd.break=pre-pivot {report} ip=eno1:dhcp rd.shell=0 rd.systemd.unit=a root=/dev/sda \
             netroot=iscsi rd.diskless.plan=/etc/plan -- last || goto failed"
        )
    );
    assert_eq!(
        kernel(Action::Rescue),
        "initramfs.img rd.systemd.unit=rescue.target rd.systemd.wants=network-online.target rd.shell=1 ip=eno1:dhcp \
         rd.break=cmdline -- last || goto failed"
    );
}

#[test]
fn a_node_that_came_as_another_is_booted_with_a_warning() {
    let mut asked = by_name("ocean7");
    asked.mac = Some("52:54:00:ff:ff:07".to_owned());
    let site = site();
    let answer = answer(&site, &asked, &who(&site, &asked), None);
    assert_eq!(answer.given, "boot");
    assert!(answer.warning.unwrap().contains("MAC 52:54:00:ff:ff:07"));
}

#[test]
fn a_node_that_went_while_it_was_asked_for_is_unknown() {
    let answer = answer(&site(), &Asked::default(), &Who::Node("gone".to_owned()), None);
    assert_eq!(answer.given, "unknown");
}

#[test]
fn no_script_shows_a_secret_of_a_plan() {
    let plan = json!({
        "iscsi": { "auth": { "secret": "0123456789ab", "mutual": { "secret": "ba9876543210" } } },
        "luks": { "key": { "url": "http://user:hush@files.example/vmlinuz" } },
        "handover": { "files": [{ "path": "/root/key", "content": "word word word" }] },
    });
    let site = site();
    for name in site.nodes.keys() {
        for action in [Action::Boot, Action::Trap, Action::Rescue, Action::Local] {
            let answer = given(name, Some(action));
            assert_eq!(shown(&plan, &answer.script), [""; 0], "{name} {action:?}");
            assert_eq!(shown(&plan, &answer.warning.unwrap_or_default()), [""; 0], "{name} {action:?}");
        }
    }
}

/// The lines that iPXE acts on, without what differs from node to node.
fn acts(script: &str) -> Vec<String> {
    let lines = script.lines().filter(|line| !line.starts_with("echo "));
    lines.map(|line| line.chars().filter(|c| !c.is_ascii_digit()).collect()).collect()
}

proptest! {
    #[test]
    fn nobody_puts_a_line_into_a_script(
        mac in proptest::option::of("[ -~\n]{0,40}"),
        uuid: Option<String>,
        hostname in proptest::option::of("[a-z\\n${};|&#. -]{0,300}"),
        reason: String,
    ) {
        let (site, asked) = (site(), Asked { mac, uuid, hostname });
        for answer in [
            answer(&site, &asked, &Who::Unknown, None),
            answer(&site, &asked, &Who::Contradiction(reason.clone()), None),
            refuse(&site, &asked, &reason),
        ] {
            prop_assert_eq!(lint(&answer.script), [""; 0]);
            prop_assert_eq!(acts(&answer.script), acts(&given("bare", None).script));
            let plain = |c: char| c.is_ascii_graphic() || c == ' ';
            prop_assert!(answer.warning.is_some_and(|warning| warning.chars().all(plain)));
        }
    }

    #[test]
    fn no_site_makes_a_script_that_ipxe_stumbles_over(
        name in "[ -~\n]{1,20}",
        kernel in "(https?://)?[ -~]{0,30}",
        cmdline in "[ -~\n]{0,60}",
        static_ip: bool,
        image: String,
    ) {
        let mut site = site();
        let one = Image { kernel, initramfs: "i.img".to_owned(), ..Image::default() };
        site.file.images.insert(image.clone(), one);
        let node = Node { name: name.clone(), image: Some(image), cmdline, static_ip, ..Node::default() };
        site.nodes.insert(name.clone(), node);
        for action in [Action::Boot, Action::Trap, Action::Rescue, Action::Local] {
            let answer = answer(&site, &Asked::default(), &Who::Node(name.clone()), Some(action));
            prop_assert_eq!(lint(&answer.script), [""; 0]);
        }
    }
}

#[test]
fn a_boot_is_told_which_attempt_it_is_and_a_rescue_is_not() {
    let site = site();
    let word = |action, attempt| {
        let who = Who::Node("ocean7".to_owned());
        let script = answer_to(&site, &by_name("ocean7"), &who, Some(action), attempt).script;
        assert_eq!(lint(&script), [""; 0]);
        let words: Vec<&str> = script.split_whitespace().filter(|word| word.contains("attempt")).collect();
        words.join(" ")
    };
    assert_eq!(word(Action::Boot, Some(3)), "rd.diskless.attempt=3");
    assert_eq!(word(Action::Trap, Some(1)), "rd.diskless.attempt=1");
    for (action, attempt) in [(Action::Boot, None), (Action::Rescue, Some(3)), (Action::Local, Some(3))] {
        assert_eq!(word(action, attempt), "", "{action:?}");
    }
}
