//! Logins at a target that follows a script, over a real connection.

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::chap::Mutual;
use super::super::mock::*;
use super::super::pdu::{BHS, MOST_DATA};
use super::super::session::{Negotiated, negotiate};
use super::super::socket::Socket;
use super::*;
use crate::error::{Code, Error};
use crate::input::secret::Secret;
use crate::input::settings::Settings;
use crate::sys::flag::Flag;

/// The answers of the account to identifier 1 and challenge 10111213, as md5sum, sha1sum, sha256sum and
/// `openssl dgst -sha3-256` compute them: `printf '\001secret-of-node\020\021\022\023' | md5sum`.
const ANSWERS: [(Algorithm, &str); 4] = [
    (Algorithm::Md5, "CHAP_R=0xc8a534ebdee4c8504c6c703eab44da33"),
    (Algorithm::Sha1, "CHAP_R=0xbf039e219d3d7ee01292f54f9de6b40f14004173"),
    (Algorithm::Sha256, "CHAP_R=0xe45be9f6cff19d21a58760a5faa3a2f84fd3a553123e889d8fde74a4675710f8"),
    (Algorithm::Sha3_256, "CHAP_R=0xc1d1884514df68fc3a55e1f5acaeeae5e3631c4bd1b46191c21496c02ebc4f8a"),
];
/// The answers of the target's account to this side's challenge, in the same way and order:
/// `printf '\011secret-of-storeABCDEFGHIJKLMNOP' | md5sum`.
const PROOFS: [&str; 4] = [
    "0xb0f978ee1932b26d1f54aee49a96e887",
    "0x06166236bf0028ead5e2a7c9ea6c7293426886b7",
    "0xc480fa239c262e978649e77df03d22582e37f4a3b89f900751822fc1106b4340",
    "0x31c5e8b87b2050f23756c4ee79f1ac52b70f93e8510dd65375588b16f8db5407",
];

fn chap() -> [Turn; 4] {
    [
        turn(SECURITY, "TargetPortalGroupTag=3\0AuthMethod=CHAP\0").asked(
            SECURITY,
            &[
                "InitiatorName=iqn.2026-01.example:n1",
                "TargetName=iqn.2026-01.example:image",
                "SessionType=Normal",
                "AuthMethod=CHAP",
            ],
        ),
        turn(SECURITY, "CHAP_A=5\0CHAP_I=1\0CHAP_C=0x10111213\0").asked(SECURITY, &["CHAP_A=5"]),
        turn(TO_OPERATIONAL, "").asked(TO_OPERATIONAL, &["CHAP_N=node", ANSWERS[0].1]),
        turn(
            TO_FULL_FEATURE,
            "HeaderDigest=None\0DataDigest=None\0InitialR2T=Yes\0ImmediateData=Yes\0MaxBurstLength=65536\0\
             FirstBurstLength=8192\0MaxRecvDataSegmentLength=16384\0",
        )
        .asked(TO_FULL_FEATURE, &["HeaderDigest=None", "InitialR2T=No", "MaxRecvDataSegmentLength=262144"]),
    ]
}

fn none() -> [Turn; 2] {
    [
        turn(TO_OPERATIONAL, "AuthMethod=None\0").asked(TO_OPERATIONAL, &["AuthMethod=None"]),
        turn(TO_FULL_FEATURE, "").asked(TO_FULL_FEATURE, &[]),
    ]
}

/// Whether and with which account a login is made.
#[derive(Clone, Copy)]
enum As {
    Nobody,
    Node,
    /// And the target has to prove who it is.
    Mutual,
}
use As::{Mutual as BothProve, Nobody, Node};

const ISID: [u8; 6] = [0, 2, 0x3d, 0, 0, 7];

/// Logs in at a target that plays `turns`; gives the number of requests too.
fn log_in_with(
    turns: &[Turn],
    who: As,
    algorithms: &[Algorithm],
    settings: &Settings,
) -> (Result<Negotiated, Error>, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    let secret = Secret::new(b"secret-of-node".to_vec());
    let store = Secret::new(b"secret-of-store".to_vec());
    let mutual = Mutual { name: "store", secret: &store, identifier: 9, challenge: *b"ABCDEFGHIJKLMNOP" };
    let mutual = matches!(who, BothProve).then_some(mutual);
    let account = Account { name: "node", secret: &secret, algorithms, mutual };
    let offer = Offer::for_disk(settings);
    std::thread::scope(|scope| {
        let target = scope.spawn(|| play(peer, turns));
        let cancel = Flag::default();
        let mut socket = socket(stream, &cancel);
        let account = (!matches!(who, Nobody)).then_some(account);
        let result = negotiate(&mut socket, parameters(account, &offer), &|| "portal".into());
        drop(socket);
        let requests = target.join().unwrap();
        assert!(requests.iter().all(|bhs| bhs[8..14] == ISID));
        (result, requests.len())
    })
}

fn log_in(turns: &[Turn], who: As) -> (Result<Negotiated, Error>, usize) {
    log_in_with(turns, who, &[Algorithm::Md5], &Settings::default())
}

fn socket(stream: TcpStream, cancel: &Flag) -> Socket<'_> {
    Socket { stream, deadline: Instant::now() + Duration::from_secs(20), max_recv: MOST_DATA, cancel }
}

fn parameters<'a>(account: Option<Account<'a>>, offer: &'a Offer) -> Parameters<'a> {
    Parameters {
        initiator: "iqn.2026-01.example:n1",
        session: SessionType::Normal("iqn.2026-01.example:image"),
        isid: ISID,
        account,
        offer,
    }
}

fn session(turns: &[Turn], who: As) -> Session {
    match log_in(turns, who) {
        (Ok(Negotiated::Session(session)), _) => session,
        (Ok(Negotiated::Moved(to)), _) => panic!("moved to {to}"),
        (Err(error), _) => panic!("{error}"),
    }
}

fn failure(turns: &[Turn], who: As) -> Error {
    match log_in(turns, who) {
        (Err(error), _) => error,
        (Ok(_), _) => panic!("logged in"),
    }
}

/// The first `keep` turns of the CHAP login, and then `turn`.
fn chap_until(keep: usize, turn: Turn) -> Vec<Turn> {
    let mut turns = chap()[..keep].to_vec();
    turns.push(turn);
    turns
}

#[test]
fn chap_and_negotiation_give_a_session() {
    let (result, requests) = log_in(&chap(), Node);
    let Ok(Negotiated::Session(session)) = result else {
        panic!("no session");
    };
    assert_eq!(requests, 4);
    assert_eq!(session.tsih, 9);
    assert_eq!(session.expected_stat_sn, 104);
    let values = session.values;
    assert_eq!(values.portal_group, Some(3));
    assert!(values.initial_r2t && values.immediate_data);
    assert_eq!(
        (values.max_burst, values.first_burst, values.max_xmit, values.max_recv),
        (65536, 8192, 16384, 262_144)
    );
}

#[test]
fn without_an_account_nobody_is_asked_for_one() {
    let values = session(&none(), Nobody).values;
    assert_eq!(values, Values::default().settled(&Offer::for_disk(&Settings::default())).unwrap());
}

#[test]
fn text_may_come_in_parts_in_either_stage() {
    let turns = [
        turn(SECURITY_MORE, "TargetPortalGro"),
        turn(SECURITY, "upTag=3\0AuthMethod=CHAP\0").asked(SECURITY, &[]),
        chap()[1].clone(),
        chap()[2].clone(),
        turn(OPERATIONAL_MORE, "MaxBurstLength=65536\0First"),
        turn(OPERATIONAL, "BurstLength=8192\0").asked(OPERATIONAL, &[]),
        turn(TO_FULL_FEATURE, ""),
    ];
    let values = session(&turns, Node).values;
    assert_eq!(values.portal_group, Some(3));
    assert_eq!((values.max_burst, values.first_burst), (65536, 8192));
}

#[test]
fn offers_of_the_target_are_answered() {
    let turns = [
        none()[0].clone(),
        turn(OPERATIONAL, "X-com.example.fast=Yes\0IFMarker=No\0"),
        turn(TO_FULL_FEATURE, "")
            .asked(TO_FULL_FEATURE, &["X-com.example.fast=NotUnderstood", "IFMarker=Reject"]),
    ];
    session(&turns, Nobody);
}

#[test]
fn the_answers_to_all_keys_that_may_come_fit_into_one_request() {
    let settings = Settings::default();
    let offer = Offer::for_disk(&settings);
    let respond = |login: &mut Login<'_>, flags, keys: &str| {
        let mut bhs = [0; BHS];
        bhs[0] = 0x23;
        bhs[1] = flags;
        bhs[6..8].copy_from_slice(&(keys.len() as u16).to_be_bytes());
        match login.next(&Pdu { bhs, data: Zeroizing::new(keys.as_bytes().to_vec()) }) {
            Ok(Next::Send(request)) => Ok(request.data.to_vec()),
            Ok(_) => panic!("no request"),
            Err(failure) => Err(failure),
        }
    };
    let keys = |from: usize| (from..from + 64).map(|n| format!("X-{n:061}=\0")).collect::<String>();
    let start = || {
        let (mut login, _) = Login::start(parameters(None, &offer));
        assert!(respond(&mut login, TO_OPERATIONAL, "").is_ok());
        login
    };
    let answers = respond(&mut start(), OPERATIONAL, &keys(0)).unwrap();
    assert!(answers.ends_with(b"63=NotUnderstood\0") && answers.len() <= MOST_DATA, "{}", answers.len());
    let mut login = start();
    assert_eq!(respond(&mut login, OPERATIONAL_MORE, &keys(0)), Ok(Vec::new()));
    let too_many = respond(&mut login, OPERATIONAL, &keys(64));
    assert_eq!(too_many, Err(Failure::Text(text::Malformed::TooMany)));
}

#[test]
fn a_target_may_hesitate_to_change_the_stage() {
    let [_, last] = none();
    let turns = [turn(SECURITY, "AuthMethod=None\0"), turn(TO_OPERATIONAL, ""), last.clone()];
    session(&turns, Nobody);
    let [first, second, ..] = chap();
    let turns = [first, second, turn(SECURITY, ""), turn(TO_OPERATIONAL, ""), last];
    session(&turns, Node);
}

#[test]
fn refusals_have_their_codes() {
    for (status, code) in [
        (0x0201, Code::IscsiAuth),
        (0x0202, Code::IscsiForbidden),
        (0x0203, Code::IscsiNoTarget),
        (0x0207, Code::IscsiRefused),
        (0x0301, Code::IscsiBusy),
        (0x0102, Code::IscsiMoved),
        (0x0999, Code::IscsiProtocol),
    ] {
        let refusal = turn(SECURITY, "").status(status);
        for turns in [chap_until(0, refusal.clone()), chap_until(2, refusal)] {
            let error = failure(&turns, Node);
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(&format!("{status:04x}")), "{error}");
            assert!(!error.to_string().contains("secret-of-node"), "{error}");
        }
    }
}

#[test]
fn a_redirection_gives_the_address() {
    let moved = turn(SECURITY, "TargetAddress=198.18.0.2:3261,1\0").status(0x0101);
    match log_in(&[moved], Node) {
        (Ok(Negotiated::Moved(to)), 1) => assert_eq!(to, "198.18.0.2:3261,1"),
        _ => panic!("not moved"),
    }
}

#[test]
fn authentication_is_never_skipped() {
    for (turns, who) in [
        (vec![turn(SECURITY, "AuthMethod=None\0")], Node),
        (vec![turn(SECURITY, "AuthMethod=Reject\0")], Node),
        (chap_until(1, turn(SECURITY, "CHAP_A=7\0CHAP_I=1\0CHAP_C=0x10\0")), Node),
        (chap_until(1, turn(SECURITY, "CHAP_A=Reject\0")), Node),
        (vec![turn(SECURITY, "AuthMethod=Reject\0")], Nobody),
        (vec![turn(SECURITY, "AuthMethod=CHAP\0")], Nobody),
    ] {
        let error = failure(&turns, who);
        assert_eq!(error.code(), Code::IscsiAuth, "{error}");
    }
}

#[test]
fn a_target_that_breaks_the_protocol_is_named_so() {
    let cases: Vec<(Vec<Turn>, &str)> = vec![
        (vec![turn(TO_OPERATIONAL, "AuthMethod=CHAP\0")], "stage"),
        (chap_until(1, turn(TO_OPERATIONAL, "")), "stage"),
        (chap_until(2, turn(TO_FULL_FEATURE, "")), "stage"),
        (chap_until(3, turn(TO_OPERATIONAL, "")), "stage"),
        (vec![turn(SECURITY, "")], "AuthMethod"),
        (chap_until(1, turn(SECURITY, "CHAP_A=5\0CHAP_C=0x10\0")), "CHAP_I"),
        (chap_until(1, turn(SECURITY, "CHAP_A=5\0CHAP_I=256\0CHAP_C=0x10\0")), "CHAP_I"),
        (chap_until(1, turn(SECURITY, "CHAP_A=5\0CHAP_I=1\0")), "CHAP_C"),
        (chap_until(1, turn(SECURITY, "CHAP_A=5\0CHAP_I=1\0CHAP_C=zz\0")), "challenge"),
        (chap_until(3, turn(TO_FULL_FEATURE, "MaxBurstLength=1\0")), "MaxBurstLength"),
        (chap_until(3, turn(TO_FULL_FEATURE, "DataDigest=CRC32C\0")), "DataDigest"),
        (vec![turn(SECURITY, "AuthMethod\0")], "key=value"),
        (vec![turn(SECURITY, "")], "AuthMethod"),
        // Endless, in each way there is to be so.
        (chap_until(2, turn(SECURITY, "")), "without an end"),
        (chap_until(3, turn(OPERATIONAL, "")), "without an end"),
        (vec![turn(SECURITY_MORE, "X")], "without an end"),
    ];
    for (turns, word) in cases {
        let error = failure(&turns, Node);
        assert_eq!(error.code(), Code::IscsiProtocol, "{error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[test]
fn a_target_that_hangs_up_may_be_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    drop(listener);
    let cancel = Flag::default();
    let mut socket = socket(stream, &cancel);
    let offer = Offer::for_disk(&Settings::default());
    let error =
        negotiate(&mut socket, parameters(None, &offer), &|| "portal".into()).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), Code::IscsiConnect);
}

#[test]
fn each_algorithm_is_answered_with() {
    let algorithms = ANSWERS.map(|(algorithm, _)| algorithm);
    // Challenges come in hexadecimal and in base64.
    for (i, challenge) in ["0x10111213", "0bEBESEw==", "0X10111213", "0BEBESEw"].into_iter().enumerate() {
        let (algorithm, answer) = ANSWERS[i];
        let [first, _, third, last] = chap();
        let number = algorithm.number();
        let chosen = turn(SECURITY, format!("CHAP_A={number}\0CHAP_I=1\0CHAP_C={challenge}\0"));
        let turns = [
            first,
            chosen.asked(SECURITY, &["CHAP_A=5,6,7,8"]),
            third.asked(TO_OPERATIONAL, &["CHAP_N=node", answer]),
            last,
        ];
        assert!(log_in_with(&turns, Node, &algorithms, &Settings::default()).0.is_ok(), "{algorithm:?}");
        // The target's own proof, in hexadecimal and in base64.
        let mut turns = turns;
        for proof in [PROOFS[i].to_owned(), in_base64(PROOFS[i])] {
            turns[2] = turn(TO_OPERATIONAL, format!("CHAP_N=store\0CHAP_R={proof}\0")).asked(
                TO_OPERATIONAL,
                &["CHAP_N=node", answer, "CHAP_I=9", "CHAP_C=0x4142434445464748494a4b4c4d4e4f50"],
            );
            let result = log_in_with(&turns, BothProve, &algorithms, &Settings::default()).0;
            assert!(result.is_ok(), "{algorithm:?} {:?}", result.map(|_| ()));
        }
    }
}

fn in_base64(hex: &str) -> String {
    use base64ct::{Base64, Encoding};
    format!("0b{}", Base64::encode_string(&chap::decode_binary(hex).unwrap()))
}

#[test]
fn a_target_may_prove_itself_before_it_changes_the_stage() {
    let [first, second, _, last] = chap();
    let proof = format!("CHAP_N=store\0CHAP_R={}\0", PROOFS[0]);
    let turns = [first, second, turn(SECURITY, proof), turn(TO_OPERATIONAL, ""), last];
    session(&turns, BothProve);
}

#[test]
fn a_target_that_does_not_prove_itself_gets_no_session() {
    let right = PROOFS[0];
    let wrong = right.replacen("0xb", "0xc", 1);
    let ours = ANSWERS[0].1.trim_start_matches("CHAP_R=");
    let reflected = turn(SECURITY, "CHAP_A=5\0CHAP_I=9\0CHAP_C=0x4142434445464748494a4b4c4d4e4f50\0");
    for (turns, word) in [
        (chap_until(2, turn(TO_OPERATIONAL, "")), "does not answer"),
        (chap_until(2, turn(SECURITY, "")), "does not answer"),
        (chap_until(2, turn(TO_OPERATIONAL, format!("CHAP_R={right}\0"))), "does not answer"),
        (chap_until(2, turn(TO_OPERATIONAL, format!("CHAP_N=store\0CHAP_R={wrong}\0"))), "wrong"),
        (chap_until(2, turn(TO_OPERATIONAL, format!("CHAP_N=store\0CHAP_R={}\0", PROOFS[1]))), "wrong"),
        (
            chap_until(2, turn(TO_OPERATIONAL, format!("CHAP_N=other\0CHAP_R={right}\0"))),
            "calls itself other",
        ),
        (chap_until(2, turn(TO_OPERATIONAL, format!("CHAP_N=store\0CHAP_R={ours}\0"))), "own words"),
        (chap_until(1, reflected), "own words"),
    ] {
        let error = failure(&turns, BothProve);
        assert_eq!(error.code(), Code::IscsiTargetAuth, "{error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
        assert!(!error.to_string().contains("secret-of"), "{error}");
    }
}

#[test]
fn an_algorithm_that_was_not_offered_is_not_used() {
    let chosen = turn(SECURITY, "CHAP_A=5\0CHAP_I=1\0CHAP_C=0x10111213\0").asked(SECURITY, &["CHAP_A=8,7"]);
    let turns = chap_until(1, chosen);
    let result = log_in_with(&turns, Node, &[Algorithm::Sha3_256, Algorithm::Sha256], &Settings::default()).0;
    let error = result.map(|_| ()).unwrap_err();
    assert_eq!(error.code(), Code::IscsiAuth);
    assert!(error.to_string().contains("CHAP_A=5"), "{error}");
}

#[test]
fn digests_of_the_plan_are_negotiated_or_insisted_on() {
    let mut settings = Settings::default();
    settings.set("node.conn[0].iscsi.HeaderDigest", "CRC32C").unwrap();
    settings.set("node.conn[0].iscsi.DataDigest", "CRC32C,None").unwrap();
    let turns = |answer: &str| {
        let offers = ["HeaderDigest=CRC32C", "DataDigest=CRC32C,None"];
        [none()[0].clone(), turn(TO_FULL_FEATURE, answer).asked(TO_FULL_FEATURE, &offers)]
    };
    let log_in = |answer| log_in_with(&turns(answer), Nobody, &[], &settings).0;
    let Ok(Negotiated::Session(session)) = log_in("HeaderDigest=CRC32C\0DataDigest=None\0") else {
        panic!("no session");
    };
    assert!(session.values.header_digest && !session.values.data_digest);
    for answer in ["HeaderDigest=Reject\0DataDigest=None\0", "HeaderDigest=None\0DataDigest=None\0", ""] {
        let error = log_in(answer).map(|_| ()).unwrap_err();
        assert_eq!(error.code(), Code::IscsiRefused);
        assert!(error.to_string().contains("HeaderDigest"), "{error}");
    }
}

proptest! {
    #[test]
    fn no_response_makes_the_login_panic(
        responses in proptest::collection::vec(
            (any::<u8>(), 0u16..3, prop_oneof![
                "([A-Z_]{1,8}=?[a-z0-9]{0,9}\0?){0,4}",
                "(AuthMethod=CHAP\0)?(CHAP_A=[5-9]\0)?(CHAP_I=[0-9]{1,3}\0)?(CHAP_C=0[xb][0-9a-f]{0,9}\0)?\
                 (CHAP_N=(store|x)\0)?(CHAP_R=0x[0-9a-f]{30,33}\0)?(DataDigest=(None|CRC32C)\0)?",
            ]),
            1..40,
        ),
        orderly: bool,
        with_account: bool,
        with_mutual: bool,
    ) {
        let secret = Secret::new(b"secret-of-node".to_vec());
        let mutual = Mutual { name: "store", secret: &secret, identifier: 9, challenge: [1; 16] };
        let algorithms = [Algorithm::Md5, Algorithm::Sha3_256];
        let account =
            Account { name: "node", secret: &secret, algorithms: &algorithms, mutual: with_mutual.then_some(mutual) };
        let offer = Offer::for_disk(&Settings::default());
        let (mut login, _) = Login::start(parameters(with_account.then_some(account), &offer));
        for (i, (flags, status, keys)) in responses.into_iter().enumerate() {
            let mut bhs = [0; BHS];
            bhs[0] = 0x23;
            // Random flags hardly get past the first response.
            bhs[1] = if orderly && i < 2 { SECURITY } else { flags };
            bhs[7] = keys.len() as u8;
            bhs[36..38].copy_from_slice(&(if orderly { 0 } else { status }).to_be_bytes());
            if !matches!(login.next(&Pdu { bhs, data: Zeroizing::new(keys.into_bytes()) }), Ok(Next::Send(_))) {
                break;
            }
        }
    }
}
