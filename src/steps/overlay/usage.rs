//! How full the writable layer is, in the initramfs and in the booted system alike.

use std::fmt;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::UPPERS;
use super::mountinfo::{self, Mounted};
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::steps::zram::{self, Figures};
use crate::sys::mount::{self, Space};

/// The writable layer. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// `/dev/zram0`, or `tmpfs`.
    pub backing: String,
    /// Its file system.
    pub fs: String,
    /// What files can have.
    pub size: u64,
    /// What they have.
    pub used: u64,
    /// How many files there can be; 0: it is not said.
    pub inodes: u64,
    /// How many there are.
    pub used_inodes: u64,
    /// What the kernel makes of it; none for a tmpfs, which takes what is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zram: Option<Compressed>,
}

/// A zram disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compressed {
    /// In the kernel's words.
    pub algorithm: Option<String>,
    /// What is stored, before compression.
    pub data: u64,
    /// The memory that it takes.
    pub memory: u64,
    /// The memory that it may take; 0: as much as its size.
    pub mem_limit: u64,
}

/// What can run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Room for data.
    Space,
    /// Room for files.
    Inodes,
    /// The memory that an overcommitted disk may take.
    Memory,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Resource::Space => "space",
            Resource::Inodes => "inodes",
            Resource::Memory => "memory",
        })
    }
}

impl Usage {
    /// The writable layer of `host`; none if it is not mounted.
    ///
    /// # Errors
    /// [`Code::Io`]: the kernel does not tell.
    pub fn observe(host: &Host) -> Result<Option<Usage>> {
        let path = host.path("/proc/self/mountinfo");
        let text = std::fs::read_to_string(&path).context(Code::Io, path.display().to_string())?;
        let Some(layer) = mountinfo::parse(&text).into_iter().rfind(|mounted| mounted.target == UPPERS)
        else {
            return Ok(None);
        };
        let space = mount::space(&host.path(UPPERS))?;
        let number = layer.source.strip_prefix("/dev/zram").and_then(|number| number.parse().ok());
        let zram = number.and_then(|number| Some((number, Figures::of(host, number)?)));
        let zram = zram.map(|(number, figures)| Compressed {
            algorithm: zram::algorithm(host, number),
            data: figures.data,
            memory: figures.taken,
            mem_limit: figures.mem_limit,
        });
        Ok(Some(Usage::of(layer, space, zram)))
    }

    fn of(layer: Mounted, space: Space, zram: Option<Compressed>) -> Usage {
        let backing = if layer.kind == "tmpfs" { layer.kind.clone() } else { layer.source };
        Usage {
            backing,
            fs: layer.kind,
            size: space.bytes,
            used: space.used,
            inodes: space.inodes,
            used_inodes: space.used_inodes,
            zram,
        }
    }

    /// How much of what is used, and how much there is.
    pub fn of_resource(&self, resource: Resource) -> (u64, u64) {
        match resource {
            Resource::Space => (self.used, self.size),
            Resource::Inodes => (self.used_inodes, self.inodes),
            // A disk without a limit is no larger than what it may take: its space is what runs out.
            Resource::Memory => self.zram.as_ref().map_or((0, 0), |zram| (zram.memory, zram.mem_limit)),
        }
    }

    /// How much of what is used, of a hundred, rounded down; none of what there is no end of.
    pub fn percent(&self, resource: Resource) -> Option<u8> {
        let (used, all) = self.of_resource(resource);
        let percent = u128::from(used) * 100 / u128::from(Some(all).filter(|all| *all > 0)?);
        Some(u8::try_from(percent.min(100)).unwrap_or(100))
    }

    /// For people: `850 of 983 MiB` of a resource.
    pub fn amount(&self, resource: Resource) -> String {
        let (used, all) = self.of_resource(resource);
        match resource {
            Resource::Inodes => format!("{used} of {all}"),
            Resource::Space | Resource::Memory => format!("{} of {} MiB", used >> 20, all >> 20),
        }
    }

    /// For people, some lines.
    pub fn describe(&self) -> String {
        let algorithm = self.zram.as_ref().and_then(|zram| zram.algorithm.as_deref());
        let algorithm = algorithm.map_or_else(String::new, |word| format!(", {word}"));
        let kind = if self.fs == self.backing { String::new() } else { format!(", {}", self.fs) };
        let mut text = format!("writable layer: {}{kind}{algorithm}\n", self.backing);
        for resource in [Resource::Space, Resource::Inodes] {
            if let Some(percent) = self.percent(resource) {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "  {resource:<9} {percent:>3} %  {} used", self.amount(resource));
            }
        }
        if let Some(zram) = &self.zram {
            let (memory, data) = (zram.memory >> 20, zram.data >> 20);
            let (percent, limit) = match (self.percent(Resource::Memory), zram.mem_limit) {
                (Some(percent), limit) => (format!("{percent:>3} %"), format!(" of {}", limit >> 20)),
                (None, _) => ("     ".to_owned(), String::new()),
            };
            let _ = writeln!(
                text,
                "  {:<9} {percent}  {memory}{limit} MiB for {data} MiB of data",
                Resource::Memory
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn usage(kind: &str, source: &str, zram: Option<Compressed>) -> Usage {
        let layer = Mounted { target: UPPERS.into(), kind: kind.into(), source: source.into() };
        let space = Space { bytes: 1000 * MIB, used: 859 * MIB, inodes: 2000, used_inodes: 19 };
        Usage::of(layer, space, zram)
    }

    #[test]
    fn for_people() {
        let algorithm = Some("zstd".to_owned());
        let zram = Compressed { algorithm, data: 800 * MIB, memory: 200 * MIB, mem_limit: 0 };
        let expected = "writable layer: /dev/zram0, ext4, zstd
  space      85 %  859 of 1000 MiB used
  inodes      0 %  19 of 2000 used
  memory           200 MiB for 800 MiB of data
";
        assert_eq!(usage("ext4", "/dev/zram0", Some(zram.clone())).describe(), expected);
        let limited = Compressed { mem_limit: 400 * MIB, ..zram };
        let text = usage("ext4", "/dev/zram0", Some(limited)).describe();
        assert!(text.ends_with("  memory     50 %  200 of 400 MiB for 800 MiB of data\n"), "{text}");
        let tmpfs = usage("tmpfs", "diskless-rw", None);
        assert!(tmpfs.describe().starts_with("writable layer: tmpfs\n  space      85 % "));
        assert_eq!((tmpfs.percent(Resource::Memory), tmpfs.percent(Resource::Inodes)), (None, Some(0)));
    }

    #[test]
    fn a_layer_is_what_is_mounted_at_its_place() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let write = |file: &str, text: &str| {
            let file = host.path(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write("/proc/self/mountinfo", "1 0 0:1 / / rw - overlay overlay rw\n");
        assert_eq!(Usage::observe(&host).unwrap(), None);
        write("/proc/self/mountinfo", "2 1 0:2 / /run/diskless/rw rw - xfs /dev/zram1 rw\n");
        write("/run/diskless/rw/root/upper", "");
        write("/sys/block/zram1/mm_stat", "9 8 7 6 5\n");
        write("/sys/block/zram1/comp_algorithm", "lzo [lz4]\n");
        let usage = Usage::observe(&host).unwrap().unwrap();
        let zram = Compressed { algorithm: Some("lz4".into()), data: 9, memory: 7, mem_limit: 6 };
        assert_eq!(
            (usage.backing.as_str(), usage.fs.as_str(), usage.zram),
            ("/dev/zram1", "xfs", Some(zram))
        );
        assert!(usage.size > 0 && usage.used <= usage.size);
    }
}
