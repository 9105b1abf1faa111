//! Measures, each beside a peer in one run: what the terminal shows as a table is in [`FILE`] as JSON.
//! docs/benchmarks.md says how the peers are set up.

mod boot;
mod luks;
mod row;
mod server;

use std::fs;
use std::path::Path;

pub use boot::SCENARIOS;
use nix::sched::CloneFlags;

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
const KEYSLOTS: u32 = 5;
const LOADS: u32 = 3;

/// Measures everything. `agent` is the agent's binary.
pub fn run(scenarios: &[Scenario], agent: &Path, ready: &Ready, cache: &Cache) -> Result<()> {
    let [ours, stock] = scenarios else {
        return Err(Error::Usage("the benchmark takes no scenarios of others".into()));
    };
    let folder = cache.run_folder("bench");
    fs::create_dir_all(&folder).at("create", &folder)?;
    let copy = folder.join("diskless");
    fs::copy(agent, &copy).at("write", &copy)?;
    let mut rows = namespace::apart(CloneFlags::CLONE_NEWNS, || {
        let tools = Root::enter(&ready.builder, cache.folder())?;
        luks::rows(&tools, &tools.inside(&copy)?, &folder, KEYSLOTS)
    })?;
    rows.extend(servers(ready, cache, &folder)?);
    rows.extend(boot::rows(ours, stock, ready, cache, BOOTS)?);
    let text = serde_json::to_string_pretty(&rows).at("write", FILE)?;
    let file = cache.run_folder(FILE);
    fs::write(&file, text + "\n").at("write", &file)?;
    println!("\n{}", row::table(&rows));
    Ok(())
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
