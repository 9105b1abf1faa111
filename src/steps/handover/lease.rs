//! The DHCPv4 lease that systemd-networkd has in the initramfs: /run/systemd/netif/leases/NUMBER, lines `KEY=value`.

use std::fmt::Write as _;

/// What the node calls itself to the server. By this, and not by its MAC, the server knows it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Client {
    /// The MAC (RFC 2132, section 9.14, type 1).
    Mac,
    /// An IAID and a DUID (RFC 4361): systemd-networkd's default, made of the machine-id, which is another in the image.
    Duid {
        /// The number of the interface.
        iaid: u32,
        /// The DUID's type (RFC 8415, section 11).
        kind: &'static str,
        /// What follows its type.
        data: Vec<u8>,
    },
}

/// The longest DUID, without its type (RFC 8415, section 11.1).
const LONGEST_DUID: usize = 128;

/// The client of a lease; one that is told in no way that is known here is known by its MAC.
pub fn client(lease: &str) -> Client {
    let told = lease.lines().find_map(|line| line.strip_prefix("CLIENTID="));
    told.and_then(bytes).as_deref().and_then(duid).unwrap_or(Client::Mac)
}

/// The bytes of a text of hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.len().is_multiple_of(2);
    if plain { text.as_bytes().chunks(2).map(pair).collect() } else { None }
}

fn duid(id: &[u8]) -> Option<Client> {
    let (255, rest) = id.split_first().map(|(kind, rest)| (*kind, rest))? else { return None };
    let (iaid, rest) = rest.split_first_chunk::<4>()?;
    let (kind, data) = rest.split_first_chunk::<2>()?;
    let kind = match u16::from_be_bytes(*kind) {
        1 => "link-layer-time",
        2 => "vendor",
        3 => "link-layer",
        4 => "uuid",
        _ => return None,
    };
    let fits = (1..=LONGEST_DUID).contains(&data.len());
    fits.then(|| Client::Duid { iaid: u32::from_be_bytes(*iaid), kind, data: data.to_vec() })
}

impl Client {
    /// The lines of the section `DHCPv4` in a .network file that make systemd-networkd call itself so.
    pub fn lines(&self) -> String {
        match self {
            Client::Mac => "ClientIdentifier=mac\n".into(),
            Client::Duid { iaid, kind, data } => {
                let mut hex = String::new();
                for (i, byte) in data.iter().enumerate() {
                    // Writing to a String cannot fail.
                    let _ = write!(hex, "{}{byte:02x}", if i == 0 { "" } else { ":" });
                }
                format!("ClientIdentifier=duid\nIAID={iaid}\nDUIDType={kind}\nDUIDRawData={hex}\n")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_calls_itself_what_the_initramfs_did() {
        let lease = "# This is private data. Do not parse.\nADDRESS=198.18.0.100\nCLIENTID=ff01f5dd7f00020000ab118b81\n";
        assert_eq!(
            client(lease).lines(),
            "ClientIdentifier=duid\nIAID=32890239\nDUIDType=vendor\nDUIDRawData=00:00:ab:11:8b:81\n"
        );
        for other in
            ["", "CLIENTID=01525400000001\n", "CLIENTID=ff\n", "CLIENTID=ff01f5dd7f0009aa\n", "CLIENTID=ü\n"]
        {
            assert_eq!(client(other), Client::Mac, "{other}");
        }
        assert_eq!(Client::Mac.lines(), "ClientIdentifier=mac\n");
    }

    proptest::proptest! {
        #[test]
        fn any_lease_is_read(text: String, id: Vec<u8>) {
            let _ = client(&text);
            let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            let lines = client(&format!("CLIENTID={hex}")).lines();
            proptest::prop_assert!(lines.len() < 512);
        }
    }
}
