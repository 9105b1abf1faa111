//! What a switch says of itself: LLDP (IEEE 802.1AB-2016, sections 8 and 9). Pure.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Serialize, Serializer};

/// LLDP's EtherType.
pub const ETHERTYPE: u16 = 0x88cc;
/// The groups that it is sent to (section 7.1): the nearest bridge, the nearest that is not a relay, the nearest of a customer.
pub const GROUPS: &[[u8; 6]] = &[
    [0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e],
    [0x01, 0x80, 0xc2, 0x00, 0x00, 0x03],
    [0x01, 0x80, 0xc2, 0x00, 0x00, 0x00],
];
/// That of a VLAN's tag (IEEE 802.1Q), which may stand before it.
const TAG: u16 = 0x8100;
/// More are not read: a frame has 1500 bytes.
const MOST_TLVS: usize = 200;

/// A part of a frame: its type, 0 to 127, and its value. In JSON as Ironic has it: the type, and hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tlv(pub u8, pub Vec<u8>);

impl Serialize for Tlv {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = self.1.iter().map(|byte| format!("{byte:02x}")).collect();
        (self.0, digits).serialize(serializer)
    }
}

/// A frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Its parts, up to the last one, which is the end.
    pub tlvs: Vec<Tlv>,
}

/// What it says, as far as it helps to find the cable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Neighbour {
    /// The switch; most say a MAC address.
    pub chassis_id: Option<String>,
    /// The port; most say its name.
    pub port_id: Option<String>,
    /// The port for people.
    pub port_description: Option<String>,
    /// The switch's name.
    pub system_name: Option<String>,
    /// What it is.
    pub system_description: Option<String>,
    /// Where it is managed.
    pub management_addresses: Vec<String>,
    /// The VLAN of untagged frames (802.1).
    pub vlan: Option<u16>,
    /// Bytes of the longest frame, header and check sum included (802.3).
    pub max_frame: Option<u16>,
    /// Seconds for which it holds.
    pub ttl: Option<u16>,
}

impl Frame {
    /// Reads an Ethernet frame from its first byte on; none: it is not LLDP, or cut.
    pub fn parse(frame: &[u8]) -> Option<Frame> {
        let word = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
        let payload = match word(12)? {
            ETHERTYPE => 14,
            TAG if word(16)? == ETHERTYPE => 18,
            _ => return None,
        };
        Frame::of_payload(frame.get(payload..)?)
    }

    /// The same without the header.
    pub fn of_payload(mut bytes: &[u8]) -> Option<Frame> {
        let mut tlvs = Vec::new();
        // Seven bits of type, nine of length.
        while let Some((head, rest)) = bytes.split_first_chunk::<2>() {
            let head = u16::from_be_bytes(*head);
            let (kind, length) = ((head >> 9) as u8, usize::from(head & 0x1ff));
            let (value, rest) = rest.split_at_checked(length)?;
            tlvs.push(Tlv(kind, value.to_vec()));
            if kind == 0 || tlvs.len() >= MOST_TLVS {
                break;
            }
            bytes = rest;
        }
        // The first three are always there, in this order.
        tlvs.iter().map(|tlv| tlv.0).take(3).eq([1, 2, 3]).then_some(Frame { tlvs })
    }

    /// What it says.
    pub fn neighbour(&self) -> Neighbour {
        let mut found = Neighbour::default();
        for Tlv(kind, value) in &self.tlvs {
            match (kind, value.as_slice()) {
                (1, [kind, id @ ..]) => found.chassis_id = chassis(*kind, id),
                (2, [kind, id @ ..]) => found.port_id = port(*kind, id),
                (3, [high, low, ..]) => found.ttl = Some(u16::from_be_bytes([*high, *low])),
                (4, value) => found.port_description = text(value),
                (5, value) => found.system_name = text(value),
                (6, value) => found.system_description = text(value),
                (8, [length, rest @ ..]) => {
                    let address = rest.get(..usize::from(*length)).and_then(address);
                    found.management_addresses.extend(address);
                }
                // Port VLAN ID of 802.1, maximum frame size of 802.3.
                (127, [0x00, 0x80, 0xc2, 1, high, low]) => {
                    found.vlan = Some(u16::from_be_bytes([*high, *low])).filter(|vlan| *vlan > 0);
                }
                (127, [0x00, 0x12, 0x0f, 4, high, low]) => {
                    found.max_frame = Some(u16::from_be_bytes([*high, *low]));
                }
                _ => (),
            }
        }
        found
    }
}

/// By its subtype: 4 is a MAC address, 5 a network address, all others are text.
fn chassis(kind: u8, id: &[u8]) -> Option<String> {
    match kind {
        4 => mac(id),
        5 => address(id),
        _ => text(id),
    }
}

/// By its subtype: 3 is a MAC address, 4 a network address, all others are text.
fn port(kind: u8, id: &[u8]) -> Option<String> {
    match kind {
        3 => mac(id),
        4 => address(id),
        _ => text(id),
    }
}

fn mac(bytes: &[u8]) -> Option<String> {
    let octets: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    (octets.len() == 6).then(|| octets.join(":"))
}

/// After its family (IANA's address family numbers).
fn address(bytes: &[u8]) -> Option<String> {
    let (family, bytes) = bytes.split_first()?;
    match family {
        1 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string()),
        2 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()),
        6 => mac(bytes),
        _ => None,
    }
}

/// Text of others, on one line.
fn text(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String =
        text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).chars().map(plain).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of a switch, with the parts of 802.1 and 802.3.
    fn frame(tag: bool) -> Vec<u8> {
        let mut frame = vec![0x01, 0x80, 0xc2, 0, 0, 0x0e, 0x52, 0x54, 0, 0, 0, 0x11];
        if tag {
            frame.extend([0x81, 0x00, 0x00, 0x05]);
        }
        frame.extend([0x88, 0xcc]);
        let mut tlv = |kind: u8, value: &[u8]| {
            frame.extend(((u16::from(kind) << 9) | value.len() as u16).to_be_bytes());
            frame.extend(value);
        };
        tlv(1, &[4, 0x52, 0x54, 0, 0, 0, 0x10]);
        tlv(2, b"\x05Ethernet1/7");
        tlv(3, &[0, 120]);
        tlv(4, b"node7\tnic 1");
        tlv(5, b"leaf3.example.org");
        tlv(6, b"NX-OS");
        tlv(7, &[0, 20, 0, 4]);
        tlv(8, &[5, 1, 192, 0, 2, 3, 2, 0, 0, 0, 1, 0]);
        tlv(127, &[0x00, 0x80, 0xc2, 1, 0x0f, 0xa0]);
        tlv(127, &[0x00, 0x12, 0x0f, 4, 0x24, 0x12]);
        tlv(127, &[0x00, 0x80, 0xc2, 1]);
        tlv(0, &[]);
        frame.extend([0xff; 9]);
        frame
    }

    #[test]
    fn a_switch_says_where_the_cable_is() {
        for tag in [false, true] {
            let frame = Frame::parse(&frame(tag)).unwrap();
            assert_eq!(frame.tlvs.len(), 12, "up to the end, and not what pads the frame");
            assert_eq!(serde_json::to_string(&frame.tlvs[2]).unwrap(), "[3,\"0078\"]");
            let expected = Neighbour {
                chassis_id: Some("52:54:00:00:00:10".into()),
                port_id: Some("Ethernet1/7".into()),
                port_description: Some("node7 nic 1".into()),
                system_name: Some("leaf3.example.org".into()),
                system_description: Some("NX-OS".into()),
                management_addresses: vec!["192.0.2.3".into()],
                vlan: Some(4000),
                max_frame: Some(9234),
                ttl: Some(120),
            };
            assert_eq!(frame.neighbour(), expected);
        }
    }

    #[test]
    fn what_is_no_frame_is_none() {
        let good = frame(false);
        for length in 0..40 {
            assert_eq!(Frame::parse(&good[..length]).filter(|frame| frame.tlvs.len() > 3), None, "{length}");
        }
        let other = [&good[..12], &[0x08, 0x00], &good[14..]].concat();
        assert_eq!(Frame::parse(&other), None);
        assert_eq!(Frame::of_payload(&[0, 0]), None, "an end without a beginning");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_none(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Frame::parse(&bytes);
            if let Some(frame) = Frame::of_payload(&bytes) {
                let neighbour = frame.neighbour();
                proptest::prop_assert!(neighbour.system_name.is_none_or(|name| !name.contains(char::is_control)));
            }
        }
    }
}
