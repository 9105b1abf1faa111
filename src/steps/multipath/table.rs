//! The map as the kernel knows it: its table, and the state of its paths.
//!
//! The forms are those of the kernel's target `multipath` (drivers/md/dm-mpath.c, `multipath_ctr` and
//! `multipath_status`).

use crate::sys::dm::number;

/// A device number, (major, minor).
pub type Number = (u32, u32);

/// So many paths are taken out of a line that the kernel wrote.
const MOST_PATHS: usize = 1024;

/// What the table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Reads and writes wait while there is no path.
    pub queueing: bool,
    /// The hardware handler: `alua`.
    pub handler: Option<String>,
    /// The groups of paths, the best first.
    pub groups: Vec<Vec<Number>>,
}

/// The state of a path in a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Which.
    pub path: Number,
    /// The kernel sends I/O there.
    pub active: bool,
    /// How often it failed.
    pub failures: u32,
}

/// A path that is to be in the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its disk.
    pub path: Number,
    /// How good it is by ALUA; none: the target has none.
    pub priority: Option<u32>,
    /// The handler `alua` is attached to it.
    pub alua: bool,
}

impl Layout {
    /// The map of `members`: a group for each priority, the highest first; without ALUA one group. None without members.
    pub fn of(members: &[Member], queueing: bool) -> Option<Layout> {
        if members.is_empty() {
            return None;
        }
        // The kernel refuses the whole table when it cannot attach the handler to one of the paths.
        let alua = members.iter().all(|member| member.alua);
        let mut priorities: Vec<u32> = members.iter().filter_map(|member| member.priority).collect();
        if priorities.len() < members.len() {
            priorities.clear();
        }
        priorities.sort_unstable_by(|a, b| b.cmp(a));
        priorities.dedup();
        let all = || members.iter().map(|member| member.path).collect();
        let group = |priority: &u32| {
            members
                .iter()
                .filter(|member| member.priority == Some(*priority))
                .map(|member| member.path)
                .collect()
        };
        let groups = if priorities.is_empty() { vec![all()] } else { priorities.iter().map(group).collect() };
        Some(Layout { queueing, handler: alua.then(|| "alua".into()), groups })
    }

    /// The parameters of the table's one line. `selector` is the name of a path selector with the number of its
    /// arguments and them: `service-time 0`.
    pub fn params(&self, selector: &str) -> String {
        let features = if self.queueing { "1 queue_if_no_path" } else { "0" };
        let handler = self.handler.as_ref().map_or_else(|| "0".into(), |handler| format!("1 {handler}"));
        let mut params = format!("{features} {handler} {} 1", self.groups.len());
        for group in &self.groups {
            params.push_str(&format!(" {selector} {} 1", group.len()));
            for path in group {
                // One argument that all selectors understand: so many I/Os in a row.
                params.push_str(&format!(" {} 1", number(*path)));
            }
        }
        params
    }

    /// Reads what the kernel prints of a table; none: it is not the line of a multipath target.
    pub fn parse(params: &str) -> Option<Layout> {
        let mut words = Words(params.split_ascii_whitespace());
        let features = words.list()?;
        let handler = words.list()?.first().map(|handler| (*handler).to_owned());
        let count = words.number()?;
        words.number()?;
        let mut groups = Vec::new();
        let mut paths = 0;
        for _ in 0..count {
            words.0.next()?;
            words.list()?;
            let (members, arguments) = (words.number()?, words.number()?);
            let mut group = Vec::new();
            for _ in 0..members {
                paths += 1;
                if paths > MOST_PATHS {
                    return None;
                }
                group.push(words.device()?);
                words.skip(arguments)?;
            }
            groups.push(group);
        }
        Some(Layout { queueing: features.contains(&"queue_if_no_path"), handler, groups })
    }

    /// All paths of all groups.
    pub fn paths(&self) -> impl Iterator<Item = Number> + '_ {
        self.groups.iter().flatten().copied()
    }

    /// The same paths in the same groups, whatever their order in a group; and the same handler. Queueing is switched
    /// without a new table.
    pub fn is_like(&self, other: &Layout) -> bool {
        let sorted = |layout: &Layout| -> Vec<Vec<Number>> {
            let groups = layout.groups.iter().map(|group| {
                let mut group = group.clone();
                group.sort_unstable();
                group
            });
            groups.collect()
        };
        self.handler == other.handler && sorted(self) == sorted(other)
    }
}

/// Reads the state that the kernel tells of a map's paths; none: it is not that of a multipath target.
pub fn states(params: &str) -> Option<Vec<State>> {
    let mut words = Words(params.split_ascii_whitespace());
    words.list()?;
    words.list()?;
    let count = words.number()?;
    words.number()?;
    let mut states = Vec::new();
    for _ in 0..count {
        // The state of the group, which is the kernel's own affair, and its selector's words.
        words.0.next()?;
        words.list()?;
        let (members, arguments) = (words.number()?, words.number()?);
        for _ in 0..members {
            if states.len() == MOST_PATHS {
                return None;
            }
            let path = words.device()?;
            let active = match words.0.next()? {
                "A" => true,
                "F" => false,
                _ => return None,
            };
            let failures = words.0.next()?.parse().ok()?;
            words.skip(arguments)?;
            states.push(State { path, active, failures });
        }
    }
    Some(states)
}

struct Words<'a>(std::str::SplitAsciiWhitespace<'a>);

impl<'a> Words<'a> {
    fn number(&mut self) -> Option<usize> {
        self.0.next()?.parse().ok()
    }

    /// How many words, and then these words.
    fn list(&mut self) -> Option<Vec<&'a str>> {
        let count = self.number()?;
        let list: Vec<&str> = self.0.by_ref().take(count).collect();
        (list.len() == count).then_some(list)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        match count {
            0 => Some(()),
            _ => self.0.nth(count - 1).map(|_| ()),
        }
    }

    fn device(&mut self) -> Option<Number> {
        let (major, minor) = self.0.next()?.split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn member(minor: u32, priority: Option<u32>, alua: bool) -> Member {
        Member { path: (8, minor), priority, alua }
    }

    fn text(members: &[Member]) -> String {
        Layout::of(members, true).unwrap().params("service-time 0")
    }

    #[test]
    fn paths_are_grouped_by_what_alua_says() {
        assert_eq!(
            text(&[member(0, None, false), member(16, None, false)]),
            "1 queue_if_no_path 0 1 1 service-time 0 2 1 8:0 1 8:16 1"
        );
        assert_eq!(
            text(&[member(0, Some(10), true), member(16, Some(50), true), member(32, Some(50), true)]),
            "1 queue_if_no_path 1 alua 2 1 service-time 0 2 1 8:16 1 8:32 1 service-time 0 1 1 8:0 1"
        );
        // One whose state is not known: no order is better than a wrong one.
        assert_eq!(
            text(&[member(0, Some(10), true), member(16, None, true)]),
            "1 queue_if_no_path 1 alua 1 1 service-time 0 2 1 8:0 1 8:16 1"
        );
        // One without the handler: the kernel would refuse the table.
        assert!(text(&[member(0, Some(10), true), member(16, Some(10), false)]).contains("path 0 1 1"));
        assert_eq!(Layout::of(&[], true), None);
        let fails = Layout::of(&[member(0, None, false)], false).unwrap();
        assert_eq!(fails.params("round-robin 0"), "0 0 1 1 round-robin 0 1 1 8:0 1");
    }

    #[test]
    fn the_kernels_own_words_are_understood() {
        // As a 6.1 kernel prints them: service-time has two arguments there.
        let layout =
            Layout::parse("1 queue_if_no_path 1 alua 1 1 service-time 0 2 2 8:0 1 1 8:16 1 1 ").unwrap();
        let wanted = Layout::of(&[member(16, Some(50), true), member(0, Some(50), true)], false).unwrap();
        assert!(layout.is_like(&wanted) && layout.queueing);
        // As multipathd loads it.
        let line = "4 queue_if_no_path retain_attached_hw_handler pg_init_retries 50 0 2 1 \
                    service-time 0 1 2 8:0 1 1 historical-service-time 0 1 2 8:16 1 1";
        let layout = Layout::parse(line).unwrap();
        assert_eq!(layout.groups, [vec![(8, 0)], vec![(8, 16)]]);
        assert!(!layout.is_like(&wanted));
        for line in ["", "0", "0 0 1 1", "1 x", "0 0 1 1 service-time 0 2 1 8:0 1", "254:0 2048"] {
            assert_eq!(Layout::parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_state_of_paths() {
        let line = "2 0 0 0 2 1 A 0 1 2 8:0 F 3 0 1 E 0 2 2 8:16 A 0 0 1 8:32 A 0 0 1 ";
        let expected = [((8, 0), false, 3), ((8, 16), true, 0), ((8, 32), true, 0)];
        let expected = expected.map(|(path, active, failures)| State { path, active, failures });
        assert_eq!(states(line).unwrap(), expected);
        for line in ["", "2 0", "2 0 0 0 1 1 A 0 1 2 8:0 X 3 0 1", "2 0 0 0 1 1 A 0 9 0 8:0 A 0"] {
            assert_eq!(states(line), None, "{line}");
        }
    }

    #[test]
    fn a_line_cannot_ask_for_more_than_it_has() {
        assert_eq!(Layout::parse("0 0 4000000000 1 x 0 0 0"), None);
        assert_eq!(
            Layout::parse(&format!("0 0 1 1 x 0 {0} 0{1}", MOST_PATHS + 1, " 8:0".repeat(MOST_PATHS + 1))),
            None
        );
        assert_eq!(Layout::parse("0 0 1 1 x 0 1 18446744073709551615 8:0"), None);
    }

    proptest! {
        #[test]
        fn any_line_is_survived(line in "[0-9: AFEalu-]{0,120}") {
            let _ = (Layout::parse(&line), states(&line));
        }

        #[test]
        fn what_is_loaded_is_what_is_read(
            members in prop::collection::vec((0u32..64, prop::option::of(0u32..4), any::<bool>()), 1..9),
            queueing: bool,
        ) {
            let members: Vec<Member> =
                members.into_iter().map(|(minor, priority, alua)| member(minor, priority, alua)).collect();
            let layout = Layout::of(&members, queueing).unwrap();
            prop_assert_eq!(layout.paths().count(), members.len());
            prop_assert_eq!(Layout::parse(&layout.params("queue-length 0")), Some(layout));
        }
    }
}
