use super::super::fixture::{INITIATOR, Machine, iscsi, mutual};
use super::*;
use crate::input::portal::Portal;

fn show(params: &[(Param, Zeroizing<Vec<u8>>)]) -> String {
    let show = |(param, value): &(Param, Zeroizing<Vec<u8>>)| {
        format!("{param:?}={} ", std::str::from_utf8(value).unwrap())
    };
    params.iter().map(show).collect()
}

#[test]
fn iscsid_finds_all_it_needs_in_the_session() {
    let mut iscsi = iscsi();
    let portal = Portal::parse("store.example:3261").unwrap();
    let (own, address) = ("198.18.0.1:3261".parse().unwrap(), "198.18.0.9:3262".parse().unwrap());
    let mut shown = |mutual| {
        iscsi.auth.as_mut().unwrap().mutual = mutual;
        show(&identity(&iscsi, &iscsi.target, INITIATOR, Place { portal: &portal, own, address }))
    };
    let one_way = "TargetName=iqn.2026-01.example:image InitiatorName=iqn.2026-01.example:n1 \
                   PersistentAddress=198.18.0.1 PersistentPort=3261 IfaceName=default DiscoverySess=0 \
                   Username=node Password=secret-of-node ";
    assert_eq!(shown(None), one_way);
    assert_eq!(shown(Some(mutual())), format!("{one_way}UsernameIn=store PasswordIn=secret-of-store "));
}

#[test]
fn timers_are_the_plans_and_recovery_has_an_end() {
    let mut settings = Settings::default();
    assert_eq!(
        show(&timers(&settings)),
        "SessRecoveryTmo=120 FastAbort=1 AbortTmo=15 LuResetTmo=30 TgtResetTmo=30 RecvTmo=0 PingTmo=0 "
    );
    for (key, value) in [
        ("node.session.timeo.replacement_timeout", "119"),
        ("node.session.iscsi.FastAbort", "No"),
        ("node.session.err_timeo.abort_timeout", "1"),
        ("node.session.err_timeo.lu_reset_timeout", "2"),
        ("node.session.err_timeo.tgt_reset_timeout", "3"),
        ("node.conn[0].timeo.noop_out_interval", "4"),
        ("node.conn[0].timeo.noop_out_timeout", "5"),
    ] {
        settings.set(key, value).unwrap();
    }
    assert_eq!(
        show(&timers(&settings)),
        "SessRecoveryTmo=119 FastAbort=0 AbortTmo=1 LuResetTmo=2 TgtResetTmo=3 RecvTmo=4 PingTmo=5 "
    );
}

#[test]
fn a_booted_node_waits_as_long_as_the_plan_says() {
    let machine = Machine::new();
    machine.session(7, "LOGGED_IN");
    machine.write("/sys/class/iscsi_session/session7/recovery_tmo", "120");
    // Another target's.
    machine.write("/sys/class/iscsi_session/session8/recovery_tmo", "120");
    let changed = || wait_as_planned(&machine.host(), &iscsi(), INITIATOR);
    assert_eq!(changed(), ["reads of session 7 wait 600 s for its connection"]);
    assert_eq!(machine.read("/sys/class/iscsi_session/session7/recovery_tmo"), "600");
    assert_eq!(machine.read("/sys/class/iscsi_session/session8/recovery_tmo"), "120\n");
    machine.write("/sys/class/iscsi_session/session7/recovery_tmo", "600");
    assert!(changed().is_empty());
}

#[test]
fn the_kernel_gets_what_was_negotiated() {
    let mut values = super::super::negotiation::Values { header_digest: true, ..Default::default() };
    let shown = |values| -> String {
        let params = negotiated(&Session { values, expected_stat_sn: 7, tsih: 1 });
        params.iter().map(|(param, value)| format!("{param:?}={value} ")).collect()
    };
    let without_group = "MaxRecvDlength=8192 MaxXmitDlength=8192 HdrDgstEn=1 DataDgstEn=0 InitialR2tEn=1 MaxR2t=1 \
                         ImmDataEn=1 FirstBurst=65536 MaxBurst=262144 PduInorderEn=1 DataSeqInorderEn=1 Erl=0 \
                         ExpStatSn=7 ";
    assert_eq!(shown(values), without_group);
    values.portal_group = Some(3);
    assert_eq!(shown(values), format!("{without_group}Tpgt=3 "));
}

#[test]
fn timers_of_a_session_that_was_there_stay_as_they_are() {
    let iscsi = iscsi();
    let portal = Portal::parse("198.18.0.1").unwrap();
    let own = "198.18.0.1:3260".parse().unwrap();
    let place = Place { portal: &portal, own, address: own };
    let shown = |is_new| show(&before_login(&iscsi, "iqn.b", INITIATOR, place, is_new));
    let identity = show(&identity(&iscsi, "iqn.b", INITIATOR, place));
    assert!(identity.starts_with("TargetName=iqn.b "));
    assert_eq!(shown(false), identity);
    assert_eq!(shown(true), identity + &show(&timers(&iscsi.settings)));
}
