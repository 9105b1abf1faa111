//! DECIDE: the nodes of a site, out of its file.

use std::collections::BTreeMap;
use std::net::IpAddr;

use diskless::input::facts;
use diskless::input::size::Size;
use indexmap::IndexMap;

use super::aside::{self, Aside, Secrets};
use super::cmdline::Words;
use super::file::{File, Interfaces, Layer, Nodes};
use super::variables::Values;
use super::{Interface, Node, Origin, Problem, Remark, Site, nodeset};
use crate::time;

impl Site {
    /// What follows from `file` and the files that it names.
    pub fn of(file: File, aside: Aside) -> Site {
        let mut remarks = Remarks::default();
        let groups = groups(&file, &mut remarks);
        let mut nodes = nodes(&file, &aside, &groups, &mut remarks);
        for (name, members) in &groups {
            let strangers = members.iter().filter(|member| match nodes.get_mut(*member) {
                Some(node) => {
                    node.groups.push(name.clone());
                    false
                }
                None => true,
            });
            let strangers = nodeset::fold(strangers);
            if !strangers.is_empty() {
                remarks.add(Problem::Stranger, format!("group {name}"), format!("no nodes: {strangers}"));
            }
        }
        for node in nodes.values_mut() {
            layered(&file, node);
        }
        remarks.of_tables(&file, &aside.secrets);
        Site {
            nodes,
            groups: groups.into_iter().collect(),
            remarks: remarks.0,
            secrets: aside.secrets,
            signer: aside.signer,
            file,
            ..Site::default()
        }
    }

    /// What `[server]` says of it; the default instead of what is none.
    pub fn silent_after(&self) -> std::time::Duration {
        let default = || time::duration(&super::file::Server::default().silent_after);
        time::duration(&self.file.server.silent_after).or_else(default).unwrap_or_default()
    }
}

/// What goes wrong on the way.
#[derive(Default)]
struct Remarks(Vec<Remark>);

impl Remarks {
    fn add(&mut self, problem: Problem, object: impl Into<String>, message: impl Into<String>) {
        self.0.push(Remark { problem, object: object.into(), message: message.into() });
    }

    /// What is wrong with the tables themselves, whichever node they are for.
    fn of_tables(&mut self, file: &File, secrets: &Secrets) {
        let durations = [("silent_after", &file.server.silent_after), ("sign_for", &file.server.sign_for)];
        for (member, text) in durations {
            if time::duration(text).is_none() {
                let message = format!("{text:?} is no duration like 90s or 3m");
                self.add(Problem::Duration, format!("server {member}"), message);
            }
        }
        for (name, profile) in &file.profiles {
            if profile.profile.is_some() {
                self.add(Problem::Misplaced, format!("profile {name}"), "a profile has no profile itself");
            }
        }
        for (origin, layer) in all_layers(file) {
            if let Some(memory) = layer.memory.as_deref().filter(|text| memory(text).is_none()) {
                self.add(
                    Problem::Memory,
                    origin.to_string(),
                    format!("memory {memory:?} is nothing like 256G"),
                );
            }
            self.variables(&origin, "cmdline", layer.cmdline.as_deref().unwrap_or_default());
            self.part(&origin, &layer.plan, secrets);
        }
        for (name, image) in &file.images {
            let origin = Origin::Image(name.clone());
            self.variables(&origin, "cmdline", &image.cmdline);
            self.part(&origin, &image.plan, secrets);
        }
        for (name, server) in &file.servers {
            self.part(&Origin::Server(name.clone()), &server.plan, secrets);
        }
    }

    fn part(&mut self, origin: &Origin, part: &toml::Table, secrets: &Secrets) {
        for (key, value) in part {
            self.value(origin, &format!("plan.{key}"), value);
        }
        for file in aside::secret_files(part) {
            if let Err(message) = secrets.get(file) {
                self.add(Problem::SideFile, format!("{origin} {file}"), message);
            }
        }
    }

    fn value(&mut self, origin: &Origin, place: &str, value: &toml::Value) {
        match value {
            toml::Value::String(text) => self.variables(origin, place, text),
            toml::Value::Array(values) => values.iter().for_each(|value| self.value(origin, place, value)),
            toml::Value::Table(table) => {
                let members = table.iter().filter(|(key, _)| *key != aside::SECRET);
                members.for_each(|(key, value)| self.value(origin, &format!("{place}.{key}"), value));
            }
            _ => (),
        }
    }

    fn variables(&mut self, origin: &Origin, place: &str, text: &str) {
        let values = Values { whose: Some(origin), ..Values::default() };
        for name in values.unknown(text) {
            let message = format!("${{{name}}} is no variable here; $${{ stands for a plain ${{");
            self.add(Problem::Variable, format!("{origin} {place}"), message);
        }
    }
}

fn all_layers(file: &File) -> Vec<(Origin, &Layer)> {
    let mut layers = vec![(Origin::Defaults, &file.defaults)];
    layers.extend(file.profiles.iter().map(|(name, layer)| (Origin::Profile(name.clone()), layer)));
    layers.extend(file.groups.iter().map(|(name, group)| (Origin::Group(name.clone()), &group.layer)));
    layers.extend(file.nodes.iter().map(|nodes| (Origin::nodes(&nodes.names), &nodes.layer)));
    layers
}

/// The members of each group. A group may name those that stand before it in the file.
fn groups(file: &File, remarks: &mut Remarks) -> IndexMap<String, Vec<String>> {
    let mut groups: IndexMap<String, Vec<String>> = IndexMap::new();
    for (name, group) in &file.groups {
        let members = nodeset::expand(&group.nodes, &|other| groups.get(other).cloned());
        let members = members.unwrap_or_else(|error| {
            remarks.add(Problem::NodeSet, format!("group {name}"), error.to_string());
            Vec::new()
        });
        groups.insert(name.clone(), members);
    }
    groups
}

/// The nodes with what their own entries say that no other layer can say.
fn nodes(
    file: &File,
    aside: &Aside,
    groups: &IndexMap<String, Vec<String>>,
    remarks: &mut Remarks,
) -> BTreeMap<String, Node> {
    let mut nodes: BTreeMap<String, Node> = BTreeMap::new();
    for (at, entry) in file.nodes.iter().enumerate() {
        let object = Origin::nodes(&entry.names).to_string();
        let names = match nodeset::expand(&entry.names, &|group| groups.get(group).cloned()) {
            Ok(names) => names,
            Err(error) => {
                remarks.add(Problem::NodeSet, object, error.to_string());
                continue;
            }
        };
        for name in &names {
            let node = nodes.entry(name.clone()).or_default();
            node.name.clone_from(name);
            node.entries.push(at);
        }
        let mut put = Entry { object, names: &names, nodes: &mut nodes, remarks };
        put.uuids(entry);
        for (name, interface) in &entry.interfaces {
            put.interface(name, interface, aside);
        }
    }
    nodes
}

/// One of `[[nodes]]`, while it is put upon its nodes.
struct Entry<'a> {
    object: String,
    names: &'a [String],
    nodes: &'a mut BTreeMap<String, Node>,
    remarks: &'a mut Remarks,
}

impl Entry<'_> {
    fn uuids(&mut self, entry: &Nodes) {
        let Some(text) = &entry.uuid else { return };
        let object = format!("{} uuid", self.object);
        let read = |text: &str| facts::is_uuid(text).then(|| text.to_ascii_lowercase());
        self.each(&object, text, (Problem::Uuid, "no UUID"), &read, &mut |node, uuid| node.uuid = Some(uuid));
    }

    fn interface(&mut self, name: &str, interface: &Interfaces, aside: &Aside) {
        let object = format!("{} {name}", self.object);
        for node in self.names {
            if let Some(own) = self.nodes.get_mut(node).map(|node| own(node, name)) {
                own.link = interface.link.clone().or(own.link.take());
            }
        }
        if let Some(path) = &interface.ethers {
            self.ethers(&object, name, path, aside);
        }
        if let Some(text) = &interface.mac {
            self.each(&object, text, (Problem::Mac, "no MAC"), &aside::mac, &mut |node, mac| {
                own(node, name).mac = Some(mac);
            });
        }
        for (network, text) in &interface.networks {
            let object = format!("{object} {network}");
            let read = |text: &str| match text {
                "dhcp" => Some(None),
                text => text.parse::<IpAddr>().ok().map(Some),
            };
            let kind = (Problem::Address, "no IP address, and not dhcp");
            self.each(&object, text, kind, &read, &mut |node, address| {
                own(node, name).networks.insert(network.clone(), address);
            });
        }
    }

    fn ethers(&mut self, object: &str, name: &str, path: &std::path::Path, aside: &Aside) {
        let macs = match aside.ethers.get(path) {
            Some(Ok(macs)) => macs,
            Some(Err(message)) => {
                return self.remarks.add(Problem::SideFile, format!("{object} {}", path.display()), message);
            }
            None => return,
        };
        let mut strangers = Vec::new();
        for node in self.names {
            match (macs.get(node), self.nodes.get_mut(node)) {
                (Some(mac), Some(node)) => own(node, name).mac = Some(mac.clone()),
                _ => strangers.push(node),
            }
        }
        if !strangers.is_empty() {
            let message = format!("{} has no MAC of {}", path.display(), nodeset::fold(strangers));
            self.remarks.add(Problem::Stranger, object, message);
        }
    }

    /// Counts `text` in parallel with the names, and gives each node what `read` makes of its part.
    fn each<T: Clone>(
        &mut self,
        object: &str,
        text: &str,
        (problem, wrong): (Problem, &str),
        read: &dyn Fn(&str) -> Option<T>,
        give: &mut dyn FnMut(&mut Node, T),
    ) {
        let parts = match nodeset::expand(text, &|_| None) {
            Ok(parts) => parts,
            Err(error) => return self.remarks.add(problem, object, error.to_string()),
        };
        let (one, many) = (parts.len() == 1, self.names.len());
        if !one && parts.len() != many {
            let message = format!("{} for {many} nodes: must be one, or as many", parts.len());
            return self.remarks.add(Problem::Count, object, message);
        }
        let mut unreadable = Vec::new();
        for (name, part) in self.names.iter().zip(parts.iter().cycle()) {
            match (read(part), self.nodes.get_mut(name)) {
                (Some(value), Some(node)) => give(node, value),
                _ => unreadable.push(part),
            }
        }
        if !unreadable.is_empty() {
            self.remarks.add(problem, object, format!("{}: {wrong}", nodeset::fold(unreadable)));
        }
    }
}

/// An interface of a node by its name.
fn own<'a>(node: &'a mut Node, name: &str) -> &'a mut Interface {
    node.interfaces.entry(name.to_owned()).or_default()
}

/// Puts what the layers of `node` say upon each other; the last one that says something wins.
fn layered(file: &File, node: &mut Node) {
    // No profile is among these yet, so none can name another one.
    for (origin, layer) in layers(file, node) {
        if let Some(profile) = &layer.profile {
            node.profile = Some(profile.clone());
            node.origins.insert("profile", origin);
        }
    }
    let layers = layers(file, node);
    for (origin, layer) in &layers {
        let said = [
            ("image", layer.image.is_some()),
            ("servers", layer.servers.is_some()),
            ("action", layer.action.is_some()),
            ("static_ip", layer.static_ip.is_some()),
            ("memory", layer.memory.is_some()),
        ];
        node.origins
            .extend(said.into_iter().filter(|(_, said)| *said).map(|(member, _)| (member, origin.clone())));
        node.image = layer.image.clone().or(node.image.take());
        node.servers = layer.servers.clone().unwrap_or(std::mem::take(&mut node.servers));
        node.action = layer.action.unwrap_or(node.action);
        node.static_ip = layer.static_ip.unwrap_or(node.static_ip);
        node.memory = layer.memory.as_deref().map_or(node.memory, memory);
    }
    let mut cmdlines: Vec<(Origin, &str)> =
        layers.into_iter().filter_map(|(origin, layer)| Some((origin, layer.cmdline.as_deref()?))).collect();
    if let Some((name, image)) = node.image.as_ref().and_then(|name| file.images.get_key_value(name)) {
        let after_defaults = usize::from(matches!(cmdlines.first(), Some((Origin::Defaults, _))));
        cmdlines.insert(after_defaults, (Origin::Image(name.clone()), &image.cmdline));
    }
    let mut words = Words::default();
    for (origin, text) in &cmdlines {
        words.add(&Values::of(file, node, origin).fill(text));
    }
    node.cmdline = words.text();
}

/// The layers of a node, in the order in which they are put upon each other. Images and iSCSI servers are none: they have
/// only a part of the boot plan.
pub(super) fn layers<'a>(file: &'a File, node: &Node) -> Vec<(Origin, &'a Layer)> {
    let mut layers = vec![(Origin::Defaults, &file.defaults)];
    if let Some((name, layer)) = node.profile.as_ref().and_then(|name| file.profiles.get_key_value(name)) {
        layers.push((Origin::Profile(name.clone()), layer));
    }
    for (name, group) in node.groups.iter().filter_map(|name| file.groups.get_key_value(name)) {
        layers.push((Origin::Group(name.clone()), &group.layer));
    }
    for entry in node.entries.iter().filter_map(|at| file.nodes.get(*at)) {
        layers.push((Origin::nodes(&entry.names), &entry.layer));
    }
    layers
}

/// Bytes of memory: a share of it is none.
fn memory(text: &str) -> Option<u64> {
    match Size::parse(text)? {
        Size::Bytes(bytes) => Some(bytes),
        Size::OfMemory(_) => None,
    }
}
