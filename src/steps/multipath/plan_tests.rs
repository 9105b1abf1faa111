use std::time::Duration;

use super::super::identify::Identity;
use super::super::path::{Path, Traits};
use super::super::queue::{Phase, Situation};
use super::super::table::State;
use super::*;
use crate::input::document::Queueing;
use crate::sys::block::Disk;

const WWID: &str = "360000000000000000e00000000010001";

fn identity(wwid: &str) -> Identity {
    Identity { wwid: wwid.into(), sectors: 2048, samples: None }
}

/// Path `n`, 1 to 9, which leads to `wwid`.
fn path(n: u32, wwid: &str) -> Found {
    let letter = char::from_digit(n + 9, 36).unwrap();
    let disk = Disk { name: format!("sd{letter}"), dev: (8, 16 * (n - 1)), sectors: 2048 };
    Found {
        path: Path { portal: format!("198.18.{n}.1:3260"), sid: n, disk, live: true },
        traits: Traits { block_size: 512, ..Traits::default() },
        identity: Answer::Read(identity(wwid)),
        check: None,
    }
}

fn seen(paths: Vec<Found>, map: Option<Known>) -> Seen {
    let reference = paths.iter().find_map(|found| match &found.identity {
        Answer::Read(identity) => Some(identity.clone()),
        _ => None,
    });
    let situation =
        Situation { none_for: None, queueing: Queueing::Forever, phase: Phase::Boot, queues: true };
    let selector = "service-time 0".into();
    let require_readonly = false;
    Seen { map, paths, reference, foreign: None, situation, selector, require_readonly, keeping: false }
}

/// The map as the kernel shows it after `action`.
fn after(action: Action) -> Known {
    let (map, read_only) = match action {
        Action::Create(map) => (map, true),
        Action::Reload { map, read_only } => (map, read_only),
        other => panic!("{other}"),
    };
    assert_eq!(map.uuid, format!("mpath-{WWID}"));
    let [line] = map.table.as_slice() else { panic!("{:?}", map.table) };
    assert_eq!((line.kind.as_str(), line.length), ("multipath", 2048));
    let layout = Layout::parse(&line.params).unwrap();
    let states = layout.paths().map(|path| State { path, active: true, failures: 0 }).collect();
    Known {
        name: map.name,
        wwid: WWID.into(),
        active: true,
        read_only,
        sectors: 2048,
        layout,
        states,
        unlisted: vec![],
    }
}

fn action(seen: &Seen) -> Action {
    match plan(seen) {
        Ok(Next::Do(action)) => action,
        other => panic!("{other:?}"),
    }
}

fn done(seen: &Seen) -> String {
    match plan(seen) {
        Ok(Next::Done(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn two() -> Known {
    after(action(&seen(vec![path(1, WWID), path(2, WWID)], None)))
}

#[test]
fn a_map_of_all_paths_is_made_and_then_nothing_is_left_to_do() {
    let map = two();
    assert_eq!(map.name, WWID);
    assert!(map.layout.queueing && map.read_only);
    let seen = seen(vec![path(1, WWID), path(2, WWID)], Some(map));
    assert_eq!(done(&seen), format!("{WWID}: 2 paths, sda at 198.18.1.1:3260, sdb at 198.18.2.1:3260"));
}

#[test]
fn a_late_path_is_added_and_one_that_is_gone_is_dropped() {
    let map = after(action(&seen(vec![path(1, WWID)], None)));
    // multipathd calls maps what it likes, and makes them writable: they stay so.
    let map = Known { name: "mpatha".into(), read_only: false, ..map };
    let mut late = seen(vec![path(1, WWID), path(2, WWID)], Some(map));
    late.situation.queues = true;
    let map = after(action(&late));
    assert_eq!((map.name.as_str(), map.read_only), ("mpatha", false));
    assert_eq!(map.layout.groups, [vec![(8, 0), (8, 16)]]);
    let gone = seen(vec![path(2, WWID), path(3, WWID)], Some(map));
    let map = after(action(&gone));
    assert_eq!(map.layout.groups, [vec![(8, 16), (8, 32)]]);
    assert!(
        done(&seen(vec![path(2, WWID), path(3, WWID)], Some(map.clone()))).starts_with("mpatha: 2 paths")
    );
    // One that is only out of sight is not dropped, whatever else changes.
    let member = Member { path: (8, 16), priority: None, alua: false };
    let hidden = Known { unlisted: vec![member], ..map.clone() };
    assert!(matches!(plan(&seen(vec![path(3, WWID)], Some(hidden.clone()))), Ok(Next::Done(_))));
    let more = after(action(&seen(vec![path(3, WWID), path(4, WWID)], Some(hidden))));
    assert_eq!(more.layout.groups, [vec![(8, 32), (8, 48), (8, 16)]]);
    // The last one is not taken out.
    assert!(matches!(plan(&seen(vec![], Some(map))), Ok(Next::Done(_))));
}

#[test]
fn what_the_map_does_with_reads_in_want_of_a_path_outlives_a_new_table() {
    let mut map = two();
    map.layout.queueing = false;
    let mut seen = seen(vec![path(1, WWID), path(2, WWID), path(3, WWID)], Some(map));
    seen.situation = Situation { queues: false, queueing: Queueing::Fail, ..seen.situation };
    assert!(!after(action(&seen)).layout.queueing);
    seen.map = None;
    assert!(!after(action(&seen)).layout.queueing);
}

#[test]
fn a_lost_path_is_used_again_once_it_has_answered() {
    let mut map = two();
    map.states[1].active = false;
    let mut seen = seen(vec![path(1, WWID), path(2, WWID)], Some(map));
    // A boot does not wait for it, whoever keeps the map does.
    for check in [None, Some(Answer::Pending), Some(Answer::Late), Some(Answer::Failed("x".into()))] {
        seen.paths[1].check = check;
        seen.keeping = false;
        assert!(done(&seen).ends_with("sdb at 198.18.2.1:3260 (failed)"));
        seen.keeping = true;
        assert_eq!(plan(&seen).unwrap(), Next::Wait("path sdb at 198.18.2.1:3260 to answer".into()));
    }
    seen.paths[1].check = Some(Answer::Read(()));
    let text = "use path sdb at 198.18.2.1:3260 of map 360000000000000000e00000000010001 again";
    assert_eq!(action(&seen).to_string(), text);
    // Without its session there is nothing to be done here.
    seen.paths[1].check = None;
    seen.paths[1].path.live = false;
    assert!(matches!(plan(&seen), Ok(Next::Done(_))));
    // That of another path does not count.
    seen.paths[0].check = Some(Answer::Read(()));
    assert!(matches!(plan(&seen), Ok(Next::Done(_))));
}

#[test]
fn without_a_path_reads_wait_for_a_time() {
    let mut map = two();
    map.states.iter_mut().for_each(|state| state.active = false);
    let mut paths = vec![path(1, WWID), path(2, WWID)];
    paths.iter_mut().for_each(|found| found.path.live = false);
    let mut seen = seen(paths, Some(map));
    seen.situation.none_for = Some(Duration::ZERO);
    assert_eq!(plan(&seen).unwrap(), Next::Wait(format!("a path of map {WWID}")));
    seen.situation.none_for = Some(queue::BOOT_LIMIT);
    assert_eq!(action(&seen), Action::Queue { map: WWID.into(), wait: false });
    // A path that is back counts more than what to do without one.
    seen.situation = Situation { none_for: None, queues: false, ..seen.situation };
    assert_eq!(action(&seen), Action::Queue { map: WWID.into(), wait: true });
}

#[test]
fn another_disk_is_refused_by_name() {
    let text = "path sdb at 198.18.2.1:3260 beside sda at 198.18.1.1:3260: two paths do not lead to the same disk: \
                they have different WWIDs, 360000000000000000e00000000010001 and 3600";
    let mut seen = seen(vec![path(1, WWID), path(2, "3600")], None);
    let error = plan(&seen).unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), (Code::PathMismatch, text));
    // It keeps no good path out of a map that is there.
    seen.map = Some(two());
    seen.paths.push(path(3, WWID));
    let map = after(action(&seen));
    assert_eq!(map.layout.groups, [vec![(8, 0), (8, 16), (8, 32)]]);
    seen.paths[1].path.disk.dev = (8, 48);
    let map = after(action(&seen));
    assert_eq!(map.layout.groups, [vec![(8, 0), (8, 32)]]);
    seen.map = Some(map);
    assert_eq!(plan(&seen).unwrap_err().code(), Code::PathMismatch);
    // Another size is another disk.
    let mut longer = path(2, WWID);
    longer.identity = Answer::Read(Identity { sectors: 4096, ..identity(WWID) });
    seen.map = None;
    seen.paths = vec![path(1, WWID), longer];
    assert!(plan(&seen).unwrap_err().to_string().contains("2048 and 4096 sectors"));
}

#[test]
fn a_path_that_does_not_answer_holds_up_nobody_for_long() {
    let mut mute = path(2, WWID);
    mute.identity = Answer::Pending;
    // The map is made of the others.
    let mut seen = seen(vec![path(1, WWID), mute.clone()], None);
    let map = after(action(&seen));
    assert_eq!(map.layout.groups, [vec![(8, 0)]]);
    seen.map = Some(map);
    assert_eq!(plan(&seen).unwrap(), Next::Wait("path sdb at 198.18.2.1:3260 to be read".into()));
    seen.paths[1].identity = Answer::Late;
    assert!(done(&seen).ends_with("; left out: sdb at 198.18.2.1:3260: no answer to a read"));
    // Alone it is waited for, by name, and then an error.
    let mut alone = Seen { map: None, reference: None, paths: vec![mute], ..seen };
    assert_eq!(plan(&alone).unwrap(), Next::Wait("path sdb at 198.18.2.1:3260 to be read".into()));
    alone.paths[0].identity = Answer::Failed("/dev/sdb: input/output error".into());
    let error = plan(&alone).unwrap_err();
    assert_eq!(error.code(), Code::PathSilent);
    assert!(error.to_string().ends_with("/dev/sdb: input/output error"), "{error}");
    alone.paths.clear();
    assert_eq!(plan(&alone).unwrap(), Next::Wait("a path to the disk".into()));
}

#[test]
fn a_map_without_a_table_is_completed() {
    let mut map = Known { name: "left".into(), active: false, ..two() };
    map.layout.groups.clear();
    let seen = seen(vec![path(1, WWID)], Some(map));
    assert!(matches!(action(&seen), Action::Create(map) if map.name == "left"));
}

#[test]
fn a_map_of_something_else_is_left_alone() {
    let mut seen = seen(vec![path(1, WWID)], None);
    seen.foreign = Some("LVM-x".into());
    let error = plan(&seen).unwrap_err();
    assert_eq!(error.code(), Code::PathMap);
    assert!(error.to_string().ends_with("of something else: \"LVM-x\""), "{error}");
}

#[test]
fn groups_follow_alua_but_not_a_state_in_transition() {
    let with = |priorities: [Option<u32>; 2]| {
        let mut paths = vec![path(1, WWID), path(2, WWID)];
        for (found, priority) in paths.iter_mut().zip(priorities) {
            found.traits.priority = priority;
            found.traits.alua = true;
        }
        paths
    };
    let map = after(action(&seen(with([Some(10), Some(50)]), None)));
    assert_eq!(map.layout.groups, [vec![(8, 16)], vec![(8, 0)]]);
    assert!(done(&seen(with([Some(10), Some(50)]), Some(map.clone()))).ends_with(", in 2 groups"));
    assert!(matches!(plan(&seen(with([None, Some(50)]), Some(map.clone()))), Ok(Next::Done(_))));
    let map = after(action(&seen(with([Some(50), Some(10)]), Some(map))));
    assert_eq!(map.layout.groups, [vec![(8, 0)], vec![(8, 16)]]);
}

#[test]
fn a_path_that_can_be_written_to_is_refused_where_the_plan_says_so() {
    let mut writable = path(2, WWID);
    writable.traits.writable = true;
    let paths = vec![path(1, WWID), writable];
    assert!(matches!(action(&seen(paths.clone(), None)), Action::Create(_)));
    let strict = |map| Seen { require_readonly: true, ..seen(paths.clone(), map) };
    let error = plan(&strict(None)).unwrap_err();
    assert_eq!(error.code(), Code::LunWritable);
    assert!(error.to_string().starts_with("path sdb at 198.18.2.1:3260: "), "{error}");
    // One that comes later is not taken into the map; those that are in it stay.
    let one = after(action(&seen(vec![path(1, WWID)], None)));
    assert_eq!(plan(&strict(Some(one))).unwrap_err().code(), Code::LunWritable);
    assert!(matches!(plan(&strict(Some(two()))), Ok(Next::Done(_))));
}
