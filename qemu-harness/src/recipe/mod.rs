//! What a scenario needs, made once and kept:
//!
//! ```text
//! base ──┬─> builder ──────────────┬─> initramfs   (agent, dracut module, units)
//!        └─> image ───> disk ──> luks│
//!                   (facts unit)     └─ tools, kernel
//! ```
//!
//! There is a base and a builder for each release, an image for each software, a disk for each layout of one, a luks for
//! each encryption of that, and an initramfs for each way of making it; only those that a scenario of the run asks for are
//! made, and the first release's builder, which has the tools of the lab. Each arrow is part of the key: a change makes what depends on it anew, and nothing else.

mod disk;
mod initramfs;
mod lio;
mod luks;
mod mirror;
mod roots;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub use luks::{KEY_ARGON2ID, KEY_PBKDF2, UUID as LUKS_UUID};
pub use mirror::VARIABLE as MIRROR;

use crate::cache::Cache;
use crate::error::{At, Error, Result};
use crate::key::{Ingredients, Key};
use crate::scenario::{
    Backend, Document, Encryption, Image, Initramfs, Layout, Modules, Release, Scenario, Software,
};

/// A cached thing, with what making it takes (on two cores, with a fast network).
struct Item {
    name: String,
    what: &'static str,
    key: Key,
    seconds: u32,
    download_mib: u32,
    disk_mib: u32,
}

/// The things of the picture above, by key: known before any of them is made.
pub struct Supplies {
    bases: BTreeMap<Release, Item>,
    builders: BTreeMap<Release, Item>,
    /// What nodes boot.
    roots: BTreeMap<Software, Item>,
    /// The builder with what dracut's own modules need; only for an initramfs of these.
    stock: Option<Item>,
    /// The builders with dracut's other network back ends; only for an initramfs with one of these.
    networks: BTreeMap<Release, Item>,
    /// The builders with operators' programs; only where there are some in an initramfs.
    operators: BTreeMap<Release, Item>,
    /// Servers to compare with; only for the benchmarks.
    peers: Option<Item>,
    disks: BTreeMap<(Layout, Software), Item>,
    encrypted: BTreeMap<Image, Item>,
    initramfs: BTreeMap<(Release, Initramfs), Item>,
    /// The initramfs of a target machine; only where there is one.
    lio: Option<Item>,
    sources: Sources,
}

/// What comes from the repository.
pub struct Sources {
    /// The agent's binary.
    pub agent: PathBuf,
    /// The site's server's, if a scenario has one.
    pub disklessd: Option<PathBuf>,
    /// The agent's package, if an initramfs is made of that.
    pub package: Option<PathBuf>,
    /// The folder `dracut-module` of the repository.
    pub modules: PathBuf,
    /// The folder `systemd-units` of the repository.
    pub units: PathBuf,
}

/// Where the finished things are.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The root folder with all tools.
    pub builder: PathBuf,
    operator: Option<PathBuf>,
    peers: Option<PathBuf>,
    kernels: BTreeMap<Release, PathBuf>,
    initramfs: BTreeMap<(Release, Initramfs), PathBuf>,
    lio: Option<PathBuf>,
    images: BTreeMap<Image, PathBuf>,
    disklessd: Option<PathBuf>,
}

impl Ready {
    /// The root folder with the servers to compare with.
    pub fn peers(&self) -> Result<&Path> {
        made(self.peers.as_ref(), "root of peers")
    }

    /// The root folder with operators' programs.
    pub fn operator(&self) -> Result<&Path> {
        made(self.operator.as_ref(), "root of operators' programs")
    }

    /// The kernel image of a release that a scenario asked for.
    pub fn kernel(&self, release: Release) -> Result<&Path> {
        made(self.kernels.get(&release), "kernel")
    }

    /// The initramfs that a scenario asked for.
    pub fn initramfs(&self, document: &Document) -> Result<&Path> {
        made(self.initramfs.get(&(document.release(), document.initramfs)), "initramfs")
    }

    /// The initramfs of a target machine.
    pub fn lio(&self) -> Result<&Path> {
        made(self.lio.as_ref(), "initramfs of a target machine")
    }

    /// A disk image that a scenario asked for.
    pub fn image(&self, image: Image) -> Result<&Path> {
        made(self.images.get(&image), "image")
    }

    /// The program of the site's server.
    pub fn disklessd(&self) -> Result<&Path> {
        made(self.disklessd.as_ref(), "disklessd")
    }
}

fn made<'a>(thing: Option<&'a PathBuf>, what: &str) -> Result<&'a Path> {
    thing.map(PathBuf::as_path).ok_or_else(|| Error::Host(format!("no such {what} was made")))
}

/// Without a dash: the name of one thing must not be the beginning of another's.
fn disk_name(layout: Layout, software: Software) -> String {
    let layout = match layout {
        Layout::Gpt => "",
        Layout::Lvm => "lvm",
        Layout::Mbr => "mbr",
        Layout::Bare => "bare",
        Layout::Unclean => "unclean",
        Layout::Many => "many",
    };
    format!("disk{layout}{}", software_name(software))
}

fn software_name(software: Software) -> &'static str {
    match software {
        Software::Debian => "",
        Software::CloudInit => "cloud",
        Software::Networks => "networks",
        Software::Neither => "neither",
        Software::Sshd => "sshd",
        Software::Selinux => "selinux",
        Software::Trixie => "trixie",
    }
}

/// What the name of a thing has behind it that is not of the first release.
fn release_name(release: Release) -> &'static str {
    match release {
        Release::Bookworm => "",
        Release::Trixie => "trixie",
    }
}

fn encrypted_name(image: Image) -> String {
    let encryption = match image.encryption {
        Encryption::None => "plain",
        Encryption::Luks2 => "luks",
        Encryption::Luks1 => "luks1",
        Encryption::Argon2Huge => "argon2huge",
    };
    disk_name(image.layout, image.software).replacen("disk", encryption, 1)
}

fn initramfs_name(release: Release, options: Initramfs) -> String {
    let parts = [
        (true, "initramfs"),
        (options.hostonly, "hostonly"),
        (options.mkfs_xfs, "xfs"),
        (options.sshd, "sshd"),
        (options.tools, "tools"),
        (options.package, "package"),
        (options.modules == Modules::Few, "few"),
        (options.modules == Modules::Stock, "stock"),
        (options.modules == Modules::Both, "both"),
        (options.modules == Modules::Chain, "chain"),
        (options.network == Backend::NetworkManager, "manager"),
        (options.network == Backend::NetworkLegacy, "legacy"),
        (release == Release::Trixie, "trixie"),
    ];
    parts.iter().filter(|(there, _)| *there).map(|(_, part)| *part).collect()
}

impl Supplies {
    /// Finds out what the scenarios need; makes nothing.
    pub fn plan(
        repository: &Path,
        agent: &Path,
        disklessd: Option<&Path>,
        package: Option<&Path>,
        scenarios: &[Scenario],
    ) -> Result<Supplies> {
        let sources = Sources {
            agent: agent.to_path_buf(),
            disklessd: disklessd.map(Path::to_path_buf),
            package: package.map(Path::to_path_buf),
            modules: repository.join("dracut-module"),
            units: repository.join("systemd-units"),
        };
        let item = |name: &str, what, key, seconds, download_mib, disk_mib| Item {
            name: name.to_owned(),
            what,
            key,
            seconds,
            download_mib,
            disk_mib,
        };
        let (mut bases, mut builders) = (BTreeMap::new(), BTreeMap::new());
        let releases = scenarios.iter().map(|scenario| scenario.document.release());
        for release in releases.chain([Release::default()]).collect::<BTreeSet<_>>() {
            let name = |of: &str| format!("{of}{}", release_name(release));
            let base = Ingredients::of("base").text(&roots::base_recipe(release)).finish();
            let builder =
                Ingredients::of("builder").key(&base).text(&roots::builder_recipe(release)).finish();
            let (what, tools) = match release {
                Release::Bookworm => {
                    ("a small Debian, by debootstrap", "a Debian with QEMU, dracut, tgt, a kernel")
                }
                Release::Trixie => {
                    ("a small Debian 13, by debootstrap", "a Debian 13 with dracut and a kernel")
                }
            };
            bases.insert(release, item(&name("base"), what, base, 45, 35, 240));
            builders.insert(release, item(&name("builder"), tools, builder, 45, 150, 950));
        }
        let images: BTreeSet<Image> =
            scenarios.iter().flat_map(|scenario| scenario.document.images()).collect();
        let (mut roots, mut disks, mut encrypted) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for wanted in images {
            let (software, release) = (wanted.software, wanted.software.release());
            let root = Ingredients::of("image")
                .key(key_of(bases.get(&release))?)
                .text(&roots::image_recipe(software))
                .finish();
            let disk = Ingredients::of("disk")
                .key(&root)
                .key(key_of(builders.get(&release))?)
                .text(&disk::recipe(wanted.layout))
                .finish();
            let name = format!("image{}", software_name(software));
            roots.insert(software, item(&name, "a Debian that nodes boot", root, 30, 20, 340));
            if wanted.encryption != Encryption::None {
                let key = Ingredients::of("luks").key(&disk).text(&luks::recipe(wanted.encryption)).finish();
                let name = encrypted_name(wanted);
                encrypted.insert(wanted, item(&name, "a disk image, encrypted", key, 10, 0, 240));
            }
            let place = (wanted.layout, software);
            let name = disk_name(place.0, place.1);
            disks.insert(place, item(&name, "a disk image", disk, 5, 0, 150));
        }
        let stock = Ingredients::of("stock")
            .key(key_of(builders.get(&Release::default()))?)
            .text(&roots::stock_recipe())
            .finish();
        let lio = Ingredients::of("lio")
            .key(key_of(builders.get(&Release::default()))?)
            .text(&lio::recipe())
            .finish();
        let (mut initramfs, mut networks) = (BTreeMap::new(), BTreeMap::new());
        let mut operators = BTreeMap::new();
        for document in scenarios.iter().map(|scenario| &scenario.document) {
            let (release, options) = (document.release(), document.initramfs);
            if options.modules.of_stock() && release != Release::default() {
                return Err(Error::Host("`stock` and `chain` are modules of the first release alone".into()));
            }
            let builder = key_of(builders.get(&release))?;
            let made_in = if options.modules.of_stock() {
                &stock
            } else if options.for_operators() {
                for release in [release, Release::default()] {
                    let builder = key_of(builders.get(&release))?;
                    let key =
                        Ingredients::of("operator").key(builder).text(&roots::operator_recipe()).finish();
                    let name = format!("operator{}", release_name(release));
                    let what = "the builder, with operators' programs";
                    operators.entry(release).or_insert_with(|| item(&name, what, key, 30, 15, 1050));
                }
                key_of(operators.get(&release))?
            } else if options.network == Backend::default() {
                builder
            } else {
                let key = Ingredients::of("network").key(builder).text(&roots::network_recipe()).finish();
                let name = format!("network{}", release_name(release));
                let what = "the builder, with other network back ends";
                &networks.entry(release).or_insert_with(|| item(&name, what, key, 30, 15, 1050)).key
            };
            let key = Ingredients::of("initramfs").key(made_in).text(&initramfs::recipe(options));
            let key = match sources.package.as_deref().filter(|_| options.package) {
                Some(package) => key.file(package)?,
                None => key.file(&sources.agent)?.folder(&sources.modules)?.folder(&sources.units)?,
            };
            let key = key.finish();
            let what = "an initramfs with the agent, by dracut";
            let name = initramfs_name(release, options);
            initramfs.insert((release, options), item(&name, what, key, 15, 0, 180));
        }
        Ok(Supplies {
            bases,
            builders,
            roots,
            stock: initramfs.keys().any(|(_, options)| options.modules.of_stock()).then(|| {
                item("stock", "the builder, with what dracut's own modules need", stock, 30, 5, 1000)
            }),
            networks,
            operators,
            peers: None,
            disks,
            encrypted,
            initramfs,
            lio: scenarios
                .iter()
                .any(|scenario| scenario.document.lio.is_some())
                .then(|| item("lio", "an initramfs for a machine that is a target", lio, 3, 0, 5)),
            sources,
        })
    }

    /// The same, and what the benchmarks compare with.
    pub fn with_peers(mut self) -> Result<Supplies> {
        let base = key_of(self.bases.get(&Release::default()))?;
        let key = Ingredients::of("peers").key(base).text(&roots::peers_recipe()).finish();
        self.peers = Some(Item {
            name: "peers".to_owned(),
            what: "servers to compare with",
            key,
            seconds: 20,
            download_mib: 15,
            disk_mib: 320,
        });
        Ok(self)
    }

    fn items(&self) -> impl Iterator<Item = &Item> {
        let images = self.disks.values().chain(self.encrypted.values());
        let roots = self
            .bases
            .values()
            .chain(self.builders.values())
            .chain(self.roots.values())
            .chain(&self.stock)
            .chain(self.networks.values())
            .chain(self.operators.values())
            .chain(&self.peers);
        roots.chain(images).chain(self.initramfs.values()).chain(&self.lio)
    }

    /// Says what is still to be made and what that takes.
    pub fn announce(&self, cache: &Cache) {
        let missing: Vec<_> =
            self.items().filter(|item| !cache.place(&item.name, &item.key).exists()).collect();
        if missing.is_empty() {
            println!("all that is needed is in {}", cache.folder().display());
            return;
        }
        let total = |of: fn(&Item) -> u32| missing.iter().map(|item| of(item)).sum::<u32>();
        println!(
            "to be made first, in {}: about {} s, {} MiB of disk, {} MiB of downloads",
            cache.folder().display(),
            total(|item| item.seconds),
            total(|item| item.disk_mib),
            total(|item| item.download_mib),
        );
        for item in missing {
            println!("  {:<10} {} (about {} s)", item.name, item.what, item.seconds);
        }
    }

    /// Makes what is missing.
    pub fn prepare(&self, cache: &Cache) -> Result<Ready> {
        let (mut bases, mut builders) = (BTreeMap::new(), BTreeMap::new());
        let (mut versions, mut kernels) = (BTreeMap::new(), BTreeMap::new());
        for (&release, item) in &self.bases {
            bases.insert(release, make(cache, item, |at| roots::make_base(cache, release, at))?);
        }
        for (&release, item) in &self.builders {
            let base = made(bases.get(&release), "base")?;
            let builder = make(cache, item, |at| roots::make_builder(cache, release, base, at))?;
            let version = kernel_version(&builder)?;
            kernels.insert(release, builder.join("boot").join(format!("vmlinuz-{version}")));
            versions.insert(release, version);
            builders.insert(release, builder);
        }
        let version = |release: Release| {
            versions.get(&release).ok_or_else(|| Error::Host("a release without a kernel".into()))
        };
        let base = made(bases.get(&Release::default()), "base")?;
        let builder = made(builders.get(&Release::default()), "builder")?;
        let peers = match &self.peers {
            Some(item) => Some(make(cache, item, |at| roots::make_peers(cache, base, at))?),
            None => None,
        };
        let mut roots = BTreeMap::new();
        for (&software, item) in &self.roots {
            let base = made(bases.get(&software.release()), "base")?;
            roots.insert(software, make(cache, item, |at| roots::make_image(cache, software, base, at))?);
        }
        let mut disks = BTreeMap::new();
        for (&(layout, software), item) in &self.disks {
            let release = software.release();
            let (root, tools) =
                (made(roots.get(&software), "root")?, made(builders.get(&release), "builder")?);
            let version = version(release)?;
            let disk = make(cache, item, |at| disk::make(cache, tools, root, version, layout, at))?;
            disks.insert((layout, software), disk);
        }
        let mut images = BTreeMap::new();
        for (&image, item) in &self.encrypted {
            let disk = made(disks.get(&(image.layout, image.software)), "disk")?;
            let made = make(cache, item, |at| luks::make(cache, builder, disk, image.encryption, at))?;
            images.insert(image, made);
        }
        images.extend(
            disks.into_iter().map(|((layout, software), at)| {
                (Image { encryption: Encryption::None, layout, software }, at)
            }),
        );
        let stock = match &self.stock {
            Some(item) => make(cache, item, |at| roots::make_stock(cache, builder, at))?,
            None => PathBuf::new(),
        };
        let mut networks = BTreeMap::new();
        for (&release, item) in &self.networks {
            let builder = made(builders.get(&release), "builder")?;
            networks.insert(release, make(cache, item, |at| roots::make_network(cache, builder, at))?);
        }
        let mut operators = BTreeMap::new();
        for (&release, item) in &self.operators {
            let builder = made(builders.get(&release), "builder")?;
            operators.insert(release, make(cache, item, |at| roots::make_operator(cache, builder, at))?);
        }
        let mut initramfs = BTreeMap::new();
        for (&(release, options), item) in &self.initramfs {
            let root = match (options.modules, options.network) {
                (Modules::Stock | Modules::Both | Modules::Chain, _) => &stock,
                _ if options.for_operators() => made(operators.get(&release), "root of operators' programs")?,
                (_, Backend::SystemdNetworkd) => made(builders.get(&release), "builder")?,
                _ => made(networks.get(&release), "root of network back ends")?,
            };
            let version = version(release)?;
            let make_it = |at: &Path| initramfs::make(cache, root, &self.sources, version, options, at);
            initramfs.insert((release, options), make(cache, item, make_it)?);
        }
        let lio = match &self.lio {
            Some(item) => {
                let version = version(Release::default())?;
                Some(make(cache, item, |at| lio::make(cache, builder, version, at))?)
            }
            None => None,
        };
        let builder = builder.to_path_buf();
        let disklessd = self.sources.disklessd.clone();
        let operator = operators.remove(&Release::default());
        Ok(Ready { builder, operator, peers, kernels, initramfs, lio, images, disklessd })
    }
}

fn key_of(item: Option<&Item>) -> Result<&Key> {
    item.map(|item| &item.key).ok_or_else(|| Error::Host("a thing without what it is made of".into()))
}

fn make(cache: &Cache, item: &Item, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let place = cache.place(&item.name, &item.key);
    if place.exists() {
        return Ok(place);
    }
    println!("  {}: {}", item.name, item.what);
    let start = Instant::now();
    let made = cache.make(&item.name, &item.key, make)?;
    println!("  {}: done in {} s", item.name, start.elapsed().as_secs());
    Ok(made)
}

/// The builder holds one kernel; its version is the name of its folder of modules.
fn kernel_version(builder: &Path) -> Result<String> {
    let folder = builder.join("lib/modules");
    let mut entries = fs::read_dir(&folder).at("list", &folder)?;
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry.at("list", &folder)?.file_name().to_string_lossy().into_owned()),
        _ => Err(Error::Host(format!("{}: not exactly one kernel", folder.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_the_beginning_of_another() {
        let mut names = Vec::new();
        let layouts = [Layout::Gpt, Layout::Lvm, Layout::Mbr, Layout::Bare, Layout::Unclean, Layout::Many];
        for layout in layouts {
            for software in [
                Software::Debian,
                Software::CloudInit,
                Software::Networks,
                Software::Neither,
                Software::Sshd,
                Software::Selinux,
                Software::Trixie,
            ] {
                names.push(disk_name(layout, software));
                for encryption in [Encryption::Luks2, Encryption::Luks1, Encryption::Argon2Huge] {
                    names.push(encrypted_name(Image { encryption, layout, software }));
                }
            }
        }
        for (hostonly, mkfs_xfs) in [(false, false), (false, true), (true, false), (true, true)] {
            for modules in [Modules::All, Modules::Few, Modules::Stock, Modules::Both, Modules::Chain] {
                for release in [Release::Bookworm, Release::Trixie] {
                    for (network, package) in [
                        (Backend::SystemdNetworkd, false),
                        (Backend::SystemdNetworkd, true),
                        (Backend::NetworkManager, false),
                        (Backend::NetworkLegacy, false),
                    ] {
                        for (sshd, tools) in [(false, false), (true, false), (false, true), (true, true)] {
                            let options = Initramfs {
                                hostonly,
                                mkfs_xfs,
                                sshd,
                                tools,
                                no_key: false,
                                package,
                                modules,
                                network,
                            };
                            names.push(initramfs_name(release, options));
                        }
                    }
                }
            }
        }
        let different: BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
        // The cache takes NAME-KEY for a version of NAME.
        assert!(names.iter().all(|name| !name.contains('-')), "{names:?}");
    }
}
