//! The dm-crypt map of an opened volume, as a value (Documentation/admin-guide/device-mapper/dm-crypt.rst of the
//! kernel). Names and options are those that cryptsetup gives, so that its `status` and `close` know the map.

use crate::error::{Code, Error, Result};
use crate::sys::block::Disk;
use crate::sys::dm::{Map, Target, number};

use super::metadata::Size;
use super::volume::Volume;

/// The sector of tables, in bytes.
const SECTOR: u64 = 512;
/// DM_UUID_LEN of linux/dm-ioctl.h, without the NUL at its end.
const LONGEST_UUID: usize = 128;

/// The DM UUID of the map `name` of `volume`.
pub fn map_uuid(volume: &Volume, name: &str) -> String {
    format!("CRYPT-{}-{}-{name}", volume.version, volume.uuid.replace('-', ""))
}

/// What the key of a volume is called in the kernel's keyring.
pub fn key_description(uuid: &str, digest: u32) -> String {
    format!("cryptsetup:{uuid}-d{digest}")
}

/// The map `name` of `volume` on `disk`, with a key of `key_size` bytes that `digest` checks.
///
/// # Errors
/// [`Code::LuksSize`]: the volume does not fit into the disk, or is no whole number of its sectors.
pub fn map(name: &str, volume: &Volume, digest: u32, key_size: usize, disk: &Disk) -> Result<Map> {
    let segment = &volume.metadata.segment;
    let map_uuid = map_uuid(volume, name);
    if map_uuid.len() > LONGEST_UUID {
        return Err(Error::new(Code::LuksMap, format!("map {name}")).because("its name is too long"));
    }
    let mut options = Vec::new();
    for flag in &volume.metadata.flags {
        options.push(flag.option().to_owned());
    }
    // Initialisation vectors count sectors of 512 bytes in LUKS2, so there is no iv_large_sectors here.
    if u64::from(segment.sector_size) != SECTOR {
        options.push(format!("sector_size:{}", segment.sector_size));
    }
    let start = segment.offset / SECTOR;
    let mut params = format!(
        "{} :{key_size}:logon:{} {} {} {start}",
        segment.cipher.name(),
        key_description(&volume.uuid, digest),
        segment.iv_tweak,
        number(disk.dev),
    );
    if !options.is_empty() {
        params.push_str(&format!(" {} {}", options.len(), options.join(" ")));
    }
    let length = length(volume, disk)?;
    Ok(Map {
        name: name.into(),
        uuid: map_uuid,
        table: vec![Target { start: 0, length, kind: "crypt".into(), params }],
    })
}

/// How many sectors of 512 bytes the volume has on `disk`.
fn length(volume: &Volume, disk: &Disk) -> Result<u64> {
    let segment = &volume.metadata.segment;
    let wrong = |what: String| Error::new(Code::LuksSize, format!("disk {}", disk.name)).because(what);
    let start = segment.offset / SECTOR;
    let room = disk.sectors.checked_sub(start).filter(|room| *room > 0).ok_or_else(|| {
        wrong(format!("its data starts at sector {start}, the disk has {} sectors", disk.sectors))
    })?;
    let length = match segment.size {
        Size::Dynamic => room,
        Size::Bytes(bytes) => bytes / SECTOR,
    };
    if length > room {
        return Err(wrong(format!("its data has {length} sectors, the disk has room for {room}")));
    }
    if !length.is_multiple_of(u64::from(segment.sector_size) / SECTOR) {
        return Err(wrong(format!(
            "its data has {length} sectors of 512 bytes, which is no whole number of {} bytes",
            segment.sector_size
        )));
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::cipher::Cipher;
    use super::super::fixture;
    use super::super::metadata::Flag;
    use super::*;

    fn disk(sectors: u64) -> Disk {
        Disk { name: "sda".into(), dev: (8, 16), sectors }
    }

    #[test]
    fn the_table_is_the_one_cryptsetup_loads() {
        let map = map("luks_root", &fixture::volume_read(), 0, 64, &disk(65536)).unwrap();
        assert_eq!(map.name, "luks_root");
        assert_eq!(map.uuid, "CRYPT-LUKS2-0123456789abcdef0123456789abcdef-luks_root");
        assert_eq!(
            map.table,
            [Target {
                start: 0,
                length: 65536 - 32768,
                kind: "crypt".into(),
                params:
                    "aes-xts-plain64 :64:logon:cryptsetup:01234567-89ab-cdef-0123-456789abcdef-d0 0 8:16 \
                         32768 1 sector_size:4096"
                        .into(),
            }]
        );
    }

    #[test]
    fn options_are_there_only_if_there_are_some() {
        let mut volume = fixture::volume_read();
        volume.metadata.segment.sector_size = 512;
        let params = |volume: &Volume| map("m", volume, 3, 32, &disk(40000)).unwrap().table.remove(0).params;
        assert!(params(&volume).ends_with("-d3 0 8:16 32768"));
        volume.metadata.flags = vec![Flag::AllowDiscards, Flag::NoReadWorkqueue];
        assert!(params(&volume).ends_with(" 32768 2 allow_discards no_read_workqueue"));
    }

    #[test]
    fn luks1_has_a_uuid_of_its_own_and_its_key_in_the_keyring_too() {
        let volume = Volume::read(&mut Cursor::new(fixture::luks1()), "disk sda").unwrap();
        let map = map("luks_root", &volume, 0, 32, &disk(65536)).unwrap();
        assert_eq!(map.uuid, "CRYPT-LUKS1-0123456789abcdef0123456789abcdef-luks_root");
        assert_eq!(
            map.table,
            [Target {
                start: 0,
                length: 65536 - 4096,
                kind: "crypt".into(),
                params: "aes-cbc-essiv:sha256 :32:logon:cryptsetup:01234567-89ab-cdef-0123-456789abcdef-d0 0 8:16 \
                         4096"
                    .into(),
            }]
        );
    }

    #[test]
    fn each_cipher_goes_by_its_name() {
        let mut volume = fixture::volume_read();
        for cipher in Cipher::ALL {
            volume.metadata.segment.cipher = cipher;
            let params = map("m", &volume, 0, 32, &disk(65536)).unwrap().table.remove(0).params;
            assert!(params.starts_with(&format!("{} :32:logon:cryptsetup:", cipher.name())), "{params}");
            assert!(params.ends_with("-d0 0 8:16 32768 1 sector_size:4096"), "{params}");
        }
    }

    #[test]
    fn a_detached_header_may_leave_the_whole_disk_to_the_data() {
        let mut volume = fixture::volume_read();
        volume.metadata.segment.offset = 0;
        volume.metadata.segment.iv_tweak = 8;
        let target = map("m", &volume, 0, 64, &disk(65536)).unwrap().table.remove(0);
        assert_eq!(target.length, 65536);
        assert!(target.params.ends_with("-d0 8 8:16 0 1 sector_size:4096"), "{}", target.params);
    }

    #[test]
    fn a_fixed_size_is_taken() {
        let mut volume = fixture::volume_read();
        volume.metadata.segment.size = Size::Bytes(8 * 512);
        assert_eq!(map("m", &volume, 0, 64, &disk(32776)).unwrap().table[0].length, 8);
        volume.metadata.segment.size = Size::Bytes(16 * 512);
        assert_eq!(map("m", &volume, 0, 64, &disk(32776)).unwrap_err().code(), Code::LuksSize);
    }

    #[test]
    fn a_disk_that_does_not_fit_is_refused() {
        for sectors in [0, 32767, 32768, 32769, 32775] {
            let error = map("m", &fixture::volume_read(), 0, 64, &disk(sectors)).unwrap_err();
            assert_eq!(error.code(), Code::LuksSize, "{sectors}");
        }
    }

    #[test]
    fn a_name_that_makes_the_uuid_too_long_is_refused() {
        let error = map(&"m".repeat(100), &fixture::volume_read(), 0, 64, &disk(65536)).unwrap_err();
        assert_eq!(error.code(), Code::LuksMap);
    }
}
