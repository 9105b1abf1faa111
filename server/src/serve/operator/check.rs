//! What is wrong with the site.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::answer::Findings;
use super::problem::{Code, Problem};
use crate::error::Result;
use crate::serve::App;

/// `GET /v1/check`
pub async fn get(State(app): State<Arc<App>>) -> Result<Json<Findings>, Problem> {
    let site = app.site();
    // For thousands of nodes the rules take longer than other calls want to wait for this thread.
    let findings = tokio::task::spawn_blocking(move || crate::check::check(&site)).await;
    let findings = findings.map_err(|_| Problem::new(Code::Unavailable, Code::Unavailable.meaning()))?;
    Ok(Json(Findings { findings }))
}
