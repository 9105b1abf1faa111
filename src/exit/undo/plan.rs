//! What belongs to which step, and in which order it goes. Pure: see the tests for the order.

use std::fmt;

use crate::error::{Code, Error, Result};
use crate::exit::plan::{self as whole, Action, Map, Seen, Session};

/// What the steps make, in the order of the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Sessions, and their disks.
    Sessions,
    /// The map of the paths.
    Multipath,
    /// What the keeper keeps.
    Keeper,
    /// The opened disk.
    Luks,
    /// Maps of its partitions and logical volumes.
    Volumes,
    /// The disk of the writable layer.
    Zram,
    /// Mounts.
    Overlay,
}

impl Part {
    /// All of them, each with the name of its step.
    const STEPS: [(Part, &'static str); 7] = [
        (Part::Sessions, "iscsi"),
        (Part::Multipath, "multipath"),
        (Part::Keeper, "keeper"),
        (Part::Luks, "luks"),
        (Part::Volumes, "volumes"),
        (Part::Zram, "zram"),
        (Part::Overlay, "overlay"),
    ];

    /// What the step of this name makes; none: nothing that could be taken apart by itself.
    pub fn of_step(step: &str) -> Option<Part> {
        Part::STEPS.iter().find(|(_, name)| *name == step).map(|(part, _)| *part)
    }

    /// The names of the steps that make something.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Part::STEPS.iter().map(|(_, name)| *name)
    }
}

/// What there is of the boot's work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// Mount points of overlays, in the order of the mounts.
    pub overlays: Vec<String>,
    /// Those of what the overlays are made of, likewise.
    pub layers: Vec<String>,
    /// The disk of the writable layer, as below /dev.
    pub zram: Option<String>,
    /// Maps of partitions and logical volumes.
    pub volumes: Vec<Map>,
    /// The opened disk.
    pub luks: Vec<Map>,
    /// The map of the paths.
    pub multipath: Vec<Map>,
    /// The keeper has something.
    pub keeper: bool,
    /// The sessions.
    pub sessions: Vec<Session>,
    /// What is on top of any of that and is somebody else's: on which, and what it is.
    pub others: Vec<(Part, String)>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The keeper is to keep nothing any more.
    Forget,
    /// Something that is taken apart at a node's end, too.
    Part(Action),
}

impl Act {
    /// What was done.
    pub fn done(&self) -> String {
        match self {
            Act::Forget => "the keeper keeps nothing any more".to_owned(),
            Act::Part(action) => action.done(),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Forget => f.write_str("have the keeper keep nothing any more"),
            Act::Part(action) => action.fmt(f),
        }
    }
}

/// What is to be done, in order, so that nothing is left of `part` and of what is made behind it.
///
/// # Errors
/// [`Code::InUse`]: something of others is on top of it; all of them are named.
pub fn plan(made: &Made, part: Part) -> Result<Vec<Act>> {
    let others: Vec<&str> =
        made.others.iter().filter(|(on, _)| *on >= part).map(|(_, what)| what.as_str()).collect();
    if !others.is_empty() {
        return Err(Error::new(Code::InUse, others.join(", ")));
    }
    let within = |of: Part| of >= part;
    let maps = [(Part::Volumes, &made.volumes), (Part::Luks, &made.luks), (Part::Multipath, &made.multipath)];
    let maps = maps.into_iter().filter(|(of, _)| within(*of)).flat_map(|(_, maps)| maps).cloned().collect();
    let rest = Seen {
        mounts: if within(Part::Overlay) { made.layers.clone() } else { Vec::new() },
        zrams: made.zram.iter().filter(|_| within(Part::Zram)).cloned().collect(),
        maps,
        sessions: if within(Part::Sessions) { made.sessions.clone() } else { Vec::new() },
        ..Seen::default()
    };
    let forget = (made.keeper && within(Part::Keeper)).then_some(Act::Forget);
    let overlays = Seen { mounts: made.overlays.clone(), ..Seen::default() };
    let actions = whole::plan(&overlays, false).into_iter().chain(whole::plan(&rest, false));
    Ok(forget.into_iter().chain(actions.map(Act::Part)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(node: &str, name: &str, holders: &[&str]) -> Map {
        let holders = holders.iter().map(|holder| (*holder).to_owned()).collect();
        Map { node: node.into(), name: name.into(), multipath: name == "3600", holders }
    }

    fn node() -> Made {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        Made {
            overlays: words(&["/sysroot", "/sysroot/var"]),
            layers: words(&["/run/diskless/rw", "/run/diskless/lower/root"]),
            zram: Some("zram0".into()),
            volumes: vec![
                map("dm-2", "luks_root1", &[]),
                map("dm-3", "luks_root2", &["dm-4"]),
                map("dm-4", "system-var", &[]),
            ],
            luks: vec![map("dm-1", "luks_root", &["dm-2", "dm-3"])],
            multipath: vec![map("dm-0", "3600", &["dm-1"])],
            keeper: true,
            sessions: vec![Session { sid: 1, logged_in: true }, Session { sid: 2, logged_in: true }],
            others: Vec::new(),
        }
    }

    fn told(made: &Made, part: Part) -> Vec<String> {
        plan(made, part).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn from_the_last_step_down_to_the_first() {
        let all = [
            "have the keeper keep nothing any more",
            "unmount /sysroot/var",
            "unmount /sysroot",
            "let map 3600 fail without a path",
            "unmount /run/diskless/lower/root",
            "unmount /run/diskless/rw",
            "reset zram0",
            "remove map luks_root1",
            "remove map system-var",
            "remove map luks_root2",
            "remove map luks_root",
            "remove map 3600",
            "log out of iSCSI session 1",
            "log out of iSCSI session 2",
        ];
        assert_eq!(told(&node(), Part::Sessions), all);
        let without = |left_out: &[&str]| -> Vec<&str> {
            all.iter().filter(|line| !left_out.iter().any(|word| line.contains(word))).copied().collect()
        };
        assert_eq!(told(&node(), Part::Multipath), without(&["session"]));
        assert_eq!(told(&node(), Part::Keeper), without(&["session", "3600"]));
        assert_eq!(told(&node(), Part::Luks), without(&["session", "3600", "keeper"]));
        assert_eq!(told(&node(), Part::Zram), without(&["session", "3600", "keeper", "remove"]));
        assert_eq!(told(&node(), Part::Overlay), without(&["session", "3600", "keeper", "remove", "zram"]));
        assert!(told(&Made::default(), Part::Sessions).is_empty());
    }

    #[test]
    fn what_is_of_others_stands_in_the_way_of_what_it_is_on() {
        let mut made = node();
        made.others =
            vec![(Part::Volumes, "mount /mnt of luks_root1".into()), (Part::Luks, "map mine".into())];
        for part in [Part::Sessions, Part::Luks] {
            let refused = plan(&made, part).unwrap_err();
            assert_eq!(refused.code(), Code::InUse);
            assert!(refused.to_string().contains("mount /mnt of luks_root1, map mine"), "{refused}");
        }
        assert!(!plan(&made, Part::Volumes).unwrap_err().to_string().contains("mine"));
        assert!(plan(&made, Part::Overlay).is_ok());
    }

    #[test]
    fn every_part_has_its_step() {
        for name in Part::names() {
            assert!(crate::plan::STEPS.contains(&name), "{name}");
        }
        assert_eq!(Part::of_step("luks"), Some(Part::Luks));
        assert_eq!(Part::of_step("plan"), None);
        assert!(Part::Overlay > Part::Sessions);
    }
}
