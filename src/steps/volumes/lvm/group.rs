//! A volume group as its metadata describes it. Pure: text in, values out.

use super::text::{self, Section, Value};

/// A volume group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its UUID, without dashes.
    pub uuid: String,
    /// Counts the changes: of two descriptions the higher one is the newer.
    pub seqno: u64,
    /// Nobody is to use it before it is imported.
    pub exported: bool,
    /// Sectors of an extent.
    pub extent_sectors: u64,
    /// Its physical volumes.
    pub disks: Vec<Disk>,
    /// Its logical volumes, in their order.
    pub volumes: Vec<Volume>,
}

/// A physical volume of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// What segments call it: `pv0`.
    pub name: String,
    /// Its UUID, without dashes.
    pub uuid: String,
    /// What its node was called when the group was last changed: `/dev/sdb1`.
    pub hint: Option<String>,
    /// It was missing when the group was last changed, so what is on it may be old.
    pub missing: bool,
    /// The sector of its first extent.
    pub start: u64,
    /// How many extents it has.
    pub extents: u64,
}

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name in the group.
    pub name: String,
    /// Its UUID, without dashes.
    pub uuid: String,
    /// It is for use, and not a part of another volume.
    pub visible: bool,
    /// It is to be left alone by those who activate all there is.
    pub skip: bool,
    /// Its parts, from the first extent on.
    pub segments: Vec<Segment>,
}

/// A part of a logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The first extent of the logical volume.
    pub start: u64,
    /// How many extents.
    pub extents: u64,
    /// Where they are.
    pub kind: Kind,
}

/// Where a segment's extents are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// On physical volumes, one after the other in pieces; on one alone: linear.
    Stripes {
        /// Sectors of a piece; 0 for a single stripe.
        piece: u64,
        /// For each stripe the name of the physical volume and the first extent on it.
        stripes: Vec<(String, u64)>,
    },
    /// Of a type that needs more than that: `thin`, `raid1`.
    Other(String),
}

/// The group that `text` describes.
///
/// # Errors
/// The text is not LVM2's, or lacks what a group needs.
pub fn parse(text: &str) -> Result<Group, Box<dyn std::error::Error + Send + Sync>> {
    let all = text::parse(text)?;
    let (name, section) = all.sections().next().ok_or("the metadata has no volume group")?;
    if all.text("contents") != Some("Text Format Volume Group") || all.number("version") != Some(1) {
        return Err("the metadata is of another kind or version".into());
    }
    group(name, section).ok_or_else(|| format!("the metadata of volume group {name:?} is incomplete").into())
}

fn group(name: &str, section: &Section) -> Option<Group> {
    let mut group = read_group(name, section)?;
    for name in parts_of_snapshots(section) {
        for volume in group.volumes.iter_mut().filter(|volume| volume.name == name) {
            for segment in &mut volume.segments {
                segment.kind = Kind::Other("snapshot".into());
            }
        }
    }
    Some(group)
}

/// The volumes that look like any other, but whose blocks alone say nothing: what a snapshot keeps of its origin, and
/// an origin that a snapshot is being merged into. Hidden volumes name them.
fn parts_of_snapshots(section: &Section) -> Vec<&str> {
    let volumes = section.section("logical_volumes").into_iter().flat_map(Section::sections);
    let segments = volumes.flat_map(|(_, volume)| volume.sections()).map(|(_, segment)| segment);
    let parts = segments.flat_map(|segment| {
        let merging = segment.text("merging_store");
        [segment.text("cow_store"), merging, merging.and_then(|_| segment.text("origin"))]
    });
    parts.flatten().collect()
}

fn read_group(name: &str, section: &Section) -> Option<Group> {
    let disks = section.section("physical_volumes").into_iter().flat_map(Section::sections);
    let volumes = section.section("logical_volumes").into_iter().flat_map(Section::sections);
    Some(Group {
        name: plain(name)?,
        uuid: uuid(section)?,
        seqno: section.number("seqno")?,
        exported: section.has("status", "EXPORTED"),
        extent_sectors: section.number("extent_size").filter(|sectors| *sectors > 0)?,
        disks: disks.map(|(name, section)| disk(name, section)).collect::<Option<_>>()?,
        volumes: volumes.map(|(name, section)| volume(name, section)).collect::<Option<_>>()?,
    })
}

fn disk(name: &str, section: &Section) -> Option<Disk> {
    Some(Disk {
        name: name.to_owned(),
        uuid: uuid(section)?,
        hint: section.text("device").filter(|device| is_node(device)).map(str::to_owned),
        // Older versions have it in `status`.
        missing: section.has("flags", "MISSING") || section.has("status", "MISSING"),
        start: section.number("pe_start")?,
        extents: section.number("pe_count")?,
    })
}

fn volume(name: &str, section: &Section) -> Option<Volume> {
    let count = section.number("segment_count")?;
    let segments: Vec<Segment> = section
        .sections()
        .filter(|(name, _)| name.starts_with("segment"))
        .map(|(_, section)| segment(section))
        .collect::<Option<_>>()?;
    if segments.len() as u64 != count {
        return None;
    }
    Some(Volume {
        name: plain(name)?,
        uuid: uuid(section)?,
        visible: section.has("status", "VISIBLE"),
        skip: section.has("flags", "ACTIVATION_SKIP"),
        segments,
    })
}

fn segment(section: &Section) -> Option<Segment> {
    let kind = match section.text("type")? {
        // A type may carry words about its compatibility behind a plus.
        kind if kind.split('+').next() == Some("striped") => stripes(section)?,
        kind => Kind::Other(kind.to_owned()),
    };
    Some(Segment { start: section.number("start_extent")?, extents: section.number("extent_count")?, kind })
}

fn stripes(section: &Section) -> Option<Kind> {
    let list = section.list("stripes");
    let stripes: Vec<(String, u64)> = list
        .chunks(2)
        .map(|pair| match pair {
            [Value::Text(disk), Value::Number(extent)] => Some((disk.clone(), u64::try_from(*extent).ok()?)),
            _ => None,
        })
        .collect::<Option<_>>()?;
    if stripes.is_empty() || section.number("stripe_count") != Some(stripes.len() as u64) {
        return None;
    }
    let piece =
        if stripes.len() == 1 { 0 } else { section.number("stripe_size").filter(|size| *size > 0)? };
    Some(Kind::Stripes { piece, stripes })
}

/// A UUID without its dashes: 32 characters.
fn uuid(section: &Section) -> Option<String> {
    let uuid = section.text("id")?.replace('-', "");
    let good = uuid.len() == 32 && uuid.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#".contains(&b));
    good.then_some(uuid)
}

/// A path that can be shown: what wrote the metadata knows no other.
fn is_node(path: &str) -> bool {
    path.starts_with("/dev/") && path.len() <= 255 && path.bytes().all(|b| b.is_ascii_graphic())
}

/// A name that lvm2 allows, and that is a file name.
fn plain(name: &str) -> Option<String> {
    let signs = |b: u8| b.is_ascii_alphanumeric() || b"_.+-".contains(&b);
    let good = !name.is_empty() && name != "." && name != ".." && !name.starts_with('-');
    (good && name.len() <= 127 && name.bytes().all(signs)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
vg { id = "cDbdIy-x2K2-vmVl-c0Xr-SCrM-GBLu-KJh14F" seqno = 7 status = ["READ"] flags = [] extent_size = 256
 physical_volumes { pv0 { id = "aObu8G-xCSw-6fP3-dXSx-L8aA-9fe4-3K85X2" flags = ["MISSING"] pe_start = 128 pe_count = 9 } }
 logical_volumes {
  a { id = "x6AxAu-18oh-6J70-mdsP-ezkV-SO1W-Q3h5kB" status = ["READ", "VISIBLE"] flags = ["ACTIVATION_SKIP"] segment_count = 2
   segment1 { start_extent = 0 extent_count = 2 type = "striped" stripe_count = 1 stripes = ["pv0", 3] }
   segment2 { start_extent = 2 extent_count = 1 type = "thin+x" thin_pool = "p" } }
 } }
contents = "Text Format Volume Group"
version = 1
"#;

    #[test]
    fn a_group_and_its_flags() {
        let group = parse(TEXT).unwrap();
        assert_eq!((group.name.as_str(), group.seqno, group.exported), ("vg", 7, false));
        assert_eq!(group.uuid, "cDbdIyx2K2vmVlc0XrSCrMGBLuKJh14F");
        assert!(group.disks[0].missing);
        let volume = &group.volumes[0];
        assert!(volume.visible && volume.skip);
        let linear = Kind::Stripes { piece: 0, stripes: vec![("pv0".into(), 3)] };
        assert_eq!(volume.segments[0], Segment { start: 0, extents: 2, kind: linear });
        assert_eq!(volume.segments[1].kind, Kind::Other("thin+x".into()));
        assert!(parse(&TEXT.replace("\"READ\"]", "\"EXPORTED\"]")).unwrap().exported);
    }

    #[test]
    fn what_a_snapshot_keeps_is_no_volume() {
        let with = |store: &str| {
            let hidden = format!(
                "s {{ id = \"x6AxAu-18oh-6J70-mdsP-ezkV-SO1W-Q3h5kB\" segment_count = 1 segment1 {{ \
                 start_extent = 0 extent_count = 1 type = \"snapshot\" {store} }} }} }} }}\ncontents"
            );
            parse(&TEXT.replace(" } }\ncontents", &hidden)).unwrap().volumes.remove(0).segments.remove(0).kind
        };
        let snapshot = Kind::Other("snapshot".into());
        assert_eq!(with("origin = \"o\" cow_store = \"a\""), snapshot);
        assert_eq!(with("origin = \"a\" merging_store = \"m\""), snapshot);
        assert_ne!(with("origin = \"a\" cow_store = \"m\""), snapshot, "an origin is a plain volume");
    }

    #[test]
    fn what_lacks_something_is_refused() {
        let changes = [
            ("seqno = 7", ""),
            ("extent_size = 256", "extent_size = 0"),
            ("vg {", "-vg {"),
            ("  a {", "  .. {"),
            ("segment_count = 2", "segment_count = 3"),
            ("stripe_count = 1", "stripe_count = 2"),
            ("[\"pv0\", 3]", "[\"pv0\"]"),
            ("[\"pv0\", 3]", "[\"pv0\", -3]"),
            ("cDbdIy-", ""),
            ("cDbdIy", "cDbdI/"),
            ("version = 1", "version = 2"),
            ("Text Format", "Other"),
            ("pe_count = 9", ""),
        ];
        for (from, to) in changes {
            assert!(TEXT.contains(from), "{from}");
            assert!(parse(&TEXT.replace(from, to)).is_err(), "{from} -> {to}");
        }
        assert!(parse("").is_err());
    }
}
