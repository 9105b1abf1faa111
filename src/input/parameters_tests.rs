use super::*;

const UUID: &str = "4c4c4544-0042-3510-8058-b7c04f4a3233";

fn read(text: &str) -> Result<Document> {
    document(&Cmdline::parse(&text.replace("UUID", UUID)))
}

#[test]
fn the_line_that_stock_dracut_takes() {
    let document = read(
        "ip=dhcp rd.neednet=1 rd.iscsi.initiator=iqn.2026-01.a:n netroot=iscsi:user:pass@198.18.0.1::3260:1:iqn.2026-01.a:i \
         rd.luks.name=UUID=lr rd.luks.key=UUID=/key root=/dev/mapper/lr",
    )
    .unwrap();
    assert_eq!(document.iscsi.portals, [portal("198.18.0.1", "3260").unwrap().into()]);
    assert_eq!((document.iscsi.target.as_str(), document.iscsi.lun), ("iqn.2026-01.a:i", 1));
    assert_eq!(document.iscsi.auth.unwrap().secret.expose(), b"pass");
    assert_eq!((document.luks.name.as_str(), document.luks.uuid.as_deref()), ("lr", Some(UUID)));
    assert_eq!(document.luks.key, KeySource::File("/key".into()));
    assert_eq!(document.overlay.size(), Size::OfMemory(50));
    assert_eq!(document.overlay.mounts.len(), 1);
    assert_eq!(document.overlay.mounts[0].lower, Lowers::one("/dev/mapper/lr"));
}

#[test]
fn several_disks_are_several_paths() {
    let line = "netroot=iscsi:u:p@198.18.0.1::3260:1:iqn.a:i netroot=iscsi:198.18.1.1:::default:eth1:1:iqn.b:i \
                netroot=iscsi:u:p@[2001:db8::1]::3261:1:iqn.a:i rd.diskless.min-paths=2 rd.diskless.grace=0 \
                rd.luks.key=/k root=/dev/mapper/luks_root1";
    let several = read(line).unwrap();
    let Iscsi { portals, min_paths, grace, target, .. } = &several.iscsi;
    let shown: Vec<_> = portals
        .iter()
        .map(|path| (path.to_string(), several.iscsi.target_at(path), path.interface.as_deref()))
        .collect();
    let expected = [
        ("198.18.0.1:3260".to_owned(), "iqn.a:i", None),
        ("198.18.1.1:3260".to_owned(), "iqn.b:i", Some("eth1")),
        ("[2001:db8::1]:3261".to_owned(), "iqn.a:i", None),
    ];
    assert_eq!(
        (shown.as_slice(), target.as_str(), *min_paths, *grace),
        (expected.as_slice(), "iqn.a:i", 2, 0)
    );
    let recovery =
        |document: &Document| document.iscsi.settings.number("node.session.timeo.replacement_timeout");
    assert!(several.map().is_some());
    assert_eq!(recovery(&several), 15);
    for off in ["0", "no", "off"] {
        let document =
            read(&format!("{} rd.multipath={off}", line.replace("rd.diskless.min-paths=2", ""))).unwrap();
        assert!(document.map().is_none());
        assert_eq!(recovery(&document), 600);
    }
    let document = several.without_map();
    assert!(document.map().is_none());
    assert_eq!((recovery(&document), document.iscsi.min_paths), (600, 1));
    assert!(read(&format!("{line} rd.multipath=1")).unwrap().map().is_some());
}

#[test]
fn every_word_lands_where_it_belongs() {
    let document = read(
        "netroot=iscsi rd.iscsi.target.name=iqn.a:b rd.iscsi.target.ip=2001:db8::1 rd.iscsi.target.port=3261 \
         rd.diskless.lun=7 rd.iscsi.username=u rd.iscsi.password=p rd.iscsi.in.username=ui rd.iscsi.in.password=pi \
         rd.iscsi.param=node.session.cmds_max=64 rd.iscsi.param=node.session.auth.chap_algs=SHA256,MD5 \
         rd.luks.uuid=luks-UUID rd.luks.key=https://k/key rd.luks.options=keyfile-offset=4,keyfile-size=64,key-slot=1,header=/h \
         root=/dev/mapper/system-root rootfstype=xfs rd.diskless.mount=/var:/dev/mapper/system-var:ext4 \
         rd.diskless.mount=/opt:/dev/mapper/system-opt rd.overlay=zram:size=2G,fs=xfs,algorithm=zstd,mem_limit=25% \
         systemd.hostname=node7 rd.diskless.report=http://r/x rd.luks.crypttab=0",
    )
    .unwrap();
    let Document { hostname, iscsi, luks, overlay, report, .. } = document;
    assert_eq!(hostname.as_deref(), Some("node7"));
    assert_eq!(report.unwrap().url, "http://r/x");
    assert_eq!((iscsi.portals[0].to_string().as_str(), iscsi.lun), ("[2001:db8::1]:3261", 7));
    let auth = iscsi.auth.unwrap();
    assert_eq!((auth.username.as_str(), auth.secret.expose()), ("u", &b"p"[..]));
    let mutual = auth.mutual.unwrap();
    assert_eq!((mutual.username.as_str(), mutual.secret.expose()), ("ui", &b"pi"[..]));
    assert_eq!(auth.algorithms, [Algorithm::Sha256, Algorithm::Md5]);
    assert_eq!(iscsi.settings.number("node.session.cmds_max"), 64);
    assert_eq!((luks.key, luks.key_offset), (KeySource::Url("https://k/key".into()), 4));
    assert_eq!((luks.key_size, luks.keyslot), (Some(64), Some(1)));
    assert_eq!((luks.header, luks.uuid.as_deref()), (Some(Header::File("/h".into())), Some(UUID)));
    assert_eq!((overlay.size(), overlay.mem_limit), (Size::Bytes(2 << 30), Some(Size::OfMemory(25))));
    assert_eq!((overlay.fs, overlay.algorithm.as_deref()), (Some(FileSystem::Xfs), Some("zstd")));
    let mounts: Vec<_> = overlay
        .mounts
        .iter()
        .map(|mount| (mount.at.as_str(), mount.lower.0[0].volume.as_str(), mount.fs.as_deref()))
        .collect();
    let expected = [
        ("/", "/dev/mapper/system-root", Some("xfs")),
        ("/var", "/dev/mapper/system-var", Some("ext4")),
        ("/opt", "/dev/mapper/system-opt", None),
    ];
    assert_eq!(mounts, expected);
}

#[test]
fn a_writable_layer_of_each_kind() {
    let layer = |words: &str| {
        let disk = "netroot=iscsi:10.0.0.1::::iqn.a:b rd.luks.key=/k root=/dev/mapper/r";
        read(&format!("{disk} {words}")).unwrap().overlay
    };
    for words in ["", "rd.overlay=zram", "rd.overlay=zram:"] {
        let overlay = layer(words);
        assert_eq!(
            (overlay.backing, overlay.size(), overlay.overcommit),
            (Backing::Zram, Size::OfMemory(50), false)
        );
    }
    let overlay = layer("rd.overlay=tmpfs:size=1G,nr_inodes=5000");
    assert_eq!(
        (overlay.backing, overlay.size(), overlay.nr_inodes),
        (Backing::Tmpfs, Size::Bytes(1 << 30), Some(5000))
    );
    let overlay = layer("rd.overlay=zram:size=1G,mem_limit=512M,overcommit");
    assert!(overlay.overcommit && overlay.mem_limit == Some(Size::Bytes(512 << 20)));
    assert!(layer("rd.overlay=zram:overcommit=1").overcommit);
}

#[test]
fn faults_are_refused_by_name_and_no_secret_is_quoted() {
    const DISK: &str = "netroot=iscsi:u:hunter2@10.0.0.1::::iqn.a:b";
    const REST: &str = "rd.luks.key=/k root=/dev/mapper/luks_root1";
    read(&format!("{DISK} {REST}")).unwrap();
    let cases = [
        ("", REST, "rd.iscsi.target.ip=:"),
        ("netroot=iscsi rd.iscsi.target.ip=10.0.0.1", REST, "rd.iscsi.target.name="),
        ("netroot=iscsi:u:hunter2@10.0.0.1::::target", REST, "netroot="),
        (DISK, &format!("netroot=iscsi:10.0.0.2:::1:iqn.a:b {REST}"), "two LUNs"),
        (DISK, &format!("netroot=iscsi:u:hunter3@10.0.0.2::::iqn.a:b {REST}"), "another account"),
        (DISK, &format!("netroot=iscsi:u:hunter2:v:hunter4@10.0.0.2::::iqn.a:b {REST}"), "another account"),
        ("netroot=iscsi:10.0.0.2::::iqn.a:b", &format!("{DISK} {REST}"), "another account"),
        (DISK, &format!("{DISK} {REST}"), "stands twice"),
        (
            DISK,
            &format!("netroot=iscsi:10.0.0.2:::default:e/0::iqn.a:b {REST}"),
            "iscsi.portals[1].interface",
        ),
        ("rd.diskless.min_paths=2", &format!("{DISK} {REST}"), "iscsi.min_paths"),
        ("rd.diskless.min_paths=+1", &format!("{DISK} {REST}"), "rd.diskless.min_paths="),
        ("rd.diskless.grace=hunter2", &format!("{DISK} {REST}"), "rd.diskless.grace="),
        ("rd.multipath=hunter2", &format!("{DISK} {REST}"), "rd.multipath="),
        (DISK, "root=/dev/mapper/r", "rd.luks.key="),
        (DISK, "rd.luks.key=/k", "root="),
        (DISK, "rd.luks.key=/k root=/dev/sda1", "overlay.mounts[0]"),
        (DISK, "rd.luks.key=/k:LABEL=usb root=/dev/mapper/r", "rd.luks.key="),
        (DISK, "rd.luks.key=UUID=k root=/dev/mapper/r", "rd.luks.key="),
        ("rd.luks.uuid=4c4c", &format!("{DISK} {REST}"), "rd.luks.uuid="),
        (
            "rd.luks.uuid=UUID rd.luks.name=00000000-0042-3510-8058-b7c04f4a3233=x",
            &format!("{DISK} {REST}"),
            "another disk",
        ),
        ("rd.luks.name=x", &format!("{DISK} {REST}"), "rd.luks.name="),
        ("rd.luks.name=UUID=a/b", &format!("{DISK} {REST}"), "luks.name"),
        ("rd.luks.options=discard", &format!("{DISK} {REST}"), "rd.luks.options="),
        ("rd.luks.options=key-slot=x", &format!("{DISK} {REST}"), "key-slot"),
        ("rd.luks.options=key-slot=99999999999", &format!("{DISK} {REST}"), "luks.keyslot"),
        ("rd.luks.partuuid=x", &format!("{DISK} {REST}"), "rd.luks.partuuid="),
        ("rd.iscsi.firmware=1", &format!("{DISK} {REST}"), "rd.iscsi.firmware="),
        ("rd.iscsi.param=x", &format!("{DISK} {REST}"), "rd.iscsi.param="),
        ("rd.iscsi.param=node.session.auth.password=hunter2", &format!("{DISK} {REST}"), "rd.iscsi.param="),
        ("rd.iscsi.param=node.session.cmds_max=hunter2", &format!("{DISK} {REST}"), "cmds_max: not a number"),
        ("rd.iscsi.param=node.session.auth.chap_algs=MD4", &format!("{DISK} {REST}"), "chap_algs"),
        ("rd.overlay=tmpfs:fs=xfs", &format!("{DISK} {REST}"), "overlay.fs"),
        ("rd.overlay=ext4", &format!("{DISK} {REST}"), "rd.overlay="),
        ("rd.overlay=zram:nr_inodes=9999", &format!("{DISK} {REST}"), "overlay.nr_inodes"),
        ("rd.overlay=tmpfs:nr_inodes=+9999", &format!("{DISK} {REST}"), "rd.overlay="),
        ("rd.overlay=zram:size=hunter2", &format!("{DISK} {REST}"), "rd.overlay="),
        ("rd.overlay=zram:sise=1G", &format!("{DISK} {REST}"), "rd.overlay="),
        ("rd.diskless.mount=/var", &format!("{DISK} {REST}"), "rd.diskless.mount="),
        ("rd.diskless.mount=/:/dev/mapper/b", &format!("{DISK} {REST}"), "mounted twice"),
        ("systemd.hostname=a_b", &format!("{DISK} {REST}"), "hostname"),
        ("netroot=iscsi:10.0.0.1::::iqn.a:b rd.iscsi.password=hunter2", REST, "rd.iscsi.username="),
        ("netroot=iscsi:10.0.0.1::::iqn.a:b rd.iscsi.username=u", REST, "rd.iscsi.password="),
        (
            "netroot=iscsi:10.0.0.1::::iqn.a:b rd.iscsi.in.username=u rd.iscsi.in.password=hunter2",
            REST,
            "rd.iscsi.username=",
        ),
        ("netroot=iscsi:u:hunter2:v:hunter2@10.0.0.1::::iqn.a:b", REST, "iscsi.auth.mutual.secret"),
    ];
    for (words, rest, says) in cases {
        let error = read(&format!("{words} {rest}")).err().unwrap_or_else(|| panic!("{words} passed"));
        assert_eq!(error.code(), Code::Parameter, "{words}: {error}");
        let text = error.to_string();
        assert!(text.contains(says) && !text.contains("hunter2"), "{words}: {text}");
    }
}

#[test]
fn secrets_on_the_command_line_are_warned_of() {
    let warned = |text| warning(&Cmdline::parse(text)).is_some();
    assert!(warned("netroot=iscsi:u:p@10.0.0.1::::iqn.a:b"));
    assert!(warned("rd.diskless.plan=/p rd.iscsi.password=x"));
    assert!(warned("rd.iscsi.in.password=x"));
    assert!(warned("rd.luks.key=4c4c4544-0042-3510-8058-b7c04f4a3233=https://u:p@k/key"));
    assert!(warned("rd.diskless.plan=http://a/p,http://u:p@b/p"));
    assert!(!warned("rd.diskless.plan=http://a/p@2"));
    assert!(!warned("netroot=iscsi:10.0.0.1::::iqn.a:b@c rd.iscsi.username=u"));
    assert!(!warned("netroot=iscsi:@10.0.0.1::::iqn.a:b@c"));
}

#[test]
fn a_command_line_is_not_shown() {
    let shown = format!("{:?}", Cmdline::parse("rd.iscsi.password=hunter2 a=\"b hunter2\""));
    assert!(shown.contains("rd.iscsi.password") && !shown.contains("hunter2"), "{shown}");
}

proptest::proptest! {
    #[test]
    fn any_values_give_a_plan_or_an_error(values in proptest::collection::vec("[ -~]{0,30}", PARAMETERS.len())) {
        let words: Vec<String> = PARAMETERS
            .iter()
            .zip(&values)
            .map(|(parameter, value)| format!("\"{}={value}\"", parameter.name))
            .collect();
        let cmdline = Cmdline::parse(&words.join(" "));
        let _ = (document(&cmdline), warning(&cmdline));
    }

    #[test]
    fn any_part_behind_good_ones_too(
        options in "(zram:)?([a-z_]{0,9}=?[0-9%GM]{0,5},){0,4}",
        luks in "(key-slot=|header=|keyfile-size=)?[ -~]{0,9}",
        mount in "[/a-z:.]{0,20}",
        param in "[a-z._=0-9A-Z]{0,20}",
    ) {
        let _ = read(&format!(
            "netroot=iscsi:10.0.0.1::::iqn.a:b rd.luks.key=/k root=/dev/mapper/r rd.overlay={options} \
             \"rd.luks.options={luks}\" rd.diskless.mount={mount} rd.iscsi.param={param}"
        ));
    }
}
