use super::*;
use crate::input::facts::Interface;
use crate::input::signature::{PublicKey, SecretKey};
use crate::input::time::Time;
use crate::steps::fetch::trust::Trusted;
use zeroize::Zeroizing;

const MAC: &str = "52:54:00:00:00:01";
const UUID: &str = "5d15c1e5-0000-4000-8000-000000000001";
const NODE: &str = r#""node": { "macs": ["52:54:00:00:00:01"] }, "serial": 7"#;

fn facts() -> Facts {
    Facts {
        interfaces: vec![Interface { name: "eth0".into(), mac: MAC.into() }],
        uuid: Some(UUID.into()),
        ..Facts::default()
    }
}

fn key(seed: u8) -> SecretKey {
    SecretKey::new([seed; 8], Zeroizing::new([seed; 32])).unwrap()
}

fn trusted(name: &str, key: PublicKey) -> Trusted {
    Trusted { name: name.into(), key }
}

fn rules() -> Rules {
    let keys = [1, 2].map(|seed| trusted(&format!("{seed}.pub"), key(seed).public().unwrap()));
    Rules { trusted: keys.into(), required: true, least_serial: 0 }
}

/// A plan with this `validity`.
fn plan(validity: &str) -> String {
    format!(
        r#"{{ "version": "1.0", "validity": {{ {validity} }},
            "iscsi": {{ "target": "iqn.a:b", "portals": ["10.0.0.1"], "lun": 1 }},
            "luks": {{ "key": {{ "file": "/k" }} }},
            "overlay": {{ "size": "1G", "mounts": [{{ "at": "/", "lower": "/dev/mapper/luks_root1" }}] }} }}"#
    )
}

fn found(text: &str, signature: Option<String>) -> Found {
    let signature = signature.map(|text| (".minisig", Zeroizing::new(text.into_bytes())));
    Found { text: Zeroizing::new(text.as_bytes().to_vec()), signature }
}

/// A right clock that says 1000, in an initramfs of 500.
const CLOCK: Clock = Clock { says: Time(1000), made: Time(500) };

fn code(found: &Found, rules: &Rules) -> Result<Option<String>, Code> {
    judge(found, rules, Some(&facts()), CLOCK).map(|judged| judged.signer).map_err(|why| why.code)
}

/// What becomes of an unsigned plan with this `validity`.
fn unsigned(validity: &str, least_serial: u64, clock: Clock) -> Result<usize, (Code, Duration)> {
    let rules = Rules { required: false, least_serial, ..Rules::default() };
    judge(&found(&plan(validity), None), &rules, Some(&facts()), clock)
        .map(|judged| judged.warnings.len())
        .map_err(|why| (why.code, why.patience))
}

#[test]
fn a_signature_is_by_one_of_several_keys() {
    let text = plan(NODE);
    for seed in [1, 2] {
        let signer =
            code(&found(&text, Some(key(seed).sign(text.as_bytes(), ""))), &rules()).unwrap().unwrap();
        assert!(signer.starts_with(&format!("{seed}.pub (key ")), "{signer}");
    }
    let signed = |by: u8, of: &str| found(&text, Some(key(by).sign(of.as_bytes(), "")));
    assert_eq!(code(&signed(3, &text), &rules()), Err(Code::PlanSignatureKey));
    assert_eq!(code(&signed(1, "another"), &rules()), Err(Code::PlanSignatureWrong));
    assert_eq!(code(&found(&text, Some("<html>".into())), &rules()), Err(Code::PlanSignatureWrong));
    assert_eq!(code(&found(&text, None), &rules()), Err(Code::PlanSignatureMissing));
    // The signature is looked at before the text.
    assert_eq!(code(&found("{", None), &rules()), Err(Code::PlanSignatureMissing));
    let no_key = Rules { trusted: Vec::new(), ..rules() };
    assert_eq!(code(&signed(1, &text), &no_key), Err(Code::PlanSignatureKey));
    let not_required = Rules { required: false, ..Rules::default() };
    assert_eq!(code(&signed(3, "another"), &not_required), Ok(None));
}

#[test]
fn two_keys_of_one_name_are_both_tried() {
    let other = SecretKey::new([1; 8], Zeroizing::new([9; 32])).unwrap();
    let mut rules = rules();
    rules.trusted.insert(0, trusted("0.pub", other.public().unwrap()));
    let text = plan(NODE);
    let signer = code(&found(&text, Some(key(1).sign(text.as_bytes(), ""))), &rules).unwrap().unwrap();
    assert!(signer.starts_with("1.pub"), "{signer}");
}

#[test]
fn where_signatures_are_required_so_are_node_and_serial() {
    let cases = [
        (NODE, Ok(())),
        (r#""serial": 7"#, Err(Code::PlanOtherNode)),
        (r#""node": { "macs": ["52:54:00:00:00:01"] }"#, Err(Code::PlanSerial)),
    ];
    for (validity, expected) in cases {
        let text = plan(validity);
        let found = found(&text, Some(key(1).sign(text.as_bytes(), "")));
        assert_eq!(code(&found, &rules()).map(|_| ()), expected, "{validity}");
    }
}

#[test]
fn a_plan_is_for_its_node_alone() {
    let uuid = UUID.to_uppercase();
    for validity in [
        r#""node": { "macs": ["52:54:00:00:00:99", "52:54:00:00:00:01"] }"#.to_owned(),
        format!(r#""node": {{ "uuid": "{uuid}" }}"#),
        format!(r#""node": {{ "uuid": "{UUID}", "macs": ["{MAC}"] }}"#),
        String::new(),
    ] {
        assert_eq!(unsigned(&validity, 0, CLOCK), Ok(0), "{validity}");
    }
    let other = UUID.replace('1', "2");
    // An interface may yet appear; a UUID does not change.
    let patience = Duration::from_secs(10);
    for (validity, patience) in [
        (r#""node": { "macs": ["52:54:00:00:00:99"] }"#.to_owned(), patience),
        (format!(r#""node": {{ "uuid": "{UUID}", "macs": ["52:54:00:00:00:99"] }}"#), patience),
        (format!(r#""node": {{ "uuid": "{other}", "macs": ["{MAC}"] }}"#), Duration::ZERO),
    ] {
        assert_eq!(unsigned(&validity, 0, CLOCK), Err((Code::PlanOtherNode, patience)), "{validity}");
    }
}

#[test]
fn serials_below_the_least_are_refused() {
    let serial = |validity: &str, least| unsigned(validity, least, CLOCK).map_err(|(code, _)| code);
    for (validity, least) in [("", 0), (r#""serial": 0"#, 0), (r#""serial": 7"#, 7), (r#""serial": 8"#, 7)] {
        assert_eq!(serial(validity, least), Ok(0), "{validity} {least}");
    }
    for (validity, least) in [("", 1), (r#""serial": 6"#, 7)] {
        assert_eq!(serial(validity, least), Err(Code::PlanSerial), "{validity} {least}");
    }
}

#[test]
fn a_plan_has_its_time_and_a_wrong_clock_is_bounded_by_the_initramfs() {
    let window = |from: u64, until: u64, clock| {
        let validity = format!(r#""not_before": "{}", "not_after": "{}""#, Time(from), Time(until));
        unsigned(&validity, 0, clock).map_err(|(code, _)| code)
    };
    // The clock says 1000.
    assert_eq!(window(900, 1100, CLOCK), Ok(0));
    assert_eq!(window(1000, 1001, CLOCK), Ok(0));
    assert_eq!(window(999, 1000, CLOCK), Ok(0));
    assert_eq!(window(1001, 1100, CLOCK), Err(Code::PlanNotYet));
    assert_eq!(window(900, 999, CLOCK), Err(Code::PlanOutdated));
    // It says 10, and it is 500 at least: what was over by then is over. What begins later may have begun.
    let wrong = Clock { says: Time(10), made: Time(500) };
    assert_eq!(window(5, 499, wrong), Err(Code::PlanOutdated));
    assert_eq!(window(5, 500, wrong), Ok(1));
    assert_eq!(window(400, 600, wrong), Ok(1));
    assert_eq!(window(5000, 6000, wrong), Ok(1));
    // Without a window it is nobody's business here.
    assert_eq!(unsigned("", 0, wrong), Ok(0));
    let text = plan(NODE);
    let found = found(&text, Some(key(1).sign(text.as_bytes(), "")));
    let warnings = judge(&found, &rules(), Some(&facts()), wrong).ok().unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(
        warnings[0].to_string(),
        "clock: 1970-01-01T00:00:10Z before 1970-01-01T00:08:20Z: the node's clock is wrong: it stands before the initramfs \
         was made: the plan has no times that it would matter for"
    );
}
