//! The node's memory, from the text of /proc/meminfo (proc_meminfo(5)).

use super::size::memory_total;

/// In bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All that the kernel manages.
    pub total: u64,
    /// What programs can get now without swapping; the total if the kernel does not tell.
    pub available: u64,
    /// What is set aside for huge pages, which no file system here can use.
    pub huge: u64,
}

impl Memory {
    /// What `meminfo` says; none if there is no total.
    pub fn parse(meminfo: &str) -> Option<Memory> {
        let total = memory_total(meminfo)?;
        let available = field(meminfo, "MemAvailable:").unwrap_or(total);
        // Of all sizes (Linux 4.16); an older kernel tells of its default size alone.
        let huge = field(meminfo, "Hugetlb:").or_else(|| {
            let pages = meminfo.lines().find_map(|line| line.strip_prefix("HugePages_Total:"))?;
            pages.trim().parse::<u64>().ok()?.checked_mul(field(meminfo, "Hugepagesize:")?)
        });
        Some(Memory { total, available, huge: huge.unwrap_or(0).min(total) })
    }
}

/// The bytes in the line of `name`.
fn field(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kernels_say() {
        let text = "MemTotal:        2017436 kB\nMemFree:          100 kB\nMemAvailable:    1500000 kB\n\
                    HugePages_Total:       3\nHugepagesize:       2048 kB\n";
        let memory = Memory { total: 2_017_436 << 10, available: 1_500_000 << 10, huge: 6 << 20 };
        assert_eq!(Memory::parse(text), Some(memory));
        let newer = format!("{text}Hugetlb:           1048576 kB\n");
        assert_eq!(Memory::parse(&newer), Some(Memory { huge: 1 << 30, ..memory }));
        let none = Memory { total: 1024, available: 1024, huge: 0 };
        assert_eq!(Memory::parse("MemTotal: 1 kB\n"), Some(none));
        assert_eq!(Memory::parse("MemFree: 1 kB\n"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "((MemTotal|Hugetlb|HugePages_Total|Hugepagesize): {0,3}[0-9]{0,20}( kB)?\n|.){0,9}") {
            let _ = Memory::parse(&text);
        }
    }
}
