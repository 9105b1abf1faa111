//! A site with three nodes, a database, and the router that serves them.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use diskless::report::record::Record;
use disklessd::serve::{self, App};
use disklessd::site;
use disklessd::store::{Call, Change, Store};
use disklessd::time::Time;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

pub const TOKEN: &str = "operators-token";
pub const SECRET: &str = "chap-secret-of-n";

pub const SITE: &str = r#"
[server]
listen = ["127.0.0.1:0"]
url = "http://198.18.0.1:32001"
token_file = "token"

[images.el]
kernel = "http://198.18.0.1/vmlinuz"
initramfs = "http://198.18.0.1/initramfs"
plan.luks.key.file = "/etc/diskless/image.key"
plan.overlay.mounts = [{ at = "/", lower = "/dev/mapper/luks_root1" }]

[servers.s1]
portals = ["198.18.0.1"]
target_prefix = "iqn.2026-01.org.example:"
plan.iscsi.auth = { username = "u", secret = "chap-secret-of-n" }

[defaults]
image = "el"
servers = ["s1"]

[groups.odd]
nodes = "n[1,3]"

[[nodes]]
names = "n[1-3]"
"#;

pub struct TestSite {
    pub folder: Arc<tempfile::TempDir>,
    pub app: Arc<App>,
    pub router: Router,
}

/// One server-sent event.
#[derive(Debug)]
pub struct Event {
    pub id: u64,
    pub data: Value,
}

impl TestSite {
    pub fn new() -> TestSite {
        TestSite::with("")
    }

    /// With more in its file.
    pub fn with(more: &str) -> TestSite {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
        let file = folder.path().join("site.toml");
        std::fs::write(&file, format!("{SITE}{more}")).unwrap();
        TestSite::open(Arc::new(folder))
    }

    /// Again on the same database.
    pub fn open(folder: Arc<tempfile::TempDir>) -> TestSite {
        let site = site::read(&folder.path().join("site.toml")).unwrap();
        let store = Store::open(&site.file.server.database).unwrap();
        let app = Arc::new(App::new(site, store));
        TestSite { folder, router: serve::router(Arc::clone(&app)), app }
    }

    pub async fn heard(&self, node: &str, call: Call) {
        let node = node.to_owned();
        let heard = Change::Heard { node, at: Time::now(), from: None, call };
        self.app.store.write(vec![heard]).await.unwrap();
    }

    /// An event of the agent, with these members beside those that all events have.
    pub async fn event(&self, node: &str, boot_id: &str, seq: u64, event: &str, members: Value) {
        let mut record = json!({
            "version": "1.0", "boot_id": boot_id, "run": 1, "seq": seq, "time": "2026-01-31T08:00:00Z",
            "uptime_ms": 1000 * seq, "event": event
        });
        record.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let record: Record = serde_json::from_value(record).unwrap();
        self.heard(node, Call::Event(Box::new(record))).await;
    }

    pub async fn ask(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// A bundle of a node.
    pub async fn bundle(&self, node: &str, boot_id: &str, body: &str) -> Response<Body> {
        let request = Request::post(format!("/bundle/{node}")).header("content-type", "application/x-tar");
        let request = request.header("diskless-boot-id", boot_id);
        self.ask(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// As an operator.
    pub async fn get(&self, url: &str) -> Response<Body> {
        let request = Request::get(url.replace('[', "%5B").replace(']', "%5D"));
        let request = request.header("authorization", format!("Bearer {TOKEN}"));
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    /// Reads so many server-sent events.
    pub async fn events(&self, url: &str, last: Option<u64>, many: usize) -> Vec<Event> {
        let mut request = Request::get(url).header("authorization", format!("Bearer {TOKEN}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = self.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut body = response.into_body();
        let mut text = String::new();
        while text.matches("\n\n").count() < many {
            let frame = tokio::time::timeout(std::time::Duration::from_secs(10), body.frame()).await;
            let frame = frame.expect("an event in time").expect("an event").unwrap();
            text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
        let event = |text: &str| {
            let field = |name: &str| {
                text.lines()
                    .find_map(|line| line.strip_prefix(name))
                    .unwrap_or_else(|| panic!("{name} in {text}"))
            };
            let data = serde_json::from_str(field("data: ")).unwrap();
            Event { id: field("id: ").parse().unwrap(), data }
        };
        text.split_terminator("\n\n").take(many).map(event).collect()
    }
}
