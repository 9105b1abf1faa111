//! Every call of the API, on the real router: the answers have the shape that the OpenAPI document says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "that is how a test fails"
)]

mod api_site;

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use disklessd::serve::operator::problem::Code;
use disklessd::serve::operator::{ROUTES, document};
use disklessd::store::Call;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use api_site::{TOKEN, TestSite};

/// The document, and the calls that were made.
struct Described {
    document: Value,
    called: BTreeSet<(String, String)>,
}

impl Described {
    /// Holds an answer to what the document says of the call. `path` is the one of the document.
    fn hold(&mut self, method: &str, path: &str, status: StatusCode, media: &str, answer: &Value) {
        let method = method.to_lowercase();
        let operation = &self.document["paths"][path][&method];
        let content = &operation["responses"][status.as_str()]["content"];
        let mut schema = content[media]["schema"].clone();
        assert!(schema.is_object(), "{method} {path}: {status} {media} is not described");
        schema["components"] = self.document["components"].clone();
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(answer)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{method} {path} {status}: {errors:#?} in {answer:#}");
        self.called.insert((method, path.to_owned()));
    }
}

async fn json_of(response: Response<Body>) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn every_call_answers_as_it_is_described() {
    let site = TestSite::new();
    site.heard("n1", Call::Ipxe { given: Some("boot".into()) }).await;
    site.event("n1", "boot-1", 1, "run", json!({"detail": "diskless"})).await;
    site.event("n1", "boot-1", 2, "start", json!({"step": "luks", "detail": "sda"})).await;
    let failed = json!({"step": "luks", "code": "luks-no-key", "message": "disk sda", "advice": "look"});
    site.event("n1", "boot-1", 3, "failed", failed).await;
    site.heard("n2", Call::Ipxe { given: None }).await;
    site.heard("n2", Call::Cloudinit(serde_json::from_value(json!({"hostname": "n2"})).unwrap())).await;
    // The boot's own id, as the kernel writes them.
    site.event("n1", "b007-1", 1, "run", json!({"detail": "diskless"})).await;
    assert_eq!(site.bundle("n1", "b007-1", "tar").await.status(), 200);
    let mut described = Described { document: document(), called: BTreeSet::new() };

    let get = [
        ("/v1/nodes", "/v1/nodes", 200),
        ("/v1/nodes?nodes=n[1-2],@odd,stranger", "/v1/nodes", 200),
        ("/v1/nodes?changed_after=0&wait=1", "/v1/nodes", 200),
        ("/v1/nodes?nodes=n%5B1", "/v1/nodes", 400),
        ("/v1/nodes?nodes=@nobody", "/v1/nodes", 400),
        ("/v1/nodes?changed_after=soon", "/v1/nodes", 400),
        ("/v1/nodes?node=n1", "/v1/nodes", 400),
        ("/v1/nodes/n1", "/v1/nodes/{node}", 200),
        ("/v1/nodes/n3", "/v1/nodes/{node}", 200),
        ("/v1/nodes/n9", "/v1/nodes/{node}", 404),
        ("/v1/nodes/n1/boots", "/v1/nodes/{node}/boots", 200),
        ("/v1/nodes/n3/boots", "/v1/nodes/{node}/boots", 200),
        ("/v1/nodes/n9/boots", "/v1/nodes/{node}/boots", 404),
        ("/v1/nodes/n1/timeline", "/v1/nodes/{node}/timeline", 200),
        ("/v1/nodes/n2/timeline?boot=latest", "/v1/nodes/{node}/timeline", 200),
        ("/v1/nodes/n1/timeline?boot=0", "/v1/nodes/{node}/timeline", 404),
        ("/v1/nodes/n1/timeline?boot=last", "/v1/nodes/{node}/timeline", 400),
        ("/v1/nodes/n3/timeline", "/v1/nodes/{node}/timeline", 404),
        ("/v1/nodes/n1/plan", "/v1/nodes/{node}/plan", 200),
        ("/v1/nodes/n9/plan", "/v1/nodes/{node}/plan", 404),
        ("/v1/nodes/n1/bundles", "/v1/nodes/{node}/bundles", 200),
        ("/v1/nodes/n3/bundles", "/v1/nodes/{node}/bundles", 200),
        ("/v1/nodes/n9/bundles", "/v1/nodes/{node}/bundles", 404),
        ("/v1/nodes/n1/bundles/1", "/v1/nodes/{node}/bundles/{id}", 404),
        ("/v1/nodes/n1/bundles/x", "/v1/nodes/{node}/bundles/{id}", 404),
        ("/v1/check", "/v1/check", 200),
        ("/v1/events?after=soon", "/v1/events", 400),
        ("/v1/openapi.json", "/v1/openapi.json", 200),
    ];
    for (url, path, status) in get {
        let response = site.get(url).await;
        assert_eq!(response.status(), status, "{url}");
        let (status, answer) = (response.status(), json_of(response).await);
        described.hold("GET", path, status, "application/json", &answer);
    }

    let bundles = json_of(site.get("/v1/nodes/n1/bundles").await).await;
    let newest = &bundles["bundles"][0];
    assert_eq!(
        (&newest["boot_id"], &newest["bytes"], newest["boot"].is_u64()),
        (&json!("b007-1"), &json!(3), true)
    );
    let response = site.get(&format!("/v1/nodes/n1/bundles/{}", newest["id"])).await;
    let (status, media) =
        (response.status(), response.headers()["content-type"].to_str().unwrap().to_owned());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(bytes, "tar");
    described.hold("GET", "/v1/nodes/{node}/bundles/{id}", status, &media, &json!("tar"));

    let put = [
        (json!({"nodes": "n[1-2]", "action": "trap", "once": true}), 200),
        (json!({"nodes": "@odd", "action": null}), 200),
        (json!({"nodes": "n[1-9]", "action": "trap"}), 422),
        (json!({"nodes": "n[", "action": "trap"}), 400),
        (json!({"nodes": "n1", "action": "explode"}), 400),
        // To leave the action out by mistake must not take it back.
        (json!({"nodes": "n1"}), 400),
        (json!({"nodes": "n1", "action": null, "when": "now"}), 400),
    ];
    for (body, status) in put {
        let request = Request::put("/v1/wanted").header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {TOKEN}"));
        let response = site.ask(request.body(Body::from(body.to_string())).unwrap()).await;
        assert_eq!(response.status(), status, "{body}");
        let (status, answer) = (response.status(), json_of(response).await);
        described.hold("PUT", "/v1/wanted", status, "application/json", &answer);
    }

    let events = site.events("/v1/events?after=0", None, 4).await;
    for event in &events {
        described.hold("GET", "/v1/events", StatusCode::OK, "text/event-stream", &event.data);
    }

    for route in ROUTES {
        let key = (route.method.as_str().to_owned(), route.path.to_owned());
        assert!(described.called.contains(&key), "{key:?} was not called");
    }
}

#[tokio::test]
async fn what_a_node_said_is_what_is_answered() {
    let site = TestSite::new();
    site.heard("n1", Call::Ipxe { given: Some("boot".into()) }).await;
    let failed = json!({"step": "luks", "code": "luks-no-key", "message": "disk sda", "advice": "look"});
    site.event("n1", "boot-1", 1, "failed", failed.clone()).await;
    site.heard("forgotten", Call::Ipxe { given: None }).await;

    let all = json_of(site.get("/v1/nodes").await).await;
    let names: Vec<&str> =
        all["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect();
    // All of the site, those of no boot too; none that the site does not have any more.
    assert_eq!(names, ["n1", "n2", "n3"]);
    assert_eq!(all["unknown"], json!([]));
    let n1 = &all["nodes"][0];
    assert_eq!(
        (&n1["state"], &n1["stage"], &n1["step"]),
        (&json!("failed"), &json!("agent"), &json!("luks"))
    );
    assert_eq!(n1["failure"], failed);
    assert_eq!(n1["boot"]["boot_id"], "boot-1");
    assert!(n1["boot"]["reached"]["ipxe"].is_string() && n1["boot"]["reached"]["agent"].is_string());
    assert_eq!((&all["nodes"][2]["state"], &all["nodes"][2]["boot"]), (&json!("never"), &Value::Null));

    let some = json_of(site.get("/v1/nodes?nodes=n3,n8,@odd").await).await;
    assert_eq!(some["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(some["unknown"], json!(["n8"]));

    let plan = json_of(site.get("/v1/nodes/n1/plan").await).await;
    let text = plan.to_string();
    assert!(text.contains("***") && !text.contains(api_site::SECRET), "{plan:#}");
}

#[tokio::test]
async fn a_call_that_waits_ends_with_the_change() {
    let site = TestSite::new();
    site.heard("n1", Call::Kernel).await;
    let first = json_of(site.get("/v1/nodes?nodes=n[1-2]").await).await;
    let last = first["last"].as_u64().unwrap();

    let none = json_of(site.get(&format!("/v1/nodes?nodes=n[1-2]&changed_after={last}")).await).await;
    assert_eq!(none["nodes"], json!([]));

    let url = format!("/v1/nodes?nodes=n[1-2]&changed_after={last}&wait=30");
    let started = std::time::Instant::now();
    let (waited, ()) = tokio::join!(async { json_of(site.get(&url).await).await }, async {
        // n3 is not asked for, so its change does not end the call.
        site.heard("n3", Call::Kernel).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        site.heard("n2", Call::Kernel).await;
    });
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
    assert_eq!(waited["nodes"].as_array().unwrap().len(), 1, "{waited:#}");
    assert_eq!(waited["nodes"][0]["name"], "n2");
    assert!(waited["last"].as_u64() > Some(last));

    let url = format!("/v1/nodes?changed_after={}&wait=60", u32::MAX);
    let (ended, ()) = tokio::join!(async { json_of(site.get(&url).await).await }, async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        site.app.stop();
    });
    assert_eq!(ended["nodes"], json!([]));
    assert!(started.elapsed() < std::time::Duration::from_secs(40));
}

#[tokio::test]
async fn who_has_no_token_and_who_asks_for_no_node_learn_the_same() {
    let site = TestSite::new();
    let ask = async |url: &str, token: Option<&str>| {
        let request = Request::get(url);
        let request = match token {
            Some(token) => request.header("authorization", token),
            None => request,
        };
        let response = site.ask(request.body(Body::empty()).unwrap()).await;
        let (mut head, body) = response.into_parts();
        head.headers.remove("date");
        let headers: Vec<_> = head.headers.into_iter().collect();
        (head.status, headers, body.collect().await.unwrap().to_bytes())
    };
    let good = format!("Bearer {TOKEN}");
    let unknown = ask("/v1/nodes/n9", Some(&good)).await;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND);
    let longer = format!("Bearer {TOKEN}x");
    for (url, token) in [
        ("/v1/nodes/n1", None),
        ("/v1/nodes/n9", None),
        ("/v1/nodes/n1", Some("Bearer")),
        ("/v1/nodes/n1", Some("Bearer wrong")),
        ("/v1/nodes/n1", Some(longer.as_str())),
        ("/v1/nodes/n1", Some("Basic b3BlcmF0b3I=")),
        ("/v1/nodes", None),
        ("/v1/nodes?nodes=%5B", None),
        ("/v1/events", None),
        ("/v1/check", None),
        ("/v1/nothing", None),
        ("/v1/nodes/n9/boots", Some(good.as_str())),
        ("/v1/nodes/n9/plan", Some(good.as_str())),
        ("/v1/nodes/%FF", Some(good.as_str())),
        ("/v1/nothing", Some(good.as_str())),
    ] {
        assert_eq!(ask(url, token).await, unknown, "{url} {token:?}");
    }

    // Another token in the file counts at once; none at all refuses all.
    std::fs::write(site.folder.path().join("token"), "other\n").unwrap();
    assert_eq!(ask("/v1/nodes/n1", Some(&good)).await, unknown);
    assert_eq!(ask("/v1/nodes/n1", Some("Bearer other")).await.0, StatusCode::OK);
    std::fs::write(site.folder.path().join("token"), "").unwrap();
    for token in ["Bearer", "Bearer ", "Bearer other"] {
        assert_eq!(ask("/v1/nodes/n1", Some(token)).await, unknown);
    }
    assert_eq!(ask("/v1/openapi.json", None).await.0, StatusCode::OK);
}

#[tokio::test]
async fn events_go_on_where_the_reader_was_cut_off() {
    let site = TestSite::new();
    for _ in 0..150 {
        site.heard("n1", Call::Kernel).await;
    }
    let all = site.events("/v1/events?after=0", None, 150).await;
    let ids: Vec<u64> = all.iter().map(|event| event.id).collect();
    assert!(ids.is_sorted_by(|one, next| one < next));
    assert!(all.iter().all(|event| event.data["id"] == event.id && event.data["node"] == "n1"));
    let cut = ids[119];
    let rest = site.events("/v1/events?after=0", Some(cut), 30).await;
    assert_eq!(rest.iter().map(|event| event.id).collect::<Vec<_>>(), ids[120..]);

    // Without a place to begin at: what comes from now on; and it comes when it happens.
    let (new, ()) = tokio::join!(site.events("/v1/events", None, 1), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        site.heard("n2", Call::Kernel).await;
    });
    assert_eq!(new[0].data["node"], "n2");

    // A reader that waits is let go when the server ends.
    let response = site.get("/v1/events").await;
    site.app.stop();
    let left = tokio::time::timeout(std::time::Duration::from_secs(5), response.into_body().collect()).await;
    assert_eq!(left.unwrap().unwrap().to_bytes(), "");
}

#[tokio::test]
async fn what_is_wanted_is_all_or_nothing() {
    let site = TestSite::new();
    let put = async |body: Value| {
        let request = Request::put("/v1/wanted").header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {TOKEN}"));
        site.ask(request.body(Body::from(body.to_string())).unwrap()).await.status()
    };
    let wanted = async || {
        let nodes = json_of(site.get("/v1/nodes").await).await;
        let nodes = nodes["nodes"].as_array().unwrap().clone();
        nodes.iter().map(|node| node["wanted"]["action"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(put(json!({"nodes": "n1,n9", "action": "trap"})).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(wanted().await, [None, None, None]);
    assert_eq!(put(json!({"nodes": "@odd", "action": "trap"})).await, StatusCode::OK);
    assert_eq!(wanted().await, [Some("trap".to_owned()), None, Some("trap".to_owned())]);
    assert_eq!(put(json!({"nodes": "n1", "action": null})).await, StatusCode::OK);
    assert_eq!(wanted().await, [None, None, Some("trap".to_owned())]);
    let long = put(json!({"nodes": "n1,".repeat(40_000), "action": "trap"})).await;
    assert_eq!(long, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_second_server_on_the_same_database_answers_the_same() {
    let one = TestSite::new();
    let two = TestSite::open(std::sync::Arc::clone(&one.folder));
    one.heard("n1", Call::Kernel).await;
    let last = json_of(one.get("/v1/nodes?nodes=n2").await).await["last"].as_u64().unwrap();
    let url = format!("/v1/nodes?changed_after={last}&wait=20");
    let (waited, events, ()) = tokio::join!(
        async { json_of(two.get(&url).await).await },
        two.events("/v1/events?after=0", None, 2),
        one.heard("n2", Call::Kernel)
    );
    assert_eq!(waited["nodes"][0]["name"], "n2");
    assert_eq!((&events[0].data["node"], &events[1].data["node"]), (&json!("n1"), &json!("n2")));
}

#[test]
fn every_call_and_every_code_is_described() {
    let mut calls =
        String::from("\n| call | | parameters | codes beside `not-found` |\n| --- | --- | --- | --- |\n");
    for route in ROUTES {
        let list = |words: Vec<String>| words.join(", ");
        let params = list(route.params.iter().map(|param| format!("`{}`", param.name)).collect());
        let codes = list(route.problems.iter().map(|code| format!("`{}`", code.as_str())).collect());
        let call = format!("{} {}", route.method.as_str().to_uppercase(), route.path);
        calls += &format!("| `{call}` | {} | {params} | {codes} |\n", route.summary);
    }
    let mut codes = String::from("\n| code | status | meaning |\n| --- | --- | --- |\n");
    for code in Code::ALL {
        codes += &format!("| `{}` | {} | {} |\n", code.as_str(), code.status().as_u16(), code.meaning());
    }
    for (what, generated) in [("calls", calls), ("codes", codes)] {
        let (begin, end) =
            (format!("<!-- {what}: generated from the code -->\n"), "<!-- end of what is generated -->");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once(&begin).unwrap();
        let (written, after) = rest.split_once(end).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, format!("{before}{begin}{generated}\n{end}{after}")).unwrap();
        } else {
            assert_eq!(
                written,
                generated + "\n",
                "docs/api.md: UPDATE_DOCS=1 cargo test -p disklessd --test api"
            );
        }
    }
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md")).unwrap();
    for trigger in disklessd::webhook::trigger::TRIGGERS {
        assert!(text.contains(&format!("`{trigger}`")), "{trigger} is not described");
    }
}

#[test]
fn the_document_is_the_one_that_is_published() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let generated = format!("{:#}\n", document());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(published == generated, "docs/openapi.json: UPDATE_DOCS=1 cargo test -p disklessd --test api");
}
