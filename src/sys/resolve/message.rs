//! DNS messages (RFC 1035): a question in bytes, and what an answer says.

use std::net::IpAddr;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, SimpleDnsError, TYPE};

/// So many CNAMEs may lead from a name to its addresses.
const LONGEST_CHAIN: usize = 8;

/// What an answer says of a name.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its addresses; none if there is no such name, or no address of this kind.
    Addresses(Vec<IpAddr>),
    /// It is another name for this one, of which the answer says nothing.
    Alias(String),
    /// It does not fit into a datagram: ask over TCP.
    Cut,
}

/// The query `id` for the addresses of `kind` (A or AAAA) of `name`.
pub fn query(id: u16, name: &str, kind: TYPE) -> Result<Vec<u8>, SimpleDnsError> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name)?;
    packet.questions.push(Question::new(name, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec()
}

/// Reads an answer; none if it is one to another query than `id` for `name`.
pub fn read(message: &[u8], id: u16, name: &str) -> Result<Option<Answer>, String> {
    let packet = Packet::parse(message).map_err(|error| error.to_string())?;
    let asked = packet.questions.first().is_some_and(|question| is(&question.qname, name));
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) || !asked {
        return Ok(None);
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Ok(Some(Answer::Cut));
    }
    match packet.rcode() {
        RCODE::NoError | RCODE::NameError => (),
        code => return Err(format!("answers {code:?}")),
    }
    let mut name = name.to_owned();
    for _ in 0..=LONGEST_CHAIN {
        let of_name = || packet.answers.iter().filter(|record| is(&record.name, &name));
        let addresses: Vec<IpAddr> = of_name()
            .filter_map(|record| match &record.rdata {
                RData::A(a) => Some(IpAddr::from(a.address.to_be_bytes())),
                RData::AAAA(a) => Some(IpAddr::from(a.address.to_be_bytes())),
                _ => None,
            })
            .collect();
        let alias = of_name().find_map(|record| match &record.rdata {
            RData::CNAME(alias) => Some(alias.0.to_string()),
            _ => None,
        });
        match alias {
            _ if !addresses.is_empty() => return Ok(Some(Answer::Addresses(addresses))),
            Some(alias) if packet.answers.iter().any(|record| is(&record.name, &alias)) => name = alias,
            Some(alias) if packet.rcode() == RCODE::NoError => return Ok(Some(Answer::Alias(alias))),
            _ => return Ok(Some(Answer::Addresses(Vec::new()))),
        }
    }
    Err(format!("answers more than {LONGEST_CHAIN} CNAMEs"))
}

/// Whether a name of a message is `name`.
fn is(of_message: &Name, name: &str) -> bool {
    of_message.to_string().eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::{A, CNAME};

    fn answer(rcode: RCODE, records: &[(&str, &str)]) -> Vec<u8> {
        let mut packet = Packet::new_reply(7);
        *packet.rcode_mut() = rcode;
        let name = Name::new("boot.example").unwrap();
        packet.questions.push(Question::new(name, QTYPE::TYPE(TYPE::A), QCLASS::CLASS(CLASS::IN), false));
        for (name, to) in records {
            let rdata = match to.parse::<std::net::Ipv4Addr>() {
                Ok(address) => RData::A(A { address: address.into() }),
                Err(_) => RData::CNAME(CNAME(Name::new(to).unwrap())),
            };
            packet.answers.push(ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, 60, rdata));
        }
        packet.build_bytes_vec().unwrap()
    }

    fn said(records: &[(&str, &str)]) -> Result<Option<Answer>, String> {
        read(&answer(RCODE::NoError, records), 7, "boot.example")
    }

    #[test]
    fn addresses_are_those_at_the_end_of_the_aliases() {
        let addresses = |text: &str| Ok(Some(Answer::Addresses(vec![text.parse().unwrap()])));
        assert_eq!(said(&[("Boot.Example", "10.0.0.1")]), addresses("10.0.0.1"));
        let chain = [("b.example", "10.0.0.2"), ("boot.example", "b.example"), ("x.example", "6.6.6.6")];
        assert_eq!(said(&chain), addresses("10.0.0.2"));
        assert_eq!(said(&[("boot.example", "c.example")]), Ok(Some(Answer::Alias("c.example".into()))));
        assert_eq!(said(&[("x.example", "6.6.6.6")]), Ok(Some(Answer::Addresses(vec![]))));
        assert!(said(&[("boot.example", "b.example"), ("b.example", "boot.example")]).is_err());
    }

    #[test]
    fn answers_to_others_and_failures() {
        let records = [("boot.example", "10.0.0.1")];
        assert_eq!(read(&answer(RCODE::NoError, &records), 8, "boot.example"), Ok(None));
        assert_eq!(read(&answer(RCODE::NoError, &records), 7, "other.example"), Ok(None));
        assert_eq!(read(&query(7, "boot.example", TYPE::A).unwrap(), 7, "boot.example"), Ok(None));
        assert!(read(&answer(RCODE::ServerFailure, &[]), 7, "boot.example").is_err());
        let none = Ok(Some(Answer::Addresses(vec![])));
        assert_eq!(read(&answer(RCODE::NameError, &[]), 7, "boot.example"), none);
    }

    proptest::proptest! {
        #[test]
        fn any_answer_is_taken_or_refused(message: Vec<u8>, id: u16, name: String) {
            let _ = read(&message, id, &name);
        }

        #[test]
        fn a_changed_answer_is_taken_or_refused(at: prop::sample::Index, byte: u8) {
            let mut message = answer(RCODE::NoError, &[("boot.example", "b.example"), ("b.example", "10.0.0.1")]);
            let at = at.index(message.len());
            message[at] = byte;
            let _ = read(&message, 7, "boot.example");
        }
    }

    use proptest::prelude::prop;
}
