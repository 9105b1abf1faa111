//! Processors, from /proc/cpuinfo and sysfs.

use std::collections::BTreeSet;
use std::path::Path;

use super::inventory::Cpu;
use super::{line, number};

/// The processors below `root`.
pub fn read(root: &Path) -> Cpu {
    let told = std::fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
    let highest: Option<u64> = number(root, "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq");
    let kilohertz = highest.map(|kilohertz| kilohertz as f64 / 1000.0);
    let cpu = parse(&told);
    Cpu {
        frequency: kilohertz.map(|megahertz| format!("{megahertz:.4}")).or(cpu.frequency),
        architecture: line(root, "proc/sys/kernel/arch").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        ..cpu
    }
}

/// What /proc/cpuinfo says. It is another on each architecture: x86 has a model name, Arm numbers of its makers.
pub fn parse(told: &str) -> Cpu {
    let lines = || {
        told.lines().filter_map(|line| line.split_once(':')).map(|(key, value)| (key.trim(), value.trim()))
    };
    let values =
        |wanted: &'static str| lines().filter(move |(key, _)| *key == wanted).map(|(_, value)| value);
    let one =
        |wanted: &'static str| values(wanted).next().filter(|value| !value.is_empty()).map(str::to_owned);
    let flags = one("flags").or_else(|| one("Features")).unwrap_or_default();
    let mut seen = BTreeSet::new();
    Cpu {
        model_name: one("model name").or_else(|| one("cpu")).or_else(|| one("CPU part")),
        frequency: one("cpu MHz"),
        count: values("processor").count(),
        architecture: String::new(),
        flags: flags.split_ascii_whitespace().filter(|flag| seen.insert(*flag)).map(str::to_owned).collect(),
        socket_count: values("physical id").collect::<BTreeSet<_>>().len().max(1),
    }
}
