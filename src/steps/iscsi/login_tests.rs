//! Logins at a target that follows a script, over a real connection.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::pdu::BHS;
use super::super::session::{Negotiated, negotiate};
use super::super::socket::{Socket, padding};
use super::*;
use crate::error::{Code, Error};

/// Flags of a response: transit, and stages in the bits of CSG and NSG.
const SECURITY: u8 = 0x00;
const SECURITY_MORE: u8 = 0x40;
const TO_OPERATIONAL: u8 = 0x81;
const OPERATIONAL: u8 = 0x04;
const OPERATIONAL_MORE: u8 = 0x44;
const TO_FULL_FEATURE: u8 = 0x87;

/// One response of the target, and what the request before it must have been.
#[derive(Clone, Copy, Default)]
struct Turn {
    /// Flags of the request.
    asked: Option<u8>,
    /// Keys that the request must hold, as `key=value`.
    got: &'static [&'static str],
    flags: u8,
    status: u16,
    keys: &'static str,
}

fn turn(flags: u8, keys: &'static str) -> Turn {
    Turn { flags, keys, ..Turn::default() }
}

/// The answer to identifier 1 and challenge 10111213, as md5sum computes it.
const ANSWER: &str = "CHAP_R=0xc8a534ebdee4c8504c6c703eab44da33";

const CHAP: [Turn; 4] = [
    Turn {
        asked: Some(SECURITY),
        got: &[
            "InitiatorName=iqn.2026-01.example:n1",
            "TargetName=iqn.2026-01.example:image",
            "SessionType=Normal",
            "AuthMethod=CHAP",
        ],
        flags: SECURITY,
        status: 0,
        keys: "TargetPortalGroupTag=3\0AuthMethod=CHAP\0",
    },
    Turn {
        asked: Some(SECURITY),
        got: &["CHAP_A=5"],
        flags: SECURITY,
        status: 0,
        keys: "CHAP_A=5\0CHAP_I=1\0CHAP_C=0x10111213\0",
    },
    Turn {
        asked: Some(TO_OPERATIONAL),
        got: &["CHAP_N=node", ANSWER],
        flags: TO_OPERATIONAL,
        status: 0,
        keys: "",
    },
    Turn {
        asked: Some(TO_FULL_FEATURE),
        got: &["HeaderDigest=None", "InitialR2T=No", "MaxRecvDataSegmentLength=262144"],
        flags: TO_FULL_FEATURE,
        status: 0,
        keys: "HeaderDigest=None\0DataDigest=None\0InitialR2T=Yes\0ImmediateData=Yes\0MaxBurstLength=65536\0\
               FirstBurstLength=8192\0MaxRecvDataSegmentLength=16384\0",
    },
];

const NONE: [Turn; 2] = [
    Turn {
        asked: Some(TO_OPERATIONAL),
        got: &["AuthMethod=None"],
        flags: TO_OPERATIONAL,
        status: 0,
        keys: "AuthMethod=None\0",
    },
    Turn { asked: Some(TO_FULL_FEATURE), got: &[], flags: TO_FULL_FEATURE, status: 0, keys: "" },
];

fn read_request(stream: &mut TcpStream) -> Option<([u8; BHS], Vec<u8>)> {
    let mut bhs = [0; BHS];
    stream.read_exact(&mut bhs).ok()?;
    let length = Pdu::data_length(&bhs);
    let mut data = vec![0; length + padding(length)];
    stream.read_exact(&mut data).ok()?;
    data.truncate(length);
    Some((bhs, data))
}

/// Plays `turns`, the last one again and again, until the initiator goes away. Gives the requests it got.
fn play(mut stream: TcpStream, turns: &[Turn]) -> u32 {
    let mut requests = 0u32;
    while let Some((bhs, data)) = read_request(&mut stream) {
        let turn = turns[(requests as usize).min(turns.len() - 1)];
        assert_eq!(bhs[0], 0x43);
        assert_eq!(bhs[8..14], [0, 2, 0x3d, 0, 0, 7]);
        // ExpStatSN follows the responses' StatSN, which starts at 100 here.
        let expected = if requests == 0 { 0 } else { 100 + requests };
        assert_eq!(bhs[28..32], expected.to_be_bytes());
        if let Some(asked) = turn.asked {
            assert_eq!(bhs[1], asked, "flags of request {requests}");
        }
        let text = String::from_utf8(data).unwrap();
        for key in turn.got {
            assert!(text.split('\0').any(|got| got == *key), "{key} not in {text:?}");
        }
        let mut answer = vec![0; BHS];
        answer[0] = 0x23;
        answer[1] = turn.flags;
        answer[5..8].copy_from_slice(&(turn.keys.len() as u32).to_be_bytes()[1..]);
        answer[15] = 9;
        answer[24..28].copy_from_slice(&(100 + requests).to_be_bytes());
        answer[36..38].copy_from_slice(&turn.status.to_be_bytes());
        answer.extend_from_slice(turn.keys.as_bytes());
        answer.extend(std::iter::repeat_n(0, padding(turn.keys.len())));
        requests += 1;
        if stream.write_all(&answer).is_err() {
            break;
        }
    }
    requests
}

/// Logs in at a target that plays `turns`.
fn log_in(turns: &[Turn], with_account: bool) -> (Result<Negotiated, Error>, u32) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    let secret = Secret::new(b"secret-of-node".to_vec());
    std::thread::scope(|scope| {
        let target = scope.spawn(|| play(peer, turns));
        let mut socket = Socket { stream, deadline: Instant::now() + Duration::from_secs(20) };
        let account = with_account.then_some(Account { name: "node", secret: &secret });
        let result = negotiate(&mut socket, parameters(account), &|| "portal".into());
        drop(socket);
        (result, target.join().unwrap())
    })
}

fn parameters(account: Option<Account<'_>>) -> Parameters<'_> {
    Parameters {
        initiator: "iqn.2026-01.example:n1",
        target: "iqn.2026-01.example:image",
        isid: [0, 2, 0x3d, 0, 0, 7],
        account,
    }
}

fn session(turns: &[Turn], with_account: bool) -> Session {
    match log_in(turns, with_account) {
        (Ok(Negotiated::Session(session)), _) => session,
        (Ok(Negotiated::Moved(to)), _) => panic!("moved to {to}"),
        (Err(error), _) => panic!("{error}"),
    }
}

fn failure(turns: &[Turn], with_account: bool) -> Error {
    match log_in(turns, with_account) {
        (Err(error), _) => error,
        (Ok(_), _) => panic!("logged in"),
    }
}

/// The first `keep` turns of the CHAP login, and then `turn`.
fn chap_until(keep: usize, turn: Turn) -> Vec<Turn> {
    let mut turns = CHAP[..keep].to_vec();
    turns.push(turn);
    turns
}

#[test]
fn chap_and_negotiation_give_a_session() {
    let (result, requests) = log_in(&CHAP, true);
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
    assert_eq!(session(&NONE, false).values, Values::default().settled());
}

#[test]
fn text_may_come_in_parts_in_either_stage() {
    let turns = [
        turn(SECURITY_MORE, "TargetPortalGro"),
        Turn { asked: Some(SECURITY), ..turn(SECURITY, "upTag=3\0AuthMethod=CHAP\0") },
        CHAP[1],
        CHAP[2],
        turn(OPERATIONAL_MORE, "MaxBurstLength=65536\0First"),
        Turn { asked: Some(OPERATIONAL), ..turn(OPERATIONAL, "BurstLength=8192\0") },
        turn(TO_FULL_FEATURE, ""),
    ];
    let values = session(&turns, true).values;
    assert_eq!(values.portal_group, Some(3));
    assert_eq!((values.max_burst, values.first_burst), (65536, 8192));
}

#[test]
fn offers_of_the_target_are_answered() {
    let turns = [
        NONE[0],
        turn(OPERATIONAL, "X-com.example.fast=Yes\0IFMarker=No\0"),
        Turn {
            asked: Some(TO_FULL_FEATURE),
            got: &["X-com.example.fast=NotUnderstood", "IFMarker=Reject"],
            ..turn(TO_FULL_FEATURE, "")
        },
    ];
    session(&turns, false);
}

#[test]
fn a_target_may_hesitate_to_change_the_stage() {
    let turns = [turn(SECURITY, "AuthMethod=None\0"), turn(TO_OPERATIONAL, ""), NONE[1]];
    session(&turns, false);
    let turns = [CHAP[0], CHAP[1], turn(SECURITY, ""), turn(TO_OPERATIONAL, ""), NONE[1]];
    session(&turns, true);
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
        let refusal = Turn { status, ..turn(SECURITY, "") };
        for turns in [chap_until(0, refusal), chap_until(2, refusal)] {
            let error = failure(&turns, true);
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(&format!("{status:04x}")), "{error}");
            assert!(!error.to_string().contains("secret-of-node"), "{error}");
        }
    }
}

#[test]
fn a_redirection_gives_the_address() {
    let moved = Turn { status: 0x0101, ..turn(SECURITY, "TargetAddress=198.18.0.2:3261,1\0") };
    match log_in(&[moved], true) {
        (Ok(Negotiated::Moved(to)), 1) => assert_eq!(to, "198.18.0.2:3261,1"),
        _ => panic!("not moved"),
    }
}

#[test]
fn authentication_is_never_skipped() {
    for (turns, with_account) in [
        (vec![turn(SECURITY, "AuthMethod=None\0")], true),
        (vec![turn(SECURITY, "AuthMethod=Reject\0")], true),
        (chap_until(1, turn(SECURITY, "CHAP_A=7\0CHAP_I=1\0CHAP_C=0x10\0")), true),
        (chap_until(1, turn(SECURITY, "CHAP_A=Reject\0")), true),
        (vec![turn(SECURITY, "AuthMethod=Reject\0")], false),
        (vec![turn(SECURITY, "AuthMethod=CHAP\0")], false),
    ] {
        let error = failure(&turns, with_account);
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
        (vec![turn(SECURITY, "AuthMethod\0")], "key=value"),
        (vec![turn(SECURITY, "")], "AuthMethod"),
        // Endless, in each way there is to be so.
        (chap_until(2, turn(SECURITY, "")), "without an end"),
        (chap_until(3, turn(OPERATIONAL, "")), "without an end"),
        (vec![turn(SECURITY_MORE, "X")], "without an end"),
    ];
    for (turns, word) in cases {
        let error = failure(&turns, true);
        assert_eq!(error.code(), Code::IscsiProtocol, "{error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[test]
fn a_target_that_hangs_up_may_be_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    drop(listener);
    let mut socket = Socket { stream, deadline: Instant::now() + Duration::from_secs(20) };
    let error = negotiate(&mut socket, parameters(None), &|| "portal".into()).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), Code::IscsiConnect);
}

proptest! {
    #[test]
    fn no_response_makes_the_login_panic(
        responses in proptest::collection::vec((any::<u8>(), 0u16..3, "([A-Z_]{1,8}=?[a-z0-9]{0,9}\0?){0,4}"), 1..40),
        with_account: bool,
    ) {
        let secret = Secret::new(b"secret-of-node".to_vec());
        let account = with_account.then_some(Account { name: "node", secret: &secret });
        let (mut login, _) = Login::start(parameters(account));
        for (flags, status, keys) in responses {
            let mut bhs = [0; BHS];
            bhs[0] = 0x23;
            bhs[1] = flags;
            bhs[7] = keys.len() as u8;
            bhs[36..38].copy_from_slice(&status.to_be_bytes());
            if !matches!(login.next(&Pdu { bhs, data: Zeroizing::new(keys.into_bytes()) }), Ok(Next::Send(_))) {
                break;
            }
        }
    }
}
