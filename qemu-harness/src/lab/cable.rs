//! A cable that does something to the frames: it delays, tags or swallows them. Interfaces of the kernel's that do so are
//! not everywhere; QEMU passes frames on as datagrams, and here they are only octets.
//!
//! ```text
//! card ── QEMU ── N.card ─> N.card-lab ── this ── N.far-lab <─ N.far ── QEMU ── tap
//! ```

use std::collections::VecDeque;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::network::tap;
use crate::error::{At, Result};
use crate::scenario::Link;

/// How often a silent cable looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long QEMU may leave a frame lying.
const SEND: Duration = Duration::from_secs(1);
/// The most frames on their way: what comes then is lost, as on a switch.
const ON_THE_WAY: usize = 4096;
/// The largest frame.
const FRAME: usize = 64 << 10;
/// Two addresses and a type, before what a frame carries.
const HEADER: usize = 14;
/// Where the type is, or the tag of IEEE 802.1Q before it: this type, and three bits of priority, one more, and the VLAN.
const TYPE: usize = 12;
const TAG: usize = 4;
const TAGGED: [u8; 2] = [0x81, 0x00];
const VLAN: u16 = 0x0fff;

/// A cable; dropping it cuts it.
pub struct Cable {
    stop: Arc<AtomicBool>,
    ways: Vec<JoinHandle<()>>,
}

/// The four sockets of cable `number` in a run's `folder`: QEMU's for the card, whom it sends to, and the same for the
/// far end.
pub fn sockets(folder: &Path, number: usize) -> [PathBuf; 4] {
    ["card", "card-lab", "far", "far-lab"].map(|end| folder.join(format!("{}.{end}", tap(0, number))))
}

impl Cable {
    /// Lays cable `number` between QEMU's sockets in `folder`, which do not have to be there yet.
    pub fn lay(folder: &Path, number: usize, link: &Link) -> Result<Cable> {
        let [card, card_lab, far, far_lab] = sockets(folder, number);
        let bind = |path: &Path| -> Result<UnixDatagram> {
            let socket = UnixDatagram::bind(path).at("listen at", path)?;
            socket.set_write_timeout(Some(SEND)).at("listen at", path)?;
            Ok(socket)
        };
        let (card_lab, far_lab) = (bind(&card_lab)?, bind(&far_lab)?);
        let stop = Arc::new(AtomicBool::new(false));
        let (there, back) = (link.clone(), link.clone());
        let delay = Duration::from_millis(link.delay_ms);
        let (one, other) = (Arc::clone(&stop), Arc::clone(&stop));
        let ways = vec![
            thread::spawn(move || pass(&far_lab, &card, delay, &one, |frame| to_node(frame, &there))),
            thread::spawn(move || {
                pass(&card_lab, &far, Duration::ZERO, &other, |frame| from_node(frame, &back))
            }),
        ];
        Ok(Cable { stop, ways })
    }

    /// Removes the sockets of all cables in `folder`.
    pub fn tidy(folder: &Path, links: usize) {
        for path in (0..links).flat_map(|number| sockets(folder, number)) {
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for way in self.ways.drain(..) {
            let _ = way.join();
        }
    }
}

/// One way: what `change` makes of the frames that come at `from` goes `to`, so much later.
fn pass(
    from: &UnixDatagram,
    to: &Path,
    delay: Duration,
    stop: &AtomicBool,
    change: impl Fn(&[u8]) -> Option<Vec<u8>>,
) {
    let mut buffer = vec![0; FRAME];
    let mut way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        while let Some((_, frame)) = way.pop_front_if(|(due, _)| *due <= now) {
            // A machine that is not there yet, or no more, misses it.
            let _ = from.send_to(&frame, to);
        }
        let wait =
            way.front().map_or(LOOK_EVERY, |(due, _)| due.saturating_duration_since(now).min(LOOK_EVERY));
        // No time at all would mean for ever.
        let _ = from.set_read_timeout(Some(wait.max(Duration::from_millis(1))));
        let Ok(length) = from.recv(&mut buffer) else { continue };
        let frame = buffer.get(..length).and_then(&change);
        if let Some(frame) = frame.filter(|_| way.len() < ON_THE_WAY) {
            way.push_back((Instant::now() + delay, frame));
        }
    }
}

/// What comes out at the node.
fn to_node(frame: &[u8], link: &Link) -> Option<Vec<u8>> {
    let frame = fits(frame, link)?;
    let Some(vlan) = link.vlan else { return Some(frame.to_vec()) };
    let (addresses, rest) = frame.split_at_checked(TYPE)?;
    Some([addresses, &TAGGED, &vlan.to_be_bytes(), rest].concat())
}

/// What comes out at the lab.
fn from_node(frame: &[u8], link: &Link) -> Option<Vec<u8>> {
    let Some(vlan) = link.vlan else { return fits(frame, link).map(<[u8]>::to_vec) };
    let (addresses, rest) = frame.split_at_checked(TYPE)?;
    let (tag, rest) = rest.split_first_chunk::<TAG>()?;
    let [type0, type1, control @ ..] = *tag;
    let ours = [type0, type1] == TAGGED && u16::from_be_bytes(control) & VLAN == vlan;
    let frame = ours.then(|| [addresses, rest].concat())?;
    fits(&frame, link).map(<[u8]>::to_vec)
}

fn fits<'a>(frame: &'a [u8], link: &Link) -> Option<&'a [u8]> {
    let most = link.path_mtu.map_or(FRAME, |mtu| HEADER + usize::from(mtu));
    (frame.len() <= most).then_some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: &[u8] = b"\x52\x54\0\0\0\x01\x52\x54\0\0\0\x02";

    fn frame(rest: &[u8]) -> Vec<u8> {
        [ADDRESSES, rest].concat()
    }

    #[test]
    fn frames_get_a_tag_and_lose_it() {
        let link = Link { vlan: Some(0x107), ..Link::default() };
        let tagged = to_node(&frame(b"\x08\x00abc"), &link).unwrap();
        assert_eq!(tagged, frame(b"\x81\x00\x01\x07\x08\x00abc"));
        assert_eq!(from_node(&tagged, &link).unwrap(), frame(b"\x08\x00abc"));
        // With a priority in the tag.
        assert_eq!(from_node(&frame(b"\x81\x00\xe1\x07\x08\x00"), &link).unwrap(), frame(b"\x08\x00"));
        for other in [&b"\x08\x00abc"[..], b"\x81\x00\x01\x08\x08\x00", b"\x81\x00\x01", b""] {
            assert_eq!(from_node(&frame(other), &link), None, "{other:?}");
        }
        assert_eq!(from_node(b"short", &link), None);
        let plain = Link::default();
        assert_eq!(from_node(&frame(b"\x08\x00"), &plain), Some(frame(b"\x08\x00")));
    }

    #[test]
    fn large_frames_vanish() {
        let link = Link { path_mtu: Some(1500), vlan: Some(7), ..Link::default() };
        let (fits, large) = (frame(&[0; 1502]), frame(&[0; 1503]));
        // The tag does not count.
        let tagged = to_node(&fits, &link).unwrap();
        assert_eq!(from_node(&tagged, &link), Some(fits));
        assert_eq!(to_node(&large, &link), None);
        assert_eq!(from_node(&[&large[..12], b"\x81\x00\x00\x07", &large[12..]].concat(), &link), None);
    }

    #[test]
    fn frames_pass_both_ways_and_late() {
        let folder = tempfile::tempdir().unwrap();
        let link = Link { delay_ms: 60, vlan: Some(7), ..Link::default() };
        let [card, card_lab, far, far_lab] = sockets(folder.path(), 0);
        let _cable = Cable::lay(folder.path(), 0, &link).unwrap();
        let (card, far) = (UnixDatagram::bind(card).unwrap(), UnixDatagram::bind(far).unwrap());
        let mut buffer = [0; 100];
        let start = Instant::now();
        far.send_to(&frame(b"\x08\x00ab"), far_lab).unwrap();
        let length = card.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..length], frame(b"\x81\x00\x00\x07\x08\x00ab"));
        assert!(start.elapsed() >= Duration::from_millis(60));
        card.send_to(&buffer[..length], card_lab).unwrap();
        let length = far.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..length], frame(b"\x08\x00ab"));
        Cable::tidy(folder.path(), 1);
    }
}
