//! A scenario: a folder with data. docs/harness.md describes it; unknown fields are refused.

mod check;
mod disklessd;
mod fault;
mod lio;
mod network;
mod ssh;
mod target;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

pub use check::{Check, has};
pub use disklessd::Disklessd;
pub use fault::{Action, Fault, Faults};
pub use lio::Lio;
pub use network::{Behaviour, Link, Network, Place, Tls, Trap};
pub use ssh::{Key, Ssh, Typed, Typing, fingerprint};
pub use target::{Chap, Encryption, Image, Layout, Release, Software, Target};
pub use words::{command_line, substitute};

use crate::error::{At, Error, Result};

/// `scenario.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// One line for `list`.
    pub summary: String,
    /// Seconds after which the machine is stopped and the scenario has failed.
    #[serde(default = "default_timeout")]
    pub timeout: u64,
    /// The virtual machine.
    #[serde(default)]
    pub machine: Machine,
    /// Its network.
    #[serde(default)]
    pub network: Network,
    /// How its initramfs is made.
    #[serde(default)]
    pub initramfs: Initramfs,
    /// iSCSI targets.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// A machine whose kernel is a target; none: there is none.
    pub lio: Option<Lio>,
    /// Who may ask a portal for its targets; without it anybody.
    pub discovery: Option<Chap>,
    /// The site's server; none: there is none.
    pub disklessd: Option<Disklessd>,
    /// The command line.
    #[serde(default)]
    pub kernel: Kernel,
    /// What breaks, and when.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What an operator types into it.
    #[serde(default)]
    pub ssh: Vec<Ssh>,
    /// How it must end.
    pub expect: Expect,
    /// The least release of the node; with [`Scenario::on`].
    #[serde(skip)]
    least: Release,
}

/// More machines than this are no test, but a load.
const MOST_NODES: usize = 4;

fn default_timeout() -> u64 {
    300
}

/// `[machine]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Machine {
    /// What brings the kernel.
    pub firmware: Firmware,
    /// MiB.
    pub memory: u32,
    /// Processors.
    pub cpus: u32,
    /// The network card, as QEMU calls it.
    pub nic: String,
    /// What the clock says when the machine is switched on: `YYYY-MM-DD`; without it the time.
    pub clock: Option<String>,
    /// How often the image starts the machine anew before it powers off.
    pub reboots: usize,
    /// Seconds from its report until the image is told to go down.
    pub linger: u64,
    /// How many machines of this kind boot at the same time, from one initramfs and one image.
    pub nodes: usize,
    /// An image on a disk of its own, /dev/vda; what is written to it is forgotten. None: there is no disk.
    pub disk: Option<Image>,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine {
            firmware: Firmware::Kernel,
            memory: 2048,
            cpus: 2,
            nic: "virtio-net-pci".to_owned(),
            clock: None,
            reboots: 0,
            linger: 0,
            nodes: 1,
            disk: None,
        }
    }
}

/// How a machine comes to its kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// QEMU loads kernel and initramfs itself, with the harness's command line.
    #[default]
    Kernel,
    /// A BIOS, and the iPXE in the network card's ROM.
    Ipxe,
    /// UEFI, whose PXE loads iPXE by TFTP.
    Uefi,
}

/// `[initramfs]`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Initramfs {
    /// For the machine that builds it, as dracut does unless told otherwise, and not for any machine.
    pub hostonly: bool,
    /// With mkfs.xfs in it.
    pub mkfs_xfs: bool,
    /// With sshd in it.
    pub sshd: bool,
    /// With the tools in it by which a root is put together by hand.
    pub tools: bool,
    /// Without the key of the harness's operator in it: a plan or a parameter has it, or nobody.
    pub no_key: bool,
    /// Made where the package is installed, by dracut with no more words than a site gives it.
    pub package: bool,
    /// What is in it beside.
    pub modules: Modules,
    /// Who sets its network up.
    pub network: Backend,
}

/// dracut's modules for the network, as dracut calls them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// systemd-networkd.
    #[default]
    SystemdNetworkd,
    /// NetworkManager.
    NetworkManager,
    /// dracut's own scripts, with ISC's DHCP client.
    NetworkLegacy,
}

/// Modules of dracut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modules {
    /// Diskless, and all that dracut takes by itself.
    #[default]
    All,
    /// Diskless, and what it needs.
    Few,
    /// Not diskless: dracut's own for iSCSI and LUKS. It needs no agent; the benchmarks compare with it.
    Stock,
    /// As `Stock`, and diskless beside it.
    Both,
    /// As `Few`, with the field's own tools for the same, and a script that calls them; for the benchmarks.
    Chain,
}

impl Initramfs {
    /// Whether it is made where operators' programs are.
    pub fn for_operators(self) -> bool {
        self.sshd || self.tools
    }
}

impl Modules {
    /// Whether it is made where the tools of the field are.
    pub fn of_stock(self) -> bool {
        matches!(self, Modules::Stock | Modules::Both | Modules::Chain)
    }
}

/// `[kernel]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kernel {
    /// Parameters: each replaces those of the same name that the harness gives.
    pub cmdline: String,
    /// Whether the harness gives any for the network.
    pub network: bool,
    /// The scenario is run for each of these, which come behind `cmdline`; none: once.
    pub each: Vec<String>,
}

impl Default for Kernel {
    fn default() -> Kernel {
        Kernel { cmdline: String::new(), network: true, each: Vec::new() }
    }
}

/// `[expect]`
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "end", rename_all = "lowercase", deny_unknown_fields)]
pub enum Expect {
    /// The image's own root comes up, reports facts, and powers off.
    Up {
        /// What the facts must say.
        #[serde(default)]
        facts: Vec<Check>,
        /// What the node must have posted: of each, some body has these members.
        #[serde(default)]
        posts: Vec<Value>,
        /// What the console must have shown, one after the other.
        #[serde(default)]
        shown: Vec<String>,
        /// What it must never show.
        #[serde(default)]
        never: Vec<String>,
        /// Places in the facts that must be there at each node, and be another thing at each.
        #[serde(default)]
        differ: Vec<String>,
        /// In so many seconds, from when it is told so, the machine must be off.
        down_within: Option<u64>,
    },
    /// All that is typed by ssh is over, and the node is in its initramfs still.
    Trapped {
        /// What the console must have shown, one after the other.
        #[serde(default)]
        shown: Vec<String>,
        /// What it must never show.
        #[serde(default)]
        never: Vec<String>,
    },
    /// The agent fails with this code and the emergency shell is reached.
    Emergency {
        /// A stable error code of the agent.
        error: String,
        /// What the console must have shown by then, one after the other.
        #[serde(default)]
        shown: Vec<String>,
    },
}

/// A scenario, read and checked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// `scenario.toml`.
    pub document: Document,
    /// `plan.json`, served at `/plan.json`.
    pub plan: Option<String>,
}

impl Document {
    /// The images that targets show.
    pub fn images(&self) -> impl Iterator<Item = Image> {
        let shown =
            self.targets.iter().map(|target| target.image).chain(self.lio.iter().map(|lio| lio.image));
        shown.chain(self.machine.disk)
    }

    /// The release whose kernel and dracut the node is to have: that of the images.
    pub fn release(&self) -> Release {
        self.images().map(|image| image.software.release()).max().unwrap_or_default().max(self.least)
    }
}

impl Scenario {
    /// Reads the scenario in `folder`; all that can be wrong with it is found here.
    pub fn load(folder: &Path) -> Result<Scenario> {
        let folder = fs::canonicalize(folder).at("open", folder)?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = folder.join("scenario.toml");
        let text = fs::read_to_string(&path).at("read", &path)?;
        let document = parse(&text).map_err(|message| Error::Scenario { path, message })?;
        disklessd::check(&document, &folder)?;
        let path = folder.join("plan.json");
        let plan = match path.exists() {
            true => Some(read_plan(&path)?),
            false => None,
        };
        let scenario = Scenario { name, folder, document, plan };
        let all = scenario.document.faults.iter();
        for fault in all.chain(scenario.document.ssh.iter().flat_map(|ssh| &ssh.first)) {
            if let Some(file) = &fault.file {
                scenario.completed(file)?;
            }
        }
        Ok(scenario)
    }

    /// The text of a file of the scenario's folder, completed.
    pub fn completed(&self, file: &str) -> Result<String> {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).at("read", &path)?;
        substitute(&text).map_err(|message| Error::Scenario { path, message })
    }

    /// The same with images, kernel and initramfs of another release.
    pub fn on(mut self, release: Release) -> Result<Scenario> {
        if release == Release::default() {
            return Ok(self);
        }
        let document = &mut self.document;
        let targets = document.targets.iter_mut().map(|target| &mut target.image);
        let lio = document.lio.iter_mut().map(|lio| &mut lio.image);
        for image in targets.chain(lio).chain(document.machine.disk.as_mut()) {
            let Some(software) = image.software.on(release) else {
                let message = format!("no such image of {}", release.codename());
                return Err(Error::Scenario { path: self.folder, message });
            };
            image.software = software;
        }
        document.least = release;
        self.name = format!("{}+{}", self.name, release.codename());
        Ok(self)
    }

    /// The folders of all scenarios below `folder`, by name.
    pub fn all(folder: &Path) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).at("list", folder)? {
            let path = entry.at("list", folder)?.path();
            if path.join("scenario.toml").exists() {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Parses `scenario.toml`.
pub fn parse(text: &str) -> std::result::Result<Document, String> {
    let document: Document = toml::from_str(&substitute(text)?).map_err(|cause| cause.to_string())?;
    network::check(&document)?;
    let alone = Initramfs { package: true, ..Initramfs::default() };
    if document.initramfs.package && document.initramfs != alone {
        return Err("[initramfs]: `package` goes with nothing else".to_owned());
    }
    let Initramfs { modules, no_key, sshd, .. } = document.initramfs;
    if document.initramfs.for_operators() && modules.of_stock() {
        return Err("[initramfs]: `sshd` and `tools` go with diskless".to_owned());
    }
    if no_key && !sshd {
        return Err("[initramfs]: `no_key` needs `sshd`".to_owned());
    }
    nodes(&document)?;
    document
        .faults
        .iter()
        .chain(document.ssh.iter().flat_map(|ssh| &ssh.first))
        .try_for_each(Fault::check)?;
    ssh::check(&document)?;
    Ok(document)
}

/// What several nodes do not have: a cable that acts has one pair of sockets, and boots are not counted together.
fn nodes(document: &Document) -> std::result::Result<(), String> {
    let Machine { nodes, reboots, .. } = document.machine;
    if !(1..=MOST_NODES).contains(&nodes) {
        return Err(format!("nodes = {nodes}: 1 to {MOST_NODES}"));
    }
    if nodes > 1 && (reboots > 0 || document.network.links.iter().any(Link::acts)) {
        return Err("several nodes: neither reboots, nor links that delay, tag or swallow frames".to_owned());
    }
    let differ = matches!(&document.expect, Expect::Up { differ, .. } if !differ.is_empty());
    if differ && nodes == 1 {
        return Err("differ: there is one node".to_owned());
    }
    Ok(())
}

fn read_plan(path: &Path) -> Result<String> {
    let fault = |message: String| Error::Scenario { path: path.to_path_buf(), message };
    let text = substitute(&fs::read_to_string(path).at("read", path)?).map_err(fault)?;
    serde_json::from_str::<Value>(&text).map_err(|cause| fault(cause.to_string()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_scenario() {
        let document = parse("summary = 's'\n[expect]\nend = 'up'").unwrap();
        assert_eq!((document.timeout, document.machine.memory, document.network.dhcp), (300, 2048, true));
        assert!(
            matches!(document.expect, Expect::Up { facts, posts, shown, .. } if facts.is_empty() && posts.is_empty() && shown.is_empty())
        );
    }

    #[test]
    fn a_scenario_on_another_release_has_its_images_and_a_name_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let load = |images: &[&str]| {
            let targets = images.iter().map(|image| format!("[[targets]]\niqn = 'i'\nimage = '{image}'\n"));
            let text = format!("summary = 's'\n{}[expect]\nend = 'up'", targets.collect::<String>());
            fs::write(folder.path().join("scenario.toml"), text).unwrap();
            Scenario::load(folder.path()).unwrap()
        };
        for (images, release) in [
            (&["luks", "mbr"][..], Release::Trixie),
            (&["luks+trixie"], Release::Trixie),
            (&[], Release::Trixie),
        ] {
            let plain = load(images);
            let name = format!("{}+trixie", plain.name);
            let on = plain.on(release).unwrap();
            assert_eq!((on.name, on.document.release()), (name, release));
            assert!(on.document.images().all(|image| image.software == Software::Trixie), "{images:?}");
        }
        let same = load(&["luks", "mbr"]).on(Release::Bookworm).unwrap();
        assert_eq!(same.document.release(), Release::Bookworm);
        assert!(load(&["luks", "luks+neither"]).on(Release::Trixie).is_err());
    }

    #[test]
    fn unknown_fields_are_named() {
        let cases = [
            ("colour = 1\nsummary = 's'\n[expect]\nend = 'up'", "colour"),
            ("summary = 's'\n[machine]\ndisks = 1\n[expect]\nend = 'up'", "disks"),
            ("summary = 's'\n[initramfs]\npackage = true\nhostonly = true\n[expect]\nend = 'up'", "package"),
            ("summary = 's'\n[[targets]]\niqn = 'i'\npath = 1\n[expect]\nend = 'up'", "path"),
            ("summary = 's'\n[expect]\nend = 'emergency'\nerror = 'x'\nshell = true", "shell"),
            ("summary = 's'\n[expect]\nend = 'up'\n[[expect.facts]]\nat = '/a'\nis = 1", "is"),
        ];
        for (text, field) in cases {
            let message = parse(text).unwrap_err();
            assert!(message.contains(&format!("`{field}`")), "{field}: {message}");
        }
    }

    #[test]
    fn several_nodes_have_no_cables_of_their_own() {
        let text = |machine: &str, more: &str| {
            format!("summary = 's'\n[machine]\n{machine}\n{more}[expect]\nend = 'up'\n")
        };
        assert_eq!(parse(&text("nodes = 2", "")).unwrap().machine.nodes, 2);
        for (machine, more) in [
            ("nodes = 0", ""),
            ("nodes = 9", ""),
            ("nodes = 2\nreboots = 1", ""),
            ("nodes = 2", "[[network.links]]\ndelay_ms = 5\n"),
        ] {
            assert!(parse(&text(machine, more)).is_err(), "{machine} {more}");
        }
        assert!(parse(&(text("", "") + "differ = ['/a']")).unwrap_err().contains("one node"));
    }

    /// The fenced blocks of a language in the documentation.
    fn documented(language: &str) -> Vec<String> {
        let text = include_str!("../../../docs/harness.md");
        let blocks = text.split("```").skip(1).step_by(2);
        blocks.filter_map(|block| block.strip_prefix(language)).map(ToOwned::to_owned).collect()
    }

    #[test]
    fn the_documented_examples_are_sound() {
        let folder = tempfile::tempdir().unwrap();
        let [full, example] = &documented("toml\n")[..] else { panic!("two examples") };
        let [plan] = &documented("json\n")[..] else { panic!("one plan") };
        for text in [full, example] {
            fs::write(folder.path().join("scenario.toml"), text).unwrap();
            fs::write(folder.path().join("plan.json"), plan).unwrap();
            fs::create_dir_all(folder.path().join("site")).unwrap();
            fs::write(folder.path().join("site").join("site.toml"), "").unwrap();
            Scenario::load(folder.path()).unwrap();
        }
    }

    #[test]
    fn every_scenario_of_the_repository_is_sound() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let all = Scenario::all(&folder).unwrap();
        assert!(!all.is_empty());
        for folder in all {
            Scenario::load(&folder).unwrap();
        }
    }

    /// To bring the list up to date: `UPDATE_DOCS=1 cargo test -p qemu-harness every_scenario_is_listed`.
    #[test]
    fn every_scenario_is_listed() {
        const BEGIN: &str = "<!-- generated from the scenarios -->\n";
        const END: &str = "<!-- end of what is generated -->\n";
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut table = "\n| scenario | what it proves |\n| --- | --- |\n".to_owned();
        for folder in Scenario::all(&repository.join("scenarios")).unwrap() {
            let scenario = Scenario::load(&folder).unwrap();
            table += &format!("| `{}` | {} |\n", scenario.name, scenario.document.summary);
        }
        table += "\n";
        let path = repository.join("../docs/scenarios.md");
        let text = fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (written, after) = rest.split_once(END).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        } else {
            assert_eq!(
                written, table,
                "docs/scenarios.md is behind: UPDATE_DOCS=1 cargo test -p qemu-harness"
            );
        }
    }
}
