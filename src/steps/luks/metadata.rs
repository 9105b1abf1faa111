//! What a LUKS header says, checked: every number is in its bounds and every name is known. The words are those of
//! LUKS2 (LUKS2 on-disk format specification 1.1, chapter 3); a LUKS1 header says the same with fewer of them.

use std::collections::BTreeMap;

use super::cipher::Cipher;
use super::hash::Hash;
use super::kdf::Kdf;

/// The largest volume key, in bytes; larger than any cipher's.
pub const LARGEST_KEY: u32 = 512;

/// A checked header's contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The keyslots that can be tried, by number.
    pub keyslots: BTreeMap<u32, Keyslot>,
    /// Those that cannot, with the reason.
    pub skipped: BTreeMap<u32, String>,
    /// The digests that are linked to the segment, by number.
    pub digests: BTreeMap<u32, Digest>,
    /// The one encrypted segment.
    pub segment: Segment,
    /// How dm-crypt is to work.
    pub flags: Vec<Flag>,
}

/// A place with a copy of the volume key, locked with a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyslot {
    /// When it is tried.
    pub priority: Priority,
    /// The volume key's size in bytes, 1 to 512.
    pub key_size: usize,
    /// The hash of the anti-forensic stripes.
    pub af_hash: Hash,
    /// Where the stripes are, in bytes from the start of the disk; within the header's keyslots area.
    pub area_offset: u64,
    /// Their size in bytes, a multiple of the area's sector; 2 MiB at most.
    pub area_size: usize,
    /// Their cipher.
    pub cipher: Cipher,
    /// The size of their key in bytes; one that the cipher takes.
    pub area_key_size: usize,
    /// How that key comes from the secret.
    pub kdf: Kdf,
}

/// When a keyslot is tried (3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Only if asked for by its number.
    Ignore,
    /// After those that are preferred.
    Normal,
    /// First.
    Prefer,
}

/// A check of the volume key (3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The keyslots that hold this key.
    pub keyslots: Vec<u32>,
    /// The hash of its PBKDF2.
    pub hash: Hash,
    /// Its rounds, at least one.
    pub iterations: u32,
    /// Its salt.
    pub salt: Vec<u8>,
    /// What it must give, 20 to 64 bytes.
    pub digest: Vec<u8>,
}

/// The encrypted data (3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its number.
    pub id: u32,
    /// Where it starts, in bytes; a multiple of 512.
    pub offset: u64,
    /// Where it ends.
    pub size: Size,
    /// The number of its first sector for the initialisation vectors, in sectors of 512 bytes.
    pub iv_tweak: u64,
    /// 512, 1024, 2048 or 4096 bytes.
    pub sector_size: u32,
    /// Its cipher.
    pub cipher: Cipher,
}

/// A segment's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// To the end of the disk.
    Dynamic,
    /// So many bytes.
    Bytes(u64),
}

/// How dm-crypt is to work: a flag that the header keeps (3.5), and its name in a dm-crypt table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// allow-discards
    AllowDiscards,
    /// same-cpu-crypt
    SameCpuCrypt,
    /// submit-from-crypt-cpus
    SubmitFromCryptCpus,
    /// no-read-workqueue
    NoReadWorkqueue,
    /// no-write-workqueue
    NoWriteWorkqueue,
}

impl Flag {
    /// All, in the order in which they stand in a table.
    pub const ALL: [Flag; 5] = [
        Flag::AllowDiscards,
        Flag::SameCpuCrypt,
        Flag::SubmitFromCryptCpus,
        Flag::NoReadWorkqueue,
        Flag::NoWriteWorkqueue,
    ];

    /// The name in the header.
    pub fn name(self) -> &'static str {
        match self {
            Flag::AllowDiscards => "allow-discards",
            Flag::SameCpuCrypt => "same-cpu-crypt",
            Flag::SubmitFromCryptCpus => "submit-from-crypt-cpus",
            Flag::NoReadWorkqueue => "no-read-workqueue",
            Flag::NoWriteWorkqueue => "no-write-workqueue",
        }
    }

    /// The option in a dm-crypt table.
    pub fn option(self) -> &'static str {
        match self {
            Flag::AllowDiscards => "allow_discards",
            Flag::SameCpuCrypt => "same_cpu_crypt",
            Flag::SubmitFromCryptCpus => "submit_from_crypt_cpus",
            Flag::NoReadWorkqueue => "no_read_workqueue",
            Flag::NoWriteWorkqueue => "no_write_workqueue",
        }
    }
}
