//! Fuzz targets of this folder; see [`crate::fuzz`].

use simple_dns::TYPE;

use super::files::{Servers, in_hosts, networkd_servers};
use super::message::{Answer, query, read};

const NAME: &str = "boot.example";

/// A name server's answer to the right query, whatever number it bears.
pub fn answer(data: &[u8]) {
    let id = data.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
    if let Ok(Some(Answer::Alias(alias))) = read(data, id, NAME) {
        // The next question is for this name.
        let _ = query(id, &alias, TYPE::AAAA).map(|query| read(&query, id, &alias));
    }
}

/// The files about names: hosts, resolv.conf and systemd-networkd's state.
pub fn files(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = in_hosts(&text, NAME);
    let servers = Servers::parse(&format!("{text}{}", networkd_servers(&text)));
    assert!(servers.servers.len() <= 3 && servers.candidates(NAME).len() <= 7);
    for name in servers.candidates(NAME) {
        let _ = query(1, &name, TYPE::A);
    }
}
