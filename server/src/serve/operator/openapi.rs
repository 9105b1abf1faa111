//! The API's description, in OpenAPI 3.1.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::problem::{Code, Said};
use super::table::{Answer, Kind, Param, Place, ROUTES, Route};

/// Of this API; a new minor version adds, a new major one is below another path.
const VERSION: &str = "1.0.0";

/// The document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        // The schemas are part of the document (OpenAPI 3.1, section 4.8.24).
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.for_serialize().into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(route.method.as_str().to_owned(), operation(route, &mut schemas));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "disklessd",
            "summary": "How far diskless nodes are, and what they are to do",
            "version": VERSION,
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "responses": responses(route, schemas),
        "security": if route.token { json!([{"token": []}]) } else { json!([]) },
    });
    let Some(members) = operation.as_object_mut() else { return operation };
    if !route.params.is_empty() {
        members.insert("parameters".to_owned(), route.params.iter().map(parameter).collect());
    }
    if let Some(body) = route.body {
        let content = json!({"application/json": {"schema": body(schemas)}});
        members.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
    }
    operation
}

fn parameter(param: &Param) -> Value {
    let place = match param.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    let schema = match param.kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Number => json!({"type": "integer", "format": "uint64", "minimum": 0}),
    };
    json!({
        "name": param.name,
        "in": place,
        "description": param.about,
        "required": param.place == Place::Path,
        "schema": schema,
    })
}

fn responses(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let (media, schema) = match route.answer {
        Answer::Json(of) => ("application/json", of(schemas).to_value()),
        Answer::Events(of) => ("text/event-stream", of(schemas).to_value()),
        Answer::Tar => ("application/x-tar", json!({"type": "string", "contentEncoding": "binary"})),
        Answer::OpenApi => ("application/json", json!({"type": "object", "required": ["openapi", "paths"]})),
    };
    let mut content = Map::new();
    // Of server-sent events: the data of each.
    content.insert(media.to_owned(), json!({"schema": schema}));
    let mut responses = Map::new();
    responses.insert("200".to_owned(), json!({"description": route.summary, "content": content}));
    let any_call: &[Code] = if route.token { &[Code::NotFound, Code::Unavailable] } else { &[] };
    for code in any_call.iter().chain(route.problems) {
        let status = code.status().as_u16().to_string();
        let said = json!({"application/json": {"schema": schemas.subschema_for::<Said>()}});
        let response = responses.entry(status).or_insert_with(|| json!({"description": "", "content": said}));
        if let Some(description) = response.get_mut("description") {
            let more = format!("`{}`: {}", code.as_str(), code.meaning());
            let before = description.as_str().filter(|text| !text.is_empty());
            *description =
                Value::String(before.map_or_else(|| more.clone(), |text| format!("{text}; {more}")));
        }
    }
    Value::Object(responses)
}
