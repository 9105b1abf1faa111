//! What the trait [`Write`] promises, of the database.

mod writing;

use std::time::Duration;

use diskless::report::record::Kind;

use super::database::Database;
use super::writer::Keep;
use super::*;
use crate::error::Error;
use crate::state::Stage;

const MINUTE: u64 = 60_000;

fn event(boot_id: &str, seq: u64) -> Call {
    let record = Record::new(Kind::Start, Duration::from_millis(seq));
    Call::Event(Box::new(Record { boot_id: boot_id.to_owned(), seq, ..record }))
}

fn ipxe(given: &str) -> Call {
    Call::Ipxe { given: Some(given.to_owned()) }
}

fn form(name: &str) -> Form {
    Form { instance_id: Some(name.to_owned()), ..Form::default() }
}

fn heard(node: &str, at: u64, call: Call) -> Change {
    Change::Heard { node: node.to_owned(), at: Time(at), from: None, call }
}

fn wanted(action: Option<Action>, once: bool) -> Change {
    Change::Wanted { node: "n1".into(), at: Time(0), action, once }
}

/// A database of its own.
fn database() -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("db")).unwrap();
    (folder, database)
}

/// Its boots: `node number boot-id: kind kind …`, with the seq of events.
fn boots(database: &Database) -> Vec<String> {
    let list = "SELECT node || ' ' || number || ' ' || coalesce(boot_id, '-') || ':' || coalesce(
            (SELECT group_concat(' ' || kind || coalesce(seq, ''), '' ORDER BY id) FROM event WHERE boot = number), '')
        FROM boot ORDER BY number";
    let mut statement = database.connection.prepare(list).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn node(database: &Database, name: &str) -> Node {
    super::read::nodes(&database.connection, Some(vec![name.to_owned()])).unwrap().pop().unwrap()
}

#[test]
fn calls_find_their_boot() {
    let cases: [(&str, Vec<Change>, &[&str]); 18] = [
        (
            "a whole boot",
            vec![
                heard("n1", 1, ipxe("boot")),
                heard("n1", 2, Call::Kernel),
                heard("n1", 3, event("a", 1)),
                heard("n1", 4, Call::Up(form("x"))),
                heard("n1", 5, Call::Cloudinit(form("x"))),
            ],
            &["n1 1 a: ipxe kernel event1 up cloudinit"],
        ),
        (
            "iPXE asks again and phones home",
            vec![
                heard("n1", 1, ipxe("error")),
                heard("n1", 9 * MINUTE, ipxe("boot")),
                heard("n1", 9 * MINUTE, Call::Ipxe { given: None }),
            ],
            &["n1 1 -: ipxe ipxe ipxe"],
        ),
        (
            "iPXE asks much later",
            vec![heard("n1", 1, ipxe("local")), heard("n1", 11 * MINUTE, ipxe("local"))],
            &["n1 1 -: ipxe", "n1 2 -: ipxe"],
        ),
        (
            "iPXE asks after the kernel began",
            vec![heard("n1", 1, ipxe("boot")), heard("n1", 2, Call::Kernel), heard("n1", 3, ipxe("boot"))],
            &["n1 1 -: ipxe kernel", "n1 2 -: ipxe"],
        ),
        (
            "iPXE asks after the agent was heard of",
            vec![heard("n1", 1, ipxe("boot")), heard("n1", 2, event("a", 1)), heard("n1", 3, ipxe("boot"))],
            &["n1 1 a: ipxe event1", "n1 2 -: ipxe"],
        ),
        (
            "iPXE asks after cloud-init, where no agent reports",
            vec![
                heard("n1", 1, ipxe("boot")),
                heard("n1", 2, Call::Cloudinit(form("x"))),
                heard("n1", 3, ipxe("boot")),
            ],
            &["n1 1 -: ipxe cloudinit", "n1 2 -: ipxe"],
        ),
        (
            "a kernel without iPXE's script",
            vec![heard("n1", 1, event("a", 1)), heard("n1", 2, Call::Kernel), heard("n1", 3, event("b", 1))],
            &["n1 1 a: event1", "n1 2 b: kernel event1"],
        ),
        (
            "a kernel after a form",
            vec![heard("n1", 1, Call::Up(form("x"))), heard("n1", 2, Call::Kernel)],
            &["n1 1 -: up", "n1 2 -: kernel"],
        ),
        (
            "the agent alone, and its next boot",
            vec![heard("n1", 1, event("a", 1)), heard("n1", 2, event("b", 1)), heard("n1", 3, event("b", 2))],
            &["n1 1 a: event1", "n1 2 b: event1 event2"],
        ),
        (
            "late events of the boot before",
            vec![heard("n1", 1, event("a", 1)), heard("n1", 2, ipxe("boot")), heard("n1", 3, event("a", 2))],
            &["n1 1 a: event1 event2", "n1 2 -: ipxe"],
        ),
        (
            "events twice and out of order",
            vec![
                heard("n1", 1, event("a", 2)),
                heard("n1", 2, event("a", 1)),
                heard("n1", 3, event("a", 2)),
                heard("n1", 4, event("a", 1)),
            ],
            &["n1 1 a: event2 event1"],
        ),
        (
            "a form first, the events late",
            vec![
                heard("n1", 1, ipxe("boot")),
                heard("n1", 2, Call::Up(form("x"))),
                heard("n1", MINUTE, event("a", 1)),
            ],
            &["n1 1 a: ipxe up event1"],
        ),
        (
            "a form, and much later another boot of an agent",
            vec![heard("n1", 1, Call::Cloudinit(form("x"))), heard("n1", 11 * MINUTE, event("a", 1))],
            &["n1 1 -: cloudinit", "n1 2 a: event1"],
        ),
        (
            "the server was away for an hour after iPXE",
            vec![heard("n1", 1, ipxe("boot")), heard("n1", 60 * MINUTE, event("a", 1))],
            &["n1 1 a: ipxe event1"],
        ),
        (
            "the same form again",
            vec![
                heard("n1", 1, Call::Cloudinit(form("x"))),
                heard("n1", 2, Call::Cloudinit(form("x"))),
                heard("n1", 3, Call::Cloudinit(form("y"))),
                heard("n1", 4, Call::Up(form("x"))),
                heard("n1", 30 * MINUTE, Call::Cloudinit(form("y"))),
            ],
            &["n1 1 -: cloudinit cloudinit up cloudinit"],
        ),
        (
            "one boot id of two nodes: each has its own boot",
            vec![
                heard("n1", 1, event("a", 1)),
                heard("n2", 2, event("a", 1)),
                heard("n2", 3, event("a", 2)),
                heard("n1", 4, event("a", 3)),
            ],
            &["n1 1 a: event1 event3", "n2 2 a: event1 event2"],
        ),
        ("a wish is no boot", vec![wanted(Some(Action::Trap), true)], &[]),
        (
            "two nodes",
            vec![heard("n1", 1, ipxe("boot")), heard("n2", 1, ipxe("boot")), heard("n1", 2, Call::Kernel)],
            &["n1 1 -: ipxe kernel", "n2 2 -: ipxe"],
        ),
    ];
    for (name, changes, expected) in cases {
        let (_folder, mut one) = database();
        one.write(&changes).unwrap();
        assert_eq!(boots(&one), expected, "{name}, in one transaction");
        let (_folder, mut each) = database();
        for change in &changes {
            each.write(std::slice::from_ref(change)).unwrap();
        }
        assert_eq!(boots(&each), expected, "{name}, in one each");
    }
}

#[test]
fn a_commit_is_on_the_disk() {
    let (_folder, database) = database();
    let pragma = |name| {
        let value = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
        database.connection.pragma_query_value(None, name, value).unwrap()
    };
    // 2 is FULL: https://www.sqlite.org/pragma.html#pragma_synchronous
    assert_eq!((pragma("synchronous"), pragma("journal_mode")), (2_i64.into(), "wal".to_owned().into()));
    assert_eq!(pragma("foreign_keys"), 1_i64.into());
}

#[test]
fn late_news_does_not_change_which_boot_is_the_newest() {
    let (_folder, mut database) = database();
    let changes =
        [heard("n1", 1, event("a", 1)), heard("n1", 2, ipxe("boot")), heard("n1", 3, event("a", 9))];
    database.write(&changes).unwrap();
    let node = node(&database, "n1");
    assert_eq!(node.changed, 3);
    let boot = node.boot.unwrap();
    assert_eq!((boot.number, boot.stage, boot.heard), (2, Stage::Ipxe, Time(2)));
}

#[test]
fn what_is_known_changes_nothing() {
    let (_folder, mut database) = database();
    let changes =
        [heard("n1", 1, event("a", 1)), heard("n1", 9, event("a", 1)), heard("n1", 9, event("a", 2))];
    assert_eq!(database.write(&changes).unwrap(), [Outcome::New(1), Outcome::Known, Outcome::New(2)]);
    let before = node(&database, "n1");
    assert_eq!(database.write(&changes).unwrap(), [Outcome::Known; 3]);
    assert_eq!(node(&database, "n1"), before);
    assert_eq!(database.last().unwrap(), 2);
    let delivered = |through| Change::Delivered { webhook: "w".into(), through };
    let outcomes = database.write(&[delivered(2), delivered(1), delivered(2)]).unwrap();
    assert_eq!(outcomes, [Outcome::New(2), Outcome::Known, Outcome::Known], "it never goes back");
}

#[test]
fn an_action_for_once_is_gone_when_it_was_given_out() {
    let cases = [
        ("given out", Some(Action::Trap), true, ipxe("trap"), None),
        ("for every boot", Some(Action::Trap), false, ipxe("trap"), Some("trap")),
        ("the script was made before", Some(Action::Trap), true, ipxe("boot"), Some("trap")),
        ("only phoned home", Some(Action::Trap), true, Call::Ipxe { given: None }, Some("trap")),
        ("kernel", Some(Action::Trap), true, Call::Kernel, Some("trap")),
        ("taken back", None, true, ipxe("boot"), None),
    ];
    for (name, action, once, call, left) in cases {
        let (_folder, mut database) = database();
        database
            .write(&[wanted(Some(Action::Rescue), false), wanted(action, once), heard("n1", 1, call)])
            .unwrap();
        let wanted = node(&database, "n1").wanted;
        let left = left.map(|word| Wanted { action: Wish::of(word), once, at: Time(0) });
        assert_eq!(wanted, left, "{name}");
    }
}

#[test]
fn what_a_later_server_wrote_does_not_stop_this_one() {
    let (_folder, mut database) = database();
    database
        .write(&[
            wanted(Some(Action::Trap), true),
            heard("n1", 1, Call::Kernel),
            heard("n1", 2, ipxe("boot")),
        ])
        .unwrap();
    let later = "UPDATE node SET wanted = 'levitate'; UPDATE event SET kind = 'thought' WHERE id = 2";
    database.connection.execute_batch(later).unwrap();
    let node = node(&database, "n1");
    let wish = node.wanted.unwrap().action;
    assert_eq!(wish, Wish::Unknown("levitate".into()));
    assert_eq!(
        serde_json::to_value([wish, Wish::Known(Action::Trap)]).unwrap(),
        serde_json::json!(["levitate", "trap"])
    );
    let events = super::read::events_after(&database.connection, 0, 1).unwrap();
    assert_eq!(events.iter().map(|event| event.id).collect::<Vec<_>>(), [3]);
}

#[test]
fn only_the_newest_boots_and_calls_are_kept() {
    let (_folder, mut database) = database();
    let boot = |boot: u64| heard("n1", boot, event(&format!("b{boot}"), 1));
    database.write(&[heard("n2", 1, event("b", 1))]).unwrap();
    database.write(&(0..25).map(boot).collect::<Vec<_>>()).unwrap();
    let left = boots(&database);
    assert_eq!((left.len(), left[0].as_str(), left[1].as_str()), (21, "n2 1 b: event1", "n1 7 b5: event1"));
    let events = "SELECT count(*) FROM event";
    let count =
        |database: &Database| database.connection.query_row(events, [], |row| row.get::<_, u64>(0)).unwrap();
    assert_eq!(count(&database), 21);
    database.write(&(0..2100).map(|at| heard("n3", at, ipxe("error"))).collect::<Vec<_>>()).unwrap();
    assert_eq!(count(&database), 2021);
}

#[test]
fn all_or_none() {
    let (_folder, mut database) = database();
    // SQLite's numbers have a sign.
    let bad = heard("n2", 1, event("a", u64::MAX));
    let error = database.write(&[heard("n1", 1, ipxe("boot")), bad]).unwrap_err();
    assert!(matches!(error, Error::Database { .. }), "{error}");
    assert_eq!((boots(&database), database.last().unwrap()), (vec![], 0));
}
