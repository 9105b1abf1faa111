//! The whole lab of a scenario, and what can be done to it while the machine runs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::disklessd::Disklessd;
use super::http::HttpServer;
use super::network::{Dhcp, Link, PLAIN};
use super::target::{TargetServer, sessions};
use super::tls::Authority;
use crate::chroot::Root;
use crate::error::{At, Result};
use crate::recipe::Ready;
use crate::scenario::{Action, Scenario, Tls};
use crate::tree;

/// All servers of a scenario, at the other end of the node's cable.
pub struct Lab<'a> {
    tools: &'a Root,
    folder: &'a Path,
    ready: &'a Ready,
    scenario: &'a Scenario,
    link: Link<'a>,
    dhcp: Option<Dhcp>,
    http: HttpServer,
    target: Option<TargetServer<'a>>,
    disklessd: Option<Disklessd<'a>>,
    /// The certificate of the authority that the node is to trust, if there is HTTPS.
    pub trusted: Option<String>,
}

impl<'a> Lab<'a> {
    /// Where the initramfs of a run is to be, below its `folder`.
    pub fn initramfs(folder: &Path, scenario: &Scenario) -> Result<PathBuf> {
        if scenario.document.disklessd.is_none() {
            return Ok(folder.join("initramfs"));
        }
        let files = Disklessd::files(folder);
        fs::create_dir_all(&files).at("create", &files)?;
        Ok(files.join("initramfs"))
    }

    /// Removes what is large and nobody looks at after a run.
    pub fn tidy(folder: &Path, scenario: &Scenario) -> Result<()> {
        tree::remove(&Lab::initramfs(folder, scenario)?)?;
        Disklessd::tidy(folder)
    }

    /// Lays the cable and starts the servers, but for disklessd and what depends on it: it serves the initramfs, which is
    /// made later.
    pub fn start(
        tools: &'a Root,
        folder: &'a Path,
        network_log: &'a Path,
        ready: &'a Ready,
        scenario: &'a Scenario,
    ) -> Result<Lab<'a>> {
        let document = &scenario.document;
        let link = Link::lay(tools, network_log)?;
        let authority = Authority::new()?;
        let trusted = match document.network.tls {
            Some(Tls::Untrusted) => Some(Authority::new()?.pem),
            Some(Tls::Trusted) => Some(authority.pem.clone()),
            None => None,
        };
        let tls = if trusted.is_some() { Some(authority.server()?) } else { None };
        let http = HttpServer::start(scenario, tls, &folder.join("http.log"))?;
        let mut lab = Lab {
            tools,
            folder,
            ready,
            scenario,
            link,
            dhcp: None,
            http,
            target: None,
            disklessd: None,
            trusted,
        };
        if document.network.dhcp && document.disklessd.is_none() {
            lab.dhcp = Some(Dhcp::start(tools, folder, PLAIN)?);
        }
        if document.network.iscsi {
            lab.act(Action::TargetStart)?;
        }
        Ok(lab)
    }

    /// The initramfs is there: the site's server can start, and DHCP by what it says.
    pub fn serve(&mut self) -> Result<()> {
        let Some(wanted) = &self.scenario.document.disklessd else { return Ok(()) };
        let site = self.scenario.folder.join(&wanted.site);
        let disklessd =
            Disklessd::place(self.tools, self.folder, self.ready, self.scenario.document.release(), &site)?;
        if self.scenario.document.network.dhcp {
            self.dhcp = Some(Dhcp::start(self.tools, self.folder, &disklessd.dhcp()?)?);
        }
        self.disklessd = Some(disklessd);
        if wanted.start { self.act(Action::DisklessdStart) } else { Ok(()) }
    }

    /// The host's end of the cable.
    pub fn interface(&self) -> &'static str {
        self.link.name()
    }

    /// Breaks something, or mends it.
    pub fn act(&mut self, action: Action) -> Result<()> {
        let disklessd = self.disklessd.as_mut();
        match action {
            Action::LinkDown => self.link.set(false),
            Action::LinkUp => self.link.set(true),
            Action::TargetKill => {
                self.target = None;
                Ok(())
            }
            Action::TargetStart => {
                let document = &self.scenario.document;
                self.target = Some(TargetServer::start(self.tools, self.folder, self.ready, document)?);
                Ok(())
            }
            Action::DisklessdKill => {
                disklessd.into_iter().for_each(Disklessd::kill);
                Ok(())
            }
            Action::DisklessdStart => disklessd.map_or(Ok(()), Disklessd::start),
            Action::DisklessdReload => disklessd.map_or(Ok(()), |disklessd| disklessd.reload()),
        }
    }

    /// What tgtadm shows of the targets.
    pub fn targets(&self) -> Result<String> {
        self.target.as_ref().map_or(Ok(String::new()), TargetServer::show)
    }

    /// What the node posted to the HTTP server.
    pub fn posts(&self) -> Vec<Value> {
        self.http.posts()
    }

    /// The end: what was seen of the node in each of its boots, of which tgtadm showed `targets` then.
    pub fn seen(&self, targets: &[String]) -> Result<Vec<Value>> {
        let left = sessions(&self.targets()?);
        let disklessd = self.disklessd.as_ref().map_or(Value::Null, Disklessd::knows);
        let one = |shown: &String| {
            json!({
                "http": self.http.requests(), "posts": self.http.posts(), "target": shown,
                "sessions": sessions(shown), "sessions_left": left, "disklessd": disklessd,
            })
        };
        Ok(targets.iter().map(one).collect())
    }

    /// The node's timeline as disklessd shows it, if it is there.
    pub fn timeline(&self) -> Option<String> {
        self.disklessd.as_ref().and_then(|disklessd| disklessd.timeline().ok())
    }

    /// An error when a server has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.dhcp.as_mut().map_or(Ok(()), Dhcp::check)?;
        self.disklessd.as_mut().map_or(Ok(()), Disklessd::check)?;
        self.target.as_mut().map_or(Ok(()), TargetServer::check)
    }
}
