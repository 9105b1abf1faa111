//! Partition tables of the PC's master boot record. Pure: sectors in, partitions out.
//!
//! Four entries in the first sector; one of them may be an extended partition, a chain of further tables with one
//! logical partition each, which are numbered from 5 on.

use std::fmt;

use super::gpt::Partition;

/// Logical partitions that are read; the kernel reads as many.
const MOST_LOGICAL: usize = 100;
const FIRST_LOGICAL: u32 = 5;
/// Where the entries begin in the sector, and how long one is.
const ENTRIES: usize = 446;
const ENTRY_BYTES: usize = 16;
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
const PROTECTIVE: u8 = 0xee;

/// What the first sector says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    /// The disk has a GPT; this table only keeps old tools away.
    Protective,
    /// The partitions, by their numbers, extended ones left out.
    Partitions(Vec<Partition>),
}

/// Why a table cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A partition is not on the disk, or a logical one is not in its extended one.
    Range(u32),
    /// Two partitions have blocks in common.
    Overlap(u32, u32),
    /// The chain of logical partitions leads to a sector that holds no table.
    Broken(u64),
    /// The chain of logical partitions does not end.
    Endless,
    /// The disk is said to have a GPT, and has none.
    NoGpt,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Range(number) => write!(f, "MBR: the range of partition {number} cannot be"),
            Fault::Overlap(one, other) => write!(f, "MBR: partitions {one} and {other} overlap"),
            Fault::Broken(block) => {
                write!(f, "MBR: there is no table of logical partitions at block {block}")
            }
            Fault::Endless => f.write_str("MBR: the chain of logical partitions does not end"),
            Fault::NoGpt => {
                f.write_str("MBR: it says that there is a GPT, but neither of its two copies is there")
            }
        }
    }
}

impl std::error::Error for Fault {}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Reads the table of a disk of `disk` blocks; none: there is none. `sector` gives the first 512 bytes of a block.
///
/// # Errors
/// There is a table, but it cannot be used; or `sector` fails.
pub fn read(
    disk: u64,
    mut sector: impl FnMut(u64) -> std::io::Result<[u8; 512]>,
) -> Result<Option<Table>, Cause> {
    let first = sector(0)?;
    let Some(entries) = entries(&first).filter(|entries| is_table(&first, entries)) else {
        return Ok(None);
    };
    if entries.iter().any(|entry| entry.kind == PROTECTIVE) {
        return Ok(Some(Table::Protective));
    }
    let mut primary = Vec::new();
    let mut logical = Vec::new();
    for (number, entry) in (1..).zip(&entries).filter(|(_, entry)| entry.is_used()) {
        let partition = entry.partition(number, 0);
        if partition.first == 0 || !is_within(&partition, 0, disk) {
            return Err(Fault::Range(number).into());
        }
        if EXTENDED.contains(&entry.kind) {
            chain(&partition, &mut logical, &mut sector)?;
        }
        primary.push((partition, EXTENDED.contains(&entry.kind)));
    }
    let mut partitions: Vec<Partition> = primary.iter().map(|(partition, _)| *partition).collect();
    overlaps(&partitions)?;
    overlaps(&logical)?;
    partitions = primary.into_iter().filter(|(_, extended)| !extended).map(|(found, _)| found).collect();
    partitions.extend(logical);
    Ok(Some(Table::Partitions(partitions)))
}

/// The logical partitions of `extended`: each table has one, and leads to the next table.
fn chain(
    extended: &Partition,
    logical: &mut Vec<Partition>,
    sector: &mut impl FnMut(u64) -> std::io::Result<[u8; 512]>,
) -> Result<(), Cause> {
    let (begin, end) = (extended.first, extended.first + extended.blocks);
    let mut at = begin;
    // Some tools order the tables by number, not by place: so it is the count that ends a loop.
    for _ in 0..=MOST_LOGICAL {
        let Some(entries) = entries(&sector(at)?) else {
            // An extended partition that was never used has no table.
            return if at == begin { Ok(()) } else { Err(Fault::Broken(at).into()) };
        };
        for entry in entries.iter().filter(|entry| entry.is_used() && !EXTENDED.contains(&entry.kind)) {
            if logical.len() == MOST_LOGICAL {
                return Err(Fault::Endless.into());
            }
            let number = FIRST_LOGICAL + logical.len() as u32;
            let partition = entry.partition(number, at);
            if !is_within(&partition, begin, end) {
                return Err(Fault::Range(number).into());
            }
            logical.push(partition);
        }
        let next = entries.iter().find(|entry| entry.is_used() && EXTENDED.contains(&entry.kind));
        let Some(next) = next else { return Ok(()) };
        at = begin + u64::from(next.first);
        if at >= end {
            return Err(Fault::Broken(at).into());
        }
    }
    Err(Fault::Endless.into())
}

/// An entry; its first block counts from a place that depends on the table.
struct Entry {
    flag: u8,
    kind: u8,
    first: u32,
    blocks: u32,
}

impl Entry {
    fn is_used(&self) -> bool {
        self.kind != 0 && self.blocks != 0
    }

    fn partition(&self, number: u32, from: u64) -> Partition {
        Partition { number, first: from.saturating_add(self.first.into()), blocks: self.blocks.into() }
    }
}

/// The four entries; none without the signature at the sector's end.
fn entries(sector: &[u8; 512]) -> Option<Vec<Entry>> {
    let (table, signature) = sector.get(ENTRIES..)?.split_at_checked(4 * ENTRY_BYTES)?;
    let entry = |bytes: &[u8]| {
        Some(Entry {
            flag: *bytes.first()?,
            kind: *bytes.get(4)?,
            first: u32::from_le_bytes(*bytes.get(8..)?.first_chunk()?),
            blocks: u32::from_le_bytes(*bytes.get(12..)?.first_chunk()?),
        })
    };
    if signature != [0x55, 0xaa] {
        return None;
    }
    table.chunks_exact(ENTRY_BYTES).map(entry).collect()
}

/// File systems have the signature in their boot sectors too, and code or text where the entries would be.
fn is_table(sector: &[u8; 512], entries: &[Entry]) -> bool {
    let is_fat =
        sector.get(54..57) == Some(b"FAT".as_slice()) || sector.get(82..85) == Some(b"FAT".as_slice());
    let flags_are_flags = entries.iter().all(|entry| matches!(entry.flag, 0 | 0x80));
    flags_are_flags && !is_fat && entries.iter().any(Entry::is_used)
}

fn is_within(partition: &Partition, begin: u64, end: u64) -> bool {
    partition.first >= begin && partition.first.saturating_add(partition.blocks) <= end
}

fn overlaps(partitions: &[Partition]) -> Result<(), Fault> {
    let mut sorted: Vec<&Partition> = partitions.iter().collect();
    sorted.sort_by_key(|partition| partition.first);
    for pair in sorted.windows(2) {
        if let [one, other] = pair
            && one.first + one.blocks > other.first
        {
            return Err(Fault::Overlap(one.number, other.number));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Entries<'a> = &'a [(u8, u32, u32)];
    type Sectors = BTreeMap<u64, [u8; 512]>;

    /// A table with the entries (type, first, blocks).
    fn table(entries: Entries) -> [u8; 512] {
        let mut sector = [0; 512];
        for (bytes, (kind, first, blocks)) in sector[ENTRIES..].chunks_exact_mut(16).zip(entries) {
            bytes[4] = *kind;
            bytes[8..12].copy_from_slice(&first.to_le_bytes());
            bytes[12..16].copy_from_slice(&blocks.to_le_bytes());
        }
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector
    }

    fn read_from(sectors: &Sectors) -> Result<Option<Table>, String> {
        read(10_000, |at| Ok(sectors.get(&at).copied().unwrap_or([0; 512])))
            .map_err(|fault| fault.to_string())
    }

    fn numbers(sectors: &Sectors) -> Vec<(u32, u64, u64)> {
        match read_from(sectors).unwrap().unwrap() {
            Table::Partitions(found) => found.iter().map(|p| (p.number, p.first, p.blocks)).collect(),
            Table::Protective => panic!("protective"),
        }
    }

    #[test]
    fn primary_and_logical_partitions_by_their_numbers() {
        // The second entry is free, the third an EFI system partition.
        let first = table(&[(0x83, 2048, 1000), (0, 0, 0), (0xef, 3100, 100), (0x05, 4000, 4000)]);
        assert_eq!(
            numbers(&Sectors::from([(0, first)])),
            [(1, 2048, 1000), (3, 3100, 100)],
            "an unused extended one"
        );
        let sectors = Sectors::from([
            (0, first),
            (4000, table(&[(0x8e, 10, 90), (0x05, 2000, 500)])),
            (6000, table(&[(0x83, 10, 90), (0x05, 1000, 500)])),
            (5000, table(&[(0x83, 10, 90)])),
        ]);
        let logical = [(5, 4010, 90), (6, 6010, 90), (7, 5010, 90)];
        assert_eq!(numbers(&sectors), [[(1, 2048, 1000), (3, 3100, 100)].as_slice(), &logical].concat());
    }

    #[test]
    fn what_is_no_table() {
        let mut flags = table(&[(0x83, 2048, 1000)]);
        flags[ENTRIES] = 0x7f;
        let mut fat = table(&[(0x83, 2048, 1000)]);
        fat[82..85].copy_from_slice(b"FAT");
        let mut unsigned = table(&[(0x83, 2048, 1000)]);
        unsigned[511] = 0;
        for sector in [[0; 512], table(&[]), table(&[(0x83, 1, 0)]), flags, fat, unsigned] {
            assert_eq!(read_from(&Sectors::from([(0, sector)])), Ok(None));
        }
        let hybrid = table(&[(0x83, 2048, 1000), (0xee, 1, 2047)]);
        assert_eq!(read_from(&Sectors::from([(0, hybrid)])), Ok(Some(Table::Protective)));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let primary: [(Entries, Fault); 4] = [
            (&[(0x83, 2048, 7953)], Fault::Range(1)),
            (&[(0x83, u32::MAX, u32::MAX)], Fault::Range(1)),
            (&[(0x83, 0, 10)], Fault::Range(1)),
            (&[(0x83, 1000, 10), (0x0f, 500, 501)], Fault::Overlap(2, 1)),
        ];
        for (entries, fault) in primary {
            assert_eq!(read_from(&Sectors::from([(0, table(entries))])), Err(fault.to_string()));
        }
        let logical: [(Entries, Fault); 4] = [
            (&[(0x83, 10, 4000)], Fault::Range(5)),
            (&[(0x83, 10, 90), (0x05, 4000, 1)], Fault::Broken(8000)),
            (&[(0x83, 10, 90), (0x05, 100, 1)], Fault::Broken(4100)),
            (&[(0x83, 10, 90), (0x05, 0, 1)], Fault::Endless),
        ];
        for (entries, fault) in logical {
            let sectors = Sectors::from([(0, table(&[(0x05, 4000, 4000)])), (4000, table(entries))]);
            assert_eq!(read_from(&sectors), Err(fault.to_string()));
        }
        let empty_loop = Sectors::from([(0, table(&[(0x05, 9, 9)])), (9, table(&[(0x05, 0, 1)]))]);
        assert_eq!(read_from(&empty_loop), Err(Fault::Endless.to_string()));
        let twice = [(0x83, 10, 90), (0x83, 50, 90)];
        let sectors = Sectors::from([(0, table(&[(0x05, 4000, 4000)])), (4000, table(&twice))]);
        assert_eq!(read_from(&sectors), Err(Fault::Overlap(5, 6).to_string()));
    }

    proptest::proptest! {
        #[test]
        fn any_sectors_are_read_or_refused(noise in proptest::collection::vec(proptest::num::u8::ANY, 64), disk: u64) {
            let mut sector = table(&[]);
            sector[ENTRIES..510].copy_from_slice(&noise);
            for flag in 0..4 {
                sector[ENTRIES + flag * 16] = 0;
            }
            // Any kind of entry, and then only extended ones.
            for kind in [None, Some(0x05)] {
                for entry in 0..4 {
                    if let Some(kind) = kind {
                        sector[ENTRIES + entry * 16 + 4] = kind;
                    }
                }
                if let Ok(Some(Table::Partitions(found))) = read(disk, |_| Ok(sector)) {
                    assert!(found.iter().all(|partition| partition.first + partition.blocks <= disk));
                }
            }
        }
    }
}
