//! The text that Prometheus reads: its exposition format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).

use std::fmt::Write;
use std::sync::PoisonError;

use super::{ByWord, Histogram, Metrics, Nodes};
use crate::state::State;

/// What the text is, for the header.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a number is, in Prometheus's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from 0 at the start of the server.
    Counter,
    /// Grows and shrinks.
    Gauge,
    /// Counts by bounds.
    Histogram,
}

impl Kind {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// Numbers of one name.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// The name.
    pub name: &'static str,
    /// What they are.
    pub kind: Kind,
    /// The labels that tell them apart.
    pub labels: &'static [&'static str],
    /// What they say.
    pub help: &'static str,
}

/// All of them, in the order of the text. docs/metrics.md lists them.
pub const FAMILIES: &[&Family] = &[
    &BUILD,
    &NODES,
    &HEARD,
    &HEARD_AGAIN,
    &SCRIPTS,
    &REQUESTS,
    &REQUEST_SECONDS,
    &CONNECTIONS,
    &CONNECTIONS_TAKEN,
    &CONNECTIONS_REFUSED,
    &COMMIT_CHANGES,
    &COMMIT_SECONDS,
    &RELOADS,
    &SITE_TIME,
    &DELIVERIES,
];

const BUILD: Family = Family {
    name: "disklessd_build_info",
    kind: Kind::Gauge,
    labels: &["version"],
    help: "Always 1; the version of this server.",
};
const NODES: Family = Family {
    name: "disklessd_nodes",
    kind: Kind::Gauge,
    labels: &["state"],
    help: "Nodes of the site by state; the same from every server on one database.",
};
const HEARD: Family = Family {
    name: "disklessd_heard_total",
    kind: Kind::Counter,
    labels: &["kind"],
    help: "What nodes said that was new and is on the disk.",
};
const HEARD_AGAIN: Family = Family {
    name: "disklessd_heard_again_total",
    kind: Kind::Counter,
    labels: &["kind"],
    help: "What nodes said that was known already: they repeat what they got no answer to.",
};
const SCRIPTS: Family = Family {
    name: "disklessd_scripts_total",
    kind: Kind::Counter,
    labels: &["given"],
    help: "Boot scripts given to iPXE.",
};
const REQUESTS: Family = Family {
    name: "disklessd_http_requests_total",
    kind: Kind::Counter,
    labels: &["route", "method", "code"],
    help: "Requests answered; route is the pattern, none where there is no such path.",
};
const REQUEST_SECONDS: Family = Family {
    name: "disklessd_http_request_duration_seconds",
    kind: Kind::Histogram,
    labels: &["route"],
    help: "Time until the answer began, without the body.",
};
const CONNECTIONS: Family =
    Family { name: "disklessd_connections", kind: Kind::Gauge, labels: &[], help: "Connections open now." };
const CONNECTIONS_TAKEN: Family = Family {
    name: "disklessd_connections_taken_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Connections taken.",
};
const CONNECTIONS_REFUSED: Family = Family {
    name: "disklessd_connections_refused_total",
    kind: Kind::Counter,
    labels: &[],
    help: "Connections closed at once, for there were too many.",
};
const COMMIT_CHANGES: Family = Family {
    name: "disklessd_commit_changes",
    kind: Kind::Histogram,
    labels: &[],
    help: "Changes in one transaction of the database.",
};
const COMMIT_SECONDS: Family = Family {
    name: "disklessd_commit_duration_seconds",
    kind: Kind::Histogram,
    labels: &[],
    help: "Time of one transaction until it was on the disk.",
};
const RELOADS: Family = Family {
    name: "disklessd_reloads_total",
    kind: Kind::Counter,
    labels: &["result"],
    help: "Times the site's file was read again; refused: the one before is still in use.",
};
const SITE_TIME: Family = Family {
    name: "disklessd_site_taken_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "When the site's file in use was read, in seconds since 1970.",
};
const DELIVERIES: Family = Family {
    name: "disklessd_webhook_deliveries_total",
    kind: Kind::Counter,
    labels: &["webhook", "result"],
    help: "Posts to webhooks; what failed is tried again and counts again.",
};

const STATES: &[(State, &str)] = &[
    (State::Never, "never"),
    (State::Ipxe, "ipxe"),
    (State::Kernel, "kernel"),
    (State::Agent, "agent"),
    (State::Failed, "failed"),
    (State::Silent, "silent"),
    (State::Up, "up"),
    (State::Cloudinit, "cloudinit"),
];

/// The whole text.
pub fn exposition(metrics: &Metrics, nodes: &Nodes) -> String {
    let mut text = Text(String::with_capacity(8 * 1024));
    text.family(&BUILD);
    text.sample(BUILD.name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.family(&NODES);
    for (state, word) in STATES {
        text.sample(NODES.name, &[("state", word)], nodes.get(state).copied().unwrap_or(0));
    }
    text.by_word(&HEARD, &metrics.writes.new);
    text.by_word(&HEARD_AGAIN, &metrics.writes.known);
    text.by_word(&SCRIPTS, &metrics.scripts.0);
    requests(&mut text, metrics);
    text.one(&CONNECTIONS, metrics.connections.open.get());
    text.one(&CONNECTIONS_TAKEN, metrics.connections.taken.get());
    text.one(&CONNECTIONS_REFUSED, metrics.connections.refused.get());
    text.family(&COMMIT_CHANGES);
    text.histogram(COMMIT_CHANGES.name, &[], &metrics.writes.changes);
    text.family(&COMMIT_SECONDS);
    text.histogram(COMMIT_SECONDS.name, &[], &metrics.writes.seconds);
    text.by_word(&RELOADS, &metrics.reloads.results);
    text.one(&SITE_TIME, metrics.reloads.taken_at.get());
    text.family(&DELIVERIES);
    let deliveries = metrics.deliveries.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for (webhook, counts) in &deliveries {
        text.sample(DELIVERIES.name, &[("webhook", webhook), ("result", "done")], counts.done);
        text.sample(DELIVERIES.name, &[("webhook", webhook), ("result", "failed")], counts.failed);
    }
    text.0
}

fn requests(text: &mut Text, metrics: &Metrics) {
    let all = metrics.requests.0.lock().unwrap_or_else(PoisonError::into_inner);
    text.family(&REQUESTS);
    for (route, counts) in all.iter() {
        for ((method, code), many) in &counts.codes {
            let labels = [("route", route.as_str()), ("method", method), ("code", &code.to_string())];
            text.sample(REQUESTS.name, &labels, *many);
        }
    }
    text.family(&REQUEST_SECONDS);
    for (route, counts) in all.iter() {
        text.histogram(REQUEST_SECONDS.name, &[("route", route)], &counts.seconds);
    }
}

/// Writing to a `String` never fails: results of `write!` are dropped.
struct Text(String);

impl Text {
    fn family(&mut self, family: &Family) {
        let Family { name, kind, help, .. } = family;
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"", if index == 0 { '{' } else { ',' });
            for character in value.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    _ => self.0.push(character),
                }
            }
            self.0.push('"');
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn one(&mut self, family: &Family, value: u64) {
        self.family(family);
        self.sample(family.name, &[], value);
    }

    fn by_word(&mut self, family: &Family, counts: &ByWord) {
        self.family(family);
        let label = family.labels.first().copied().unwrap_or_default();
        for (word, many) in counts.iter() {
            self.sample(family.name, &[(label, word)], many);
        }
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let mut total = 0;
        for (bound, many) in histogram.cumulative() {
            total = many;
            let bound = bound.to_string();
            self.sample(&format!("{name}_bucket"), &[labels, &[("le", &bound)]].concat(), many);
        }
        // The count is that of the last bucket, not one of its own, so that the two agree in every scrape.
        total += histogram.beyond();
        self.sample(&format!("{name}_bucket"), &[labels, &[("le", "+Inf")]].concat(), total);
        self.sample(&format!("{name}_sum"), labels, histogram.sum());
        self.sample(&format!("{name}_count"), labels, total);
    }
}

#[cfg(test)]
mod tests;
