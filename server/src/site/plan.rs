//! The boot plan of a node, put together of what all its layers say.

use std::collections::BTreeMap;
use std::fmt;

use diskless::input::document::VERSIONS;
use serde_json::{Map, Value};

use super::aside::{SECRET, SECRET_FILE, Secrets};
use super::file::{File, Part};
use super::resolve::layers;
use super::variables::Values;
use super::{Node, Origin, Site};

/// Tables of which a boot plan wants one member: the last layer that has one says which.
const ALTERNATIVES: &[&str] = &["/luks/key", "/luks/header"];
/// What is shown instead of a secret.
const HIDDEN: &str = "***";

/// A boot plan, and what came from where.
#[derive(Clone, Default, PartialEq)]
pub struct Rendered {
    /// The document, as the agent gets it. It may hold secrets.
    pub document: Value,
    /// For each value that is no object, by its JSON pointer (RFC 6901): `profile compute`, `nodes ocean[1-1000]`, …
    pub origins: BTreeMap<String, String>,
}

/// Without the secrets.
impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shown())
    }
}

impl Rendered {
    /// The document with `***` instead of secrets.
    pub fn shown(&self) -> Value {
        let mut document = self.document.clone();
        hide(&mut document);
        document
    }
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(text) if key == SECRET => HIDDEN.clone_into(text),
                    Value::String(text) if diskless::input::url::has_account(text) => {
                        *text = without_account(text);
                    }
                    value => hide(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(hide),
        _ => (),
    }
}

/// A URL that has an account, without it.
fn without_account(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest.get(..end).and_then(|authority| authority.rfind('@')).map_or(0, |at| at + 1);
    format!("{scheme}://{HIDDEN}@{}", rest.get(host..).unwrap_or_default())
}

/// The schema version that is not known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("boot plans of version {0:?} are not known here, only {known}", known = VERSIONS.join(", "))]
pub struct UnknownVersion(pub String);

/// The boot plan of `node` in the schema version `version`, one of [`VERSIONS`].
///
/// It is not checked here: [`crate::check`] and the agent do that, with the same code.
///
/// # Errors
/// The version is none of those.
pub fn render(site: &Site, node: &Node, version: &str) -> Result<Rendered, UnknownVersion> {
    if !VERSIONS.contains(&version) {
        return Err(UnknownVersion(version.to_owned()));
    }
    let Site { file, secrets, .. } = site;
    let mut tree = built_in(file, node, version);
    for (origin, part) in parts(file, node) {
        let values = Values::of(file, node, &origin);
        tree.put("", &table(part, &values, secrets), &origin);
    }
    let mut origins = BTreeMap::new();
    let document = tree.document("", &mut origins);
    Ok(Rendered { document, origins })
}

/// The parts of the plan, in the order in which they are put upon each other.
fn parts<'a>(file: &'a File, node: &Node) -> Vec<(Origin, &'a Part)> {
    let mut parts: Vec<_> =
        layers(file, node).into_iter().map(|(origin, layer)| (origin, &layer.plan)).collect();
    let image = node.image.as_ref().and_then(|name| file.images.get_key_value(name));
    let image = image.map(|(name, image)| (Origin::Image(name.clone()), &image.plan));
    let servers = node.servers.iter().filter_map(|name| file.servers.get_key_value(name));
    let servers = servers.map(|(name, server)| (Origin::Server(name.clone()), &server.plan));
    // Defaults are the first of the layers.
    parts.splice(1..1, image.into_iter().chain(servers));
    parts
}

/// What follows from the rest of the file.
fn built_in(file: &File, node: &Node, version: &str) -> Tree {
    let mut tree = Tree::default();
    let mut leaf = |pointer: &[&str], value: Value, origin: &Origin| {
        let outwards = pointer.iter().rev();
        let value =
            outwards.fold(value, |value, key| Value::Object(Map::from_iter([((*key).to_owned(), value)])));
        tree.put("", &value, origin);
    };
    leaf(&["version"], version.into(), &Origin::BuiltIn);
    leaf(&["hostname"], node.name.as_str().into(), &Origin::BuiltIn);
    let url = file.server.url.trim_end_matches('/');
    if !url.is_empty() {
        leaf(&["report", "url"], format!("{url}/report/{}", node.name).into(), &Origin::BuiltIn);
        leaf(&["report", "phone_home"], format!("{url}{}", file.server.paths.up).into(), &Origin::BuiltIn);
    }
    let mut portals = Vec::new();
    let mut target: Option<String> = None;
    let servers = node.servers.iter().filter_map(|name| file.servers.get_key_value(name));
    for (name, server) in servers {
        let origin = Origin::Server(name.clone());
        let own = node.image.as_ref().map(|image| format!("{}{image}", server.target_prefix));
        if let (None, Some(own)) = (&target, &own) {
            leaf(&["iscsi", "target"], own.as_str().into(), &origin);
            target = Some(own.clone());
        }
        // The plan's target is that of the first server; portals of one that has the image under another name say so.
        let other = own.filter(|own| Some(own) != target.as_ref());
        portals.extend(server.portals.iter().map(|portal| match &other {
            Some(target) => serde_json::json!({ "portal": portal, "target": target }),
            None => portal.as_str().into(),
        }));
        leaf(&["iscsi", "portals"], portals.clone().into(), &origin);
    }
    tree
}

/// A table of the file as JSON, with the values of variables, and secrets instead of the files that they are in.
fn table(table: &toml::Table, values: &Values<'_>, secrets: &Secrets) -> Value {
    let member = |(key, value): (&String, &toml::Value)| match value {
        // One that cannot be read stays what it is: the agent's check refuses it, and so does ours.
        toml::Value::String(file) if key == SECRET_FILE => match secrets.get(file) {
            Ok(secret) => (SECRET.to_owned(), secret.into()),
            Err(_) => (key.clone(), file.as_str().into()),
        },
        toml::Value::String(secret) if key == SECRET => (key.clone(), secret.as_str().into()),
        value => (key.clone(), json(value, values, secrets)),
    };
    Value::Object(table.iter().map(member).collect())
}

fn json(value: &toml::Value, values: &Values<'_>, secrets: &Secrets) -> Value {
    match value {
        toml::Value::String(text) => values.fill(text).into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(is) => (*is).into(),
        // A plan has no dates: this is what stands in the file, and the agent's check says that it must be a string.
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.iter().map(|item| json(item, values, secrets)).collect(),
        toml::Value::Table(members) => table(members, values, secrets),
    }
}

/// A document under way: each value knows who said it.
enum Tree {
    Leaf(Value, Origin),
    Table(BTreeMap<String, Tree>),
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::Table(BTreeMap::new())
    }
}

impl Tree {
    /// Puts `value` upon what is at `pointer`, which is here: tables merge, anything else replaces.
    fn put(&mut self, pointer: &str, value: &Value, origin: &Origin) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                if !matches!(self, Tree::Table(_)) || ALTERNATIVES.contains(&pointer) {
                    *self = Tree::default();
                }
                let Tree::Table(here) = self else { return };
                for (key, value) in members {
                    let pointer = below(pointer, key);
                    here.entry(key.clone()).or_default().put(&pointer, value, origin);
                }
            }
            // `multipath = {}` says something where nothing is, and nothing where something is.
            Value::Object(_) if matches!(self, Tree::Table(here) if !here.is_empty()) => (),
            value => *self = Tree::Leaf(value.clone(), origin.clone()),
        }
    }

    fn document(self, pointer: &str, origins: &mut BTreeMap<String, String>) -> Value {
        match self {
            Tree::Leaf(value, origin) => {
                origins.insert(pointer.to_owned(), origin.to_string());
                value
            }
            Tree::Table(members) => {
                let member = |(key, tree): (String, Tree)| {
                    let value = tree.document(&below(pointer, &key), origins);
                    (key, value)
                };
                Value::Object(members.into_iter().map(member).collect())
            }
        }
    }
}

/// The JSON pointer of a member (RFC 6901, section 3).
pub fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests;
