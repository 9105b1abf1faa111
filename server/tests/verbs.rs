//! The verbs that ask a server, as processes, against a server on a socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "that is how a test fails"
)]

mod api_site;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use disklessd::store::Call;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

use api_site::TestSite;

struct Server {
    site: TestSite,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    async fn start() -> Server {
        Server::on(TestSite::new(), "127.0.0.1:0".parse().unwrap()).await
    }

    async fn on(site: TestSite, address: SocketAddr) -> Server {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = site.router.clone();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Server { site, address, task }
    }

    async fn stop(self) -> (Arc<tempfile::TempDir>, SocketAddr) {
        self.site.app.stop();
        self.task.abort();
        let _ = self.task.await;
        self.site.app.store.close().await.unwrap();
        (self.site.folder, self.address)
    }

    fn spawn(&self, words: &str) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_disklessd"))
            .args(words.split(' '))
            .env("DISKLESSD_SERVER", format!("http://{}", self.address))
            .env("DISKLESSD_TOKEN_FILE", self.site.folder.path().join("token"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let err = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = unbounded_channel();
        std::thread::spawn(move || err.lines().map_while(Result::ok).all(|line| tell.send(line).is_ok()));
        Running { child, lines, err: String::new() }
    }

    async fn run(&self, words: &str) -> Ended {
        self.spawn(words).ended().await
    }

    /// A node comes up, through everything.
    async fn up(&self, node: &str, boot_id: &str) {
        self.site.heard(node, Call::Ipxe { given: Some("boot".into()) }).await;
        self.site.event(node, boot_id, 1, "run", json!({"detail": "diskless"})).await;
        self.site.event(node, boot_id, 2, "up", json!({})).await;
    }

    async fn failed(&self, node: &str, boot_id: &str) {
        let failed = json!({"step": "luks", "code": "luks-no-key", "message": "disk sda", "advice": "look"});
        self.site.event(node, boot_id, 9, "failed", failed).await;
    }
}

#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

/// A verb at work.
struct Running {
    child: Child,
    lines: UnboundedReceiver<String>,
    err: String,
}

impl Running {
    /// Until it has said a line with `text` on standard error.
    async fn told(&mut self, text: &str) {
        while !self.err.contains(text) {
            self.line().await.unwrap_or_else(|| panic!("{text:?} in {:?}", self.err));
        }
    }

    async fn line(&mut self) -> Option<()> {
        let line = tokio::time::timeout(Duration::from_secs(60), self.lines.recv()).await;
        self.err += &(line.expect("a line in time")? + "\n");
        Some(())
    }

    async fn ended(mut self) -> Ended {
        while self.line().await.is_some() {}
        let wait = tokio::task::spawn_blocking(move || self.child.wait_with_output().unwrap());
        let Output { status, stdout, .. } = wait.await.unwrap();
        Ended { code: status.code().unwrap(), out: String::from_utf8(stdout).unwrap(), err: self.err }
    }
}

#[tokio::test]
async fn status_folds_what_is_alike() {
    let server = Server::start().await;
    for node in ["n1", "n2"] {
        server.up(node, &format!("boot of {node}")).await;
    }
    let all = server.run("status @*").await;
    assert_eq!((all.code, all.out.as_str()), (0, "never: n3 (1)\nup:    n[1-2] (2)\n"), "{all:?}");

    server.failed("n3", "boot of n3").await;
    let all = server.run("status n[1-3]").await;
    assert_eq!(all.out, "failed luks-no-key: n3 (1)  disk sda; look\nup:                 n[1-2] (2)\n");
    let group = server.run("status @odd --long").await;
    let lines: Vec<Vec<&str>> = group.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((lines[0][0], lines[0][1]), ("n1", "up"));
    assert_eq!((lines[1][0], lines[1][1], lines[1][2]), ("n3", "failed", "luks-no-key"));
    let json = server.run("status n1 --json").await;
    assert_eq!(serde_json::from_str::<Value>(&json.out).unwrap()["nodes"][0]["state"], "up");

    let unknown = server.run("status n[1-5]").await;
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("not in the site: n[4-5]"), "{unknown:?}");
    assert_eq!(server.run("status").await.code, 2);
    assert_eq!(server.run("status n1 --json --watch").await.code, 2);
}

#[tokio::test]
async fn a_wait_ends_when_all_nodes_are_there() {
    let server = Server::start().await;
    server.up("n1", "1").await;
    let mut waiting = server.spawn("wait up n[1-3] --ttl 30s");
    waiting.told("1 of 3 up; waiting for n[2-3]\n").await;
    server.up("n2", "2").await;
    waiting.told("2 of 3 up; waiting for n3\n").await;
    server.up("n3", "3").await;
    let there = waiting.ended().await;
    assert_eq!((there.code, there.out.as_str()), (0, "up: n[1-3] (3)\n"), "{there:?}");
    assert!(there.err.ends_with("3 of 3 up\n"), "{there:?}");
    // And who asks later is not too late.
    assert_eq!(server.run("wait ipxe n[1-3] --ttl 0").await.code, 0);
}

#[tokio::test]
async fn a_wait_ends_with_the_time_and_with_failures() {
    let server = Server::start().await;
    server.up("n1", "1").await;
    let once = server.run("wait cloudinit n1 --ttl 0 --json").await;
    assert_eq!(once.code, 3, "{once:?}");
    let outcome: Value = serde_json::from_str(&once.out).unwrap();
    assert_eq!((&outcome["outcome"], &outcome["waiting"]), (&json!("over"), &json!(["n1"])));
    let started = Instant::now();
    assert_eq!(server.run("wait up n[1-2] --ttl 2s").await.code, 3);
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());

    server.failed("n2", "2").await;
    let failed = server.run("wait up n[1-2] --ttl 30s").await;
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.err.contains("1 of 2 up; failed n2"), "{failed:?}");
    let mut mended = server.spawn("wait up n[1-2] --ttl 30s --through-failures");
    mended.told("waiting for n2").await;
    server.site.event("n2", "2", 10, "up", json!({})).await;
    assert_eq!(mended.ended().await.code, 0);
}

#[tokio::test]
async fn a_boot_before_does_not_count_if_it_is_not_to() {
    let server = Server::start().await;
    server.up("n1", "1").await;
    assert_eq!(server.run("wait up n1 --ttl 0 --since 1h").await.code, 0);
    assert_eq!(server.run("wait up n1 --ttl 0 --since 2026-01-31T08:00:00Z").await.code, 0);
    assert_eq!(server.run("wait up n1 --ttl 0 --since 2999-01-31T08:00:00Z").await.code, 3);
    assert_eq!(server.run("wait up n1 --ttl 0 --since now").await.code, 3);
    let mut waiting = server.spawn("wait up n1 --ttl 30s --since now");
    waiting.told("waiting for n1").await;
    server.up("n1", "2").await;
    assert_eq!(waiting.ended().await.code, 0);
}

#[tokio::test]
async fn a_wait_outlives_the_server() {
    let server = Server::start().await;
    server.up("n1", "1").await;
    let mut waiting = server.spawn("wait up n[1-2] --ttl 40s");
    waiting.told("waiting for n2").await;
    let (folder, address) = server.stop().await;
    waiting.told("asking again").await;
    let server = Server::on(TestSite::open(folder), address).await;
    server.up("n2", "2").await;
    let there = waiting.ended().await;
    assert_eq!(there.code, 0, "{there:?}");
    assert_eq!(there.err.matches("asking again").count(), 1, "{there:?}");
}

#[tokio::test]
async fn set_and_timeline() {
    let server = Server::start().await;
    let set = server.run("set trap n[1-2] --once").await;
    assert_eq!((set.code, set.out.as_str()), (0, "trap, once: n[1-2] (2)\n"), "{set:?}");
    assert!(server.run("status n1 --long").await.out.contains("(wanted: trap once)"));
    assert_eq!(server.run("set default n1").await.code, 0);
    assert!(!server.run("status n1 --long").await.out.contains("wanted"));
    let unknown = server.run("set trap n[1-4]").await;
    assert!(unknown.code == 1 && unknown.err.contains("n4"), "{unknown:?}");
    assert_eq!(server.run("set explode n1").await.code, 2);

    assert_eq!(server.run("timeline n1").await.code, 1);
    server.up("n1", "1").await;
    server.site.event("n1", "1", 3, "start", json!({"step": "luks", "detail": "sda"})).await;
    let bars = server.run("timeline n1").await;
    assert!(bars.code == 0 && bars.out.contains("ipxe ") && bars.out.contains("luks "), "{bars:?}");
    let json: Value = serde_json::from_str(&server.run("timeline n1 --json").await.out).unwrap();
    assert_eq!(json["bars"][0]["name"], "ipxe");
}

#[tokio::test]
async fn a_wrong_token_is_an_end_and_no_wait() {
    let server = Server::start().await;
    let wrong = server.site.folder.path().join("wrong");
    std::fs::write(&wrong, "mine\n").unwrap();
    let refused = server.run(&format!("wait up n1 --ttl 60s --token-file {}", wrong.display())).await;
    assert!(refused.code == 1 && refused.err.contains("no valid token"), "{refused:?}");
    assert!(!refused.err.contains("mine"));
    assert_eq!(server.run("status n1 --token-file /nonexistent").await.code, 1);
}
