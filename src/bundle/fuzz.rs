//! Fuzz targets of this folder, and of what it shows of text; see [`crate::fuzz`].

use super::plan;
use crate::input::redact;
use crate::sys::kmsg;

/// A boot plan, a command line, and text of any form.
pub fn redact(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    let _ = (redact::hidden_of(text), redact::paths(text), redact::cmdline(text), kmsg::parse(text));
    assert!(!redact::free_text(text).contains("-----BEGIN PRIVATE KEY"));
    let password = format!("rd.iscsi.password=\"{}\" quiet", text.replace('"', ""));
    assert_eq!(redact::cmdline(&password), "rd.iscsi.password=*** quiet");
    if let Some(shown) = plan::shown(data) {
        for secret in plan::hidden_of(data) {
            let json = serde_json::to_string(&secret).unwrap_or_default();
            // A short one may be part of what is shown.
            assert!(
                secret.len() < 12
                    || !String::from_utf8_lossy(&shown).contains(&format!("\"secret\": {json}"))
            );
        }
    }
}
