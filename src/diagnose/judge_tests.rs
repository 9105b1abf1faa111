use super::*;
use crate::error::Code::{
    IscsiAuth, IscsiConnect, Keeper, LayerMemory, LinkDown, LinkMissing, LuksMemory, LuksNoKey, NoAddress,
    NoNeighbour, NoRoute, PlanFetch, PlanInvalid, Resolve,
};
use Of::{Interface, Node, PlanServer, Portal};

const A: &str = "portal 198.18.0.1:3260";
const B: &str = "portal 198.18.1.1:3260";

fn ok(stage: Stage, of: Of, object: &str) -> Check {
    Check::ok(stage, of, object, "well")
}

fn bad(stage: Stage, of: Of, object: &str, code: Code) -> Check {
    Check::bad(stage, of, object, code, "found")
}

/// An interface with carrier and address, or without.
fn interface(name: &str, carrier: bool, address: bool) -> [Check; 2] {
    [
        if carrier {
            ok(Stage::Carrier, Interface, name)
        } else {
            bad(Stage::Carrier, Interface, name, LinkDown)
        },
        match (carrier, address) {
            (_, true) => ok(Stage::Address, Interface, name),
            (true, false) => bad(Stage::Address, Interface, name, NoAddress),
            (false, false) => Check::open(Stage::Address, Interface, name, "none, nor a carrier"),
        },
    ]
}

fn plan(wanted: u32) -> Check {
    Check { wanted: Some(wanted), ..ok(Stage::Plan, Node, "/etc/diskless/plan.json") }
}

/// A portal that is well from the way to it to its LUN.
fn portal(name: &str, over: &str) -> Vec<Check> {
    let stages = [Stage::Route, Stage::Neighbour, Stage::Tcp, Stage::Login, Stage::Session, Stage::Lun];
    stages.map(|stage| ok(stage, Portal, name).over(Some(over.into()))).into()
}

fn codes(evidence: &[Check]) -> Vec<(String, String, bool)> {
    judge(evidence).into_iter().map(|cause| (cause.code, cause.object, cause.stops)).collect()
}

/// Each word is a code, `*` behind it: it stops the boot.
fn is(evidence: &[Check], expected: &str) {
    let found: Vec<String> = codes(evidence)
        .into_iter()
        .map(|(code, _, stops)| if stops { format!("{code}*") } else { code })
        .collect();
    assert_eq!(found.join(" "), expected, "{evidence:#?}");
}

#[test]
fn a_healthy_node_has_no_cause() {
    is(&[], "");
    let mut evidence = interface("eth0", true, true).to_vec();
    // Six of eight cards of a node have no cable.
    evidence.extend(interface("eth1", false, false));
    evidence.extend(interface("eth2", true, false));
    evidence.push(plan(1));
    evidence.extend(portal(A, "eth0"));
    evidence.push(Check::open(Stage::Open, Node, "luks_root", "the boot would open disk sda"));
    evidence.push(Check::unseen(Stage::Journal, Node, "journal", "there is none"));
    is(&evidence, "");
}

#[test]
fn along_a_way_the_first_that_is_bad_counts() {
    let mut evidence = interface("eth0", true, true).to_vec();
    evidence.push(plan(1));
    evidence.push(bad(Stage::Session, Portal, A, Code::SessionLost));
    evidence.push(bad(Stage::Tcp, Portal, A, IscsiConnect).over(Some("eth0".into())));
    is(&evidence, "iscsi-connect*");
}

#[test]
fn an_interface_is_to_blame_where_the_way_needs_it() {
    let route = |over: Option<&str>| match over {
        Some(over) => bad(Stage::Neighbour, Portal, A, NoNeighbour).over(Some(over.into())),
        None => bad(Stage::Route, Portal, A, NoRoute),
    };
    let name = || bad(Stage::Name, PlanServer, "plan server boot:80", Resolve);
    for (interfaces, check, expected) in [
        // The cable of the way's own interface is out; its address is still there.
        (vec![("eth0", false, true)], route(Some("eth0")), "link-down*"),
        (vec![("eth0", true, true)], route(Some("eth0")), "no-neighbour*"),
        (vec![("eth0", true, true), ("eth1", false, false)], route(Some("eth0")), "no-neighbour*"),
        // There is no route: what could have made one?
        (vec![("eth0", false, false), ("eth1", false, false)], route(None), "link-down*"),
        (vec![("eth0", true, false), ("eth1", false, false)], route(None), "no-address*"),
        (vec![("eth0", true, true), ("eth1", false, false)], route(None), "link-down*"),
        (vec![("eth0", true, true), ("eth1", true, false)], route(None), "no-address*"),
        // It could be any of them, or none.
        (
            vec![("eth0", true, true), ("eth1", false, false), ("eth2", false, false)],
            route(None),
            "no-route*",
        ),
        (vec![("eth0", true, true)], route(None), "no-route*"),
        // A name server is not reached without an interface.
        (vec![("eth0", true, false)], name(), "no-address*"),
        (vec![("eth0", true, true)], name(), "resolve*"),
    ] {
        let mut evidence: Vec<Check> = interfaces
            .iter()
            .flat_map(|(name, carrier, address)| interface(name, *carrier, *address))
            .collect();
        evidence.push(check);
        is(&evidence, expected);
    }
    let missing = bad(Stage::Carrier, Node, "network interfaces", LinkMissing);
    is(&[missing.clone(), route(None)], "link-missing*");
    is(&[missing], "link-missing*");
}

#[test]
fn without_a_server_that_is_known_a_dead_network_is_a_cause_still() {
    let invalid = bad(Stage::Plan, Node, "/etc/diskless/plan.json", PlanInvalid);
    let with = |carrier, address| {
        let mut evidence = interface("eth0", carrier, address).to_vec();
        evidence.push(invalid.clone());
        evidence
    };
    is(&with(true, true), "plan-invalid*");
    is(&with(false, false), "link-down* plan-invalid*");
}

#[test]
fn what_stops_the_boot_comes_before_what_only_weakens_it() {
    let base = |wanted| {
        let mut evidence = [interface("eth0", true, true), interface("eth1", true, true)].concat();
        evidence.push(plan(wanted));
        evidence.extend(portal(A, "eth0"));
        evidence.push(bad(Stage::Tcp, Portal, B, IscsiConnect).over(Some("eth1".into())));
        evidence
    };
    is(&base(1), "iscsi-connect");
    is(&base(2), "iscsi-connect*");
    let mut evidence = base(1);
    evidence.push(bad(Stage::Keeper, Node, "keeper, pid 7", Keeper));
    evidence.push(bad(Stage::Key, Node, "disk sda", LuksNoKey));
    is(&evidence, "luks-no-key* iscsi-connect keeper");
    // A second plan server that is dead is no reason not to boot.
    let server = |name, code: Option<Code>| match code {
        Some(code) => bad(Stage::Http, PlanServer, name, code),
        None => ok(Stage::Http, PlanServer, name),
    };
    is(&[server("plan server a:80", Some(PlanFetch)), server("plan server b:80", None)], "plan-fetch");
    is(&[server("plan server a:80", Some(PlanFetch))], "plan-fetch*");
}

#[test]
fn two_faults_are_both_named_and_two_of_a_kind_are_one() {
    let mut evidence = [interface("eth0", false, true), interface("eth1", true, true)].concat();
    evidence.push(plan(1));
    evidence.push(bad(Stage::Tcp, Portal, A, IscsiConnect).over(Some("eth0".into())));
    evidence.push(bad(Stage::Login, Portal, B, IscsiAuth).over(Some("eth1".into())));
    evidence.push(bad(Stage::Zram, Node, "writable layer", LayerMemory));
    is(&evidence, "link-down* iscsi-auth* layer-memory*");
    let both = [A, B].map(|name| bad(Stage::Login, Portal, name, IscsiAuth));
    assert_eq!(codes(&both), [("iscsi-auth".to_owned(), format!("{A}, {B}"), true)]);
}

fn journal(step: &str, code: Code) -> Check {
    bad(Stage::Journal, Node, step, code)
}

#[test]
fn the_journal_counts_where_nothing_else_tells() {
    let mut evidence = interface("eth0", true, true).to_vec();
    evidence.push(plan(1));
    evidence.extend(portal(A, "eth0"));
    let with = |more: &[Check]| [&evidence[..], more].concat();
    let opens = || Check::open(Stage::Open, Node, "luks_root", "the boot would open disk sda");
    // Nobody knows better.
    is(&with(&[opens(), journal("luks", LuksNoKey)]), "luks-no-key*");
    assert_eq!(codes(&with(&[opens(), journal("luks", LuksNoKey)]))[0].1, "step luks");
    is(&with(&[journal("overlay", Code::FileSystem)]), "file-system*");
    is(&with(&[journal("exit", Code::Io)]), "io*");
    // The step would do now: somebody has put it right since.
    is(&with(&[opens(), ok(Stage::Key, Node, "disk sda"), journal("luks", LuksNoKey)]), "");
    is(&with(&[journal("iscsi", IscsiAuth)]), "");
    is(&with(&[journal("network", Code::Network)]), "");
    // What is seen now explains it.
    is(&with(&[bad(Stage::Key, Node, "disk sda", LuksMemory), journal("luks", LuksNoKey)]), "luks-memory*");
    let missing = bad(Stage::Modules, Node, "kernel modules", Code::InitramfsModule);
    is(&with(&[missing, journal("overlay", Code::Kernel)]), "initramfs-module*");
    // A fault of a later step is none of the one that failed.
    is(
        &with(&[bad(Stage::Zram, Node, "writable layer", LayerMemory), journal("luks", LuksNoKey)]),
        "luks-no-key* layer-memory*",
    );
}

proptest::proptest! {
    #[test]
    fn any_evidence_is_judged(
        parts in proptest::collection::vec((0..8usize, 0..5usize, 0..3usize, 0..4usize, proptest::option::of(0..3usize)), 0..20)
    ) {
        const STAGES: [Stage; 8] = [
            Stage::Carrier, Stage::Address, Stage::Name, Stage::Route, Stage::Tcp, Stage::Plan, Stage::Key, Stage::Journal,
        ];
        const OBJECTS: [&str; 3] = ["eth0", A, "luks"];
        let evidence: Vec<Check> = parts
            .into_iter()
            .map(|(stage, of, object, outcome, over)| Check {
                over: over.map(|over| OBJECTS[over].to_owned()),
                outcome: [Outcome::Ok, Outcome::Bad, Outcome::Open, Outcome::Unseen][outcome],
                ..bad(STAGES[stage], [Node, Interface, PlanServer, Of::KeyServer, Portal][of], OBJECTS[object], IscsiConnect)
            })
            .collect();
        let causes = judge(&evidence);
        // What stops comes first, and nothing is invented.
        proptest::prop_assert!(causes.is_sorted_by_key(|cause| !cause.stops));
        proptest::prop_assert!(causes.is_empty() || evidence.iter().any(Check::is_bad));
    }
}
