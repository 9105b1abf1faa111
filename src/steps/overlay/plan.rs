//! Decides what to mount next: the whole root as one ordered list.

use super::apply::Action;
use super::journal::Unclean;
use super::mountinfo::Mounted;
use super::observe::Seen;
use super::utab::{self, Entry};
use super::{LOWERS, SYSROOT, UPPERS};
use crate::engine::converge::Next;
use crate::error::{Code, Error, Result};
use crate::input::document;
use crate::sys::mount::Mount;

pub fn plan(mounts: &[document::Mount], seen: &Seen) -> Result<Next<Action>> {
    let Some((upper, file_system)) = seen.upper.and_then(|upper| Some((upper, upper.file_system?))) else {
        return Ok(Next::Wait("disk of the writable layer".into()));
    };
    let writable = Mount {
        source: format!("/dev/zram{}", upper.number),
        target: UPPERS.into(),
        kind: file_system.kind().into(),
        read_only: false,
        options: String::new(),
    };
    if !is_mounted(&writable, &seen.mounted)? {
        return Ok(Next::Do(Action::Mount(writable)));
    }
    if let Some(blocks) = upper.grows_to() {
        return Ok(Next::Do(Action::Grow { blocks }));
    }
    for ((mount, kind), unclean) in mounts.iter().zip(&seen.kinds).zip(&seen.unclean) {
        let Some(kind) = kind else {
            return Err(
                Error::new(Code::FileSystem, &mount.lower).because("there is no file system that is known")
            );
        };
        let mut lower = lower(mount, kind);
        if !is_mounted(&lower, &seen.mounted)? {
            match (unclean, mount.unclean) {
                (Some(unclean), document::Unclean::Refuse) => return Err(refused(&lower, unclean)),
                (Some(unclean), document::Unclean::Mount) => lower.options = unclean.option.into(),
                (None, _) => (),
            }
            return Ok(Next::Do(Action::Mount(lower)));
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

fn refused(lower: &Mount, unclean: &Unclean) -> Error {
    let object = format!("{} ({})", lower.source, lower.kind);
    Error::new(Code::FileSystemUnclean, object).because(unclean.sign)
}

/// The file systems that the plan lets be mounted although they were not cleanly unmounted.
pub fn warnings(mounts: &[document::Mount], seen: &Seen) -> Vec<Error> {
    let known = mounts.iter().zip(&seen.kinds).zip(&seen.unclean);
    let unclean = known.filter_map(|((mount, kind), unclean)| {
        let (kind, unclean) = (kind.as_deref()?, unclean.as_ref()?);
        (mount.unclean == document::Unclean::Mount).then(|| refused(&lower(mount, kind), unclean))
    });
    unclean.collect()
}

/// The mounts that need the network, under the paths that they have when /sysroot is the root. The writable layer does
/// not need it. For `/` it changes nothing: systemd never unmounts it.
fn entries(mounts: &[document::Mount]) -> Vec<Entry> {
    let lowers = mounts.iter().map(|mount| Entry {
        source: mount.lower.clone(),
        target: format!("{LOWERS}/{}", folder(&mount.at)),
    });
    let overlays = mounts.iter().map(|mount| Entry { source: "overlay".into(), target: mount.at.clone() });
    lowers.chain(overlays).collect()
}

/// An overlay and the folders of its writable layer.
#[derive(Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The overlay itself.
    pub mount: Mount,
    /// The root of what is below: the upper takes its owner, mode and labels.
    pub lower: String,
    /// Where changes go.
    pub upper: String,
    /// overlayfs's own, on the same file system as `upper`.
    pub work: String,
}

fn lower(mount: &document::Mount, kind: &str) -> Mount {
    Mount {
        source: mount.lower.clone(),
        target: format!("{LOWERS}/{}", folder(&mount.at)),
        kind: kind.to_owned(),
        read_only: true,
        options: String::new(),
    }
}

fn overlay(mount: &document::Mount) -> Overlay {
    let folder = folder(&mount.at);
    let lower = format!("{LOWERS}/{folder}");
    let upper = format!("{UPPERS}/{folder}/upper");
    let work = format!("{UPPERS}/{folder}/work");
    Overlay {
        mount: Mount {
            source: "overlay".into(),
            target: if mount.at == "/" { SYSROOT.into() } else { format!("{SYSROOT}{}", mount.at) },
            kind: "overlay".into(),
            read_only: false,
            // None of these paths can hold a comma or a colon: mount points are plain by the checks of the plan.
            options: format!("lowerdir={lower},upperdir={upper},workdir={work}"),
        },
        lower,
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
mod tests {
    use super::*;
    use crate::steps::zram::{Formatted, Zram};

    fn mounts() -> Vec<document::Mount> {
        let unclean = document::Unclean::Refuse;
        let mount =
            |at: &str, lower: &str| document::Mount { at: at.into(), lower: lower.into(), fs: None, unclean };
        vec![mount("/", "/dev/mapper/luks_root1"), mount("/var", "/dev/mapper/luks_root2")]
    }

    fn seen(mounted: &[&Mount], upper: Zram) -> Seen {
        let mounted = mounted.iter().map(|mount| Mounted {
            target: mount.target.clone(),
            kind: mount.kind.clone(),
            source: mount.source.clone(),
        });
        let kinds = vec![Some("ext4".into()), Some("xfs".into())];
        let utab = utab::marked("", &entries(&mounts())).unwrap();
        let unclean = vec![None, None];
        Seen { mounted: mounted.collect(), upper: Some(upper), kinds, unclean, has_os: true, utab }
    }

    const EXT4: Formatted = Formatted::Ext4 { blocks: 1 << 18 };
    const UPPER: Zram =
        Zram { number: 2, bytes: 1 << 30, mem_limit: 0, written: true, file_system: Some(EXT4) };

    /// Acts on a list of mounts instead of a kernel, until the step is done.
    fn mount_all() -> Vec<Mount> {
        let mut mounted: Vec<Mount> = Vec::new();
        loop {
            let next = plan(&mounts(), &seen(&mounted.iter().collect::<Vec<_>>(), UPPER)).unwrap();
            match next {
                Next::Do(Action::Mount(mount)) => mounted.push(mount),
                Next::Do(Action::Overlay(overlay)) => mounted.push(overlay.mount),
                Next::Done(_) => return mounted,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_order_of_the_mounts() {
        let mounted = mount_all();
        let targets: Vec<_> = mounted.iter().map(|mount| (mount.target.as_str(), mount.read_only)).collect();
        let expected = [
            ("/run/diskless/rw", false),
            ("/run/diskless/lower/root", true),
            ("/sysroot", false),
            ("/run/diskless/lower/var", true),
            ("/sysroot/var", false),
        ];
        assert_eq!(targets, expected);
        assert_eq!(
            mounted[4].options,
            "lowerdir=/run/diskless/lower/var,upperdir=/run/diskless/rw/var/upper,workdir=/run/diskless/rw/var/work"
        );
    }

    #[test]
    fn the_writable_layer_is_grown_before_it_is_used() {
        let mounted = mount_all();
        let small = Zram { file_system: Some(Formatted::Ext4 { blocks: 1024 }), ..UPPER };
        let next = plan(&mounts(), &seen(&[&mounted[0]], small)).unwrap();
        assert_eq!(next, Next::Do(Action::Grow { blocks: 1 << 18 }));
    }

    #[test]
    fn the_mounts_are_marked_as_needing_the_network() {
        let mounted = mount_all();
        let mut seen = seen(&mounted.iter().collect::<Vec<_>>(), UPPER);
        seen.utab = "SRC=x TARGET=/x ROOT=/ OPTS=y\n".into();
        let Next::Do(Action::Mark(table)) = plan(&mounts(), &seen).unwrap() else { panic!() };
        let expected = "SRC=x TARGET=/x ROOT=/ OPTS=y\n\
            SRC=/dev/mapper/luks_root1 TARGET=/run/diskless/lower/root ROOT=/ OPTS=_netdev\n\
            SRC=/dev/mapper/luks_root2 TARGET=/run/diskless/lower/var ROOT=/ OPTS=_netdev\n\
            SRC=overlay TARGET=/ ROOT=/ OPTS=_netdev\n\
            SRC=overlay TARGET=/var ROOT=/ OPTS=_netdev\n";
        assert_eq!(table, expected);
        seen.utab = table;
        assert!(matches!(plan(&mounts(), &seen).unwrap(), Next::Done(_)));
    }

    #[test]
    fn xfs_is_mounted_as_xfs_and_not_grown() {
        let upper = Zram { file_system: Some(Formatted::Xfs), ..UPPER };
        let Next::Do(Action::Mount(first)) = plan(&mounts(), &seen(&[], upper)).unwrap() else { panic!() };
        assert_eq!(first.kind, "xfs");
        let Next::Do(Action::Mount(next)) = plan(&mounts(), &seen(&[&first], upper)).unwrap() else {
            panic!()
        };
        assert_eq!(next.target, "/run/diskless/lower/root");
    }

    #[test]
    fn what_cannot_be_mounted_is_an_error() {
        let mounted = mount_all();
        let all: Vec<&Mount> = mounted.iter().collect();
        let mut none = seen(&all, UPPER);
        none.has_os = false;
        assert_eq!(plan(&mounts(), &none).unwrap_err().code(), Code::NotARoot);
        let mut unknown = seen(&[&mounted[0]], UPPER);
        unknown.kinds = vec![None, None];
        assert_eq!(plan(&mounts(), &unknown).unwrap_err().code(), Code::FileSystem);
        let other = Mount { kind: "tmpfs".into(), source: "tmpfs".into(), ..mounted[2].clone() };
        let error = plan(&mounts(), &seen(&[&mounted[0], &mounted[1], &other], UPPER)).unwrap_err();
        assert!(error.to_string().contains("tmpfs (tmpfs) is mounted there"), "{error}");
        let mut gone = seen(&all, UPPER);
        gone.upper = None;
        assert!(matches!(plan(&mounts(), &gone).unwrap(), Next::Wait(_)));
    }

    #[test]
    fn what_was_not_cleanly_unmounted_is_mounted_only_if_the_plan_says_so() {
        let mounted = mount_all();
        let mut seen = seen(&mounted.iter().take(3).collect::<Vec<_>>(), UPPER);
        seen.unclean[1] = Some(Unclean { sign: "a sign", option: "norecovery" });
        let error = plan(&mounts(), &seen).unwrap_err();
        assert_eq!(error.code(), Code::FileSystemUnclean);
        let text = "/dev/mapper/luks_root2 (xfs): the file system was not cleanly unmounted: a sign";
        assert_eq!(error.to_string(), text);
        assert!(warnings(&mounts(), &seen).is_empty());
        let mut allowed = mounts();
        allowed[1].unclean = document::Unclean::Mount;
        let Next::Do(Action::Mount(mount)) = plan(&allowed, &seen).unwrap() else { panic!() };
        assert_eq!((mount.options.as_str(), mount.read_only), ("norecovery", true));
        let warnings: Vec<_> = warnings(&allowed, &seen).iter().map(ToString::to_string).collect();
        assert_eq!(warnings, [text]);
        // A person may have mounted it: what is mounted is taken as it is.
        let all: Vec<Mounted> = mounted
            .iter()
            .map(|mount| Mounted {
                target: mount.target.clone(),
                kind: mount.kind.clone(),
                source: mount.source.clone(),
            })
            .collect();
        let done = Seen { mounted: all, ..seen };
        assert!(matches!(plan(&mounts(), &done).unwrap(), Next::Done(_)));
    }

    #[test]
    fn folders_differ_for_different_mount_points() {
        let at = ["/", "/root", "/var", "/var/lib", "/var-lib", "/var--lib"];
        let folders: std::collections::BTreeSet<_> = at.iter().map(|at| folder(at)).collect();
        assert_eq!(folders.len(), at.len(), "{folders:?}");
    }
}
