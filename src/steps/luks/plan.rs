//! Decides what to do about the map of the encrypted disk.

use crate::engine::converge::Next;
use crate::error::{Code, Error, Result};
use crate::input::document::Luks;

use super::apply::Open;
use super::observe::Seen;
use super::table::map_uuid;

/// What to do next for the map that `luks` asks for.
///
/// # Errors
/// [`Code::LuksUuid`]: the header is that of another volume. [`Code::LuksMap`]: a map of this name is there, and it is
/// not that of this disk's volume. [`Code::LuksHeader`], [`Code::LuksKeyslot`]: the header cannot be what the plan
/// says of it.
pub fn plan(luks: &Luks, seen: &Seen) -> Result<Next<Open>> {
    let name = luks.name.as_str();
    let Some((disk, volume)) = &seen.disk else {
        return Ok(Next::Wait("the encrypted disk".into()));
    };
    if let Some(uuid) = &luks.uuid
        && !uuid.eq_ignore_ascii_case(&volume.uuid)
    {
        return Err(Error::new(Code::LuksUuid, volume.name.as_str())
            .because(format!("it is {}, the plan says {uuid}", volume.uuid)));
    }
    let wanted = map_uuid(volume, name);
    let active = match &seen.map {
        Some(map) if map.uuid != wanted => {
            // Nobody knows what is in it: to go on with it could boot anything.
            return Err(Error::new(Code::LuksMap, format!("map {name}"))
                .because(format!("its UUID is {:?}, that of disk {} is {wanted:?}", map.uuid, disk.name)));
        }
        Some(map) if map.active => Some(map),
        // One without a table is what an interrupted run left.
        _ => None,
    };
    let Some(map) = active else {
        // Before a key is fetched: it might be given once only.
        volume.check_place(luks.header.is_some())?;
        volume.check_keyslot(luks.keyslot)?;
        return Ok(Next::Do(Open {
            name: name.into(),
            disk: disk.clone(),
            volume: Box::new(volume.clone()),
        }));
    };
    let segment = &volume.metadata.segment;
    let mut what = format!("{name}, {}, sectors of {}", segment.cipher.name(), segment.sector_size);
    if let Some(keyslot) = seen.keyslot {
        what.push_str(&format!(", keyslot {keyslot}"));
        if let Some(keyslot) = volume.metadata.keyslots.get(&keyslot) {
            what.push_str(&format!(" ({}), {}-bit key", keyslot.kdf, keyslot.key_size * 8));
        }
    }
    if !map.read_only {
        // A person may have opened it by hand; it is the same disk, and what is mounted from it is read-only.
        what.push_str("; the map is writable, so it was not made by diskless");
    }
    if let Some(note) = &volume.note {
        what.push_str(&format!("; {note}"));
    }
    Ok(Next::Done(what))
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::sys::block::Disk;
    use crate::sys::dm::Existing;

    fn map(uuid: &str) -> Existing {
        Existing { uuid: uuid.into(), device: (253, 0), active: true, read_only: true }
    }

    fn ours() -> Existing {
        map("CRYPT-LUKS2-0123456789abcdef0123456789abcdef-luks_root")
    }

    fn seen(map: Option<Existing>) -> Seen {
        let disk = Disk { name: "sda".into(), dev: (8, 0), sectors: 65536 };
        Seen { map, disk: Some((disk, fixture::volume_read())), keyslot: None }
    }

    fn next(seen: &Seen) -> Result<Next<Open>> {
        plan(&luks(serde_json::json!({})), seen)
    }

    /// The plan's section with these members and a key.
    fn luks(mut members: serde_json::Value) -> Luks {
        members["key"] = serde_json::json!({ "file": "/key" });
        serde_json::from_value(members).unwrap()
    }

    #[test]
    fn what_the_plan_says_of_the_header_must_be_so() {
        let next = |members, seen: &Seen| plan(&luks(members), seen);
        for good in [fixture::UUID, "01234567-89AB-CDEF-0123-456789ABCDEF"] {
            assert!(next(serde_json::json!({ "uuid": good, "keyslot": 0 }), &seen(None)).is_ok());
        }
        for map in [None, Some(ours())] {
            let error = next(serde_json::json!({ "uuid": "01234567" }), &seen(map)).unwrap_err();
            assert_eq!(error.code(), Code::LuksUuid);
            assert!(error.to_string().ends_with("the plan says 01234567"), "{error}");
        }
        let error = next(serde_json::json!({ "keyslot": 1 }), &seen(None)).unwrap_err();
        assert_eq!(error.code(), Code::LuksKeyslot);
        // What is open needs no keyslot any more.
        assert!(next(serde_json::json!({ "keyslot": 1 }), &seen(Some(ours()))).is_ok());
    }

    #[test]
    fn only_a_detached_header_leaves_the_whole_disk_to_the_data() {
        let mut seen = seen(None);
        if let Some((_, volume)) = &mut seen.disk {
            volume.metadata.segment.offset = 0;
        }
        assert_eq!(next(&seen).unwrap_err().code(), Code::LuksHeader);
        let detached = luks(serde_json::json!({ "header": { "file": "/header" } }));
        assert!(matches!(plan(&detached, &seen), Ok(Next::Do(_))));
    }

    #[test]
    fn waits_for_the_disk() {
        for map in [None, Some(ours())] {
            let seen = Seen { disk: None, ..seen(map) };
            assert!(matches!(next(&seen), Ok(Next::Wait(what)) if what == "the encrypted disk"));
        }
    }

    #[test]
    fn opens_what_is_not_open() {
        for map in [None, Some(Existing { active: false, ..ours() })] {
            let Ok(Next::Do(open)) = next(&seen(map)) else { panic!("it does not open") };
            assert_eq!(open.to_string(), "open disk sda as luks_root");
        }
    }

    #[test]
    fn is_done_when_the_map_is_there() {
        let mut seen = seen(Some(ours()));
        let done = |seen: &Seen| match next(seen) {
            Ok(Next::Done(what)) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(done(&seen), "luks_root, aes-xts-plain64, sectors of 4096");
        seen.keyslot = Some(0);
        assert_eq!(
            done(&seen),
            "luks_root, aes-xts-plain64, sectors of 4096, keyslot 0 (pbkdf2), 512-bit key"
        );
        if let Some((_, volume)) = &mut seen.disk {
            volume.note = Some("a note".into());
        }
        seen.map = Some(Existing { read_only: false, ..ours() });
        assert!(done(&seen).ends_with("; the map is writable, so it was not made by diskless; a note"));
    }

    #[test]
    fn a_map_of_something_else_is_an_error() {
        for uuid in ["", "mpath-3600", "CRYPT-LUKS2-00000000000000000000000000000000-luks_root"] {
            let error = next(&seen(Some(map(uuid)))).unwrap_err();
            assert_eq!(error.code(), Code::LuksMap, "{uuid}");
            assert!(error.to_string().contains("that of disk sda is \"CRYPT-LUKS2-0123"), "{error}");
        }
    }
}
