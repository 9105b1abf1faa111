//! The whole lab of a scenario, and what can be done to it while the machine runs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::cable::Cable;
use super::dhcp::{self, Dhcp};
use super::disklessd::Disklessd;
use super::http::HttpServer;
use super::lio;
use super::machine::node_folder;
use super::network::Cables;
use super::qmp;
use super::ssh::Operator;
use super::target::{self, Portals, sessions};
use super::tls::Authority;
use super::trap::Trap;
use crate::chroot::Root;
use crate::error::{At, Result};
use crate::recipe::Ready;
use crate::scenario::{Action, Fault, Scenario, Tls};
use crate::tree;

/// What tgtadm shows of each portal; none where it does not run.
pub type Shown = Vec<Option<String>>;

/// All servers of a scenario, at the other end of the node's cable.
pub struct Lab<'a> {
    tools: &'a Root,
    folder: &'a Path,
    ready: &'a Ready,
    scenario: &'a Scenario,
    cables: Cables<'a>,
    /// Those that do something to the frames, and who lies in wait: they act by being there.
    _acting: Vec<Cable>,
    _traps: Vec<Trap>,
    dhcp: Option<Dhcp>,
    http: HttpServer,
    portals: Portals<'a>,
    lio: Option<lio::Machine>,
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
        lio::Machine::tidy(folder)?;
        Operator::tidy(folder);
        Cable::tidy(folder, scenario.document.network.links.len());
        target::tidy(folder, &scenario.document);
        for node in 0..scenario.document.machine.nodes {
            let _ = fs::remove_file(qmp::socket(&node_folder(folder, node)));
        }
        Disklessd::tidy(folder)
    }

    /// Lays the cables and starts the servers, but for disklessd and what depends on it: it serves the initramfs, which is
    /// made later.
    pub fn start(
        tools: &'a Root,
        folder: &'a Path,
        network_log: &'a Path,
        ready: &'a Ready,
        scenario: &'a Scenario,
    ) -> Result<Lab<'a>> {
        let document = &scenario.document;
        let network = &document.network;
        let cables = Cables::lay(tools, network_log, network, document.machine.nodes)?;
        let acting = network.links.iter().enumerate().filter(|(_, link)| link.acts());
        let acting = acting.map(|(number, link)| Cable::lay(folder, number, link)).collect::<Result<_>>()?;
        let traps = network.traps.iter().map(Trap::set).collect::<Result<_>>()?;
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
            cables,
            _acting: acting,
            _traps: traps,
            dhcp: None,
            http,
            portals: Portals::new(tools, folder, ready, document)?,
            lio: None,
            disklessd: None,
            trusted,
        };
        if document.disklessd.is_none() && (network.dhcp || network.ipv6) {
            lab.start_dhcp()?;
        }
        if network.iscsi {
            lab.portals.start_first()?;
            if let Some(wanted) = &document.lio {
                lab.lio = Some(lio::Machine::start(tools, folder, ready, wanted)?);
            }
        }
        Ok(lab)
    }

    /// The initramfs is there: the site's server can start, and DHCP by what it says.
    pub fn serve(&mut self) -> Result<()> {
        let Some(wanted) = &self.scenario.document.disklessd else { return Ok(()) };
        let site = self.scenario.folder.join(&wanted.site);
        let document = &self.scenario.document;
        let disklessd = Disklessd::place(self.tools, self.folder, self.ready, document.release(), &site)?;
        let disklessd = self.disklessd.insert(disklessd);
        if wanted.start {
            disklessd.start()?;
        }
        if document.network.dhcp { self.start_dhcp() } else { Ok(()) }
    }

    /// Starts the DHCP server, by what the site's server says where there is one.
    fn start_dhcp(&mut self) -> Result<()> {
        let network = &self.scenario.document.network;
        let lines = match &self.disklessd {
            Some(disklessd) => disklessd.dhcp()?,
            None if network.dhcp => dhcp::plain(network),
            None => String::new(),
        };
        self.dhcp = Some(Dhcp::start(self.tools, self.folder, network, &lines)?);
        Ok(())
    }

    /// Breaks something, or mends it; what is not done to the lab is not done here.
    pub fn act(&mut self, fault: &Fault) -> Result<()> {
        let disklessd = self.disklessd.as_mut();
        match fault.action {
            Action::LinkDown => self.cables.set(fault.link, false),
            Action::LinkUp => self.cables.set(fault.link, true),
            Action::TargetKill => self.portals.kill(fault.portal),
            Action::TargetStart => self.portals.start(fault.portal),
            Action::TargetStop => self.portals.stop(fault.portal),
            Action::TargetContinue => self.portals.resume(fault.portal),
            Action::DhcpKill => {
                self.dhcp = None;
                Ok(())
            }
            Action::DhcpStart => self.start_dhcp(),
            Action::DisklessdKill => {
                disklessd.into_iter().for_each(Disklessd::kill);
                Ok(())
            }
            Action::DisklessdStart => disklessd.map_or(Ok(()), Disklessd::start),
            Action::DisklessdReload => disklessd.map_or(Ok(()), |disklessd| disklessd.reload()),
            Action::Serve => self.replace(fault),
            Action::CarrierDown | Action::CarrierUp | Action::Type => Ok(()),
        }
    }

    /// The HTTP server has another file, or none.
    fn replace(&self, fault: &Fault) -> Result<()> {
        let content = match &fault.file {
            Some(file) => Some(self.scenario.completed(file)?.into_bytes()),
            None => None,
        };
        self.http.replace(fault.path.as_deref().unwrap_or_default(), content);
        Ok(())
    }

    /// What tgtadm shows of each portal; none where it does not run.
    pub fn targets(&self) -> Result<Shown> {
        self.portals.show()
    }

    /// What the node posted to the HTTP server.
    pub fn posts(&self) -> Vec<Value> {
        self.http.posts()
    }

    /// The end: what was seen of the node called `node` in each of its boots. tgtadm showed `reported` when the images had
    /// reported, and `leaving` before they were told to go down.
    pub fn seen(&self, node: &str, reported: &[Shown], leaving: &[Shown]) -> Result<Vec<Value>> {
        let counts = |shown: &Shown| -> Vec<Option<usize>> {
            shown.iter().map(|text| text.as_deref().map(sessions)).collect()
        };
        let sum = |shown: &Shown| counts(shown).into_iter().flatten().sum::<usize>();
        let left = sum(&self.targets()?);
        let disklessd = self.disklessd.as_ref().map_or(Value::Null, |disklessd| disklessd.knows(node));
        let one = |(boot, shown): (usize, &Shown)| {
            json!({
                "http": self.http.requests(), "posts": self.http.posts(),
                "target": shown.iter().flatten().map(String::as_str).collect::<String>(),
                "portals": counts(shown), "sessions": sum(shown), "sessions_leaving": leaving.get(boot).map(sum),
                "sessions_left": left, "disklessd": disklessd,
                "lio": self.lio.as_ref().map(lio::Machine::sessions),
            })
        };
        Ok(reported.iter().enumerate().map(one).collect())
    }

    /// The timeline of the node called `node` as disklessd shows it, if it is there.
    pub fn timeline(&self, node: &str) -> Option<String> {
        self.disklessd.as_ref().and_then(|disklessd| disklessd.timeline(node).ok())
    }

    /// An error when a server has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.dhcp.as_mut().map_or(Ok(()), Dhcp::check)?;
        self.disklessd.as_mut().map_or(Ok(()), Disklessd::check)?;
        self.lio.as_mut().map_or(Ok(()), lio::Machine::check)?;
        self.portals.check()
    }
}
