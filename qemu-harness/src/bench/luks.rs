//! How long a keyslot takes to open: `diskless luks test` and `cryptsetup open --test-passphrase`, on the same files.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::row::{Measure, Row};
use crate::chroot::Root;
use crate::command;
use crate::error::{At, Error, Result};

/// A header, and what makes it. The costs are cryptsetup's own for a machine with some memory, fixed so that every run
/// compares the same.
struct Header {
    measure: Measure,
    format: &'static [&'static str],
}

const PEER: &str = "cryptsetup";

const HEADERS: [Header; 4] = [
    Header {
        measure: Measure {
            id: "luks.argon2id",
            unit: "s",
            peer: PEER,
            goal: Some(1.0),
            higher_is_better: false,
        },
        format: &[
            "--type=luks2",
            "--pbkdf=argon2id",
            "--pbkdf-memory=524288",
            "--pbkdf-parallel=2",
            "--pbkdf-force-iterations=4",
        ],
    },
    Header {
        measure: Measure {
            id: "luks.argon2id_64m",
            unit: "s",
            peer: PEER,
            goal: Some(1.0),
            higher_is_better: false,
        },
        format: &[
            "--type=luks2",
            "--pbkdf=argon2id",
            "--pbkdf-memory=65536",
            "--pbkdf-parallel=1",
            "--pbkdf-force-iterations=4",
        ],
    },
    Header {
        measure: Measure {
            id: "luks.pbkdf2",
            unit: "s",
            peer: PEER,
            goal: Some(1.0),
            higher_is_better: false,
        },
        format: &["--type=luks2", "--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000000"],
    },
    Header {
        measure: Measure {
            id: "luks.luks1",
            unit: "s",
            peer: PEER,
            goal: Some(1.0),
            higher_is_better: false,
        },
        format: &["--type=luks1", "--pbkdf-force-iterations=1000000"],
    },
];

const KEY: &[u8] = b"a key of the benchmark";

/// Measures all headers `rounds` times. `tools` has cryptsetup, `agent` is the agent's path inside of it, `folder` a
/// folder of the cache.
pub fn rows(tools: &Root, agent: &Path, folder: &Path, rounds: u32) -> Result<Vec<Row>> {
    let log = folder.join("luks.log");
    let key = folder.join("key");
    fs::write(&key, KEY).at("write", &key)?;
    let key = tools.inside(&key)?;
    let mut rows = Vec::new();
    for header in &HEADERS {
        println!("  {}", header.measure.id);
        let image = folder.join(header.measure.id);
        fs::File::create(&image).and_then(|file| file.set_len(20 << 20)).at("write", &image)?;
        let inside = tools.inside(&image)?;
        let mut format = tools.command("cryptsetup");
        format.args(["luksFormat", "--batch-mode", "--key-file"]).arg(&key).args(header.format).arg(&inside);
        command::run(&mut format, &log)?;
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let mut diskless = tools.command(&agent.to_string_lossy());
            diskless.args(["luks", "test", "--key-file"]).arg(&key).arg(&inside);
            ours.push(seconds(&mut diskless, &log)?);
            let mut cryptsetup = tools.command("cryptsetup");
            cryptsetup.args(["open", "--test-passphrase", "--key-file"]).arg(&key).arg(&inside);
            peer.push(seconds(&mut cryptsetup, &log)?);
        }
        fs::remove_file(&image).at("remove", &image)?;
        let row = header.measure.row(&ours, &peer);
        rows.push(row.ok_or_else(|| Error::Host("nothing was measured".into()))?);
    }
    Ok(rows)
}

/// How long a program takes, from its start to its end.
fn seconds(program: &mut Command, log: &Path) -> Result<f64> {
    let start = Instant::now();
    // Not `run`: it looks for the end only now and then.
    command::output(program, log)?;
    Ok(start.elapsed().as_secs_f64())
}
