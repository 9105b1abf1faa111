//! `disklessd` beside what sites have: a sensor in Flask, scripts rendered by Flask, a static file from nginx.
//!
//! The load is wrk's, written by others.

mod nodes;
mod program;
mod script;

use std::fs;
use std::path::Path;

use super::row::{Measure, Row};
use crate::chroot::Root;
use crate::command;
use crate::error::{At, Error, Result};
use crate::lab::Service;
use program::{Server, URL};

/// A measure, the request it is made of, how connections are used, and the peer.
struct Load {
    measure: Measure,
    request: &'static str,
    connections: &'static str,
    peer: &'static str,
}

const FLASK: &str = "http://127.0.0.1:8091";
const NGINX_URL: &str = "http://127.0.0.1:8090";

const fn rate_of(id: &'static str, peer: &'static str, goal: Option<f64>) -> Measure {
    Measure { id, unit: "/s", peer, goal, higher_is_better: true }
}

const LOADS: [Load; 5] = [
    Load {
        measure: rate_of("server.phone_home", "Flask", Some(8.0)),
        request: "form",
        connections: "keep",
        peer: FLASK,
    },
    Load {
        measure: rate_of("server.phone_home_connect", "Flask", None),
        request: "form",
        connections: "close",
        peer: FLASK,
    },
    Load {
        measure: rate_of("server.ipxe", "Flask", Some(12.0)),
        request: "script",
        connections: "keep",
        peer: FLASK,
    },
    Load {
        measure: rate_of("server.ipxe_connect", "Flask", None),
        request: "script",
        connections: "close",
        peer: FLASK,
    },
    Load {
        measure: rate_of("server.ipxe_static", "nginx, a file", None),
        request: "script",
        connections: "keep",
        peer: NGINX_URL,
    },
];

const LOAD: &str = include_str!("../../../assets/bench/nodes.lua");
const SENSOR: &str = include_str!("../../../assets/bench/sensor.py");
const NGINX: &str = include_str!("../../../assets/bench/nginx.conf");

/// Seconds of each load, and connections at the same time.
const SECONDS: &str = "-d4s";
const CONNECTIONS: &str = "-c64";

/// Measures all, `rounds` times each; `tools` has the peers, `server` is disklessd's binary, both in `folder`, which is
/// in the cache. To be called in a network namespace of the caller's own, with its loopback up.
pub fn rows(tools: &Root, server: &Path, folder: &Path, rounds: u32) -> Result<Vec<Row>> {
    let log = folder.join("server.log");
    program::site(folder)?;
    let inside = tools.inside(folder)?.to_string_lossy().into_owned();
    let ours = Server::start(tools, server, folder)?;
    let script = program::get(&format!("{URL}/boot.ipxe?mac=52:54:00:00:00:07&uuid=&hostname=node0007"))?;
    fs::create_dir_all(folder.join("static")).at("create", folder)?;
    for (name, text) in [
        ("static/boot.ipxe", script.clone()),
        // The peer decides less: it has one script, in which only the name changes.
        ("boot.ipxe", script.replace("node0007", "{{ node }}")),
        ("nodes.lua", LOAD.to_owned()),
        ("sensor.py", SENSOR.to_owned()),
        ("nginx.conf", NGINX.replace("@FOLDER@", &inside)),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).at("write", &path)?;
    }
    let mut flask = tools.command("python3");
    flask.arg(format!("{inside}/sensor.py")).args(["8091", &inside]);
    let _flask = Service::listening("flask", &mut flask, "127.0.0.1:8091", &folder.join("flask.log"))?;
    let mut nginx = tools.command("nginx");
    nginx.arg("-c").arg(format!("{inside}/nginx.conf"));
    let _nginx = Service::listening("nginx", &mut nginx, "127.0.0.1:8090", &folder.join("nginx.log"))?;

    let rate = |load: &Load, url: &str| -> Result<f64> {
        let mut wrk = tools.command("wrk");
        wrk.args(["-t1", CONNECTIONS, SECONDS, "-s"]).arg(format!("{inside}/nodes.lua"));
        wrk.args([url, "--", load.request, load.connections]);
        rate(&command::output(&mut wrk, &log)?)
    };
    let mut rows = Vec::new();
    for load in &LOADS {
        println!("  {}", load.measure.id);
        let (mut of_ours, mut of_peer) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            of_ours.push(rate(load, URL)?);
            of_peer.push(rate(load, load.peer)?);
        }
        rows.extend(load.measure.row(&of_ours, &of_peer));
    }
    drop(ours);
    nodes::run(tools, server, folder)?;
    Ok(rows)
}

/// Requests a second, of what wrk prints; an error if a request failed.
fn rate(printed: &str) -> Result<f64> {
    let wrong = |why: &str| Err(Error::Host(format!("wrk: {why}:\n{printed}")));
    if printed.contains("Non-2xx") || printed.contains("Socket errors") {
        return wrong("requests failed");
    }
    let line = printed.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    match line.and_then(|rate| rate.trim().parse().ok()) {
        Some(rate) => Ok(rate),
        None => wrong("no rate"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_counts_only_without_failures() {
        let good =
            "  5671 requests in 4.10s, 0.98MB read\nRequests/sec:   1382.00\nTransfer/sec:    244.32KB\n";
        assert!((rate(good).unwrap() - 1382.0).abs() < 0.01);
        assert!(rate(&format!("  Non-2xx or 3xx responses: 3\n{good}")).is_err());
        assert!(rate(&format!("  Socket errors: connect 0, read 5, write 0, timeout 0\n{good}")).is_err());
        assert!(rate("").is_err());
    }
}
