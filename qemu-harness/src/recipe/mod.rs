//! What a scenario needs, made once and kept:
//!
//! ```text
//! base ──┬─> builder ──────────────┬─> initramfs   (agent, dracut module, units)
//!        └─> image ──> disk ──> luks│
//!             (facts unit)          └─ tools, kernel
//! ```
//!
//! Each arrow is part of the key: a change makes what depends on it anew, and nothing else.

mod disk;
mod initramfs;
mod luks;
mod mirror;
mod roots;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub use luks::{KEY_ARGON2ID, KEY_PBKDF2, UUID as LUKS_UUID};

use crate::cache::Cache;
use crate::error::{At, Error, Result};
use crate::key::{Ingredients, Key};

/// A cached thing, with what making it takes (on two cores, with a fast network).
struct Item {
    name: &'static str,
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
    disk: Item,
    luks: Item,
    initramfs: Item,
    sources: Sources,
}

/// What comes from the repository.
pub struct Sources {
    /// The agent's binary.
    pub agent: PathBuf,
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
    /// The kernel image.
    pub kernel: PathBuf,
    /// The initramfs made by dracut.
    pub initramfs: PathBuf,
    /// The GPT image.
    pub disk: PathBuf,
    /// The same, encrypted.
    pub luks: PathBuf,
}

impl Supplies {
    /// Finds out what is needed; makes nothing.
    pub fn plan(repository: &Path, agent: &Path) -> Result<Supplies> {
        let sources = Sources {
            agent: agent.to_path_buf(),
            modules: repository.join("dracut-module"),
            units: repository.join("systemd-units"),
        };
        let base = Ingredients::of("base").text(&roots::base_recipe()).finish();
        let builder = Ingredients::of("builder").key(&base).text(&roots::builder_recipe()).finish();
        let image = Ingredients::of("image").key(&base).text(&roots::image_recipe()).finish();
        let disk = Ingredients::of("disk").key(&image).key(&builder).text(&disk::recipe()).finish();
        let luks = Ingredients::of("luks").key(&disk).text(&luks::recipe()).finish();
        let initramfs = Ingredients::of("initramfs")
            .key(&builder)
            .text(&initramfs::recipe())
            .file(&sources.agent)?
            .folder(&sources.modules)?
            .folder(&sources.units)?
            .finish();
        let item = |name, what, key, seconds, download_mib, disk_mib| Item {
            name,
            what,
            key,
            seconds,
            download_mib,
            disk_mib,
        };
        Ok(Supplies {
            base: item("base", "a small Debian, by debootstrap", base, 45, 35, 240),
            builder: item("builder", "a Debian with QEMU, dracut, tgt and a kernel", builder, 45, 150, 900),
            image: item("image", "the Debian that nodes boot", image, 25, 20, 300),
            disk: item("disk", "its GPT image", disk, 10, 0, 450),
            luks: item("luks", "the same, encrypted", luks, 20, 0, 470),
            initramfs: item("initramfs", "an initramfs with the agent, by dracut", initramfs, 40, 0, 60),
            sources,
        })
    }

    fn items(&self) -> [&Item; 6] {
        [&self.base, &self.builder, &self.image, &self.disk, &self.luks, &self.initramfs]
    }

    /// Says what is still to be made and what that takes.
    pub fn announce(&self, cache: &Cache) {
        let missing: Vec<_> =
            self.items().into_iter().filter(|item| !cache.place(item.name, &item.key).exists()).collect();
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
        let version = kernel_version(&builder)?;
        let image = make(cache, &self.image, |at| roots::make_image(cache, &base, at))?;
        let disk = make(cache, &self.disk, |at| disk::make(cache, &builder, &image, &version, at))?;
        let luks = make(cache, &self.luks, |at| luks::make(cache, &builder, &disk, at))?;
        let initramfs =
            make(cache, &self.initramfs, |at| initramfs::make(cache, &builder, &self.sources, &version, at))?;
        let kernel = builder.join("boot").join(format!("vmlinuz-{version}"));
        Ok(Ready { builder, kernel, initramfs, disk, luks })
    }
}

fn make(cache: &Cache, item: &Item, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let place = cache.place(item.name, &item.key);
    if place.exists() {
        return Ok(place);
    }
    println!("  {}: {}", item.name, item.what);
    let start = Instant::now();
    let made = cache.make(item.name, &item.key, make)?;
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
