//! What a caller asks for, refused in the API's own words where it cannot be used.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::{Code, Problem};
use crate::error::Result;
use crate::serve::App;
use crate::site::Site;

/// A node of the site, which the path names.
#[derive(Debug)]
pub struct Named(pub String);

impl FromRequestParts<Arc<App>> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Named, Problem> {
        match Path::<String>::from_request_parts(parts, app).await {
            Ok(Path(name)) if app.site().nodes.contains_key(&name) => Ok(Named(name)),
            _ => Err(Problem::not_found()),
        }
    }
}

/// The parameters of a URL.
#[derive(Debug)]
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Asked<T>, Problem> {
        let query = Query::<T>::from_request_parts(parts, app).await;
        let refused = |error: QueryRejection| Problem::new(Code::BadQuery, error.body_text());
        query.map(|Query(query)| Asked(query)).map_err(refused)
    }
}

/// A body in JSON.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Body<T>, Problem> {
        let body = Json::<T>::from_request(request, app).await;
        let refused = |error: JsonRejection| Problem::new(Code::BadBody, error.body_text());
        body.map(|Json(body)| Body(body)).map_err(refused)
    }
}

/// The nodes of a set, which may name groups of the site: those that the site has, and those that it has not.
///
/// # Errors
/// [`crate::error::Error::NodeSet`]
pub fn nodes_of(site: &Site, set: &str) -> Result<(BTreeSet<String>, Vec<String>)> {
    let names = site.expand(set)?.into_iter();
    let (known, unknown) = names.partition::<Vec<_>, _>(|name| site.nodes.contains_key(name));
    Ok((known.into_iter().collect(), unknown))
}
