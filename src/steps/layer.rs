//! How large the writable layer is on this node, and whether the node has the memory for it. Pure.
//!
//! Full has to mean ENOSPC, which programs know, and not an error of a write that the kernel had taken. So the file
//! system is no larger than the memory that it may take, however badly its data compress. zram's own `mem_limit` is for
//! a plan that overcommits alone: zram counts the holes in its pages too, which deletions leave and nobody closes until
//! memory is short, and fails writes of a layer that is not even full.

use crate::error::{Code, Error, Result};
use crate::input::document::{Backing, FileSystem, LEAST_LAYER, Overlay};
use crate::input::memory::Memory;
use crate::input::size::Size;

/// zram and tmpfs work in pages.
pub const PAGE: u64 = 4096;
/// A file of a tmpfs for each so many bytes of it, as many as on the ext4 of a zram disk.
const BYTES_OF_INODE: u64 = 8192;
/// What zram notes for each page of its disk, from the beginning (drivers/block/zram/zram_drv.h, struct
/// zram_table_entry).
const ENTRY: u64 = 16;
/// What a file of a tmpfs takes beside its data (mm/shmem.c, struct shmem_inode_info, and its name).
const INODE: u64 = 1024;
/// What a system needs for itself when the layer is full.
const RESERVE: u64 = 128 << 20;

/// What a plan says of the layer's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    backing: Backing,
    fs: FileSystem,
    size: Size,
    /// The plan says it itself.
    explicit: bool,
    mem_limit: Option<Size>,
    overcommit: bool,
    nr_inodes: Option<u64>,
}

/// The layer on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Its size, whole pages.
    pub bytes: u64,
    /// The memory that zram is to take at most, whole pages; none: its size says it.
    pub mem_limit: Option<u64>,
    /// The size that the plan asks for; `mem_limit` may leave less.
    asked: u64,
    /// The files that a tmpfs can hold.
    pub inodes: u64,
}

impl Terms {
    /// Those of `overlay`.
    pub fn of(overlay: &Overlay) -> Terms {
        Terms {
            backing: overlay.backing,
            fs: overlay.fs.unwrap_or_default(),
            size: overlay.size(),
            explicit: overlay.size.is_some(),
            mem_limit: overlay.mem_limit,
            overcommit: overlay.overcommit,
            nr_inodes: overlay.nr_inodes,
        }
    }

    /// The layer on a node with `memory`.
    ///
    /// # Errors
    /// [`Code::ZramSize`]: it would be too small for its file system; [`Code::LayerMemory`]: the node would have no
    /// memory left for itself once it is full.
    pub fn on(&self, memory: &Memory) -> Result<Layer> {
        let (asked, limit) = (pages(self.size, memory), self.mem_limit.map(|limit| pages(limit, memory)));
        let bytes = limit.filter(|_| !self.overcommit).map_or(asked, |limit| limit.min(asked));
        let layer = Layer {
            bytes,
            mem_limit: limit.filter(|limit| *limit < bytes),
            asked,
            inodes: self.nr_inodes.unwrap_or(bytes / BYTES_OF_INODE),
        };
        self.is_enough(&layer)?;
        self.fits(&layer, memory)?;
        Ok(layer)
    }

    /// The memory that zram is to be allowed for a disk of `bytes` that is there, however it was made; 0: any. None: the
    /// plan does not say.
    pub fn mem_limit(&self, bytes: u64, memory: &Memory) -> Option<u64> {
        let limit = pages(self.mem_limit?, memory);
        Some(if bytes > limit { limit } else { 0 })
    }

    /// What somebody must know of `layer`: it is not what the plan says.
    pub fn warning(&self, layer: &Layer) -> Option<Error> {
        let limit = self.mem_limit.filter(|_| self.explicit && layer.bytes < layer.asked)?;
        let (made, asked) = (layer.bytes >> 20, layer.asked >> 20);
        Some(
            Error::new(Code::LayerLimited, format!("overlay.mem_limit {limit}"))
                .because(format!("the layer has {made} MiB, where overlay.size asks for {asked} MiB")),
        )
    }

    /// The member that the layer's size is from.
    fn object(&self, layer: &Layer) -> String {
        match self.mem_limit {
            Some(limit) if layer.bytes < layer.asked => format!("overlay.mem_limit {limit}"),
            _ => format!("overlay.size {}", self.size),
        }
    }

    fn is_enough(&self, layer: &Layer) -> Result<()> {
        let (kind, least) = match self.backing {
            Backing::Zram => (self.fs.to_string(), self.fs.least()),
            Backing::Tmpfs => ("a layer".into(), LEAST_LAYER),
        };
        if layer.bytes >= least {
            return Ok(());
        }
        Err(Error::new(Code::ZramSize, self.object(layer)).because(format!(
            "{} MiB; {kind} needs at least {} MiB",
            layer.bytes >> 20,
            least >> 20
        )))
    }

    /// A layer that overcommits has to have room for what it takes while it is empty; any other for all that it can take.
    fn fits(&self, layer: &Layer, memory: &Memory) -> Result<()> {
        let empty = match self.backing {
            Backing::Zram => (layer.bytes / PAGE).saturating_mul(ENTRY),
            Backing::Tmpfs => 0,
        };
        let full = match self.backing {
            Backing::Zram => layer.bytes,
            Backing::Tmpfs => layer.bytes.saturating_add(layer.inodes.saturating_mul(INODE)),
        };
        let takes = if self.overcommit { empty } else { full.saturating_add(empty) };
        let usable = memory.total.saturating_sub(memory.huge);
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let refused = |why: String| Err(Error::new(Code::LayerMemory, self.object(layer)).because(why));
        if takes.saturating_add(RESERVE) > usable {
            let when = if self.overcommit { "empty" } else { "full" };
            let pages = match memory.huge {
                0 => String::new(),
                huge => format!(" without {} MiB of huge pages", mib(huge)),
            };
            return refused(format!(
                "it takes {} MiB when it is {when}, and the system needs {} MiB; the node has {} MiB{pages}",
                mib(takes),
                mib(RESERVE),
                usable >> 20
            ));
        }
        if empty > memory.available {
            let (empty, available) = (mib(empty), memory.available >> 20);
            return refused(format!(
                "it takes {empty} MiB when it is empty, and {available} MiB are available now"
            ));
        }
        Ok(())
    }
}

fn pages(size: Size, memory: &Memory) -> u64 {
    size.bytes(memory.total).min(u64::MAX - PAGE).next_multiple_of(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    fn terms(members: Value) -> Terms {
        let mut overlay = json!({ "mounts": [] });
        overlay.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        Terms::of(&serde_json::from_value(overlay).unwrap())
    }

    fn node(total: u64) -> Memory {
        Memory { total, available: total / 10 * 8, huge: 0 }
    }

    #[test]
    fn the_size_is_what_the_layer_may_take_at_worst() {
        let memory = node(100 * GIB);
        let cases = [
            (json!({}), 50 * GIB, None, false),
            (json!({ "size": "20G" }), 20 * GIB, None, false),
            // What the plan has no opinion of is no news.
            (json!({ "mem_limit": "10%" }), 10 * GIB, None, false),
            (json!({ "size": "50%", "mem_limit": "10%" }), 10 * GIB, None, true),
            (json!({ "size": "5%", "mem_limit": "10%" }), 5 * GIB, None, false),
            (
                json!({ "size": "50%", "mem_limit": "10%", "overcommit": true }),
                50 * GIB,
                Some(10 * GIB),
                false,
            ),
            (json!({ "size": "5%", "mem_limit": "10%", "overcommit": true }), 5 * GIB, None, false),
            (json!({ "size": "200G", "overcommit": true }), 200 * GIB, None, false),
            // Whole pages: the kernel rounds too, and what was set is to be found again.
            (json!({ "size": "16777217" }), 16 * MIB + PAGE, None, false),
        ];
        for (members, bytes, mem_limit, warned) in cases {
            let terms = terms(members.clone());
            let layer = terms.on(&memory).unwrap();
            assert_eq!((layer.bytes, layer.mem_limit), (bytes, mem_limit), "{members}");
            assert_eq!(terms.warning(&layer).is_some(), warned, "{members}");
        }
    }

    #[test]
    fn a_tmpfs_holds_as_many_files_as_an_ext4() {
        let tmpfs = |members: Value| {
            let mut members = members;
            members["backing"] = json!("tmpfs");
            terms(members).on(&node(4 * GIB)).unwrap()
        };
        assert_eq!((tmpfs(json!({})).bytes, tmpfs(json!({})).inodes), (2 * GIB, 2 * GIB / 8192));
        assert_eq!(tmpfs(json!({ "nr_inodes": 5000 })).inodes, 5000);
    }

    #[test]
    fn a_layer_for_which_the_node_is_too_small_is_refused() {
        let small = node(2 * GIB);
        let says = |members: Value, memory: &Memory| {
            let error = terms(members.clone()).on(memory).err().unwrap_or_else(|| panic!("{members} passed"));
            assert_eq!(error.code(), Code::LayerMemory, "{error}");
            error.to_string()
        };
        let text = says(json!({ "size": "8G" }), &small);
        let expected =
            "it takes 8224 MiB when it is full, and the system needs 128 MiB; the node has 2048 MiB";
        assert!(text.starts_with("overlay.size 8589934592 bytes: ") && text.ends_with(expected), "{text}");
        says(json!({ "size": "100%" }), &small);
        assert!(
            says(json!({ "size": "9G", "mem_limit": "8G" }), &small).starts_with("overlay.mem_limit 858")
        );
        for taken in [json!({ "size": "90%" }), json!({ "size": "8G", "mem_limit": "1G" }), json!({})] {
            terms(taken).on(&small).unwrap();
        }
        // All that is to be had is what huge pages leave.
        let huge = Memory { huge: GIB, ..small };
        assert!(says(json!({}), &huge).ends_with("has 1024 MiB without 1024 MiB of huge pages"));
        terms(json!({ "size": "40%" })).on(&huge).unwrap();
        // tmpfs: names and inodes come on top.
        says(json!({ "backing": "tmpfs", "size": "90%" }), &small);
        terms(json!({ "backing": "tmpfs", "size": "80%" })).on(&small).unwrap();
        says(json!({ "backing": "tmpfs", "size": "50%", "nr_inodes": 1_000_000 }), &small);
        // Overcommitted: zram's own table alone.
        terms(json!({ "size": "64G", "overcommit": true })).on(&small).unwrap();
        assert!(
            says(json!({ "size": "500G", "overcommit": true }), &small).contains("2000 MiB when it is empty")
        );
        let busy = Memory { available: 200 * MIB, ..small };
        assert!(
            says(json!({ "size": "64G", "overcommit": true }), &busy)
                .ends_with("256 MiB when it is empty, and 200 MiB are available now")
        );
    }

    #[test]
    fn too_small_for_its_file_system() {
        let memory = node(2 * GIB);
        for (members, says) in [
            (json!({ "size": "299M", "fs": "xfs" }), "299 MiB; xfs needs at least 300 MiB"),
            (json!({ "size": "15M" }), "15 MiB; ext4 needs at least 16 MiB"),
            (json!({ "size": "1%", "mem_limit": "2M" }), "2 MiB; ext4 needs at least 16 MiB"),
            (json!({ "size": "2M", "backing": "tmpfs" }), "2 MiB; a layer needs at least 16 MiB"),
        ] {
            let error = terms(members).on(&memory).unwrap_err();
            assert_eq!(error.code(), Code::ZramSize);
            assert!(error.to_string().ends_with(says), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_asked_it_fits_or_is_refused(
            size in 1u64.., mem_limit: Option<u64>, overcommit: bool, tmpfs: bool, nr_inodes: Option<u64>,
            total: u64, available: u64, huge: u64,
        ) {
            let backing = if tmpfs { Backing::Tmpfs } else { Backing::Zram };
            let (size, mem_limit) = (Size::Bytes(size >> 1), mem_limit.map(|limit| Size::Bytes(limit >> 1)));
            let terms = Terms {
                backing, fs: FileSystem::Ext4, size, explicit: true, mem_limit, overcommit, nr_inodes,
            };
            let memory = Memory { total, available, huge };
            if let Ok(layer) = terms.on(&memory) {
                assert!(overcommit || layer.bytes <= total && layer.mem_limit.is_none());
                assert!(layer.bytes >= LEAST_LAYER && layer.bytes.is_multiple_of(PAGE));
            }
        }
    }
}
