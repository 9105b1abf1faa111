//! All calls of the API, one by one.

use std::sync::Arc;

use axum::Json;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{Schema, SchemaGenerator};

use super::problem::Code;
use super::{answer, bundles, check, events, nodes, want};
use crate::serve::App;
use crate::state::Timeline;

/// A call.
#[derive(Debug)]
pub struct Route {
    /// How.
    pub method: Method,
    /// Where, as axum and OpenAPI both write it.
    pub path: &'static str,
    /// Its name in OpenAPI.
    pub name: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Whether it needs the operators' token.
    pub token: bool,
    /// What it takes beside a body.
    pub params: &'static [Param],
    /// The body it takes.
    pub body: Option<SchemaOf>,
    /// What it answers with status 200.
    pub answer: Answer,
    /// What it answers else, beside what any call may.
    pub problems: &'static [Code],
    /// Who answers.
    pub handler: fn(MethodFilter) -> MethodRouter<Arc<App>>,
}

/// The schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `PUT`
    Put,
}

impl Method {
    /// For the router.
    pub fn filter(self) -> MethodFilter {
        match self {
            Method::Get => MethodFilter::GET,
            Method::Put => MethodFilter::PUT,
        }
    }

    /// As OpenAPI writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "get",
            Method::Put => "put",
        }
    }
}

/// What is answered.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// JSON.
    Json(SchemaOf),
    /// Server-sent events, with JSON as their data.
    Events(SchemaOf),
    /// A tar.
    Tar,
    /// The OpenAPI document itself.
    OpenApi,
}

/// A parameter.
#[derive(Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Where it is.
    pub place: Place,
    /// What it may be.
    pub kind: Kind,
    /// What it means.
    pub about: &'static str,
}

/// Where a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the path; it is always there.
    Path,
    /// In the query.
    Query,
    /// In a header.
    Header,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number, not negative.
    Number,
}

const NODE: Param = Param { name: "node", place: Place::Path, kind: Kind::Text, about: "A node of the site" };

fn schema<T: schemars::JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    schemas.subschema_for::<T>()
}

/// All calls.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/nodes",
        name: "nodes",
        summary: "How nodes are; with `changed_after` and `wait`: those that changed, as soon as one did",
        token: true,
        params: &[
            Param {
                name: "nodes",
                place: Place::Query,
                kind: Kind::Text,
                about: "A node set, `ocean[1-16],@rack2`; all nodes of the site without it",
            },
            Param {
                name: "changed_after",
                place: Place::Query,
                kind: Kind::Number,
                about: "Only nodes with a change after this one: `last` of an answer before",
            },
            Param {
                name: "wait",
                place: Place::Query,
                kind: Kind::Number,
                about: "With `changed_after`: seconds to wait for a change, at most 60; then `nodes` is empty",
            },
        ],
        body: None,
        answer: Answer::Json(schema::<answer::Nodes>),
        problems: &[Code::BadQuery, Code::BadNodeSet],
        handler: |method| on(method, nodes::list),
    },
    Route {
        method: Method::Get,
        path: "/v1/nodes/{node}",
        name: "node",
        summary: "How one node is",
        token: true,
        params: &[NODE],
        body: None,
        answer: Answer::Json(schema::<answer::Node>),
        problems: &[],
        handler: |method| on(method, nodes::one),
    },
    Route {
        method: Method::Get,
        path: "/v1/nodes/{node}/boots",
        name: "boots",
        summary: "Its boots, the newest first",
        token: true,
        params: &[NODE],
        body: None,
        answer: Answer::Json(schema::<answer::Boots>),
        problems: &[],
        handler: |method| on(method, nodes::boots),
    },
    Route {
        method: Method::Get,
        path: "/v1/nodes/{node}/timeline",
        name: "timeline",
        summary: "What took how long in one of its boots",
        token: true,
        params: &[
            NODE,
            Param {
                name: "boot",
                place: Place::Query,
                kind: Kind::Text,
                about: "The number of one of its boots, or `latest`, which it is without this",
            },
        ],
        body: None,
        answer: Answer::Json(schema::<Timeline>),
        problems: &[Code::BadQuery],
        handler: |method| on(method, nodes::timeline),
    },
    Route {
        method: Method::Get,
        path: "/v1/nodes/{node}/plan",
        name: "plan",
        summary: "Its boot plan, without the secrets in it, and what comes from where",
        token: true,
        params: &[NODE],
        body: None,
        answer: Answer::Json(schema::<answer::Plan>),
        problems: &[Code::NoPlan],
        handler: |method| on(method, nodes::plan),
    },
    Route {
        method: Method::Get,
        path: "/v1/nodes/{node}/bundles",
        name: "bundles",
        summary: "The bundles that it has sent, the newest first",
        token: true,
        params: &[NODE],
        body: None,
        answer: Answer::Json(schema::<answer::Bundles>),
        problems: &[],
        handler: |method| on(method, bundles::list),
    },
    Route {
        method: Method::Get,
        path: "/v1/nodes/{node}/bundles/{id}",
        name: "bundle",
        summary: "One of its bundles",
        token: true,
        params: &[
            NODE,
            Param { name: "id", place: Place::Path, kind: Kind::Number, about: "The number of the bundle" },
        ],
        body: None,
        answer: Answer::Tar,
        problems: &[],
        handler: |method| on(method, bundles::one),
    },
    Route {
        method: Method::Put,
        path: "/v1/wanted",
        name: "want",
        summary: "Says what nodes are to do when they ask: all of the set, or none",
        token: true,
        params: &[],
        body: Some(schema::<answer::Want>),
        answer: Answer::Json(schema::<answer::Set>),
        problems: &[Code::BadBody, Code::BadNodeSet, Code::UnknownNodes],
        handler: |method| on(method, want::put),
    },
    Route {
        method: Method::Get,
        path: "/v1/events",
        name: "events",
        summary: "What is heard of nodes, as it comes, each event with its id; a comment every 15 seconds",
        token: true,
        params: &[
            Param {
                name: "after",
                place: Place::Query,
                kind: Kind::Number,
                about: "Begins after the event of this id; without it: with the next one to come",
            },
            Param {
                name: "last-event-id",
                place: Place::Header,
                kind: Kind::Text,
                about: "The same, and it wins: what a reader sends that was cut off",
            },
        ],
        body: None,
        answer: Answer::Events(schema::<answer::Event>),
        problems: &[Code::BadQuery],
        handler: |method| on(method, events::follow),
    },
    Route {
        method: Method::Get,
        path: "/v1/check",
        name: "check",
        summary: "What is wrong with the site in use, as `disklessd check` says it",
        token: true,
        params: &[],
        body: None,
        answer: Answer::Json(schema::<answer::Findings>),
        problems: &[],
        handler: |method| on(method, check::get),
    },
    Route {
        method: Method::Get,
        path: "/v1/openapi.json",
        name: "openapi",
        summary: "This document",
        token: false,
        params: &[],
        body: None,
        answer: Answer::OpenApi,
        problems: &[],
        handler: |method| on(method, async || Json(super::openapi::document())),
    },
];
