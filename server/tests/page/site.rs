//! A server with a thousand nodes in all states.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Response;
use diskless::error::{Code, Error};
use diskless::report::event::Event;
use diskless::report::record::Record;
use disklessd::serve::{App, router};
use disklessd::store::{Call, Change, Form, Store};
use disklessd::time::Time;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// The operators' token.
pub const TOKEN: &str = "a-token-that-nobody-guesses";

/// A server of this process.
pub struct Served {
    pub address: SocketAddr,
    pub app: Arc<App>,
    connections: Option<Runtime>,
    pub folder: TempDir,
}

impl Served {
    /// With `nodes`, and more of `[server]`.
    pub async fn new(nodes: &str, more: &str) -> Served {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), TOKEN).unwrap();
        let toml = format!(
            "[server]\nurl = \"http://127.0.0.1\"\ntoken_file = \"token\"\n{more}\n[[nodes]]\nnames = \"{nodes}\"\n"
        );
        let path = folder.path().join("site.toml");
        std::fs::write(&path, toml).unwrap();
        let site = disklessd::site::read(&path).unwrap();
        let store = Store::open(&folder.path().join("disklessd.db")).unwrap();
        let app = Arc::new(App::new(site, store));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut served = Served { address, app, connections: None, folder };
        served.start().await;
        served
    }

    /// Listens: the first time on any port, then on the same one.
    pub async fn start(&mut self) {
        // A runtime of its own: with it all connections end at once, as with the process of a real server.
        let connections = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (address, router) = (self.address, router(Arc::clone(&self.app)));
        let listening = connections.spawn(async move { TcpListener::bind(address).await });
        let listener = listening.await.unwrap().unwrap();
        self.address = listener.local_addr().unwrap();
        connections.spawn(async move { axum::serve(listener, router).await });
        self.connections = Some(connections);
    }

    /// Ends without a word.
    pub fn stop(&mut self) {
        if let Some(connections) = self.connections.take() {
            connections.shutdown_background();
        }
    }

    /// Answers of any status; `headers` are the request's.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response<String> {
        let mut request = ureq::get(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .config()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build();
        let (parts, mut body) =
            tokio::task::spawn_blocking(move || request.call()).await.unwrap().unwrap().into_parts();
        Response::from_parts(parts, body.read_to_string().unwrap())
    }

    /// Writes what nodes of the names `ocean1` to `ocean1000` said.
    pub async fn tell(&self) {
        let now = Time::now().0;
        let mut changes: Vec<Change> = (1..=1000).flat_map(|number| Tale::of(number, now).changes).collect();
        // As they came: boots are numbered in that order.
        changes.sort_by_key(|change| if let Change::Heard { at, .. } = change { at.0 } else { 0 });
        for some in changes.chunks(500) {
            self.app.store.write(some.to_vec()).await.unwrap();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The steps of a boot, with how many milliseconds each takes, and what it waits for.
const STEPS: &[(&str, u64, &str)] = &[
    ("identity", 20, ""),
    ("network", 3100, "a route to 10.0.3.1"),
    ("plan", 110, ""),
    ("iscsi", 3800, "path 2 of 2: 10.0.3.2:3260 refused, attempt 4"),
    ("multipath", 160, ""),
    ("luks", 2900, ""),
    ("volumes", 40, ""),
    ("overlay", 240, ""),
    ("handover", 90, ""),
];

/// How far a node came.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Never,
    Ipxe,
    Kernel,
    /// In this step of [`STEPS`].
    Agent(usize),
    Silent(usize),
    NoKey,
    Unreachable,
    Up,
    Cloudinit,
}

fn end(number: u64) -> End {
    match number {
        981.. => End::Never,
        // A rack behind a switch that is off.
        401..=424 => End::Unreachable,
        _ if number.is_multiple_of(83) => End::NoKey,
        _ if number.is_multiple_of(97) => End::Silent(1),
        _ if number.is_multiple_of(11) => End::Agent(usize::try_from(number % 7).unwrap()),
        _ if number.is_multiple_of(29) => End::Ipxe,
        _ if number.is_multiple_of(19) => End::Kernel,
        _ if number.is_multiple_of(9) => End::Up,
        _ => End::Cloudinit,
    }
}

struct Tale {
    node: String,
    changes: Vec<Change>,
    boot_id: String,
    /// Milliseconds since 1970 at which the kernel began.
    booted: u64,
    seq: u64,
}

impl Tale {
    fn of(number: u64, now: u64) -> Tale {
        let end = end(number);
        // Boots overlap: power comes rack by rack.
        let age = match end {
            End::Never => 0,
            End::Ipxe => 1_500,
            End::Kernel => 6_000,
            End::Agent(step) => 12_000 + took(step),
            End::Silent(_) => 700_000 + number * 10,
            _ => 90_000 + number * 40,
        };
        let began = now - age;
        let boot_id = format!("{number:08x}-0000-4000-8000-000000000000");
        let mut tale = Tale {
            node: format!("ocean{number}"),
            changes: Vec::new(),
            boot_id,
            booted: began + 4_900,
            seq: 0,
        };
        if end == End::Never {
            return tale;
        }
        tale.say(began, Call::Ipxe { given: Some("boot".to_owned()) });
        if end == End::Ipxe {
            return tale;
        }
        tale.say(began + 2_100, Call::Kernel);
        let last = match end {
            End::Kernel => return tale,
            End::Agent(step) | End::Silent(step) => step,
            End::NoKey => 5,
            End::Unreachable => 3,
            _ => STEPS.len(),
        };
        tale.event(3_800, &Event::Run);
        let mut uptime = 3_900;
        for (index, (step, took, waits)) in STEPS.iter().enumerate().take(last + 1) {
            tale.event(uptime, &Event::Started { step, about: "" });
            if !waits.is_empty() {
                let left = Duration::from_secs(200);
                tale.event(
                    uptime + took / 3,
                    &Event::Waiting { step, what: waits, waited: Duration::ZERO, left },
                );
            }
            uptime += took;
            if index < last {
                let took = Duration::from_millis(*took);
                tale.event(uptime, &Event::Done { step, took, detail: "" });
            }
        }
        tale.finish(end, uptime);
        tale
    }

    fn finish(&mut self, end: End, uptime: u64) {
        let failure = match end {
            End::NoKey => {
                Some(("luks", Code::LuksNoKey, "volume 6fb1ae1c-4a8c", "keyslot 0: its digest is another"))
            }
            End::Unreachable => {
                Some(("iscsi", Code::IscsiConnect, "portal 10.0.3.1:3260", "no route to host"))
            }
            _ => None,
        };
        if let Some((step, code, object, cause)) = failure {
            self.event(uptime, &Event::Failed { step, error: &Error::new(code, object).because(cause) });
        }
        if matches!(end, End::Up | End::Cloudinit) {
            let took = Duration::from_millis(uptime - 3_800);
            self.event(uptime, &Event::Ready { took, own: took / 20 });
            self.say(self.booted + uptime + 14_000, Call::Up(Form::default()));
        }
        if end == End::Cloudinit {
            self.say(self.booted + uptime + 22_500, Call::Cloudinit(Form::default()));
        }
    }

    fn say(&mut self, at: u64, call: Call) {
        self.changes.push(Change::Heard { node: self.node.clone(), at: Time(at), from: None, call });
    }

    fn event(&mut self, uptime: u64, event: &Event<'_>) {
        self.seq += 1;
        let record = Record::of(event, Duration::from_millis(uptime));
        let record = Record { boot_id: self.boot_id.clone(), run: 1, seq: self.seq, ..record };
        self.say(self.booted + uptime, Call::Event(Box::new(record)));
    }
}

/// How long the steps before this one take.
fn took(step: usize) -> u64 {
    STEPS.iter().take(step).map(|(_, took, _)| took).sum()
}
