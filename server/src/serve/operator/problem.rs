//! What goes wrong with a call, in stable codes.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The body of an answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Said {
    /// A stable code.
    pub error: String,
    /// For people.
    pub message: String,
}

/// Why a call is answered with no success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// No such thing; or it is not for this caller, who is not told which.
    NotFound,
    /// A parameter of the URL cannot be used.
    BadQuery,
    /// A node set cannot be read.
    BadNodeSet,
    /// The body cannot be used.
    BadBody,
    /// Nodes that are not in the site.
    UnknownNodes,
    /// The site makes no plan for this node.
    NoPlan,
    /// The database cannot be read or written.
    Unavailable,
}

impl Code {
    /// Every one.
    pub const ALL: &[Code] = &[
        Code::NotFound,
        Code::BadQuery,
        Code::BadNodeSet,
        Code::BadBody,
        Code::UnknownNodes,
        Code::NoPlan,
        Code::Unavailable,
    ];

    /// As it is written; never renamed.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::NotFound => "not-found",
            Code::BadQuery => "bad-query",
            Code::BadNodeSet => "bad-node-set",
            Code::BadBody => "bad-body",
            Code::UnknownNodes => "unknown-nodes",
            Code::NoPlan => "no-plan",
            Code::Unavailable => "unavailable",
        }
    }

    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::BadQuery | Code::BadNodeSet | Code::BadBody => StatusCode::BAD_REQUEST,
            Code::UnknownNodes => StatusCode::UNPROCESSABLE_ENTITY,
            Code::NoPlan => StatusCode::CONFLICT,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What it means.
    pub fn meaning(self) -> &'static str {
        match self {
            Code::NotFound => "no such node, boot, bundle or path, or no valid token",
            Code::BadQuery => "a parameter of the URL cannot be used",
            Code::BadNodeSet => "the node set cannot be read",
            Code::BadBody => "the body is not the JSON that the call takes",
            Code::UnknownNodes => "some nodes are not in the site; nothing was changed",
            Code::NoPlan => "the site's file makes no boot plan for the node",
            Code::Unavailable => "the database cannot be read or written; a later try may succeed",
        }
    }
}

/// A code, and what is to be said with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The code.
    pub code: Code,
    message: String,
}

impl Problem {
    /// With this message.
    pub fn new(code: Code, message: impl Into<String>) -> Problem {
        Problem { code, message: message.into() }
    }

    /// The one answer to unknown nodes, unknown paths and callers without a token: who has none learns nothing from it.
    pub fn not_found() -> Problem {
        Problem::new(Code::NotFound, Code::NotFound.meaning())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            Error::NodeSet { .. } => Problem::new(Code::BadNodeSet, error.to_string()),
            error => {
                // The caller does not need the path of the database.
                log::error!(event = "operator-call", error:% = error; "an operator's call failed");
                Problem::new(Code::Unavailable, Code::Unavailable.meaning())
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let said = Said { error: self.code.as_str().to_owned(), message: self.message };
        (self.code.status(), Json(said)).into_response()
    }
}
