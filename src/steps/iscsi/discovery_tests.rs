use std::net::{SocketAddr, TcpListener};

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::super::fixture::{INITIATOR, iscsi, mutual};
use super::super::mock::*;
use super::super::pdu::BHS;
use super::super::route::Route;
use super::super::session::{discover as discover_all, log_in_any};
use super::*;
use crate::engine::host::Host;

const TARGET: &str = "iqn.2026-01.example:image";

/// The headers of what a target got.
type Requests = Vec<[u8; BHS]>;

/// The login of a discovery without an account, after which `list` is played.
fn anonymous(list: Vec<Turn>) -> Vec<Turn> {
    let mut turns = vec![
        turn(TO_OPERATIONAL, "AuthMethod=None\0").asked(
            TO_OPERATIONAL,
            &["InitiatorName=iqn.2026-01.example:n1", "SessionType=Discovery", "AuthMethod=None"],
        ),
        turn(TO_FULL_FEATURE, "MaxRecvDataSegmentLength=8192\0")
            .asked(TO_FULL_FEATURE, &["HeaderDigest=None", "MaxRecvDataSegmentLength=32768"]),
    ];
    turns.extend(list);
    turns
}

/// What a discovery at a portal that plays `turns` gives, where the portal is, and the requests it got.
fn discover(discovery: &Discovery, turns: &[Turn]) -> (Result<Attempt<Vec<Portal>>>, SocketAddr, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let portal = Portal { host: "127.0.0.1".into(), port: address.port() };
    std::thread::scope(|scope| {
        let target = scope.spawn(|| play(listener.accept().unwrap().0, turns));
        let place = Place { portal: &portal, own: address, address };
        let result =
            ask(&iscsi(), discovery, INITIATOR, TARGET, tcp::From::default(), &Flag::default(), place);
        (result, address, target.join().unwrap())
    })
}

fn portals(turns: &[Turn]) -> (Vec<String>, SocketAddr, Requests) {
    let (result, address, requests) = discover(&Discovery::default(), turns);
    let Ok(Attempt::Done(portals)) = result else {
        panic!("{:?}", result.map(|_| ()));
    };
    (portals.iter().map(ToString::to_string).collect(), address, requests)
}

fn failure(discovery: &Discovery, turns: &[Turn]) -> Error {
    discover(discovery, turns).0.map(|_| ()).unwrap_err()
}

#[test]
fn the_list_gives_the_portals_and_the_session_is_logged_out() {
    let list = format!(
        "TargetName=iqn.x\0TargetName={TARGET}\0TargetAddress=10.0.0.1:3260,1\0TargetAddress=a:1,2\0"
    );
    let question = Turn { got: vec!["SendTargets=All".into()], ..listed(FINAL, list) };
    let (portals, _, requests) = portals(&anonymous(vec![question]));
    assert_eq!(portals, ["10.0.0.1:3260", "a:1"]);
    let opcodes: Vec<u8> = requests.iter().map(|bhs| bhs[0]).collect();
    assert_eq!(opcodes, [0x43, 0x43, 0x44, 0x46]);
    // An ISID of the random kind, the same all through.
    assert!(requests[0][8] == 0x80 && requests[0][8..14] == requests[1][8..14]);
}

#[test]
fn a_target_without_an_address_is_where_it_was_asked() {
    let (portals, address, _) = portals(&anonymous(vec![listed(FINAL, format!("TargetName={TARGET}\0"))]));
    assert_eq!(portals, [address.to_string()]);
}

#[test]
fn a_list_may_come_in_parts_with_pings_between_them() {
    let (portals, _, requests) = portals(&anonymous(vec![
        listed(MORE_OF_THIS, "TargetName=iqn.2026-01."),
        Turn { ping: true, ..listed(MORE_OF_THIS, "example:image\0TargetAddr") },
        listed(MORE_KEYS, "ess=10.0.0.1:3260,1\0"),
        listed(FINAL, "TargetAddress=10.0.0.2:3260,1\0"),
    ]));
    assert_eq!(portals, ["10.0.0.1:3260", "10.0.0.2:3260"]);
    assert_eq!(requests.len(), 7);
}

#[test]
fn a_target_that_is_not_listed_is_named_with_those_that_are() {
    for (list, word) in [
        ("TargetName=iqn.a\0TargetAddress=10.0.0.1:3260,1\0", "it lists iqn.a"),
        ("", "it lists no targets"),
        ("TargetName=iqn.2026-01.example:image\0TargetAddress=0.0.0.0:3260,1\0", "without an address"),
    ] {
        let error = failure(&Discovery::default(), &anonymous(vec![listed(FINAL, list)]));
        assert_eq!(error.code(), Code::IscsiNoTarget);
        assert!(error.to_string().contains(word) && error.to_string().contains(TARGET), "{error}");
    }
}

#[test]
fn discovery_has_an_account_of_its_own() {
    let discovery = Discovery { auth: iscsi().auth };
    let [first, second] =
        [turn(SECURITY, "AuthMethod=CHAP\0"), turn(SECURITY, "CHAP_A=5\0CHAP_I=1\0CHAP_C=0x10111213\0")];
    let last = turn(TO_FULL_FEATURE, "");
    // The answer as in the tests of the login.
    let third = turn(TO_OPERATIONAL, "")
        .asked(TO_OPERATIONAL, &["CHAP_N=node", "CHAP_R=0xc8a534ebdee4c8504c6c703eab44da33"]);
    let list = listed(FINAL, format!("TargetName={TARGET}\0"));
    let turns = [first.clone(), second.clone(), third.clone(), last, list];
    assert!(matches!(discover(&discovery, &turns).0, Ok(Attempt::Done(_))));
    let error = failure(&discovery, &[first.clone(), second.clone(), turn(SECURITY, "").status(0x0201)]);
    assert_eq!(error.code(), Code::IscsiDiscoveryAuth);
    // Nor does a target get away without its proof here.
    let mut both = discovery;
    both.auth.as_mut().unwrap().mutual = Some(mutual());
    assert_eq!(failure(&both, &[first, second, third]).code(), Code::IscsiTargetAuth);
    // And one that wants an account is not asked without.
    let error = failure(&Discovery::default(), &[turn(SECURITY, "AuthMethod=CHAP\0")]);
    assert_eq!(error.code(), Code::IscsiDiscoveryAuth);
}

#[test]
fn a_list_that_breaks_the_protocol_or_has_no_end_is_refused() {
    for (turns, word) in [
        (vec![listed(FINAL, "TargetAddress=10.0.0.1\0")], "key=value"),
        (vec![listed(FINAL | MORE_OF_THIS, "")], "transition"),
        (vec![listed(MORE_KEYS, "")], "without an end"),
        (vec![listed(MORE_OF_THIS, "X".repeat(32_768))], "without an end"),
        (vec![listed(FINAL, "X".repeat(32_769))], "32769 bytes"),
    ] {
        let error = failure(&Discovery::default(), &anonymous(turns));
        assert_eq!(error.code(), Code::IscsiProtocol, "{error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[test]
fn a_discovery_that_is_redirected_is_made_there() {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [first, second] = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    let moved = [turn(SECURITY, format!("TargetAddress={second},1\0")).status(0x0102)];
    let there =
        anonymous(vec![listed(FINAL, format!("TargetName={TARGET}\0TargetAddress=10.0.0.1:3260,1\0"))]);
    let portal = Portal { host: "127.0.0.1".into(), port: first.port() };
    let (iscsi, discovery) = (iscsi(), Discovery::default());
    let found = std::thread::scope(|scope| {
        for (listener, turns) in listeners.iter().zip([&moved[..], &there]) {
            scope.spawn(|| play(listener.accept().unwrap().0, turns));
        }
        let route = Route {
            resolve: &|portal| Ok(vec![portal.to_string().parse().unwrap()]),
            attempt: &|place| {
                ask(&iscsi, &discovery, INITIATOR, TARGET, tcp::From::default(), &Flag::default(), place)
            },
        };
        route.take("discovery", std::slice::from_ref(&portal)).unwrap()
    });
    assert_eq!(found, [Portal::parse("10.0.0.1").unwrap()]);
}

#[test]
fn the_login_goes_where_the_discovery_says() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody listens there any more.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let turns = anonymous(vec![listed(FINAL, format!("TargetName={TARGET}\0TargetAddress={closed},1\0"))]);
    let mut iscsi = iscsi();
    iscsi.portals = vec![Portal { host: "store.example".into(), port: address.port() }.into()];
    iscsi.discovery = Some(Discovery::default());
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("etc")).unwrap();
    std::fs::write(root.path().join("etc/hosts"), "127.0.0.1 store.example\n").unwrap();
    let error = std::thread::scope(|scope| {
        scope.spawn(|| play(listener.accept().unwrap().0, &turns));
        log_in_any(&Host::fake(root.path()), &iscsi, INITIATOR, &iscsi.portals, &Flag::default()).unwrap_err()
    });
    assert_eq!(error.code(), Code::IscsiConnect);
    assert!(error.to_string().starts_with(&format!("portal {closed}: ")), "{error}");
}

#[test]
fn each_target_is_asked_for_at_the_first_portal_that_answers() {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let list = anonymous(vec![listed(
        FINAL,
        format!(
            "TargetName={TARGET}\0TargetAddress=10.0.0.1:3260,1\0TargetAddress=10.0.0.2:3260,1\0\
             TargetName=iqn.b\0TargetAddress=10.0.1.1:3260,1\0"
        ),
    )]);
    let mut iscsi = iscsi();
    let addresses = [closed, listeners[0].local_addr().unwrap(), listeners[1].local_addr().unwrap()];
    iscsi.portals = addresses.map(|at| Portal { host: at.ip().to_string(), port: at.port() }.into()).into();
    iscsi.portals.push(iscsi.portals[2].clone());
    iscsi.portals[2].target = Some("iqn.b".into());
    iscsi.portals[2].source = Some("127.0.0.1".parse().unwrap());
    let found = std::thread::scope(|scope| {
        for listener in &listeners {
            scope.spawn(|| play(listener.accept().unwrap().0, &list));
        }
        let (host, discovery) = (Host::fake("/nonexistent"), Discovery::default());
        discover_all(&host, &iscsi, &discovery, INITIATOR, &iscsi.portals, &Flag::default()).unwrap()
    });
    let shown = found.iter().map(|portal| format!("{portal} {:?} {:?}", portal.target, portal.source));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            "10.0.0.1:3260 None None",
            "10.0.0.2:3260 None None",
            "10.0.1.1:3260 Some(\"iqn.b\") Some(127.0.0.1)"
        ]
    );
}

proptest! {
    #[test]
    fn no_pdus_make_the_inquiry_panic(
        pdus in proptest::collection::vec((any::<[u8; BHS]>(), "(Target(Name|Address)=[a-z0-9:,]{0,9}\0?){0,3}"), 1..20),
        orderly: bool,
    ) {
        let (mut inquiry, _) = Inquiry::start(1);
        for (mut bhs, data) in pdus {
            if orderly {
                bhs[0] = 0x24;
                bhs[1] &= 0x40;
                bhs[16..20].copy_from_slice(&[0, 0, 0, 1]);
            }
            bhs[5..8].copy_from_slice(&[0, 0, data.len() as u8]);
            if inquiry.next(&Pdu { bhs, data: Zeroizing::new(data.into_bytes()) }).is_err() {
                break;
            }
        }
        let _ = listing::targets(&inquiry.text);
    }
}
