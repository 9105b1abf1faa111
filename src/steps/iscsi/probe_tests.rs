use std::io::Write;
use std::net::TcpListener;

use super::super::fixture::{INITIATOR, Machine, iscsi};
use super::super::pdu::BHS;
use super::*;

/// A target on loopback, whose frames are large, that reads `takes` bytes of a request and no more before it answers; and
/// what is told of it then.
fn asked(takes: usize) -> Option<String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let machine = Machine::new();
    machine.session(7, "LOGGED_IN");
    machine.write("/sys/class/iscsi_connection/connection7:0/persistent_address", "127.0.0.1");
    machine.write("/sys/class/iscsi_connection/connection7:0/persistent_port", &port.to_string());
    machine.write("/sys/class/net/lo/mtu", "9000");
    std::thread::spawn(move || {
        let mut streams = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let mut got = [0; 9000];
            let mut length = 0;
            // All of it comes at once.
            while length < BHS {
                length += stream.read(&mut got[length..]).unwrap();
            }
            if Pdu::data_length(got.first_chunk().unwrap()) <= takes {
                stream.write_all(&[0; BHS]).unwrap();
            }
            streams.push(stream);
        }
    });
    let iscsi = iscsi();
    let error = why(&machine.host(), &iscsi, INITIATOR, &iscsi.portals, 7, &Flag::default());
    error.map(|error| {
        assert_eq!(error.code(), Code::Mtu);
        error.to_string().replace(&port.to_string(), "PORT")
    })
}

#[test]
fn a_target_that_gets_small_messages_alone_is_behind_a_smaller_mtu() {
    let error = asked(1000).unwrap();
    assert!(error.starts_with("portal 127.0.0.1:PORT over lo with MTU 9000: "), "{error}");
}

#[test]
fn a_target_that_answers_to_both_is_slow_and_one_that_answers_to_none_is_dead() {
    assert_eq!(asked(9000), None);
    assert_eq!(asked(0), None);
}

#[test]
fn the_large_request_fills_a_login_and_says_so() {
    let large = enlarged(request(&iscsi(), INITIATOR));
    assert!(request(&iscsi(), INITIATOR).data.len() < 500 && (7800..=8192).contains(&large.data.len()));
    assert_eq!(Pdu::data_length(&large.bhs), large.data.len());
}

#[test]
fn a_disk_that_can_be_read_is_read() {
    let machine = Machine::new();
    machine.session(7, "LOGGED_IN");
    machine.disk(7, 1, "sda");
    let iscsi = iscsi();
    let read = || read(&machine.host(), &iscsi, INITIATOR, &iscsi.portals, 7, &Flag::default());
    read().unwrap();
    std::fs::remove_file(machine.host().path("/dev/sda")).unwrap();
    std::fs::create_dir(machine.host().path("/dev/sda")).unwrap();
    assert_eq!(read().unwrap_err().code(), Code::IscsiConnect);
}

/// A read of a FIFO takes until its other end comes.
fn stuck(change: impl FnOnce(&Machine, &Flag)) -> (Error, Duration) {
    let machine = Machine::new();
    machine.session(7, "LOGGED_IN");
    machine.disk(7, 1, "sda");
    let node = machine.host().path("/dev/sda");
    std::fs::remove_file(&node).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &node, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let (iscsi, cancel) = (iscsi(), Flag::default());
    let started = Instant::now();
    let error = std::thread::scope(|scope| {
        let reading = scope.spawn(|| read(&machine.host(), &iscsi, INITIATOR, &iscsi.portals, 7, &cancel));
        change(&machine, &cancel);
        reading.join().unwrap().unwrap_err()
    });
    (error, started.elapsed())
}

#[test]
fn a_read_that_hangs_ends_with_the_session_or_when_it_is_called_off() {
    let (error, took) =
        stuck(|machine, _| machine.write("/sys/class/iscsi_session/session7/state", "FAILED"));
    assert!(error.to_string().contains("it was lost while disk sda was read"), "{error}");
    assert!(took < PATIENCE);
    let (error, took) = stuck(|_, cancel| cancel.raise());
    assert_eq!(error.code(), Code::IscsiConnect);
    assert!(took < PATIENCE);
}
