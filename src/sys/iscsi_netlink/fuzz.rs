//! Fuzz targets of this folder; see [`crate::fuzz`].

use super::message::{CREATE_CONN, Connection, Event, Message, Union, decode};

/// A message of the kernel.
pub fn message(data: &[u8]) {
    match decode(data) {
        Message::Event(Event::Pdu { data: pdu, .. }) => assert!(pdu.len() <= data.len()),
        Message::Reply(reply) if reply.answers(CREATE_CONN, &Union::of(Connection { sid: 3, cid: 0 })) => {
            let _ = reply.checked().and_then(|reply| reply.retcode());
        }
        Message::Reply(_) | Message::Event(_) | Message::Other => (),
    }
}
