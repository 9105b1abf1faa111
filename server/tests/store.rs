//! The store as the server uses it: many callers, several servers, bad files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "that is how a test fails"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use diskless::report::record::{Kind, Record};
use disklessd::error::Error;
use disklessd::site::file::Action;
use disklessd::store::{Call, Change, Form, Heard, Outcome, Store, Wanted, Wish};
use disklessd::time::Time;

fn event(boot_id: &str, seq: u64) -> Call {
    let record = Record::new(Kind::Start, Duration::from_millis(seq));
    Call::Event(Box::new(Record { boot_id: boot_id.to_owned(), seq, ..record }))
}

fn heard(node: &str, at: u64, call: Call) -> Change {
    Change::Heard { node: node.to_owned(), at: Time(at), from: Some("10.0.0.7".parse().unwrap()), call }
}

#[tokio::test]
async fn what_was_written_is_read_back_after_closing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let form = Form { hostname: Some("n1".into()), ..Form::default() };
    let calls =
        [Call::Ipxe { given: Some("boot".into()) }, Call::Kernel, event("b", 1), Call::Cloudinit(form)];
    let wanted = Change::Wanted { node: "n2".into(), at: Time(9), action: Some(Action::Trap), once: true };
    let changes = calls.iter().zip(1..).map(|(call, at)| heard("n1", at, call.clone()));
    let store = Store::open(&path).unwrap();
    let outcomes = store.write(changes.chain([wanted]).collect()).await.unwrap();
    assert_eq!(outcomes, [1, 2, 3, 4, 5].map(Outcome::New));
    store.write(vec![Change::Delivered { webhook: "w".into(), through: 3 }]).await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.write(vec![heard("n1", 1, Call::Kernel)]).await, Err(Error::Closed)));
    assert!(matches!(store.nodes(None).await, Err(Error::Closed)));
    store.close().await.unwrap();

    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["db"], "the write-ahead log is in the database");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let store = Store::open(&path).unwrap();
    assert_eq!(*store.last().borrow(), 5);
    assert_eq!(store.delivered("w").await.unwrap(), Some(3));
    let nodes = store.nodes(None).await.unwrap();
    assert_eq!(
        nodes.iter().map(|node| (node.name.as_str(), node.changed)).collect::<Vec<_>>(),
        [("n1", 4), ("n2", 5)]
    );
    assert_eq!(nodes[1].wanted, Some(Wanted { action: Wish::Known(Action::Trap), once: true, at: Time(9) }));
    assert_eq!(store.wanted(&nodes[1].name).await.unwrap(), nodes[1].wanted);
    assert_eq!(store.wanted("nobody").await.unwrap(), None);
    assert_eq!(store.node("n1").await.unwrap().as_ref(), nodes.first());
    assert_eq!(store.node("n3").await.unwrap(), None);
    let boot = nodes[0].boot.clone().unwrap();
    assert_eq!(store.boots("n1", 5).await.unwrap(), std::slice::from_ref(&boot));
    let expected: Vec<Heard> = calls
        .into_iter()
        .zip(1..)
        .map(|(call, id)| Heard {
            id,
            node: "n1".into(),
            boot: boot.number,
            at: Time(id),
            from: Some("10.0.0.7".parse().unwrap()),
            call,
        })
        .collect();
    assert_eq!(store.boot_events(boot.number).await.unwrap(), expected);
    assert_eq!(store.events_after(1, 2).await.unwrap(), expected[1..3]);
}

#[tokio::test]
async fn a_second_server_on_the_same_database_sees_and_adds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let (one, two) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
    let mut last = two.last();
    one.write(vec![heard("n1", 1, event("b", 1))]).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), last.wait_for(|last| *last == 1)).await.unwrap().unwrap();
    assert_eq!(two.write(vec![heard("n1", 2, event("b", 1))]).await.unwrap(), [Outcome::Known]);
    let writes = (2..40).map(|seq| {
        let store = if seq % 2 == 0 { one.clone() } else { two.clone() };
        tokio::spawn(async move { store.write(vec![heard("n1", seq, event("b", seq))]).await.unwrap()[0] })
    });
    let mut ids = Vec::new();
    for write in writes.collect::<Vec<_>>() {
        let Outcome::New(id) = write.await.unwrap() else { panic!("known") };
        ids.push(id);
    }
    ids.sort_unstable();
    assert_eq!(ids, (2..40).collect::<Vec<_>>(), "every id once");
}

#[test]
fn many_servers_may_make_the_database_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = &folder.path().join("db");
    std::thread::scope(|scope| {
        let opens: Vec<_> = (0..8).map(|_| scope.spawn(move || Store::open(path).map(|_| ()))).collect();
        for open in opens {
            open.join().unwrap().unwrap();
        }
    });
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, sql: &str| {
        let path = folder.path().join(name);
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        path
    };
    let text = folder.path().join("text");
    std::fs::write(&text, "[server]\nlisten = []\n".repeat(100)).unwrap();
    let newer = folder.path().join("newer");
    Store::open(&newer).unwrap().close().await.unwrap();
    let newer = make("newer", "PRAGMA user_version = 7000");
    let cases = [
        (make("other", "CREATE TABLE t (a)"), "not a database of disklessd"),
        (newer, "version 7000"),
        (text, "file is not a database"),
        (folder.path().join("none").join("db"), "No such file"),
        (folder.path().to_owned(), "Is a directory"),
    ];
    for (path, message) in cases {
        let before = std::fs::read(&path).ok();
        let error = Store::open(&path).unwrap_err().to_string();
        assert!(error.contains(message) && error.contains(path.to_str().unwrap()), "{error}");
        assert_eq!(std::fs::read(&path).ok(), before, "it is left as it was");
    }
    let cut =
        |path: &Path| std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(5000).unwrap();
    let broken = folder.path().join("broken");
    Store::open(&broken).unwrap().close().await.unwrap();
    cut(&broken);
    let error = Store::open(&broken).unwrap_err().to_string();
    assert!(error.contains("malformed"), "{error}");
}
