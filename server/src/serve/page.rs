//! The page that shows the nodes: files of `server/web`, built into the program as they are.
//!
//! There is nothing of a node in them: the page asks the operators' API for that, with the token that its reader gave.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use super::App;
use super::operator::problem::Problem;

/// Everything the page is made of comes from here, and nobody shows it inside a page of his own. What a node says cannot
/// become a script: none but those files are run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
struct File {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const INDEX: File = File { name: "", kind: HTML, text: include_str!("../../web/index.html") };

/// Below `/web/`.
const FILES: &[File] = &[
    File { name: "style.css", kind: CSS, text: include_str!("../../web/style.css") },
    File { name: "icon.svg", kind: SVG, text: include_str!("../../web/icon.svg") },
    File { name: "main.js", kind: SCRIPT, text: include_str!("../../web/main.js") },
    File { name: "api.js", kind: SCRIPT, text: include_str!("../../web/api.js") },
    File { name: "events.js", kind: SCRIPT, text: include_str!("../../web/events.js") },
    File { name: "nodes.js", kind: SCRIPT, text: include_str!("../../web/nodes.js") },
    File { name: "element.js", kind: SCRIPT, text: include_str!("../../web/element.js") },
    File { name: "grid.js", kind: SCRIPT, text: include_str!("../../web/grid.js") },
    File { name: "trouble.js", kind: SCRIPT, text: include_str!("../../web/trouble.js") },
    File { name: "detail.js", kind: SCRIPT, text: include_str!("../../web/detail.js") },
];

/// One tag for all files: they belong together, and a browser must not have some of them from one version of the server
/// and some from another.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for file in std::iter::once(&INDEX).chain(FILES) {
        hash.update(file.text);
    }
    let digest = hash.finalize();
    let hex = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
    format!("\"{}\"", hex.collect::<String>())
});

/// Its routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/", get(index)).route("/web/{file}", get(file))
}

async fn index(asked: HeaderMap) -> Response {
    give(&INDEX, &asked)
}

async fn file(Path(name): Path<String>, asked: HeaderMap) -> Response {
    match FILES.iter().find(|file| file.name == name) {
        Some(file) => give(file, &asked),
        None => Problem::not_found().into_response(),
    }
}

fn give(file: &File, asked: &HeaderMap) -> Response {
    let headers = [
        (CONTENT_TYPE, file.kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        // Kept, and asked for again each time: after an update of the server nobody looks at the old page.
        (CACHE_CONTROL, "no-cache"),
        (ETAG, TAG.as_str()),
    ];
    let known = asked
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| names(value, &TAG));
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, file.text).into_response()
}

/// Whether a value of `If-None-Match` names `tag` (RFC 9110, section 13.1.2: `*`, or a list; weak ones count too).
fn names(value: &str, tag: &str) -> bool {
    value.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_given_and_every_reference_is_one_of_them() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "index.html")
            .collect();
        there.sort();
        let mut given: Vec<_> = FILES.iter().map(|file| file.name.to_owned()).collect();
        given.sort();
        assert_eq!(there, given);
        for file in std::iter::once(&INDEX).chain(FILES) {
            for reference in file.text.split("\"/web/").skip(1) {
                let name = reference.split('"').next().unwrap();
                assert!(given.iter().any(|file| file == name), "{} names {name}", file.name);
            }
        }
    }

    #[test]
    fn no_file_refers_to_another_origin_or_makes_markup_of_text() {
        for File { name, text, .. } in std::iter::once(&INDEX).chain(FILES) {
            for (at, _) in text.match_indices("//").filter(|(at, _)| !text[..*at].ends_with("\"\"")) {
                // A comment, the source of a fact in one, or the name of SVG's namespace, which nobody fetches.
                let line = text[..at].rsplit('\n').next().unwrap();
                let named = text[at..].starts_with("//www.w3.org/2000/svg\"");
                assert!(line.trim().is_empty() || line.trim().starts_with("//") || named, "{name}: {line}//");
            }
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "localStorage",
                "EventSource(",
                "WebSocket",
                "@import",
                "url(",
                "style=\"",
                "<script>",
                "onload=",
            ] {
                assert!(!text.contains(word), "{name} has {word}");
            }
        }
    }

    #[test]
    fn a_tag_is_found_in_lists() {
        for known in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*", " \"a\" "] {
            assert!(names(known, "\"a\""), "{known}");
        }
        for other in ["", "a", "\"b\"", "\"ab\"", "\"b\",\"c\""] {
            assert!(!names(other, "\"a\""), "{other}");
        }
    }
}
