//! Decides what is not yet as it is to be.

use std::collections::BTreeSet;

use super::AUTORELABEL;
use super::apply::Action;
use super::files::File;
use super::observe::Seen;
use super::units::{State, Unit, is_file_of};
use crate::engine::converge::Next;
use crate::error::{Code, Error, Result};

pub fn plan(files: &[File], seen: &Seen) -> Result<Next<Action>> {
    // First of all: an error in the plan is to be told before anything is written. A unit that the plan brings along is
    // not missing until its file has been written.
    let comes = |unit: &&Unit| {
        let mut unwritten = files.iter().zip(&seen.files).filter(|(_, current)| current.is_none());
        unwritten.any(|(file, _)| is_file_of(&file.path, &unit.name))
    };
    let units = seen.units.iter().filter(|unit| !comes(unit)).map(says).collect::<Result<Vec<_>>>()?;
    let actions = actions(files, seen);
    if !actions.is_empty() {
        return Ok(Next::Do(Action::All(actions)));
    }
    let files = files.iter().chain(&seen.more).map(|file| file.path.clone());
    Ok(Next::Done(files.chain(seen.image.says()).chain(units).collect::<Vec<_>>().join(" ")))
}

/// All that is not as it is to be, in the order in which it is done. A look at an image whose disk is far away is dear: it
/// is not looked at after each of them.
fn actions(files: &[File], seen: &Seen) -> Vec<Action> {
    let mut actions = Vec::new();
    // Listening to routers comes first: it is by the address's end that it is known to be missing.
    actions.extend(seen.deaf.iter().map(|interface| Action::Listen { interface: interface.clone() }));
    actions.extend(seen.ending.iter().map(|address| Action::Keep { address: address.clone() }));
    for (file, current) in files.iter().chain(&seen.more).zip(&seen.files) {
        let bytes = current.as_ref().map_or(&[][..], |found| found.bytes.as_slice());
        let Some(wanted) = file.content.bytes(bytes, seen.hostname.as_deref()) else { continue };
        let is_so = current
            .as_ref()
            .is_some_and(|found| *found.bytes == *wanted && found.mode == file.mode && found.owned);
        if !is_so {
            actions.push(Action::Write { path: file.path.clone(), mode: file.mode, bytes: wanted });
        }
    }
    actions.extend(seen.image.actions().map(Action::Image));
    actions.extend(seen.autorelabel.then(|| Action::Remove { path: AUTORELABEL.into() }));
    actions.extend(seen.stale.iter().map(|path| Action::Remove { path: path.clone() }));
    actions.extend(seen.host_key.clone().map(Action::MakeHostKey));
    // Two names may be one unit's, and a file of the plan's a link.
    let mut known: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    for unit in &seen.units {
        if let State::There { path, missing } = &unit.state {
            let missing = missing.iter().filter(|link| known.insert(link));
            actions.extend(missing.map(|link| Action::Link { path: link.clone(), to: path.clone() }));
        }
    }
    actions
}

/// What is to be said of a unit once all is done.
fn says(unit: &Unit) -> Result<String> {
    let error = |cause| Err(Error::new(Code::HandoverUnit, &unit.name).because(cause));
    let but = |state| Ok(format!("{} ({state})", unit.name));
    match unit.state {
        State::There { .. } => Ok(unit.name.clone()),
        State::Masked => but("masked in the image: left so"),
        State::Missing if unit.required => error("the image does not have it"),
        State::NoInstance if unit.required => error("it is a template: name an instance of it"),
        State::Missing => but("not in the image"),
        State::NoInstance => but("a template"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::secret::Secret;
    use crate::steps::handover::files::Content;
    use crate::steps::handover::host_keys;
    use crate::sys::address::Timed;
    use crate::sys::in_root::Found;

    /// What is done first, if there is anything to do.
    fn first(files: &[File], seen: &Seen) -> Result<Next<Action>> {
        Ok(match plan(files, seen)? {
            Next::Do(Action::All(actions)) => Next::Do(actions.into_iter().next().unwrap()),
            next => next,
        })
    }

    fn seen(files: Vec<Option<Found>>, units: Vec<Unit>) -> Seen {
        let (more, ending, deaf, image, stale) = Default::default();
        Seen {
            hostname: None,
            more,
            files,
            ending,
            deaf,
            image,
            autorelabel: false,
            stale,
            host_key: None,
            units,
        }
    }

    fn found(bytes: &[u8], mode: u32, owned: bool) -> Option<Found> {
        Some(Found { bytes: bytes.to_vec().into(), mode, owned })
    }

    fn unit(state: State) -> Unit {
        Unit { name: "a.service".into(), required: true, state }
    }

    #[test]
    fn a_file_is_written_until_content_mode_and_owner_are_right() {
        let content = Content::Whole(Secret::new(b"node1\n".to_vec()));
        let files = [File { path: "/etc/hostname".into(), mode: 0o644, content }];
        for (current, done) in [
            (None, false),
            (found(b"vm\n", 0o644, true), false),
            (found(b"node1\n", 0o600, true), false),
            (found(b"node1\n", 0o644, false), false),
            (found(b"node1\n", 0o644, true), true),
        ] {
            let next = first(&files, &seen(vec![current], Vec::new())).unwrap();
            assert_eq!(matches!(next, Next::Done(_)), done);
        }
    }

    #[test]
    fn addresses_are_kept_before_files_are_written() {
        let files = [File { path: "/etc/hostname".into(), mode: 0o644, content: Content::HostName }];
        let mut seen = Seen { hostname: Some("node1".into()), ..seen(vec![None], Vec::new()) };
        seen.ending = vec![Timed::of(2, [10, 0, 0, 5])];
        seen.deaf = vec!["eth0".into()];
        assert!(
            matches!(first(&files, &seen), Ok(Next::Do(Action::Listen { interface })) if interface == "eth0")
        );
        seen.deaf.clear();
        let next = first(&files, &seen).unwrap();
        assert!(matches!(&next, Next::Do(Action::Keep { address }) if *address == seen.ending[0]));
        let Next::Do(action) = next else { panic!("nothing to do") };
        assert_eq!(action.to_string(), "keep 10.0.0.5 beyond its lease");
        seen.ending.clear();
        assert!(matches!(first(&files, &seen), Ok(Next::Do(Action::Write { .. }))));
    }

    #[test]
    fn what_is_the_images_alone_goes_before_a_key_is_made() {
        let key = host_keys::Make { comment: "root@node1".into() };
        let mut seen = Seen {
            stale: vec!["/a".into(), "/b".into()],
            host_key: Some(key),
            ..seen(Vec::new(), Vec::new())
        };
        for path in ["/a", "/b"] {
            assert!(
                matches!(first(&[], &seen), Ok(Next::Do(Action::Remove { path: removed })) if removed == path)
            );
            seen.stale.remove(0);
        }
        assert!(matches!(first(&[], &seen), Ok(Next::Do(Action::MakeHostKey(_)))));
        seen.host_key = None;
        assert!(matches!(first(&[], &seen), Ok(Next::Done(_))));
    }

    #[test]
    fn without_a_name_the_image_keeps_its_own() {
        let files = [File { path: "/etc/hostname".into(), mode: 0o644, content: Content::HostName }];
        let mut seen = seen(vec![found(b"vm\n", 0o644, true)], Vec::new());
        assert!(matches!(first(&files, &seen), Ok(Next::Done(_))));
        seen.hostname = Some("node1".into());
        assert!(
            matches!(first(&files, &seen), Ok(Next::Do(Action::Write { bytes, .. })) if *bytes == b"node1\n")
        );
    }

    #[test]
    fn a_unit_is_linked_until_no_link_is_missing() {
        let there = |missing: &[&str]| State::There {
            path: "/usr/lib/systemd/system/a.service".into(),
            missing: missing.iter().map(|link| (*link).to_owned()).collect(),
        };
        let next = first(&[], &seen(Vec::new(), vec![unit(there(&["/a", "/b"]))])).unwrap();
        let Next::Do(Action::Link { path, to }) = next else { panic!("no link") };
        assert_eq!((path.as_str(), to.as_str()), ("/a", "/usr/lib/systemd/system/a.service"));
        for (state, says) in
            [(there(&[]), "a.service"), (State::Masked, "a.service (masked in the image: left so)")]
        {
            let next = first(&[], &seen(Vec::new(), vec![unit(state)])).unwrap();
            assert!(matches!(next, Next::Done(what) if what == says));
        }
    }

    #[test]
    fn what_two_units_want_is_linked_once() {
        let there =
            || State::There { path: "/usr/lib/systemd/system/a.service".into(), missing: vec!["/a".into()] };
        let seen = seen(Vec::new(), vec![unit(there()), unit(there())]);
        let Next::Do(Action::All(actions)) = plan(&[], &seen).unwrap() else { panic!("nothing to do") };
        assert_eq!(actions.len(), 1);
    }

    #[test]
    fn a_unit_of_the_plan_must_be_there_before_anything_is_written() {
        let files = [File { path: "/etc/hostname".into(), mode: 0o644, content: Content::HostName }];
        for state in [State::Missing, State::NoInstance] {
            let mut seen = Seen { hostname: Some("node1".into()), ..seen(vec![None], vec![unit(state)]) };
            let error = first(&files, &seen).err().unwrap();
            assert_eq!(error.code(), Code::HandoverUnit);
            assert!(error.to_string().starts_with("a.service: "), "{error}");
            seen.units[0].required = false;
            assert!(first(&files, &seen).is_ok());
        }
    }

    #[test]
    fn a_unit_may_be_a_file_of_the_plan() {
        let file = |path: &str| File {
            path: path.into(),
            mode: 0o644,
            content: Content::Whole(Secret::new(b"[Unit]\n".to_vec())),
        };
        for (path, name, is_its) in [
            ("/etc/systemd/system/a.service", "a.service", true),
            ("/etc/systemd/system/a@.service", "a@b.service", true),
            ("/etc/systemd/system/b.service", "a.service", false),
            ("/etc/a.service", "a.service", false),
        ] {
            let unit = Unit { name: name.into(), ..unit(State::Missing) };
            let files = [file(path)];
            let mut seen = seen(vec![None], vec![unit]);
            let next = first(&files, &seen);
            assert_eq!(matches!(next, Ok(Next::Do(Action::Write { .. }))), is_its, "{path} {name}");
            // It is there now, and the unit is not: it was in the wrong place.
            seen.files = vec![found(b"[Unit]\n", 0o644, true)];
            assert_eq!(first(&files, &seen).err().unwrap().code(), Code::HandoverUnit);
        }
    }
}
