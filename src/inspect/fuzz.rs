//! Fuzz targets of this folder; see [`crate::fuzz`].

use super::smbios::Smbios;
use super::{boot, disk, lan, lldp, processor};

/// What firmware, a BMC and disks say.
pub fn smbios(data: &[u8]) {
    let found = Smbios::of(data);
    let text = format!("{found:?}");
    assert!(text.len() < 64 * (data.len() + 64));
    let _ = (lan::parameter(data), lan::ipv4(data), lan::ipv6(data), lan::mac(data));
    let text = &*String::from_utf8_lossy(data);
    let _ = (processor::parse(text), boot::bootif(text));
    if let Some((name, _)) = disk::naa(text) {
        assert_eq!(name.len(), 18);
    }
}

/// What a switch says, in a frame and without its header.
pub fn lldp(data: &[u8]) {
    for frame in [lldp::Frame::parse(data), lldp::Frame::of_payload(data)].into_iter().flatten() {
        let neighbour = frame.neighbour();
        assert!(
            [neighbour.system_name, neighbour.port_id].into_iter().flatten().all(|text| !text.contains('\n'))
        );
    }
}
