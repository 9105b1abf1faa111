//! Measures, each beside a peer in one run: what the terminal shows as a table is in [`FILE`] as JSON.
//! docs/benchmarks.md says how the peers are set up.

mod boot;
mod luks;
mod paths;
mod row;
mod server;

use std::fs;
use std::path::Path;

use nix::sched::CloneFlags;
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::chroot::Root;
use crate::command;
use crate::error::{At, Error, Result};
use crate::namespace;
use crate::recipe::Ready;
use crate::scenario::Scenario;
use row::Row;

/// The rows, in the folder of the cache's runs; the caller puts them into the target folder.
pub const FILE: &str = "bench.json";

/// How often each side of a measure is taken; the median counts.
const BOOTS: u32 = 3;
/// It is shown in whole seconds, and takes minutes.
const RECOVERIES: u32 = 1;
const KEYSLOTS: u32 = 5;
const LOADS: u32 = 3;

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// How long keyslots take.
    Luks,
    /// How much disklessd takes.
    Server,
    /// How long a boot takes.
    Boot,
    /// How long many paths take.
    Paths,
    /// How long the stock programs take for the same.
    Chain,
    /// How soon a lost path is back.
    Recovery,
}

impl Part {
    /// All, in the order in which they are measured.
    pub const ALL: [Part; 6] =
        [Part::Luks, Part::Server, Part::Boot, Part::Paths, Part::Chain, Part::Recovery];

    fn name(self) -> &'static str {
        match self {
            Part::Luks => "luks",
            Part::Server => "server",
            Part::Boot => "boot",
            Part::Paths => "paths",
            Part::Chain => "chain",
            Part::Recovery => "recovery",
        }
    }

    /// By its name.
    pub fn parse(name: &str) -> Option<Part> {
        Part::ALL.into_iter().find(|part| part.name() == name)
    }

    /// The folders of its scenarios, below `bench`; of two that are compared, ours first.
    pub fn scenarios(self) -> &'static [&'static str] {
        match self {
            Part::Luks | Part::Server => &[],
            Part::Boot => &["diskless", "stock"],
            Part::Paths => &["paths"],
            Part::Chain => &["chain-diskless", "chain"],
            Part::Recovery => &["recovery-keeper", "recovery-image"],
        }
    }
}

/// Measures `parts`, whose scenarios are `scenarios`, one part after the other; whether all could be. `agent` is the
/// agent's binary. A part that fails takes nothing from the others.
pub fn run(
    parts: &[Part],
    scenarios: &[Scenario],
    agent: &Path,
    ready: &Ready,
    cache: &Cache,
) -> Result<bool> {
    let folder = cache.run_folder("bench");
    fs::create_dir_all(&folder).at("create", &folder)?;
    let file = cache.run_folder(FILE);
    if file.exists() {
        // Not that of another run.
        fs::remove_file(&file).at("remove", &file)?;
    }
    let (mut rows, mut failed, mut left) = (Vec::new(), Vec::new(), scenarios);
    for part in parts {
        let (own, others) = left
            .split_at_checked(part.scenarios().len())
            .ok_or_else(|| Error::Host("the benchmark takes its own scenarios alone".into()))?;
        left = others;
        let measured = match part {
            Part::Luks => keyslots(ready, cache, agent, &folder),
            Part::Server => servers(ready, cache, &folder),
            Part::Boot => boot::rows(own, ready, cache, BOOTS),
            Part::Paths => paths::maps(own, ready, cache, BOOTS),
            Part::Chain => paths::chain(own, ready, cache, BOOTS),
            Part::Recovery => paths::recovery(own, ready, cache, RECOVERIES),
        };
        match measured {
            Ok(measured) => rows.extend(measured),
            Err(why) => {
                println!("  {} failed: {why}", part.name());
                failed.push(part.name());
            }
        }
    }
    let text = serde_json::to_string_pretty(&rows).at("write", FILE)?;
    fs::write(&file, text + "\n").at("write", &file)?;
    println!("\n{}", row::table(&rows));
    if !failed.is_empty() {
        println!("not measured: {}", failed.join(", "));
    }
    Ok(failed.is_empty())
}

fn keyslots(ready: &Ready, cache: &Cache, agent: &Path, folder: &Path) -> Result<Vec<Row>> {
    let copy = folder.join("diskless");
    fs::copy(agent, &copy).at("write", &copy)?;
    namespace::apart(CloneFlags::CLONE_NEWNS, || {
        let tools = Root::enter(&ready.builder, cache.folder())?;
        luks::rows(&tools, &tools.inside(&copy)?, folder, KEYSLOTS)
    })
}

/// In a network of their own.
fn servers(ready: &Ready, cache: &Cache, folder: &Path) -> Result<Vec<Row>> {
    let server = folder.join("disklessd");
    fs::copy(ready.disklessd()?, &server).at("write", &server)?;
    namespace::apart(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET, || {
        let tools = Root::enter(ready.peers()?, cache.folder())?;
        let log = folder.join("server.log");
        command::run(tools.command("ip").args(["link", "set", "lo", "up"]), &log)?;
        server::rows(&tools, &server, folder, LOADS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_a_name_and_its_scenarios_are_there() {
        for part in Part::ALL {
            assert_eq!(Part::parse(part.name()), Some(part));
            for name in part.scenarios() {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench").join(name);
                assert!(Scenario::load(&folder).unwrap().document.timeout > 0, "{name}");
            }
        }
        assert_eq!(Part::parse("path"), None);
    }
}
