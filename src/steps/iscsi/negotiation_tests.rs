use super::*;

fn settings(own: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::default();
    for (key, value) in own {
        settings.set(key, value).unwrap();
    }
    settings
}

fn offer(own: &[(&str, &str)]) -> Offer {
    Offer::for_disk(&settings(own))
}

fn try_after(offer: &Offer, keys: &[(&str, &str)]) -> Result<Values, NoDigest> {
    let mut values = Values::default();
    for (key, value) in keys {
        assert_eq!(values.take(offer, key, value), Ok(Meaning::Taken), "{key}={value}");
    }
    values.settled(offer)
}

fn after(keys: &[(&str, &str)]) -> Values {
    try_after(&offer(&[]), keys).unwrap()
}

fn text(offer: &Offer) -> String {
    let mut keys = Writer::new();
    offer.put(&mut keys);
    String::from_utf8(keys.finish().to_vec()).unwrap().replace('\0', " ")
}

#[test]
fn the_presets_are_offered() {
    assert_eq!(
        text(&offer(&[])),
        "HeaderDigest=None DataDigest=None ErrorRecoveryLevel=0 InitialR2T=No ImmediateData=Yes \
         MaxBurstLength=16776192 FirstBurstLength=262144 MaxOutstandingR2T=1 MaxConnections=1 DataPDUInOrder=Yes \
         DataSequenceInOrder=Yes DefaultTime2Wait=2 DefaultTime2Retain=0 MaxRecvDataSegmentLength=262144 "
    );
}

#[test]
fn the_plan_changes_the_offer() {
    let offered = text(&offer(&[
        ("node.conn[0].iscsi.HeaderDigest", "CRC32C,None"),
        ("node.conn[0].iscsi.DataDigest", "CRC32C"),
        ("node.session.iscsi.InitialR2T", "Yes"),
        ("node.session.iscsi.ImmediateData", "No"),
        ("node.session.iscsi.FirstBurstLength", "65536"),
        ("node.session.iscsi.MaxBurstLength", "8192"),
        ("node.conn[0].iscsi.MaxRecvDataSegmentLength", "4096"),
    ]));
    for key in [
        "HeaderDigest=CRC32C,None ",
        "DataDigest=CRC32C ",
        "InitialR2T=Yes ",
        "ImmediateData=No ",
        "MaxBurstLength=8192 ",
        "FirstBurstLength=8192 ",
        "MaxRecvDataSegmentLength=4096 ",
    ] {
        assert!(offered.contains(key), "{key} not in {offered}");
    }
}

#[test]
fn a_discovery_offers_what_is_relevant_to_it() {
    let settings = settings(&[("discovery.sendtargets.iscsi.MaxRecvDataSegmentLength", "16384")]);
    assert_eq!(
        text(&Offer::for_discovery(&settings)),
        "HeaderDigest=None DataDigest=None ErrorRecoveryLevel=0 DefaultTime2Wait=2 DefaultTime2Retain=0 \
         MaxRecvDataSegmentLength=16384 "
    );
}

#[test]
fn numbers_come_out_as_the_smaller_of_both() {
    let values = after(&[
        ("MaxBurstLength", "0x40000"),
        ("FirstBurstLength", "16777215"),
        ("MaxOutstandingR2T", "8"),
        ("DefaultTime2Wait", "5"),
        ("DefaultTime2Retain", "20"),
        ("MaxRecvDataSegmentLength", "65536"),
        ("InitialR2T", "No"),
        ("ImmediateData", "No"),
        ("TargetPortalGroupTag", "3"),
    ]);
    assert_eq!(
        values,
        Values {
            max_recv: 262_144,
            max_xmit: 65536,
            initial_r2t: false,
            immediate_data: false,
            max_burst: 262_144,
            first_burst: 262_144,
            portal_group: Some(3),
            ..Values::default()
        }
    );
}

#[test]
fn the_plan_bounds_what_the_target_would_allow() {
    let offer = offer(&[
        ("node.session.iscsi.InitialR2T", "Yes"),
        ("node.session.iscsi.ImmediateData", "No"),
        ("node.session.iscsi.FirstBurstLength", "1024"),
        ("node.session.iscsi.MaxBurstLength", "4096"),
        ("node.conn[0].iscsi.MaxXmitDataSegmentLength", "2048"),
        ("node.conn[0].iscsi.MaxRecvDataSegmentLength", "512"),
    ]);
    let generous = [
        ("InitialR2T", "No"),
        ("ImmediateData", "Yes"),
        ("FirstBurstLength", "65536"),
        ("MaxBurstLength", "65536"),
        ("MaxRecvDataSegmentLength", "65536"),
    ];
    for keys in [&generous[..], &[]] {
        let values = try_after(&offer, keys).unwrap();
        assert!(values.initial_r2t && !values.immediate_data);
        assert_eq!((values.first_burst, values.max_burst), (1024, 4096));
        assert_eq!((values.max_xmit, values.max_recv), (2048, 512));
    }
    assert_eq!(try_after(&offer, &[("MaxRecvDataSegmentLength", "1024")]).unwrap().max_xmit, 1024);
}

#[test]
fn digests_are_done_as_offered_and_answered() {
    for (offered, answer, done) in [
        ("None", Some("None"), Ok(Some(false))),
        ("None", None, Ok(Some(false))),
        ("None", Some("CRC32C"), Err(())),
        ("CRC32C", Some("CRC32C"), Ok(Some(true))),
        ("CRC32C", Some("None"), Ok(None)),
        ("CRC32C", Some("Reject"), Ok(None)),
        ("CRC32C", None, Ok(None)),
        ("CRC32C,None", Some("None"), Ok(Some(false))),
        ("CRC32C,None", Some("CRC32C"), Ok(Some(true))),
        ("CRC32C,None", Some("CRC32C,None"), Err(())),
        ("None,CRC32C", Some("Reject"), Ok(Some(false))),
        ("None,CRC32C", Some("CRC32C"), Ok(Some(true))),
        ("None,CRC32C", Some(""), Err(())),
    ] {
        for key in ["HeaderDigest", "DataDigest"] {
            let offer = offer(&[(&format!("node.conn[0].iscsi.{key}"), offered)]);
            let mut values = Values::default();
            let taken = answer.map_or(Ok(Meaning::Taken), |answer| values.take(&offer, key, answer));
            let result = taken.map_err(|_| ()).map(|_| {
                let settled = values.settled(&offer).ok()?;
                Some(if key == "DataDigest" { settled.data_digest } else { settled.header_digest })
            });
            assert_eq!(result, done, "{key}={offered}: {answer:?}");
        }
    }
}

#[test]
fn the_first_burst_never_exceeds_the_burst() {
    assert_eq!(after(&[("MaxBurstLength", "4096")]).first_burst, 4096);
}

#[test]
fn refused_offers_leave_the_default() {
    let values = after(&[
        ("FirstBurstLength", "Irrelevant"),
        ("MaxBurstLength", "Reject"),
        ("HeaderDigest", "NotUnderstood"),
    ]);
    assert_eq!(values, Values { max_recv: 262_144, ..Values::default() });
}

#[test]
fn foreign_keys_are_answered() {
    for (key, value, meaning) in [
        ("X-com.example.fast", "Yes", Meaning::Answer("NotUnderstood")),
        ("X-com.example.fast", "NotUnderstood", Meaning::Taken),
        ("IFMarker", "No", Meaning::Answer("Reject")),
        ("TargetAlias", "store", Meaning::Taken),
    ] {
        assert_eq!(Values::default().take(&offer(&[]), key, value), Ok(meaning), "{key}={value}");
    }
}

#[test]
fn values_out_of_range_are_named() {
    for (key, value) in [
        ("HeaderDigest", "CRC32C"),
        ("ErrorRecoveryLevel", "1"),
        ("MaxConnections", "2"),
        ("InitialR2T", "yes"),
        ("MaxBurstLength", "511"),
        ("MaxBurstLength", "16777216"),
        ("MaxOutstandingR2T", "0"),
        ("DefaultTime2Wait", "3601"),
        ("TargetPortalGroupTag", "65536"),
        ("MaxRecvDataSegmentLength", "many"),
    ] {
        let error = Values::default().take(&offer(&[]), key, value).unwrap_err();
        assert_eq!((error.key.as_str(), error.value.as_str()), (key, value));
    }
}
