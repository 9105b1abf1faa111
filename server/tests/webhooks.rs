//! Webhooks, told of by a server, against receivers on sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "that is how a test fails"
)]

mod api_site;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use disklessd::site;
use disklessd::store::{Call, Change};
use disklessd::time::Time;
use disklessd::webhook::{self, Patience};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use api_site::TestSite;

const SOON: Patience = Patience {
    first_pause: Duration::from_millis(20),
    longest_pause: Duration::from_millis(100),
    give_up: Duration::from_secs(3600),
};

/// Takes what it is told, unless `answer` is another status.
#[derive(Default)]
struct Receiver {
    answer: Mutex<Option<StatusCode>>,
    tries: Mutex<usize>,
    taken: Mutex<Vec<(Value, HeaderMap)>>,
}

impl Receiver {
    async fn start() -> (Arc<Receiver>, String) {
        let receiver = Arc::new(Receiver::default());
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&receiver));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, url)
    }

    fn answer(&self, status: Option<StatusCode>) {
        *self.answer.lock().unwrap() = status;
    }

    /// The nodes of what was taken, in that order.
    fn nodes(&self) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        taken.iter().map(|(body, _)| body["payload"]["node"].as_str().unwrap().to_owned()).collect()
    }

    async fn until(&self, what: &str, is: impl Fn(&Receiver) -> bool) {
        for _ in 0..1000 {
            if is(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{what}: {:?}, {:?}", self.taken.lock().unwrap(), self.tries.lock().unwrap());
    }

    async fn took(&self, many: usize) {
        self.until("so many", |receiver| receiver.taken.lock().unwrap().len() >= many).await;
    }

    async fn tried(&self, many: usize) {
        self.until("so many tries", |receiver| *receiver.tries.lock().unwrap() >= many).await;
    }
}

async fn take(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: String) -> StatusCode {
    *receiver.tries.lock().unwrap() += 1;
    let answer = *receiver.answer.lock().unwrap();
    if answer.is_none() {
        receiver.taken.lock().unwrap().push((serde_json::from_str(&body).unwrap(), headers));
    }
    answer.unwrap_or(StatusCode::ACCEPTED)
}

/// A webhook of the site's file that is told of nodes' states.
fn hook(name: &str, url: &str) -> String {
    format!(
        "[[webhooks]]\nname = \"{name}\"\nurl = \"{url}\"\ntriggers = [\"{}\"]\n",
        webhook::trigger::STATE
    )
}

/// Starts telling, and waits until each webhook has its place in the events.
async fn start(site: &TestSite, patience: Patience) -> JoinHandle<()> {
    let task = tokio::spawn(webhook::run(Arc::clone(&site.app), patience));
    for webhook in &site.app.site().file.webhooks {
        while site.app.store.delivered(&webhook.name).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    task
}

async fn stop(site: TestSite, task: JoinHandle<()>) -> Arc<tempfile::TempDir> {
    site.app.stop();
    tokio::time::timeout(Duration::from_secs(10), task).await.expect("an end in time").unwrap();
    site.app.store.close().await.unwrap();
    site.folder
}

#[tokio::test]
async fn the_triggers_of_the_original_as_stackstorm_takes_them() {
    let (receiver, url) = Receiver::start().await;
    let only = "\"diskless.ipxe.phone_home\", \"diskless.cloudinit.phone_home\"";
    let site = TestSite::with(&format!(
        "[[webhooks]]\nname = \"st2\"\nurl = \"{url}\"\ntriggers = [{only}]\n\
         token_header = \"St2-Api-Key\"\ntoken_file = \"st2.key\"\n"
    ));
    std::fs::write(site.folder.path().join("st2.key"), "key-of-st2\n").unwrap();
    site.heard("n3", Call::Ipxe { given: None }).await;
    let task = start(&site, SOON).await;
    site.heard("n1", Call::Ipxe { given: None }).await;
    site.heard("n1", Call::Kernel).await;
    let form = json!({"hostname": "n1", "instance_id": "i-1", "pub_keys": {"rsa": "ssh-rsa A"}});
    site.heard("n1", Call::Cloudinit(serde_json::from_value(form).unwrap())).await;
    receiver.took(2).await;
    stop(site, task).await;
    let taken = receiver.taken.lock().unwrap();
    // What was heard before the webhook was there is not told.
    let bodies: Vec<&Value> = taken.iter().map(|(body, _)| body).collect();
    let form = json!({
        "pub_key_dsa": "N/A", "pub_key_rsa": "ssh-rsa A", "pub_key_ecdsa": "N/A",
        "instance_id": "i-1", "hostname": "n1", "fqdn": "N/A"
    });
    let expected = [
        json!({"trigger": "diskless.ipxe.phone_home", "payload": {"hostname": "n1"}}),
        json!({"trigger": "diskless.cloudinit.phone_home", "payload": form}),
    ];
    assert_eq!(bodies, expected.iter().collect::<Vec<_>>());
    for (_, headers) in taken.iter() {
        assert_eq!(
            (&headers["st2-api-key"], &headers["content-type"]),
            (&"key-of-st2".parse().unwrap(), &"application/json".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn in_order_through_refusals() {
    let (receiver, url) = Receiver::start().await;
    let site = TestSite::with(&hook("one", &url));
    let task = start(&site, SOON).await;
    receiver.answer(Some(StatusCode::SERVICE_UNAVAILABLE));
    let nodes: Vec<String> = (0..30).map(|number| format!("n{}", number % 3 + 1)).collect();
    for node in &nodes {
        site.heard(node, Call::Kernel).await;
    }
    receiver.tried(3).await;
    receiver.answer(None);
    receiver.took(30).await;
    assert_eq!(receiver.nodes(), nodes);
    stop(site, task).await;
}

#[tokio::test]
async fn a_restart_loses_nothing() {
    let (receiver, url) = Receiver::start().await;
    let site = TestSite::with(&hook("one", &url));
    let task = start(&site, SOON).await;
    receiver.answer(Some(StatusCode::UNAUTHORIZED));
    site.heard("n1", Call::Kernel).await;
    receiver.tried(1).await;
    let folder = stop(site, task).await;

    let site = TestSite::open(folder);
    site.heard("n2", Call::Kernel).await;
    receiver.answer(None);
    let task = start(&site, SOON).await;
    receiver.took(2).await;
    // Stopped before that is written down, it would say n2 again: at least once is what it promises.
    tokio::time::timeout(Duration::from_secs(10), async {
        while site.app.store.delivered("one").await.unwrap() < Some(2) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("written down in time");
    let folder = stop(site, task).await;
    assert_eq!(receiver.nodes(), ["n1", "n2"]);

    let site = TestSite::open(folder);
    let task = start(&site, SOON).await;
    site.heard("n3", Call::Kernel).await;
    receiver.took(3).await;
    stop(site, task).await;
    assert_eq!(receiver.nodes(), ["n1", "n2", "n3"]);
}

#[tokio::test]
async fn a_dead_webhook_delays_no_other() {
    // Takes connections and never answers.
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (receiver, url) = Receiver::start().await;
    let dead_url = format!("http://{}/hook", dead.local_addr().unwrap());
    let site = TestSite::with(&(hook("dead", &dead_url) + &hook("alive", &url)));
    let task = start(&site, SOON).await;
    let started = std::time::Instant::now();
    for _ in 0..5 {
        site.heard("n1", Call::Kernel).await;
    }
    receiver.took(5).await;
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(
        site.app.store.delivered("dead").await.unwrap() < site.app.store.delivered("alive").await.unwrap()
    );
    task.abort();
}

#[tokio::test]
async fn what_can_never_be_told_does_not_stop_the_rest() {
    let (receiver, url) = Receiver::start().await;
    let site = TestSite::with(&hook("one", &url));
    let task = start(&site, SOON).await;
    receiver.answer(Some(StatusCode::BAD_REQUEST));
    site.heard("n1", Call::Kernel).await;
    receiver.tried(1).await;
    receiver.answer(None);
    site.heard("n2", Call::Kernel).await;
    receiver.took(1).await;
    assert_eq!(receiver.nodes(), ["n2"]);

    // Too old, and refused once more: it is let go.
    receiver.answer(Some(StatusCode::SERVICE_UNAVAILABLE));
    let at = Time(Time::now().0 - 2 * 3_600_000);
    let old = Change::Heard { node: "n3".to_owned(), at, from: None, call: Call::Kernel };
    let tries = *receiver.tries.lock().unwrap();
    site.app.store.write(vec![old]).await.unwrap();
    receiver.tried(tries + 1).await;
    site.heard("n1", Call::Kernel).await;
    receiver.tried(tries + 2).await;
    receiver.answer(None);
    receiver.took(2).await;
    assert_eq!(receiver.nodes(), ["n2", "n1"]);
    stop(site, task).await;
}

#[tokio::test]
async fn a_webhook_comes_and_goes_with_the_sites_file() {
    let (receiver, url) = Receiver::start().await;
    let site = TestSite::with(&hook("one", "http://127.0.0.1:1/hook"));
    let task = start(&site, SOON).await;
    site.heard("n1", Call::Kernel).await;
    let file = site.folder.path().join("site.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    // The URL is corrected while an event waits for it.
    std::fs::write(&file, text.replace("http://127.0.0.1:1/hook", &url)).unwrap();
    site.app.replace(site::read(&file).unwrap());
    receiver.took(1).await;
    std::fs::write(&file, text.split("[[webhooks]]").next().unwrap()).unwrap();
    site.app.replace(site::read(&file).unwrap());
    site.heard("n2", Call::Kernel).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.nodes(), ["n1"]);
    stop(site, task).await;
}

#[tokio::test]
async fn the_server_tells_them() {
    let (receiver, url) = Receiver::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.toml");
    std::fs::write(&file, api_site::SITE.to_owned() + &hook("one", &url)).unwrap();
    std::fs::write(folder.path().join("token"), "operators-token").unwrap();
    let mut server = std::process::Command::new(env!("CARGO_BIN_EXE_disklessd"))
        .args(["serve", "--config"])
        .arg(&file)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(server.stderr.take().unwrap()));
    let address = lines.find_map(|line| Some(line.unwrap().split_once("address=")?.1.to_owned())).unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    let phone_home = format!("http://{address}/phone_home/ipxe?hostname=n1");
    let client = diskless::sys::http::Client::new(&phone_home, Duration::from_secs(10), "".as_ref()).unwrap();
    let answered = tokio::task::spawn_blocking(move || client.ask("GET", &[], None, 1000).unwrap().0);
    assert_eq!(answered.await.unwrap(), 200);
    receiver.took(1).await;
    assert_eq!(receiver.nodes(), ["n1"]);
    server.kill().unwrap();
    server.wait().unwrap();
}
