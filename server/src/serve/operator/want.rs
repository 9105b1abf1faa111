//! What operators want of nodes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::answer::{Set, Want};
use super::asked::{Body, nodes_of};
use super::problem::{Code, Problem};
use crate::error::Result;
use crate::serve::App;
use crate::site::nodeset;
use crate::store::{Change, Wish};
use crate::time::Time;

/// `PUT /v1/wanted`: all of it, or nothing.
pub async fn put(State(app): State<Arc<App>>, Body(want): Body<Want>) -> Result<Json<Set>, Problem> {
    let (nodes, unknown) = nodes_of(&app.site(), &want.nodes)?;
    if !unknown.is_empty() {
        let message = format!("not in the site, nothing was changed: {}", nodeset::fold(&unknown));
        return Err(Problem::new(Code::UnknownNodes, message));
    }
    let at = Time::now();
    let change =
        |node: &String| Change::Wanted { node: node.clone(), at, action: want.action, once: want.once };
    app.store.write(nodes.iter().map(change).collect()).await?;
    let action = want.action.map(Wish::Known);
    let action = action.as_ref().map_or("default", Wish::word);
    log::info!(event = "wanted", action = action, nodes = nodeset::fold(&nodes), once = want.once; "");
    Ok(Json(Set { nodes: nodes.into_iter().collect() }))
}
