//! What is to be done to take a node apart, as one ordered list. Pure: see the tests for the order.

use std::fmt;

/// What there is to take apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Mount points, in the order of the mounts.
    pub mounts: Vec<String>,
    /// Swap: devices and files.
    pub swaps: Vec<String>,
    /// Loop devices with a file behind them, as below /dev.
    pub loops: Vec<String>,
    /// zram disks with something in them, as below /dev.
    pub zrams: Vec<String>,
    /// Device-mapper maps.
    pub maps: Vec<Map>,
    /// Sessions of the kernel's iSCSI initiator.
    pub sessions: Vec<Session>,
}

/// A device-mapper map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// As below /dev: `dm-0`.
    pub node: String,
    /// As below /dev/mapper.
    pub name: String,
    /// dm-multipath made it.
    pub multipath: bool,
    /// What is on top of it, as below /dev.
    pub holders: Vec<String>,
}

/// A session of the kernel's iSCSI initiator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub sid: u32,
    /// Commands reach the target, as far as the kernel knows.
    pub logged_in: bool,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A multipath map without a path is to fail what is read from it, not to wait for a path.
    FailWithoutPath {
        /// The map.
        map: String,
    },
    /// Use a swap no more.
    SwapOff {
        /// The device or file.
        path: String,
    },
    /// Unmount.
    Unmount {
        /// The mount point.
        path: String,
        /// Take it out of sight now, and unmount when the last user is gone.
        lazily: bool,
    },
    /// Let go of the file behind a loop device.
    Detach {
        /// `loop0`
        node: String,
    },
    /// Throw away what is in a zram disk.
    Reset {
        /// `zram0`
        node: String,
    },
    /// Remove a map.
    Remove {
        /// Its name.
        map: String,
    },
    /// Log out of a session, and take it away.
    LogOut {
        /// Its id.
        sid: u32,
    },
    /// Take a session away whose connection is lost: there is nobody to log out from.
    Discard {
        /// Its id.
        sid: u32,
    },
}

impl Action {
    /// What was done.
    pub fn done(&self) -> String {
        match self {
            Action::FailWithoutPath { map } => format!("map {map} fails without a path"),
            Action::SwapOff { path } => format!("swap {path} off"),
            Action::Unmount { path, lazily: false } => format!("unmounted {path}"),
            Action::Unmount { path, lazily: true } => format!("unmounted {path} lazily"),
            Action::Detach { node } => format!("detached {node}"),
            Action::Reset { node } => format!("reset {node}"),
            Action::Remove { map } => format!("removed map {map}"),
            Action::LogOut { sid } => format!("logged out of iSCSI session {sid}"),
            Action::Discard { sid } => format!("discarded iSCSI session {sid}, which is lost"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::FailWithoutPath { map } => write!(f, "let map {map} fail without a path"),
            Action::SwapOff { path } => write!(f, "switch swap {path} off"),
            Action::Unmount { path, lazily: false } => write!(f, "unmount {path}"),
            Action::Unmount { path, lazily: true } => write!(f, "unmount {path} lazily"),
            Action::Detach { node } => write!(f, "detach {node}"),
            Action::Reset { node } => write!(f, "reset {node}"),
            Action::Remove { map } => write!(f, "remove map {map}"),
            Action::LogOut { sid } => write!(f, "log out of iSCSI session {sid}"),
            Action::Discard { sid } => write!(f, "discard iSCSI session {sid}, which is lost"),
        }
    }
}

impl Seen {
    /// There is no session that commands go through, and there should be: what is read from the root fails or hangs.
    pub fn is_cut_off(&self) -> bool {
        !self.sessions.is_empty() && self.sessions.iter().all(|session| !session.logged_in)
    }

    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        *self == Seen::default()
    }
}

/// What to do, in this order. `lazily`: what could not be unmounted before is taken out of sight.
pub fn plan(seen: &Seen, lazily: bool) -> Vec<Action> {
    let mut actions = Vec::new();
    // First of all: nothing below may wait for a path that never comes.
    let multipath = seen.maps.iter().filter(|map| map.multipath);
    actions.extend(multipath.map(|map| Action::FailWithoutPath { map: map.name.clone() }));
    let cut_off = seen.is_cut_off();
    if cut_off {
        // What still waits for these sessions fails now, instead of when their recovery time is over.
        actions.extend(seen.sessions.iter().map(|session| Action::Discard { sid: session.sid }));
    }
    actions.extend(seen.swaps.iter().map(|path| Action::SwapOff { path: path.clone() }));
    actions.extend(deepest_first(&seen.mounts).into_iter().map(|path| Action::Unmount { path, lazily }));
    actions.extend(seen.loops.iter().map(|node| Action::Detach { node: node.clone() }));
    actions.extend(seen.zrams.iter().map(|node| Action::Reset { node: node.clone() }));
    actions.extend(top_down(&seen.maps).into_iter().map(|map| Action::Remove { map: map.name.clone() }));
    if !cut_off {
        actions.extend(seen.sessions.iter().map(|session| match session.logged_in {
            true => Action::LogOut { sid: session.sid },
            false => Action::Discard { sid: session.sid },
        }));
    }
    actions
}

/// A mount is below those that it is mounted on; of two at one place the later one hides the other. The order of mounts
/// alone says little: what was moved into a new root is older than that root.
fn deepest_first(mounts: &[String]) -> Vec<String> {
    let depth = |path: &str| path.split('/').filter(|part| !part.is_empty()).count();
    let mut ordered: Vec<&String> = mounts.iter().rev().collect();
    ordered.sort_by_key(|path| std::cmp::Reverse(depth(path)));
    ordered.into_iter().cloned().collect()
}

/// Each map behind those that are on top of it.
fn top_down(maps: &[Map]) -> Vec<&Map> {
    let mut left: Vec<&Map> = maps.iter().collect();
    let mut ordered: Vec<&Map> = Vec::new();
    while !left.is_empty() {
        let is_held = |map: &Map| left.iter().any(|other| map.holders.contains(&other.node));
        let (held, free): (Vec<&Map>, Vec<&Map>) = left.iter().partition(|map| is_held(map));
        ordered.extend(&free);
        if free.is_empty() {
            // Maps that hold each other: none of them can be removed, and each is to say so.
            ordered.extend(&held);
            break;
        }
        left = held;
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(node: &str, name: &str, holders: &[&str]) -> Map {
        let holders = holders.iter().map(|holder| (*holder).to_owned()).collect();
        Map { node: node.into(), name: name.into(), multipath: name.starts_with("mpath"), holders }
    }

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    fn session(sid: u32, logged_in: bool) -> Session {
        Session { sid, logged_in }
    }

    /// A node as systemd leaves it, after the pivot.
    fn node() -> Seen {
        Seen {
            // /run is older than the root that it was moved into.
            mounts: words(&[
                "/oldroot/run",
                "/oldroot/run/diskless/rw",
                "/oldroot/run/diskless/lower/root",
                "/oldroot",
                "/oldroot/run/diskless/lower/var",
                "/oldroot/var",
                "/oldroot/var",
            ]),
            swaps: words(&["/dev/zram1"]),
            loops: words(&["loop0"]),
            zrams: words(&["zram0", "zram1"]),
            maps: vec![
                map("dm-0", "mpath-1", &["dm-1"]),
                map("dm-1", "luks_root", &["dm-2", "dm-3"]),
                map("dm-2", "luks_root1", &[]),
                map("dm-3", "luks_root2", &["dm-4"]),
                map("dm-4", "system-var", &[]),
            ],
            sessions: vec![session(1, true), session(2, false)],
        }
    }

    fn told(seen: &Seen, lazily: bool) -> Vec<String> {
        plan(seen, lazily).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_node_is_taken_apart_from_the_top() {
        assert_eq!(
            told(&node(), false),
            [
                "let map mpath-1 fail without a path",
                "switch swap /dev/zram1 off",
                "unmount /oldroot/run/diskless/lower/var",
                "unmount /oldroot/run/diskless/lower/root",
                "unmount /oldroot/run/diskless/rw",
                "unmount /oldroot/var",
                "unmount /oldroot/var",
                "unmount /oldroot/run",
                "unmount /oldroot",
                "detach loop0",
                "reset zram0",
                "reset zram1",
                "remove map luks_root1",
                "remove map system-var",
                "remove map luks_root2",
                "remove map luks_root",
                "remove map mpath-1",
                "log out of iSCSI session 1",
                "discard iSCSI session 2, which is lost",
            ]
        );
    }

    #[test]
    fn without_a_target_its_sessions_go_first() {
        let mut seen = node();
        seen.sessions = vec![session(1, false), session(2, false)];
        let told = told(&seen, false);
        assert_eq!(
            told[..4],
            [
                "let map mpath-1 fail without a path",
                "discard iSCSI session 1, which is lost",
                "discard iSCSI session 2, which is lost",
                "switch swap /dev/zram1 off",
            ]
        );
        assert_eq!(told.last().map(String::as_str), Some("remove map mpath-1"));
        assert!(!Seen::default().is_cut_off(), "a node without sessions never had any");
    }

    #[test]
    fn what_is_left_is_unmounted_lazily_and_nothing_needs_nothing() {
        let left = Seen { mounts: words(&["/oldroot"]), ..Seen::default() };
        assert_eq!(told(&left, true), ["unmount /oldroot lazily"]);
        assert!(plan(&Seen::default(), true).is_empty() && Seen::default().is_empty());
    }

    #[test]
    fn maps_that_hold_each_other_are_all_named() {
        let maps = vec![map("dm-0", "a", &["dm-1"]), map("dm-1", "b", &["dm-0"]), map("dm-2", "c", &["sdx"])];
        let seen = Seen { maps, ..Seen::default() };
        assert_eq!(told(&seen, false), ["remove map c", "remove map a", "remove map b"]);
    }
}
