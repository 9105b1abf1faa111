//! Decides what to mount next: the whole root as one ordered list.

use super::apply::Action;
use super::journal::Unclean;
use super::mountinfo::Mounted;
use super::observe::{OnVolume, Seen};
use super::utab::{self, Entry};
use super::{LOWERS, SYSROOT, TMPFS, UPPERS};
use crate::engine::converge::Next;
use crate::error::{Code, Error, Result};
use crate::input::document;
use crate::steps::layer::Terms;
use crate::sys::mount::Mount;

/// With `tmpfs` the writable layer is one, else on a zram disk.
pub fn plan(mounts: &[document::Mount], tmpfs: Option<&Terms>, seen: &Seen) -> Result<Next<Action>> {
    let writable = match tmpfs {
        Some(terms) => in_tmpfs(terms, seen)?,
        None => on_disk(seen)?,
    };
    if let Some(next) = writable {
        return Ok(next);
    }
    for (mount, on_volumes) in mounts.iter().zip(&seen.lowers) {
        for (mut lower, on_volume) in lowers_of(mount, on_volumes) {
            if lower.kind.is_empty() {
                return Err(Error::new(Code::FileSystem, &lower.source)
                    .because("there is no file system that is known"));
            }
            if !is_mounted(&lower, &seen.mounted)? {
                match (&on_volume.unclean, mount.unclean) {
                    (Some(unclean), document::Unclean::Refuse) => return Err(refused(&lower, unclean)),
                    (Some(unclean), document::Unclean::Mount) => lower.options = unclean.option.into(),
                    (None, _) => (),
                }
                return Ok(Next::Do(Action::Mount(lower)));
            }
        }
        let overlay = overlay(mount);
        if !is_mounted(&overlay.mount, &seen.mounted)? {
            return Ok(Next::Do(Action::Overlay(overlay)));
        }
    }
    if !seen.has_os {
        return Err(Error::new(Code::NotARoot, SYSROOT)
            .because("there is neither etc/os-release nor usr/lib/os-release"));
    }
    if let Some(table) = utab::marked(&seen.utab, &entries(mounts)) {
        return Ok(Next::Do(Action::Mark(table)));
    }
    let at: Vec<&str> = mounts.iter().map(|mount| mount.at.as_str()).collect();
    Ok(Next::Done(format!("{} over {}", at.join(" "), SYSROOT)))
}

/// What is to be done for a writable layer in a tmpfs; none: it is there. Its limits are in its mount options: the node is
/// asked for its memory only until then.
fn in_tmpfs(terms: &Terms, seen: &Seen) -> Result<Option<Next<Action>>> {
    let mut tmpfs = Mount {
        source: TMPFS.into(),
        target: UPPERS.into(),
        kind: "tmpfs".into(),
        read_only: false,
        options: String::new(),
    };
    if is_mounted(&tmpfs, &seen.mounted)? {
        return Ok(None);
    }
    let memory = seen.memory.ok_or_else(|| Error::new(Code::Io, "/proc/meminfo").because("no MemTotal"))?;
    let layer = terms.on(&memory)?;
    tmpfs.options = format!("size={},nr_inodes={},mode=0755", layer.bytes, layer.inodes);
    Ok(Some(Next::Do(Action::Mount(tmpfs))))
}

/// The same on a zram disk. What files no longer need is given back: a disk of memory that only fills is none.
fn on_disk(seen: &Seen) -> Result<Option<Next<Action>>> {
    let Some((upper, file_system)) = seen.upper.and_then(|upper| Some((upper, upper.file_system?))) else {
        return Ok(Some(Next::Wait("disk of the writable layer".into())));
    };
    let writable = Mount {
        source: format!("/dev/zram{}", upper.number),
        target: UPPERS.into(),
        kind: file_system.kind().into(),
        read_only: false,
        options: "discard".into(),
    };
    if !is_mounted(&writable, &seen.mounted)? {
        return Ok(Some(Next::Do(Action::Mount(writable))));
    }
    Ok(upper.grows_to().map(|blocks| Next::Do(Action::Grow { blocks })))
}

fn refused(lower: &Mount, unclean: &Unclean) -> Error {
    let object = format!("{} ({})", lower.source, lower.kind);
    Error::new(Code::FileSystemUnclean, object).because(unclean.sign)
}

/// The file systems that the plan lets be mounted although they were not cleanly unmounted.
pub fn warnings(mounts: &[document::Mount], seen: &Seen) -> Vec<Error> {
    let lowers =
        mounts.iter().zip(&seen.lowers).filter(|(mount, _)| mount.unclean == document::Unclean::Mount);
    let unclean = lowers
        .flat_map(|(mount, on_volumes)| lowers_of(mount, on_volumes))
        .filter_map(|(lower, on_volume)| on_volume.unclean.as_ref().map(|unclean| refused(&lower, unclean)));
    unclean.collect()
}

/// The mounts that need the network, under the paths that they have when /sysroot is the root. The writable layer does
/// not need it. For `/` it changes nothing: systemd never unmounts it.
fn entries(mounts: &[document::Mount]) -> Vec<Entry> {
    let lowers = mounts.iter().flat_map(|mount| {
        let both = mount.lower.volumes().zip(targets(mount));
        both.map(|(volume, target)| Entry { source: volume.to_owned(), target })
    });
    let overlays = mounts.iter().map(|mount| Entry { source: "overlay".into(), target: mount.at.clone() });
    lowers.chain(overlays).collect()
}

/// An overlay and the folders of its writable layer.
#[derive(Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The overlay itself.
    pub mount: Mount,
    /// The root of the uppermost of what is below: the upper takes its owner, mode and labels.
    pub lower: String,
    /// Where changes go.
    pub upper: String,
    /// overlayfs's own, on the same file system as `upper`.
    pub work: String,
}

/// Where the volumes below `mount` are, the uppermost first. A mount point has no `+` in it, by the checks of the plan:
/// none of these is the folder of another.
fn targets(mount: &document::Mount) -> impl Iterator<Item = String> {
    let folder = format!("{LOWERS}/{}", folder(&mount.at));
    (0..mount.lower.0.len()).map(move |below| match below {
        0 => folder.clone(),
        below => format!("{folder}+{below}"),
    })
}

/// The mounts of the volumes below `mount`, and what is on each: none has a kind of which that is not known.
fn lowers_of<'a>(
    mount: &document::Mount,
    on_volumes: &'a [OnVolume],
) -> impl Iterator<Item = (Mount, &'a OnVolume)> {
    mount.lower.volumes().zip(targets(mount)).zip(on_volumes).map(|((volume, target), on_volume)| {
        let lower = Mount {
            source: volume.to_owned(),
            target,
            kind: on_volume.kind.clone().unwrap_or_default(),
            read_only: true,
            options: String::new(),
        };
        (lower, on_volume)
    })
}

fn overlay(mount: &document::Mount) -> Overlay {
    let folder = folder(&mount.at);
    let lowers: Vec<String> = targets(mount).collect();
    let upper = format!("{UPPERS}/{folder}/upper");
    let work = format!("{UPPERS}/{folder}/work");
    Overlay {
        mount: Mount {
            source: "overlay".into(),
            target: if mount.at == "/" { SYSROOT.into() } else { format!("{SYSROOT}{}", mount.at) },
            kind: "overlay".into(),
            read_only: false,
            // A colon, a comma or a backslash in a path would have to be escaped, and all of it has to fit into a page.
            // Both are so by the checks of the plan: mount points are plain, short, and not over many volumes. So it
            // needs none of the newer calls, which kernels before 6.5 do not have for overlays.
            options: format!("lowerdir={},upperdir={upper},workdir={work}", lowers.join(":")),
        },
        lower: lowers.into_iter().next().unwrap_or_default(),
        upper,
        work,
    }
}

/// A folder name for a mount point, a different one for each: `/` is `root`, `/var/lib` is `var-lib`.
fn folder(at: &str) -> String {
    match at.trim_start_matches('/') {
        "" => "root".into(),
        // A mount point called /root is not to meet the one called /.
        "root" => "root-".into(),
        path => path.replace('-', "--").replace('/', "-"),
    }
}

/// Whether `mount` is there; something else at its place is an error.
fn is_mounted(mount: &Mount, mounted: &[Mounted]) -> Result<bool> {
    // The last one at a place hides the others.
    let Some(there) = mounted.iter().rfind(|there| there.target == mount.target) else {
        return Ok(false);
    };
    if there.kind == mount.kind && there.source == mount.source {
        return Ok(true);
    }
    Err(Error::new(Code::FileSystem, &mount.target)
        .because(format!("{} ({}) is mounted there; unmount it", there.source, there.kind)))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
