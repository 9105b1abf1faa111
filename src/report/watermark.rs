//! The watermarks of the writable layer: which of them are passed, and what is to be told of that. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::steps::overlay::usage::{Resource, Usage};

/// Where the watermarks of the boot plan are, for the booted system.
pub const FILE: &str = "/run/diskless/watermarks.json";
/// A watermark is passed until the use is so many percent below it: at its edge nobody is told twice a minute.
const SLACK: u8 = 5;
const RESOURCES: [Resource; 3] = [Resource::Space, Resource::Inodes, Resource::Memory];

/// The watermarks of the plan, and those that are passed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watermarks {
    /// Percentages, rising.
    pub marks: Vec<u8>,
    /// The highest that is passed, for each resource that has passed one.
    #[serde(default)]
    pub passed: BTreeMap<Resource, u8>,
}

/// The use of a resource has passed a watermark, or come back from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is used.
    pub resource: Resource,
    /// How much of it, of a hundred.
    pub percent: u8,
    /// The highest watermark that is passed now; none: none is.
    pub passed: Option<u8>,
    /// It became more.
    pub rises: bool,
    /// `space of the writable layer: 86 % used, above the watermark of 85 %: 859 of 1000 MiB`
    pub text: String,
}

impl Watermarks {
    /// What has changed with `usage`, which is noted.
    pub fn note(&mut self, usage: &Usage) -> Vec<Change> {
        RESOURCES.into_iter().filter_map(|resource| self.note_one(resource, usage)).collect()
    }

    fn note_one(&mut self, resource: Resource, usage: &Usage) -> Option<Change> {
        let before = self.passed.get(&resource).copied();
        // What has no end any more has passed nothing.
        let percent = usage.percent(resource).unwrap_or(0);
        let holds = |mark: &&u8| {
            let least = if Some(**mark) <= before { mark.saturating_sub(SLACK) } else { **mark };
            percent >= least
        };
        let now = self.marks.iter().filter(holds).max().copied();
        if now == before {
            return None;
        }
        match now {
            Some(mark) => self.passed.insert(resource, mark),
            None => self.passed.remove(&resource),
        };
        let rises = now > before;
        let (word, edge) = if rises { ("above", now) } else { ("back below", self.above(now)) };
        let text = format!(
            "{resource} of the writable layer: {percent} % used, {word} the watermark of {} %: {}",
            edge.unwrap_or_default(),
            usage.amount(resource)
        );
        Some(Change { resource, percent, passed: now, rises, text })
    }

    /// The lowest watermark above `mark`.
    fn above(&self, mark: Option<u8>) -> Option<u8> {
        self.marks.iter().find(|above| Some(**above) > mark).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::overlay::usage::Compressed;

    fn usage(space: u64, inodes: u64, memory: Option<u64>) -> Usage {
        let zram = memory.map(|memory| Compressed { algorithm: None, data: 0, memory, mem_limit: 100 });
        let (backing, fs) = ("/dev/zram0".to_owned(), "ext4".to_owned());
        Usage { backing, fs, size: 100, used: space, inodes: 1000, used_inodes: inodes * 10, zram }
    }

    fn marks(marks: &[u8]) -> Watermarks {
        Watermarks { marks: marks.to_vec(), ..Watermarks::default() }
    }

    #[test]
    fn each_watermark_is_told_once_on_the_way_up_and_once_on_the_way_down() {
        let mut watermarks = marks(&[70, 85, 95]);
        let told = [0, 69, 70, 71, 69, 66, 96, 100, 91, 90, 89, 80, 79, 64, 71].map(|space| {
            let changes = watermarks.note(&usage(space, 0, None));
            assert!(changes.len() <= 1);
            changes.into_iter().next().map(|change| (space, change.passed, change.rises))
        });
        let told: Vec<_> = told.into_iter().flatten().collect();
        let expected = [
            (70, Some(70), true),
            (96, Some(95), true),
            (89, Some(85), false),
            (79, Some(70), false),
            (64, None, false),
            (71, Some(70), true),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn each_resource_has_its_own() {
        let mut watermarks = marks(&[50, 90]);
        let told = watermarks.note(&usage(55, 91, Some(60)));
        let resources: Vec<_> = told.iter().map(|change| (change.resource, change.passed)).collect();
        let expected =
            [(Resource::Space, Some(50)), (Resource::Inodes, Some(90)), (Resource::Memory, Some(50))];
        assert_eq!(resources, expected);
        assert!(watermarks.note(&usage(55, 91, Some(60))).is_empty());
        // The layer was made anew without a limit.
        let told = watermarks.note(&usage(55, 91, None));
        assert_eq!((told[0].resource, told[0].passed), (Resource::Memory, None));
        assert!(marks(&[]).note(&usage(100, 100, Some(100))).is_empty());
    }

    #[test]
    fn for_people() {
        let mut watermarks = marks(&[70, 85]);
        let said =
            |watermarks: &mut Watermarks, percent| watermarks.note(&usage(percent, 0, None))[0].text.clone();
        let text = said(&mut watermarks, 86);
        assert_eq!(text, "space of the writable layer: 86 % used, above the watermark of 85 %: 0 of 0 MiB");
        let text = said(&mut watermarks, 70);
        assert_eq!(
            text,
            "space of the writable layer: 70 % used, back below the watermark of 85 %: 0 of 0 MiB"
        );
        assert!(said(&mut watermarks, 1).contains("1 % used, back below the watermark of 70 %"));
    }

    #[test]
    fn what_is_passed_is_found_again() {
        let mut watermarks = marks(&[70]);
        watermarks.note(&usage(75, 0, None));
        let text = serde_json::to_string(&watermarks).unwrap();
        assert_eq!(text, r#"{"marks":[70],"passed":{"space":70}}"#);
        assert_eq!(serde_json::from_str::<Watermarks>(&text).unwrap(), watermarks);
    }
}
