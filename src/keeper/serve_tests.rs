use super::*;
use crate::keeper::client;

#[test]
fn uevents_that_matter() {
    let session = b"add@/devices/platform/host2/session1/target2:0:0/2:0:0:1/block/sda\0ACTION=add\0SUBSYSTEM=block\0DEVTYPE=disk\0";
    let path = b"change@/devices/virtual/block/dm-0\0ACTION=change\0SUBSYSTEM=block\0DM_ACTION=PATH_FAILED\0";
    for (message, wakes) in [
        (&session[..], true),
        (path, true),
        (b"", true),
        (b"add@/devices/pci0000:00/block/vda\0ACTION=add\0SUBSYSTEM=block\0", false),
        (b"change@/devices/virtual/block/dm-0\0ACTION=change\0SUBSYSTEM=block\0", false),
        (b"add@/devices/virtual/net/lo\0ACTION=add\0SUBSYSTEM=net\0", false),
    ] {
        assert_eq!(concerns(message), wakes, "{}", String::from_utf8_lossy(message));
    }
}

#[test]
fn one_keeper_answers_until_it_is_told_to_end() {
    if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) != 0 {
        // Only root is answered.
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().to_owned();
    let listener = listen(&Host::fake(&folder)).unwrap();
    let served = std::thread::spawn({
        let folder = folder.clone();
        move || serve(&Host::fake(&folder), listener)
    });
    let host = Host::fake(&folder);
    assert!(listen(&host).is_err());
    let mode = std::fs::metadata(host.path(SOCKET)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(client::ask(&host, &Request::Status).unwrap().doing, Doing::Idle);
    let mut junk = UnixStream::connect(host.path(SOCKET)).unwrap();
    junk.write_all(b"junk").unwrap();
    junk.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    junk.read_to_end(&mut answer).unwrap();
    assert!(matches!(wire::read_answer(&answer).unwrap(), Answer::Refused(_)));
    let forgot = client::ask(&host, &Request::Forget).unwrap();
    assert_eq!((forgot.doing, forgot.portals.len()), (Doing::Idle, 0));
    assert_eq!(client::ask(&host, &Request::End).unwrap().doing, Doing::Ended);
    served.join().unwrap();
    assert_eq!(Journal::read(&host.path(journal::FILE)).unwrap().unwrap().doing, Doing::Ended);
}

#[test]
fn where_the_end_of_a_daemon_is_no_event_the_next_look_comes_sooner() {
    let root = tempfile::tempdir().unwrap();
    let host = Host::fake(root.path());
    let mut keeper = Keeper::new(&host, listen(&host).unwrap());
    let daemon = crate::keeper::daemons::Daemon { pids: vec![std::process::id()], since: Duration::ZERO };
    let look = Look { portals: Vec::new(), map: Owner::Keeper, iscsid: Some(daemon), multipathd: None };
    keeper.follow(&look);
    let expected = if crate::sys::old_kernel::is_behind() { (0, WATCH) } else { (1, TICK) };
    assert_eq!((keeper.daemons.len(), keeper.at_most(Some(&look), true, SOON)), expected);
}
