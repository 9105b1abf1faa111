//! A server in this process, and what talks to it byte by byte.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use disklessd::serve::limits::Limits;
use disklessd::serve::{App, listen, router};
use disklessd::site;
use disklessd::store::Store;
use tokio::runtime::Runtime;

/// Nobody waits longer in these tests.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A small site whose nodes have boot plans.
pub const SITE: &str = r#"
[server]
listen = ["127.0.0.1:0"]
url = "http://198.18.0.1:32001"
files = "files"

[networks.boot]
address = "198.18.0.0/24"

[images.compute]
kernel = "vmlinuz"
initramfs = "initramfs.img"
[images.compute.plan.luks.key]
file = "/etc/diskless/image.key"
[[images.compute.plan.overlay.mounts]]
at = "/"
lower = "/dev/mapper/luks_root1"

[servers.storage1]
portals = ["198.18.0.1"]
target_prefix = "iqn.2026-01.org.example:"

[profiles.compute]
image = "compute"
servers = ["storage1"]

[[nodes]]
names = "node[1-4]"
profile = "compute"
uuid = "4c4c4544-0042-3510-8058-b7c04f4a323[1-4]"
[nodes.interfaces.eth0]
mac = "52:54:00:00:00:0[1-4]"
"#;

/// A running server; it ends with this.
pub struct Served {
    pub address: SocketAddr,
    pub app: Arc<App>,
    pub runtime: Runtime,
    pub folder: tempfile::TempDir,
}

/// Serves [`SITE`].
pub fn serve(limits: Limits) -> Served {
    serve_router(limits, router)
}

/// Serves what `routes` makes.
pub fn serve_router(limits: Limits, routes: impl FnOnce(Arc<App>) -> Router) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let site = read(folder.path(), SITE);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (app, address) = runtime.block_on(async {
        let store = Store::open(&folder.path().join("db")).unwrap();
        let mut app = App::new(site, store);
        app.limits = limits;
        let app = Arc::new(app);
        let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let router = routes(Arc::clone(&app));
        tokio::spawn(listen::serve(vec![listener], router, Arc::clone(&app)));
        (app, address)
    });
    Served { address, app, runtime, folder }
}

/// The site in `text`.
pub fn read(folder: &Path, text: &str) -> site::Site {
    let path = folder.join("site.toml");
    std::fs::write(&path, text).unwrap();
    site::read(&path).unwrap()
}

impl Served {
    /// A connection to it.
    pub fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// What it answers to these bytes, until it closes.
    pub fn say(&self, bytes: &[u8]) -> String {
        say(self.address, bytes)
    }

    /// The status and the body of its answer.
    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, String) {
        ask(self.address, method, path, headers, body)
    }

    /// That it serves others meanwhile.
    pub fn serves_others(&self) {
        assert_eq!(self.ask("GET", "/health", "", b"").0, 200);
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub fn say(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    // It may close before it has read all.
    let _ = stream.write_all(bytes);
    rest(&mut stream)
}

/// What comes until the end.
pub fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the server closes in time");
    String::from_utf8_lossy(&answer).into_owned()
}

pub fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, String) {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    let answer = say(address, &[head.as_bytes(), body].concat());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (status(head), body.to_owned())
}

/// The status of an answer.
pub fn status(answer: &str) -> u16 {
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}
