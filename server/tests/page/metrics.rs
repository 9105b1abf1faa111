//! What Prometheus gets.

use disklessd::store::{Call, Change};
use disklessd::time::Time;

use crate::site::{Served, TOKEN};

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_need_the_token_unless_the_site_says_otherwise() {
    let bearer = format!("Bearer {TOKEN}");
    let closed = Served::new("ocean[1-3]", "").await;
    let without = closed.get("/metrics", &[]).await;
    let wrong = closed.get("/metrics", &[("Authorization", "Bearer wrong")]).await;
    assert_eq!((without.status().as_u16(), wrong.status().as_u16()), (404, 404));
    assert_eq!(without.body(), wrong.body());
    let with = closed.get("/metrics", &[("Authorization", &bearer)]).await;
    assert_eq!(with.status(), 200);
    assert_eq!(with.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let open = Served::new("ocean[1-3]", "metrics_open = true").await;
    assert_eq!(open.get("/metrics", &[]).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_requests_and_writes_are_counted() {
    let served = Served::new("ocean[1-10]", "metrics_open = true").await;
    let heard = |node: &str, at: u64| Change::Heard {
        node: node.to_owned(),
        at: Time(at),
        from: None,
        call: Call::Ipxe { given: Some("boot".to_owned()) },
    };
    let now = Time::now().0;
    // One that is on its way, one that is silent, and one that the site does not have any more.
    let changes = vec![heard("ocean1", now), heard("ocean2", now - 3_600_000), heard("gone1", now)];
    served.app.store.write(changes).await.unwrap();
    served.get("/web/main.js", &[]).await;
    served.get("/web/style.css", &[]).await;
    served.get("/no/such/path", &[]).await;
    served.get("/phone_home/ipxe", &[]).await;
    let text = served.get("/metrics", &[]).await.into_body();
    let nodes = |state: &str| value(&text, &format!("disklessd_nodes{{state=\"{state}\"}}"));
    assert_eq!([nodes("ipxe"), nodes("silent"), nodes("never"), nodes("up")], [1.0, 1.0, 8.0, 0.0]);
    let requests = |labels: &str| value(&text, &format!("disklessd_http_requests_total{{{labels}}}"));
    assert_eq!(requests("route=\"/web/{file}\",method=\"GET\",code=\"200\""), 2.0);
    assert_eq!(requests("route=\"none\",method=\"GET\",code=\"404\""), 1.0);
    assert!(text.contains("route=\"/phone_home/ipxe\",method=\"GET\""));
    assert!(!text.contains("no/such/path") && !text.contains("ocean1"));
    assert_eq!(value(&text, "disklessd_heard_total{kind=\"ipxe\"}"), 3.0);
    assert_eq!(value(&text, "disklessd_commit_changes_count"), 1.0);
    assert_eq!(value(&text, "disklessd_commit_changes_sum"), 3.0);
    let own = served.get("/metrics", &[]).await.into_body();
    assert_eq!(
        value(&own, "disklessd_http_requests_total{route=\"/metrics\",method=\"GET\",code=\"200\"}"),
        1.0
    );
}

/// docs/metrics.md lists what the text has; `UPDATE_DOCS=1 cargo test -p disklessd --test page` brings it up to date.
#[test]
fn every_family_is_described() {
    use std::fmt::Write;
    const BEGIN: &str = "<!-- generated from the code -->\n";
    const END: &str = "<!-- end of what is generated -->\n";
    let mut table = String::from("\n| name | kind | labels | meaning |\n| --- | --- | --- | --- |\n");
    for family in disklessd::metrics::FAMILIES {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            family.name,
            family.kind.as_str(),
            labels.join(", "),
            family.help
        )
        .unwrap();
    }
    table.push('\n');
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the mark where generated text begins");
    let (written, after) = rest.split_once(END).expect("the mark where generated text ends");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(
            written, table,
            "docs/metrics.md is behind the code: UPDATE_DOCS=1 cargo test -p disklessd --test page"
        );
    }
}
