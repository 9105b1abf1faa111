//! From a passphrase or key file to the key of a keyslot's area (LUKS2 on-disk format specification 1.1, 3.2.3).
//!
//! What a function costs comes from the header, so that it is bounded here: a header is no way to hold a boot for days.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroize;

use super::hash::Hash;

/// The most rounds of PBKDF2. cryptsetup makes as many as take two seconds on the machine that makes the keyslot, some
/// millions, and `--iter-time` asks for more; ten times as many are let through. This many take even a slow node
/// minutes, not days.
pub const MOST_ITERATIONS: u32 = 100_000_000;
/// The most memory of Argon2, in KiB: the most that cryptsetup itself sets, 4 GiB.
const MOST_MEMORY: u32 = 4 << 20;
/// The most work of Argon2, in KiB times passes: 256 GiB, 64 passes over the most memory. A node does about one GiB a
/// second, so that this takes some minutes.
const MOST_WORK: u64 = 256 << 20;
/// Argon2 has at least so many KiB for each lane (RFC 9106, 3.1).
const LANE: u64 = 8;

/// A key derivation function with its parameters, as a keyslot has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kdf {
    /// PBKDF2.
    Pbkdf2 {
        /// The hash under its HMAC.
        hash: Hash,
        /// How many rounds, at least one.
        iterations: u32,
        /// The salt.
        salt: Vec<u8>,
    },
    /// Argon2i or Argon2id, version 0x13.
    Argon2 {
        /// Which of the two.
        kind: Argon2Kind,
        /// How many passes.
        time: u32,
        /// KiB of memory.
        memory: u32,
        /// Lanes, which the header calls cpus.
        lanes: u32,
        /// The salt.
        salt: Vec<u8>,
    },
}

/// The kinds of Argon2 that LUKS2 has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argon2Kind {
    /// Argon2i.
    I,
    /// Argon2id.
    Id,
}

/// Why a key was not derived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The node has less memory than the function needs. In MiB; what is free is unknown if the kernel does not
    /// say.
    Memory {
        /// What it needs.
        needed: u64,
        /// What is free.
        free: Option<u64>,
    },
    /// Parameters the function does not take.
    Parameters(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Memory { needed, free } => {
                write!(f, "needs {needed} MiB, ")?;
                match free {
                    Some(free) => write!(f, "{free} MiB are free"),
                    None => write!(f, "which the kernel did not give"),
                }
            }
            Failure::Parameters(what) => f.write_str(what),
        }
    }
}

/// The memory that programs can get without swapping, in KiB: `MemAvailable` of /proc/meminfo, whose text `meminfo`
/// is.
pub fn available_memory(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

impl fmt::Display for Kdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kdf::Pbkdf2 { .. } => "pbkdf2",
            Kdf::Argon2 { kind: Argon2Kind::I, .. } => "argon2i",
            Kdf::Argon2 { kind: Argon2Kind::Id, .. } => "argon2id",
        })
    }
}

impl Kdf {
    /// What of its costs is out of bounds. Lanes are computed one after the other here, so that they cost nothing of
    /// their own.
    pub fn excess(&self) -> Option<String> {
        match self {
            Kdf::Pbkdf2 { iterations, .. } => {
                (*iterations > MOST_ITERATIONS).then(|| format!("{iterations} iterations"))
            }
            Kdf::Argon2 { memory, .. } if *memory > MOST_MEMORY => {
                Some(format!("it needs {} MiB of memory", memory / 1024))
            }
            Kdf::Argon2 { time, memory, .. } if u64::from(*time) * u64::from(*memory) > MOST_WORK => {
                Some(format!("it goes {time} times over {} MiB of memory", memory / 1024))
            }
            Kdf::Argon2 { lanes, memory, .. } if u64::from(*lanes) * LANE > u64::from(*memory) => {
                Some(format!("it has {lanes} lanes in {memory} KiB of memory"))
            }
            Kdf::Argon2 { .. } => None,
        }
    }

    /// Fills `out` with the key that `secret` gives. `available` is the node's free memory in KiB, if known.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn derive(&self, secret: &[u8], available: Option<u64>, out: &mut [u8]) -> Result<(), Failure> {
        match self {
            Kdf::Pbkdf2 { hash, iterations, salt } => {
                hash.pbkdf2(secret, salt, *iterations, out);
                Ok(())
            }
            Kdf::Argon2 { kind, time, memory, lanes, salt } => {
                let bad = |error: argon2::Error| Failure::Parameters(error.to_string());
                let params = Params::new(*memory, *time, *lanes, Some(out.len())).map_err(bad)?;
                let algorithm = match kind {
                    Argon2Kind::I => Algorithm::Argon2i,
                    Argon2Kind::Id => Algorithm::Argon2id,
                };
                let mut blocks = Blocks::new(params.block_count(), available)?;
                let argon2 = Argon2::new(algorithm, Version::V0x13, params);
                // Not rayon's own pool, which would have a thread for each processor of the node, and panics without.
                let threads =
                    std::thread::available_parallelism().map_or(1, usize::from).min(*lanes as usize);
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let pool = pool.map_err(|error| Failure::Parameters(format!("its lanes: {error}")))?;
                pool.install(|| argon2.hash_password_into_with_memory(secret, salt, out, &mut blocks.0))
                    .map_err(bad)
            }
        }
    }
}

/// Argon2's memory: asked for in a way that can fail, and wiped at the end.
struct Blocks(Vec<Block>);

impl Blocks {
    fn new(count: usize, available: Option<u64>) -> Result<Blocks, Failure> {
        // A block is 1 KiB.
        let kib = count as u64;
        let memory = || Failure::Memory { needed: kib.div_ceil(1024), free: available.map(|kib| kib / 1024) };
        // The kernel promises more than it has, and kills the process that then uses it: so asking it is not
        // enough.
        if available.is_some_and(|available| available < kib) {
            return Err(memory());
        }
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(count).map_err(|_| memory())?;
        blocks.resize(count, Block::new());
        Ok(Blocks(blocks))
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        // Block by block: `Vec`'s own way goes over the whole of it once more, byte by byte.
        for block in &mut self.0 {
            block.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argon2(memory: u32) -> Kdf {
        Kdf::Argon2 { kind: Argon2Kind::Id, time: 4, memory, lanes: 2, salt: vec![3; 32] }
    }

    #[test]
    fn meminfo_is_read() {
        let text = "MemTotal:       16000000 kB\nMemFree:          100 kB\nMemAvailable:    1048576 kB\n";
        assert_eq!(available_memory(text), Some(1_048_576));
        assert_eq!(available_memory("MemTotal: 1 kB\n"), None);
        assert_eq!(available_memory("MemAvailable: much\n"), None);
    }

    #[test]
    fn too_little_memory_is_said_before_it_is_used() {
        let failure = argon2(1024 * 1024).derive(b"k", Some(700 * 1024), &mut [0; 64]).unwrap_err();
        assert_eq!(failure.to_string(), "needs 1024 MiB, 700 MiB are free");
    }

    #[test]
    fn parameters_argon2_does_not_take_are_an_error() {
        let failure = argon2(8).derive(b"k", None, &mut [0; 64]).unwrap_err();
        assert!(matches!(failure, Failure::Parameters(_)), "{failure}");
    }

    #[test]
    fn costs_are_bounded() {
        let pbkdf2 = |iterations| Kdf::Pbkdf2 { hash: Hash::Sha256, iterations, salt: vec![] };
        let argon2 =
            |time, memory, lanes| Kdf::Argon2 { kind: Argon2Kind::I, time, memory, lanes, salt: vec![] };
        for good in
            [pbkdf2(MOST_ITERATIONS), argon2(64, 4 << 20, 4), argon2(4, 64, 8), argon2(4, 1 << 20, 255)]
        {
            assert_eq!(good.excess(), None, "{good:?}");
        }
        for (bad, what) in [
            (pbkdf2(MOST_ITERATIONS + 1), "100000001 iterations"),
            (argon2(1, (4 << 20) + 1, 1), "it needs 4096 MiB of memory"),
            (argon2(65, 4 << 20, 1), "it goes 65 times over 4096 MiB of memory"),
            (argon2(u32::MAX, 4 << 20, u32::MAX), "it goes 4294967295 times over 4096 MiB of memory"),
            (argon2(4, 64, 9), "it has 9 lanes in 64 KiB of memory"),
        ] {
            assert_eq!(bad.excess().as_deref(), Some(what), "{bad:?}");
        }
    }

    #[test]
    fn argon2id_gives_a_key() {
        let (mut a, mut b) = ([0u8; 64], [0u8; 64]);
        argon2(64).derive(b"k", Some(64), &mut a).unwrap();
        argon2(64).derive(b"l", None, &mut b).unwrap();
        assert_ne!(a, b);
    }
}
