use std::io::{Read, Write};
use std::net::TcpListener;

use super::super::fixture;
use super::super::socket::padding;
use super::*;

/// What a target says to the INQUIRY: PDUs of these opcodes, flags, response, status and data.
type Says = Vec<([u8; 4], Vec<u8>)>;

const INITIATOR: &str = "iqn.2026-01.example:n1";

/// A target without an account.
fn iscsi() -> Iscsi {
    Iscsi { auth: None, ..fixture::iscsi() }
}

/// A disk's answer to an INQUIRY, up to its product.
fn disk() -> Vec<u8> {
    [&[0, 0, 5, 2, 31, 0, 0, 2][..], b"IET     VIRTUAL-DISK    0001"].concat()
}

/// A target that lets anybody in with `status` in its answer to the login, and says `says` to the first command.
/// Gives what comes of the question, and the header of the command.
fn asked(status: [u8; 2], says: Says) -> (Result<Asked>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let iscsi = iscsi();
    std::thread::scope(|scope| {
        let target = scope.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut stat_sn = 1u32;
            loop {
                let mut bhs = [0; BHS];
                if stream.read_exact(&mut bhs).is_err() {
                    return Vec::new();
                }
                let length = Pdu::data_length(&bhs);
                stream.read_exact(&mut vec![0; length + padding(length)]).unwrap();
                let mut answer = |head: [u8; 4], data: &[u8]| {
                    let mut reply = [0; BHS];
                    reply[..4].copy_from_slice(&head);
                    reply[5..8].copy_from_slice(&(data.len() as u32).to_be_bytes()[1..]);
                    reply[8..14].copy_from_slice(&bhs[8..14]);
                    reply[16..20].copy_from_slice(&bhs[16..20]);
                    reply[24..28].copy_from_slice(&stat_sn.to_be_bytes());
                    stat_sn += 1;
                    let filled = [&reply[..], data, &vec![0; padding(data.len())]].concat();
                    stream.write_all(&filled).unwrap();
                };
                match bhs[0] & 0x3f {
                    0x03 => {
                        // It goes into the stage that it is asked to.
                        let head = [0x23, bhs[1], 0, 0];
                        let keys: &[u8] = if bhs[1] & 0x0c == 0 { b"AuthMethod=None\0" } else { b"" };
                        let mut reply = [0; BHS];
                        reply[..4].copy_from_slice(&head);
                        reply[5..8].copy_from_slice(&(keys.len() as u32).to_be_bytes()[1..]);
                        reply[8..14].copy_from_slice(&bhs[8..14]);
                        reply[15] = 1;
                        reply[16..20].copy_from_slice(&bhs[16..20]);
                        reply[24..28].copy_from_slice(&stat_sn.to_be_bytes());
                        reply[36..38].copy_from_slice(&status);
                        stat_sn += 1;
                        let filled = [&reply[..], keys, &vec![0; padding(keys.len())]].concat();
                        stream.write_all(&filled).unwrap();
                        if status != [0, 0] {
                            return Vec::new();
                        }
                    }
                    0x01 => {
                        for (head, data) in &says {
                            answer(*head, data);
                        }
                        // The logout, and the end.
                        let mut rest = Vec::new();
                        let mut goodbye = [0; BHS];
                        if stream.read_exact(&mut goodbye).is_ok() {
                            assert_eq!(goodbye[0], 0x46);
                            assert_eq!(goodbye[24..28], 1u32.to_be_bytes());
                            let mut reply = [0; BHS];
                            reply[0] = 0x26;
                            let _ = stream.write_all(&reply);
                            let _ = stream.read_to_end(&mut rest);
                        }
                        return bhs.to_vec();
                    }
                    opcode => panic!("opcode {opcode:#x}"),
                }
            }
        });
        let question = Question {
            iscsi: &iscsi,
            initiator: INITIATOR,
            portal: &iscsi.portals[0],
            address,
            limit: Duration::from_secs(5),
        };
        let asked = asks(&question, &Flag::default());
        (asked, target.join().unwrap())
    })
}

fn lun(says: Says) -> Result<String> {
    match asked([0, 0], says).0.unwrap() {
        Asked::Answered(lun) => lun,
        Asked::Moved(to) => panic!("moved to {to}"),
    }
}

#[test]
fn a_disk_tells_what_it_is_in_one_pdu_or_two() {
    let (answer, command) = asked([0, 0], vec![([0x25, 0x81, 0, 0], disk())]);
    assert!(matches!(answer, Ok(Asked::Answered(Ok(text))) if text == "a disk, IET VIRTUAL-DISK"));
    assert_eq!((command[0], command[1], command[32], command[36]), (0x01, 0xc1, 0x12, 36));
    assert_eq!(command[8..16], wire_lun(iscsi().lun));
    assert_eq!(
        lun(vec![([0x25, 0x80, 0, 0], disk()), ([0x21, 0x80, 0, 0], vec![])]).unwrap(),
        "a disk, IET VIRTUAL-DISK"
    );
    // A ping comes first.
    assert!(lun(vec![([0x20, 0x80, 0, 0], vec![]), ([0x25, 0x81, 0, 0], disk())]).is_ok());
}

#[test]
fn a_lun_that_is_none_is_told_in_each_way_of_targets() {
    let mut nothing = disk();
    nothing[0] = 0x7f;
    let mut tape = disk();
    tape[0] = 1;
    for (says, text) in [
        (vec![([0x25, 0x81, 0, 0], nothing)], "the target says that nothing is there"),
        (vec![([0x25, 0x81, 0, 0], tape)], "it is no disk, but a SCSI device of type 1"),
        (vec![([0x21, 0x80, 0, 2], vec![0; 20])], "the target answers with SCSI status 0x02"),
        (vec![([0x21, 0x80, 1, 0], vec![])], "the target could not ask it: response 0x01"),
        (vec![([0x21, 0x80, 0, 0], vec![])], "the target answers with SCSI status 0x00"),
    ] {
        let error = lun(says).unwrap_err();
        assert_eq!(error.code(), Code::IscsiNoDisk);
        assert!(error.to_string().ends_with(text), "{error}");
    }
}

#[test]
fn a_login_that_is_refused_has_the_code_of_a_boot() {
    for (status, code) in
        [([2, 1], Code::IscsiAuth), ([2, 2], Code::IscsiForbidden), ([2, 3], Code::IscsiNoTarget)]
    {
        assert_eq!(asked(status, vec![]).0.unwrap_err().code(), code);
    }
}

#[test]
fn a_target_that_is_silent_costs_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let iscsi = iscsi();
    let question = Question {
        iscsi: &iscsi,
        initiator: INITIATOR,
        portal: &iscsi.portals[0],
        address: listener.local_addr().unwrap(),
        limit: Duration::from_millis(300),
    };
    let started = Instant::now();
    assert_eq!(asks(&question, &Flag::default()).unwrap_err().code(), Code::IscsiConnect);
    // The loopback interface takes large segments: a small message is asked with first.
    let machine = Host::fake("/nonexistent");
    assert_eq!(frames(&machine, &question, &Flag::default()).unwrap_err().code(), Code::IscsiConnect);
    let discovery = Discovery::default();
    assert!(discovers(&question, &discovery, &Flag::default()).is_err());
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[test]
fn luns_travel_as_the_kernel_writes_them() {
    assert_eq!(wire_lun(1), [0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(wire_lun(0x4001), [0x40, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(wire_lun(0x0002_0001), [0, 1, 0, 2, 0, 0, 0, 0]);
}

proptest::proptest! {
    #[test]
    fn any_answer_is_a_disk_or_none(status: u8, data in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
        let _ = told("LUN 1".into(), status, &data);
    }
}
