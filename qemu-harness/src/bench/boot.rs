//! How long a node takes from the start of systemd in the initramfs to that of the image's own, and how large the
//! initramfs is: diskless, and dracut's own modules. Same kernel, image, target and keyslot, in turn.

use std::path::Path;

use super::row::{Measure, Row};
use crate::cache::Cache;
use crate::error::{At, Error, Result};
use crate::recipe::Ready;
use crate::run;
use crate::scenario::Scenario;
use crate::verdict::Verdict;

const PEER: &str = "dracut's iscsi, crypt and network-legacy";
const USERSPACE: Measure =
    Measure { id: "boot.userspace", unit: "s", peer: PEER, goal: Some(0.25), higher_is_better: false };
const SIZE: Measure =
    Measure { id: "boot.initramfs_size", unit: "MiB", peer: PEER, goal: Some(0.5), higher_is_better: false };

/// The folders of the two scenarios, ours first.
pub const SCENARIOS: [&str; 2] = ["bench/diskless", "bench/stock"];

/// Boots both `rounds` times.
pub fn rows(
    ours: &Scenario,
    stock: &Scenario,
    ready: &Ready,
    cache: &Cache,
    rounds: u32,
) -> Result<Vec<Row>> {
    let (mut of_ours, mut of_stock) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        for (scenario, times) in [(ours, &mut of_ours), (stock, &mut of_stock)] {
            let seconds = boot(scenario, ready, cache)?;
            println!("  boot {round} of {rounds}, {}: {seconds:.1} s", scenario.name);
            times.push(seconds);
        }
    }
    let size = |scenario: &Scenario| mebibytes(ready.initramfs(&scenario.document)?);
    let rows = [USERSPACE.row(&of_ours, &of_stock), SIZE.row(&[size(ours)?], &[size(stock)?])];
    Ok(rows.into_iter().flatten().collect())
}

/// Seconds between the two systemds, as the booted one tells.
fn boot(scenario: &Scenario, ready: &Ready, cache: &Cache) -> Result<f64> {
    let outcome = run::run(scenario, ready, cache, &mut |_, _| {});
    if let Verdict::Fail(why) = &outcome.verdict {
        return Err(Error::Host(format!("{}: {why}", scenario.name)));
    }
    let took = outcome.facts.as_ref().and_then(|facts| facts.pointer("/system/initrd_ms")?.as_f64());
    took.map(|ms| ms / 1000.0)
        .ok_or_else(|| Error::Host(format!("{}: the root did not tell how long it took", scenario.name)))
}

#[allow(clippy::cast_precision_loss, reason = "a size of some MiB")]
fn mebibytes(file: &Path) -> Result<f64> {
    Ok(file.metadata().at("look at", file)?.len() as f64 / f64::from(1 << 20))
}
