//! The servers that are measured.

use std::fs;
use std::path::Path;

use crate::chroot::Root;
use crate::error::{At, Error, Result};
use crate::lab::Service;

/// Where disklessd is.
pub const URL: &str = "http://127.0.0.1:32001";
/// Where it listens.
const ADDRESS: &str = "127.0.0.1:32001";
/// What operators' calls need.
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// How many nodes the site has.
pub const NODES: u32 = 1000;

const SITE: &str = include_str!("../../../assets/bench/site.toml");

/// A running disklessd; dropping it is a SIGKILL.
pub struct Server {
    service: Service,
}

impl Server {
    /// Starts `server` with the site of `folder`, and waits until it listens.
    pub fn start(tools: &Root, server: &Path, folder: &Path) -> Result<Server> {
        let inside = tools.inside(folder)?;
        let mut disklessd = tools.command(&tools.inside(server)?.to_string_lossy());
        disklessd.arg("serve").arg("--config").arg(inside.join("site.toml"));
        let service =
            Service::listening("disklessd", &mut disklessd, ADDRESS, &folder.join("disklessd.log"))?;
        Ok(Server { service })
    }

    /// The most memory it ever had, in KiB.
    pub fn peak(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.service.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches("kB").trim().parse().ok()
    }
}

/// Writes the site into `folder`: a fresh one, without a database.
pub fn site(folder: &Path) -> Result<()> {
    for name in ["disklessd.db", "disklessd.db-wal", "disklessd.db-shm"] {
        crate::tree::remove(&folder.join(name))?;
    }
    let ethers: String = (1..=NODES).map(|node| format!("{} {}\n", mac(node), name(node))).collect();
    for (file, text) in [("site.toml", SITE), ("ethers", &ethers), ("operator.token", TOKEN)] {
        let path = folder.join(file);
        fs::write(&path, text).at("write", &path)?;
    }
    let token = folder.join("operator.token");
    fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .at("set the mode of", &token)
}

/// The name of the node with this number, from 1.
pub fn name(node: u32) -> String {
    format!("node{node:04}")
}

/// Its address.
pub fn mac(node: u32) -> String {
    format!("52:54:00:00:{:02x}:{:02x}", node >> 8, node & 255)
}

/// The text at `url`.
pub fn get(url: &str) -> Result<String> {
    let wrong = |why: ureq::Error| Error::Host(format!("{url}: {why}"));
    ureq::get(url).call().map_err(wrong)?.body_mut().read_to_string().map_err(wrong)
}
