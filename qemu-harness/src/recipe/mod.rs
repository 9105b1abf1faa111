//! What a scenario needs, made once and kept:
//!
//! ```text
//! base ──┬─> builder ──────────────┬─> initramfs   (agent, dracut module, units)
//!        └─> image, ──> disk ──> luks│
//!            cloudimage (facts unit) └─ tools, kernel
//! ```
//!
//! There is a disk for each layout of each software, a luks for each encryption of one, and an initramfs for each way of making it; only
//! those that a scenario of the run asks for are made. Each arrow is part of the key: a change makes what depends on it anew, and nothing else.

mod disk;
mod initramfs;
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
use crate::scenario::{Encryption, Image, Initramfs, Layout, Modules, Scenario, Software};

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
    base: Item,
    builder: Item,
    image: Item,
    /// The image with cloud-init; only where a target has it.
    cloud_image: Option<Item>,
    /// The builder with what dracut's own modules need; only for an initramfs of these.
    stock: Option<Item>,
    /// Servers to compare with; only for the benchmarks.
    peers: Option<Item>,
    disks: BTreeMap<(Layout, Software), Item>,
    encrypted: BTreeMap<Image, Item>,
    initramfs: BTreeMap<Initramfs, Item>,
    sources: Sources,
}

/// What comes from the repository.
pub struct Sources {
    /// The agent's binary.
    pub agent: PathBuf,
    /// The site's server's, if a scenario has one.
    pub disklessd: Option<PathBuf>,
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
    peers: Option<PathBuf>,
    /// The kernel image.
    pub kernel: PathBuf,
    initramfs: BTreeMap<Initramfs, PathBuf>,
    images: BTreeMap<Image, PathBuf>,
    disklessd: Option<PathBuf>,
}

impl Ready {
    /// The root folder with the servers to compare with.
    pub fn peers(&self) -> Result<&Path> {
        made(self.peers.as_ref(), "root of peers")
    }

    /// An initramfs that a scenario asked for.
    pub fn initramfs(&self, options: Initramfs) -> Result<&Path> {
        made(self.initramfs.get(&options), "initramfs")
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
    };
    let software = match software {
        Software::Debian => "",
        Software::CloudInit => "cloud",
    };
    format!("disk{layout}{software}")
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

fn initramfs_name(options: Initramfs) -> String {
    let parts = [
        (true, "initramfs"),
        (options.hostonly, "hostonly"),
        (options.mkfs_xfs, "xfs"),
        (options.modules == Modules::Few, "few"),
        (options.modules == Modules::Stock, "stock"),
    ];
    parts.iter().filter(|(there, _)| *there).map(|(_, part)| *part).collect()
}

impl Supplies {
    /// Finds out what the scenarios need; makes nothing.
    pub fn plan(
        repository: &Path,
        agent: &Path,
        disklessd: Option<&Path>,
        scenarios: &[Scenario],
    ) -> Result<Supplies> {
        let sources = Sources {
            agent: agent.to_path_buf(),
            disklessd: disklessd.map(Path::to_path_buf),
            modules: repository.join("dracut-module"),
            units: repository.join("systemd-units"),
        };
        let base = Ingredients::of("base").text(&roots::base_recipe()).finish();
        let builder = Ingredients::of("builder").key(&base).text(&roots::builder_recipe()).finish();
        let stock = Ingredients::of("stock").key(&builder).text(&roots::stock_recipe()).finish();
        let image = Ingredients::of("image").key(&base).text(&roots::image_recipe()).finish();
        let cloud_image =
            Ingredients::of("cloudimage").key(&base).text(&roots::cloud_image_recipe()).finish();
        let item = |name: &str, what, key, seconds, download_mib, disk_mib| Item {
            name: name.to_owned(),
            what,
            key,
            seconds,
            download_mib,
            disk_mib,
        };
        let targets = scenarios.iter().flat_map(|scenario| &scenario.document.targets);
        let images: BTreeSet<Image> = targets.map(|target| target.image).collect();
        let mut disks = BTreeMap::new();
        let mut encrypted = BTreeMap::new();
        for wanted in images {
            let root = match wanted.software {
                Software::Debian => &image,
                Software::CloudInit => &cloud_image,
            };
            let disk =
                Ingredients::of("disk").key(root).key(&builder).text(&disk::recipe(wanted.layout)).finish();
            if wanted.encryption != Encryption::None {
                let key = Ingredients::of("luks").key(&disk).text(&luks::recipe(wanted.encryption)).finish();
                let name = encrypted_name(wanted);
                encrypted.insert(wanted, item(&name, "a disk image, encrypted", key, 10, 0, 240));
            }
            let place = (wanted.layout, wanted.software);
            let name = disk_name(place.0, place.1);
            disks.insert(place, item(&name, "a disk image", disk, 5, 0, 150));
        }
        let mut initramfs = BTreeMap::new();
        for options in scenarios.iter().map(|scenario| scenario.document.initramfs) {
            let made_in = if options.modules == Modules::Stock { &stock } else { &builder };
            let key = Ingredients::of("initramfs")
                .key(made_in)
                .text(&initramfs::recipe(options))
                .file(&sources.agent)?
                .folder(&sources.modules)?
                .folder(&sources.units)?
                .finish();
            let what = "an initramfs with the agent, by dracut";
            initramfs.insert(options, item(&initramfs_name(options), what, key, 15, 0, 180));
        }
        Ok(Supplies {
            base: item("base", "a small Debian, by debootstrap", base, 45, 35, 240),
            builder: item("builder", "a Debian with QEMU, dracut, tgt and a kernel", builder, 45, 150, 950),
            stock: initramfs.keys().any(|options| options.modules == Modules::Stock).then(|| {
                item("stock", "the builder, with what dracut's own modules need", stock, 30, 5, 1000)
            }),
            image: item("image", "the Debian that nodes boot", image, 20, 20, 320),
            peers: None,
            cloud_image: disks.keys().any(|(_, software)| *software == Software::CloudInit).then(|| {
                item("cloudimage", "the Debian that nodes boot, with cloud-init", cloud_image, 45, 20, 420)
            }),
            disks,
            encrypted,
            initramfs,
            sources,
        })
    }

    /// The same, and what the benchmarks compare with.
    pub fn with_peers(mut self) -> Supplies {
        let key = Ingredients::of("peers").key(&self.base.key).text(&roots::peers_recipe()).finish();
        self.peers = Some(Item {
            name: "peers".to_owned(),
            what: "servers to compare with",
            key,
            seconds: 20,
            download_mib: 15,
            disk_mib: 320,
        });
        self
    }

    fn items(&self) -> impl Iterator<Item = &Item> {
        let images = self.disks.values().chain(self.encrypted.values());
        let roots = [&self.base, &self.builder, &self.image]
            .into_iter()
            .chain(&self.cloud_image)
            .chain(&self.stock)
            .chain(&self.peers);
        roots.chain(images).chain(self.initramfs.values())
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
        let base = make(cache, &self.base, |at| roots::make_base(cache, at))?;
        let builder = make(cache, &self.builder, |at| roots::make_builder(cache, &base, at))?;
        let peers = match &self.peers {
            Some(item) => Some(make(cache, item, |at| roots::make_peers(cache, &base, at))?),
            None => None,
        };
        let version = kernel_version(&builder)?;
        let image = make(cache, &self.image, |at| roots::make_image(cache, &base, at))?;
        let mut disks = BTreeMap::new();
        let cloud_image = match &self.cloud_image {
            Some(item) => make(cache, item, |at| roots::make_cloud_image(cache, &base, at))?,
            None => PathBuf::new(),
        };
        for (&(layout, software), item) in &self.disks {
            let root = if software == Software::CloudInit { &cloud_image } else { &image };
            let disk = make(cache, item, |at| disk::make(cache, &builder, root, &version, layout, at))?;
            disks.insert((layout, software), disk);
        }
        let mut images = BTreeMap::new();
        for (&image, item) in &self.encrypted {
            let disk = made(disks.get(&(image.layout, image.software)), "disk")?;
            let made = make(cache, item, |at| luks::make(cache, &builder, disk, image.encryption, at))?;
            images.insert(image, made);
        }
        images.extend(
            disks.into_iter().map(|((layout, software), at)| {
                (Image { encryption: Encryption::None, layout, software }, at)
            }),
        );
        let stock = match &self.stock {
            Some(item) => make(cache, item, |at| roots::make_stock(cache, &builder, at))?,
            None => PathBuf::new(),
        };
        let mut initramfs = BTreeMap::new();
        for (&options, item) in &self.initramfs {
            let root = if options.modules == Modules::Stock { &stock } else { &builder };
            let make_it = |at: &Path| initramfs::make(cache, root, &self.sources, &version, options, at);
            initramfs.insert(options, make(cache, item, make_it)?);
        }
        let kernel = builder.join("boot").join(format!("vmlinuz-{version}"));
        let disklessd = self.sources.disklessd.clone();
        Ok(Ready { builder, peers, kernel, initramfs, images, disklessd })
    }
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
        for layout in [Layout::Gpt, Layout::Lvm, Layout::Mbr, Layout::Bare] {
            for software in [Software::Debian, Software::CloudInit] {
                names.push(disk_name(layout, software));
                for encryption in [Encryption::Luks2, Encryption::Luks1, Encryption::Argon2Huge] {
                    names.push(encrypted_name(Image { encryption, layout, software }));
                }
            }
        }
        for (hostonly, mkfs_xfs) in [(false, false), (false, true), (true, false), (true, true)] {
            for modules in [Modules::All, Modules::Few, Modules::Stock] {
                names.push(initramfs_name(Initramfs { hostonly, mkfs_xfs, modules }));
            }
        }
        let different: BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
        // The cache takes NAME-KEY for a version of NAME.
        assert!(names.iter().all(|name| !name.contains('-')), "{names:?}");
    }
}
