//! What a browser gets.

use crate::site::Served;

const FILES: &[(&str, &str)] = &[
    ("/", "text/html; charset=utf-8"),
    ("/web/style.css", "text/css; charset=utf-8"),
    ("/web/icon.svg", "image/svg+xml"),
    ("/web/main.js", "text/javascript; charset=utf-8"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_with_their_kind_and_a_policy_that_lets_nothing_else_in() {
    let served = Served::new("ocean[1-3]", "").await;
    for (path, kind) in FILES {
        let answer = served.get(path, &[]).await;
        assert_eq!(answer.status(), 200, "{path}");
        let header = |name: &str| answer.headers().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), *kind);
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-cache");
        let policy = header("content-security-policy");
        for rule in policy.split("; ") {
            let (_, sources) = rule.split_once(' ').unwrap();
            assert!(["'self'", "'none'"].contains(&sources), "{rule}");
        }
        assert!(policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"));
        assert!(!answer.body().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_the_browser_has_is_not_sent_again() {
    let served = Served::new("ocean[1-3]", "").await;
    for (path, _) in FILES {
        let answer = served.get(path, &[]).await;
        let tag = answer.headers()["etag"].to_str().unwrap();
        let again = served.get(path, &[("If-None-Match", tag)]).await;
        assert_eq!((again.status().as_u16(), again.body().as_str()), (304, ""), "{path}");
        assert_eq!(again.headers()["etag"], tag);
        let other = served.get(path, &[("If-None-Match", "\"of-another-version\"")]).await;
        assert_eq!((other.status().as_u16(), other.body()), (200, answer.body()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_file_of_the_page_is_not_there() {
    let served = Served::new("ocean[1-3]", "").await;
    for path in
        ["/web/", "/web/index.html", "/web/none.js", "/web/..%2f..%2fCargo.toml", "/web/%2e%2e/Cargo.toml"]
    {
        assert_eq!(served.get(path, &[]).await.status(), 404, "{path}");
    }
}
