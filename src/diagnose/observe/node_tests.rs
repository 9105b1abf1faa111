use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use super::*;
use crate::diagnose::evidence::Outcome;
use crate::engine::host::Host;
use crate::engine::state::{Failure, StepState};

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// What `look` tells of the machine below `root`.
fn told(root: &Path, what: impl Fn(Look<'_>)) -> Vec<Check> {
    let host = Host::fake(root);
    let found = Mutex::new(Vec::new());
    let tell = |check| found.lock().unwrap().push(check);
    what(Look { host: &host, tell: &tell, started: Instant::now() });
    found.into_inner().unwrap()
}

fn of_journal(root: &Path) -> (Outcome, String, Option<String>) {
    let found = told(root, super::look);
    let check = found.into_iter().find(|check| check.stage == Stage::Journal).unwrap();
    (check.outcome, check.object, check.code)
}

#[test]
fn the_journal_of_this_boot_says_where_it_stands() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(of_journal(root.path()).0, Outcome::Unseen);
    write(root.path(), "proc/sys/kernel/random/boot_id", "b7c2\n");
    let file = root.path().join("run/diskless/state.json");
    let mut state = State {
        version: 1,
        boot_id: "b7c2".into(),
        run: 1,
        status: Status::Running,
        node: None,
        attempt: None,
        steps: vec![StepState::pending("network"), StepState::pending("iscsi")],
        held: None,
        next: None,
    };
    state.write(&file).unwrap();
    assert_eq!(of_journal(root.path()).0, Outcome::Open);
    // A boot that waits for something to go away says what.
    state.steps[1].status = Status::Running;
    state.steps[1].waiting_for = Some("disk of LUN 1".into());
    state.write(&file).unwrap();
    assert_eq!(of_journal(root.path()).0, Outcome::Open);
    let error =
        crate::error::Error::new(Code::IscsiNoTarget, "iqn.a:b at 198.18.0.1:3260").because("status 0203");
    state.steps[1].waiting_for = Some(format!("path 1 of 2: {error}, attempt 7"));
    state.write(&file).unwrap();
    assert_eq!(of_journal(root.path()), (Outcome::Bad, "iscsi".into(), Some("iscsi-no-target".into())));
    state.status = Status::Failed;
    state.steps[1].status = Status::Failed;
    let error = Failure { code: "iscsi-auth".into(), message: "m".into(), advice: "a".into() };
    state.steps[1].error = Some(error);
    state.write(&file).unwrap();
    assert_eq!(of_journal(root.path()), (Outcome::Bad, "iscsi".into(), Some("iscsi-auth".into())));
    // Another boot's, or one that cannot be read.
    write(root.path(), "proc/sys/kernel/random/boot_id", "0000\n");
    assert_eq!(of_journal(root.path()).0, Outcome::Unseen);
    write(root.path(), "run/diskless/state.json", "{");
    assert_eq!(of_journal(root.path()).0, Outcome::Unseen);
}

#[test]
fn a_keeper_that_died_is_bad() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("run/diskless/keeper.json");
    let journal = Journal { pid: 211, doing: Doing::Keeping, ..Journal::default() };
    journal.write(&file).unwrap();
    let outcome = || {
        let found = told(root.path(), super::look);
        found.into_iter().find(|check| check.stage == Stage::Keeper).unwrap().outcome
    };
    assert_eq!(outcome(), Outcome::Bad);
    fs::create_dir_all(root.path().join("proc/211")).unwrap();
    assert_eq!(outcome(), Outcome::Ok);
}

#[test]
fn modules_are_loaded_listed_built_in_or_missing() {
    let root = tempfile::tempdir().unwrap();
    let of = |document: Option<&Document>| {
        let found = told(root.path(), |look| modules(look, document));
        assert_eq!(found.len(), 1);
        (found[0].outcome, found[0].found.clone())
    };
    write(root.path(), "proc/sys/kernel/osrelease", "6.1.0-1-amd64\n");
    assert_eq!(of(None).0, Outcome::Unseen);
    let folder = "lib/modules/6.1.0-1-amd64";
    let dep = "kernel/drivers/scsi/iscsi_tcp.ko: kernel/drivers/scsi/libiscsi.ko\nkernel/drivers/md/dm-crypt.ko.xz:\n";
    write(root.path(), &format!("{folder}/modules.dep"), dep);
    write(root.path(), &format!("{folder}/modules.builtin"), "kernel/drivers/scsi/sd_mod.ko\n");
    assert_eq!(of(None), (Outcome::Bad, format!("neither loaded nor in /{folder}: overlay")));
    write(root.path(), "proc/filesystems", "nodev\toverlay\n\text4\n");
    assert_eq!(of(None).0, Outcome::Ok);
    let text = include_str!("../../../docs/plan.md").split("```json\n").nth(1).unwrap();
    let document = Document::parse(text.split("```").next().unwrap().as_bytes()).unwrap();
    let (outcome, found) = of(Some(&document));
    assert_eq!(outcome, Outcome::Bad);
    assert!(found.contains("zram") && !found.contains("ext4"), "{found}");
}
