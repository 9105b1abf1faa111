//! One POST to a webhook.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diskless::sys::http;
use zeroize::Zeroizing;

use crate::site::file::Webhook;

/// From the first packet to the last byte of the answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Nobody reads what a webhook answers; in bytes.
const LONGEST_ANSWER: u64 = 1024 * 1024;
/// A token file is not longer, in bytes.
const LONGEST_TOKEN: usize = 4096;
/// Why a webhook did not take what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Another time it may.
    #[error("{0}")]
    Now(String),
    /// It will never take this.
    #[error("HTTP status {0}: it cannot use this event")]
    Content(u16),
}

/// Posts `body`, in a thread of its own.
///
/// # Errors
/// Any answer but success, or none.
pub async fn post(webhook: Webhook, body: Arc<[u8]>) -> Result<(), Refusal> {
    match tokio::task::spawn_blocking(move || send(&webhook, &body)).await {
        Ok(sent) => sent,
        Err(_) => Err(Refusal::Now("the server ends".to_owned())),
    }
}

fn send(webhook: &Webhook, body: &[u8]) -> Result<(), Refusal> {
    let now = |message: String| Refusal::Now(message);
    let ca = match &webhook.ca_file {
        None if webhook.url.starts_with("https:") => {
            return Err(now("an https URL needs a ca_file".to_owned()));
        }
        ca => ca.as_deref().unwrap_or(Path::new("")),
    };
    let client = http::Client::new(&webhook.url, LIMIT, ca).map_err(|error| now(error.to_string()))?;
    let token = token(webhook).map_err(now)?;
    let mut headers = vec![("content-type", "application/json")];
    if let (Some(header), Some(token)) = (&webhook.token_header, &token) {
        headers.push((header, token));
    }
    let asked = client.ask("POST", &headers, Some(body), LONGEST_ANSWER);
    match asked.map_err(|failure| now(failure.to_string()))? {
        (200..=299, _) => Ok(()),
        // Bad Request, Content Too Large, Unprocessable Content (RFC 9110, section 15.5): said of the content, not of
        // the caller or the place, which somebody may correct.
        (status @ (400 | 413 | 422), _) => Err(Refusal::Content(status)),
        (status, _) => Err(now(format!("HTTP status {status}"))),
    }
}

/// What the file says now; an error tells nothing of it.
fn token(webhook: &Webhook) -> Result<Option<Zeroizing<String>>, String> {
    let Some(path) = &webhook.token_file else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let text = Zeroizing::new(text);
    let token = text.trim();
    let plain = token.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if token.is_empty() || token.len() > LONGEST_TOKEN || !plain {
        return Err(format!("{}: this is no token: one line is expected", path.display()));
    }
    Ok(Some(Zeroizing::new(token.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_site_is_said_and_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "secret-one\nsecret-two\n").unwrap();
        let webhook = Webhook {
            name: "st2".into(),
            url: "https://127.0.0.1:1/".into(),
            triggers: Vec::new(),
            token_header: Some("St2-Api-Key".into()),
            token_file: Some(file.clone()),
            ca_file: None,
        };
        let said = send(&webhook, b"{}").unwrap_err().to_string();
        assert!(said.contains("ca_file"), "{said}");
        let webhook = Webhook { url: "http://127.0.0.1:1/".into(), ..webhook };
        let said = send(&webhook, b"{}").unwrap_err().to_string();
        assert!(said.contains("one line") && !said.contains("secret"), "{said}");
        std::fs::write(&file, "secret-one\n").unwrap();
        let said = send(&webhook, b"{}").unwrap_err().to_string();
        assert!(said.contains("refused") && !said.contains("secret"), "{said}");
    }
}
