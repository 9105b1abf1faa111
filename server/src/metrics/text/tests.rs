use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;

/// What one line says: name, labels, value.
type Sample = (String, BTreeMap<String, String>, f64);

/// Reads the text as Prometheus does: a family's HELP and TYPE first, then its samples, in one piece.
fn parse(text: &str) -> (Vec<(String, String)>, Vec<Sample>) {
    let mut families: Vec<(String, String)> = Vec::new();
    let mut samples = Vec::new();
    assert!(text.ends_with('\n'));
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(!help.is_empty() && !help.contains('\\'), "{line}");
            let kind = lines.next().unwrap().strip_prefix("# TYPE ").unwrap().split_once(' ').unwrap();
            assert_eq!(kind.0, name);
            assert!(!families.iter().any(|(known, _)| known == name), "{name} twice");
            families.push((name.to_owned(), kind.1.to_owned()));
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let (family, kind) = families.last().unwrap();
        let suffix =
            name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line} is not in {family}"));
        let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(suffixes.contains(&suffix), "{line}");
        samples.push((
            name.to_owned(),
            parse_labels(labels.strip_suffix('}').unwrap()),
            value.parse().unwrap(),
        ));
    }
    (families, samples)
}

fn parse_labels(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").unwrap();
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next().unwrap() {
                (index, '"') => break index,
                (_, '\\') => match characters.next().unwrap().1 {
                    'n' => value.push('\n'),
                    escaped @ ('\\' | '"') => value.push(escaped),
                    other => panic!("\\{other}"),
                },
                (_, character) => value.push(character),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none());
        let rest = &rest[end + 1..];
        text = rest.strip_prefix(',').unwrap_or(rest);
    }
    labels
}

fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
    samples.iter().find(|sample| sample.0 == name && sample.1 == labels).map(|sample| sample.2)
}

/// Something of everything.
fn busy() -> Metrics {
    let metrics = Metrics::default();
    metrics.requests.answered("GET", Some("/v1/nodes/{node}"), 200, Duration::from_micros(300));
    metrics.requests.answered("GET", Some("/v1/nodes/{node}"), 404, Duration::from_secs(60));
    metrics.requests.answered("BREW", None, 405, Duration::ZERO);
    metrics.scripts.given("boot");
    metrics.writes.committed(3, Duration::from_millis(2));
    metrics.reloads.taken(crate::time::Time(1_700_000_000_999));
    metrics.reloads.refused();
    metrics.deliveries.done("stack\"storm\\\n");
    metrics
}

#[test]
fn the_text_is_what_prometheus_reads_and_all_families_are_there_with_their_labels() {
    let (families, samples) = parse(&exposition(&busy(), &Nodes::new()));
    let declared: Vec<_> =
        FAMILIES.iter().map(|family| (family.name.to_owned(), family.kind.as_str().to_owned())).collect();
    assert_eq!(families, declared);
    let mut seen = BTreeSet::new();
    for (name, labels, _) in &samples {
        let family = FAMILIES.iter().rev().find(|family| name.starts_with(family.name)).unwrap();
        let labels: BTreeSet<&str> =
            labels.keys().map(String::as_str).filter(|label| *label != "le").collect();
        if name == family.name || family.kind == Kind::Histogram {
            assert_eq!(labels, family.labels.iter().copied().collect(), "{name}");
        }
        seen.insert(name.clone());
    }
    assert!(FAMILIES.iter().all(|family| seen.iter().any(|name| name.starts_with(family.name))));
    let series: BTreeSet<_> = samples.iter().map(|(name, labels, _)| (name, labels)).collect();
    assert_eq!(series.len(), samples.len(), "a series twice");
}

#[test]
fn names_follow_the_conventions() {
    for family in FAMILIES {
        assert!(family.name.starts_with("disklessd_"));
        assert_eq!(family.kind == Kind::Counter, family.name.ends_with("_total"), "{}", family.name);
    }
}

#[test]
fn every_state_is_there_also_with_no_node_in_it() {
    let (_, samples) = parse(&exposition(&Metrics::default(), &Nodes::from([(State::Failed, 7)])));
    for (state, word) in STATES {
        assert_eq!(serde_json::to_value(state).unwrap(), *word);
        let expected = if *state == State::Failed { 7.0 } else { 0.0 };
        assert_eq!(value(&samples, "disklessd_nodes", &[("state", word)]), Some(expected), "{word}");
    }
}

#[test]
fn a_histogram_counts_up_to_each_bound_and_beyond() {
    let (_, samples) = parse(&exposition(&busy(), &Nodes::new()));
    let route = ("route", "/v1/nodes/{node}");
    let bucket = |le| value(&samples, "disklessd_http_request_duration_seconds_bucket", &[route, ("le", le)]);
    assert_eq!(bucket("0.00025"), Some(0.0));
    assert_eq!(bucket("0.0005"), Some(1.0));
    assert_eq!(bucket("10"), Some(1.0));
    assert_eq!(bucket("+Inf"), Some(2.0));
    let total = |suffix: &str| {
        value(&samples, &format!("disklessd_http_request_duration_seconds_{suffix}"), &[route]).unwrap()
    };
    assert_eq!(total("count"), 2.0);
    assert!((total("sum") - 60.0003).abs() < 1e-9);
    assert_eq!(value(&samples, "disklessd_commit_changes_bucket", &[("le", "2")]), Some(0.0));
    assert_eq!(value(&samples, "disklessd_commit_changes_bucket", &[("le", "4")]), Some(1.0));
}

#[test]
fn a_strangers_words_make_no_series() {
    let (_, samples) = parse(&exposition(&busy(), &Nodes::new()));
    let labels = [("route", "none"), ("method", "other"), ("code", "405")];
    assert_eq!(value(&samples, "disklessd_http_requests_total", &labels), Some(1.0));
    let metrics = Metrics::default();
    metrics.scripts.given("boot");
    metrics.scripts.given("a word of nobody");
    let (_, samples) = parse(&exposition(&metrics, &Nodes::new()));
    let scripts: f64 =
        samples.iter().filter(|sample| sample.0 == "disklessd_scripts_total").map(|sample| sample.2).sum();
    assert_eq!(scripts, 1.0);
}

#[test]
fn labels_are_escaped() {
    let (_, samples) = parse(&exposition(&busy(), &Nodes::new()));
    let labels = [("webhook", "stack\"storm\\\n"), ("result", "done")];
    assert_eq!(value(&samples, "disklessd_webhook_deliveries_total", &labels), Some(1.0));
}

#[test]
fn what_was_new_and_what_was_known_are_told_apart() {
    use crate::store::{Call, Change, Outcome};
    let metrics = Metrics::default();
    let change =
        Change::Heard { node: "ocean1".to_owned(), at: crate::time::Time(0), from: None, call: Call::Kernel };
    metrics.writes.made(&change, Outcome::New(1));
    metrics.writes.made(&change, Outcome::Known);
    metrics.writes.made(&change, Outcome::Known);
    let (_, samples) = parse(&exposition(&metrics, &Nodes::new()));
    assert_eq!(value(&samples, "disklessd_heard_total", &[("kind", "kernel")]), Some(1.0));
    assert_eq!(value(&samples, "disklessd_heard_again_total", &[("kind", "kernel")]), Some(2.0));
    assert_eq!(value(&samples, "disklessd_heard_total", &[("kind", "ipxe")]), Some(0.0));
}

#[test]
fn connections_are_counted_while_they_are_open() {
    let metrics = Metrics::default();
    let first = metrics.connections.opened();
    let second = metrics.connections.opened();
    drop(first);
    let (_, samples) = parse(&exposition(&metrics, &Nodes::new()));
    assert_eq!(value(&samples, "disklessd_connections", &[]), Some(1.0));
    assert_eq!(value(&samples, "disklessd_connections_taken_total", &[]), Some(2.0));
    drop(second);
    let (_, samples) = parse(&exposition(&metrics, &Nodes::new()));
    assert_eq!(value(&samples, "disklessd_connections", &[]), Some(0.0));
}

#[test]
fn a_refused_reload_leaves_the_time_of_the_site_in_use() {
    let metrics = busy();
    metrics.reloads.refused();
    let (_, samples) = parse(&exposition(&metrics, &Nodes::new()));
    assert_eq!(value(&samples, "disklessd_site_taken_timestamp_seconds", &[]), Some(1_700_000_000.0));
    assert_eq!(value(&samples, "disklessd_reloads_total", &[("result", "refused")]), Some(2.0));
    assert_eq!(value(&samples, "disklessd_reloads_total", &[("result", "taken")]), Some(1.0));
}
