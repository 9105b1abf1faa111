//! A server is killed at any moment: what it has acknowledged is in the database.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "that is how a test fails")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use diskless::report::record::{Kind, Record};
use disklessd::store::{Call, Change, Store};
use disklessd::time::Time;

/// The database that the child writes to, and which of the children it is.
const DATABASE: &str = "DISKLESSD_TEST_DATABASE";
const CHILD: &str = "DISKLESSD_TEST_CHILD";
/// So many nodes report at a time.
const NODES: u64 = 8;

fn event(child: &str, node: u64, seq: u64) -> Change {
    let record = Record::new(Kind::Start, Duration::ZERO);
    let call = Call::Event(Box::new(Record { boot_id: child.to_owned(), seq, ..record }));
    Change::Heard { node: format!("n{node}"), at: Time(seq), from: None, call }
}

#[tokio::test]
#[ignore = "it is the process that `what_was_acknowledged_survives_a_kill` kills"]
async fn child() {
    let store = Store::open(Path::new(&std::env::var_os(DATABASE).unwrap())).unwrap();
    let child = std::env::var(CHILD).unwrap();
    let nodes: Vec<_> = (0..NODES)
        .map(|node| {
            let (store, child) = (store.clone(), child.clone());
            tokio::spawn(async move {
                for seq in 1.. {
                    store.write(vec![event(&child, node, seq)]).await.unwrap();
                    writeln!(std::io::stdout().lock(), "ack {child} n{node} {seq}").unwrap();
                }
            })
        })
        .collect();
    for node in nodes {
        node.await.unwrap();
    }
}

/// Starts a child, kills it when it has acknowledged `count` calls and a little later; all that it has acknowledged.
fn killed(path: &Path, child: usize, count: usize, later: Duration) -> Vec<String> {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .envs([(DATABASE, path.as_os_str()), (CHILD, child.to_string().as_ref())])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut acks = lines.filter_map(|line| line.unwrap().strip_prefix("ack ").map(str::to_owned));
    let mut acknowledged: Vec<String> = acks.by_ref().take(count).collect();
    std::thread::sleep(later);
    process.kill().unwrap();
    acknowledged.extend(acks);
    process.wait().unwrap();
    assert!(acknowledged.len() >= count, "the child ended before it was killed");
    acknowledged
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let mut acknowledged = BTreeSet::new();
    for child in 0..18 {
        let count = [0, 1, 3, 20, 100, 150][child % 6];
        let later = Duration::from_micros(child as u64 * 371 % 2000);
        acknowledged.extend(killed(&path, child, count, later));

        let store = Store::open(&path).unwrap();
        let events = store.events_after(0, usize::MAX).await.unwrap();
        let kept: BTreeSet<String> = events
            .iter()
            .map(|heard| match &heard.call {
                Call::Event(record) => format!("{} {} {}", record.boot_id, heard.node, record.seq),
                call => panic!("nobody said {call:?}"),
            })
            .collect();
        assert_eq!(kept.len(), events.len(), "each once");
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        assert!(lost.is_empty(), "child {child}: {lost:?}");
        // What counts of a boot is that of the same transaction.
        for node in store.nodes(None).await.unwrap() {
            let boot = node.boot.unwrap();
            let events = store.boot_events(boot.number).await.unwrap();
            assert_eq!(events.iter().map(|event| event.at).max(), Some(boot.heard));
        }
        store.close().await.unwrap();
    }
    let sound = rusqlite::Connection::open(&path).unwrap();
    let sound: String = sound.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}
