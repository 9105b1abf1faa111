//! Decides what to mount next: the whole root as one ordered list.

use super::apply::Action;
use super::mountinfo::Mounted;
use super::observe::Seen;
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
    for (mount, kinds) in mounts.iter().zip(&seen.kinds) {
        for ((lower, target), kind) in mount.lower.volumes().zip(targets(mount)).zip(kinds) {
            let Some(kind) = kind else {
                return Err(
                    Error::new(Code::FileSystem, lower).because("there is no file system that is known")
                );
            };
            let lower = self::lower(lower, target, kind);
            if !is_mounted(&lower, &seen.mounted)? {
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

fn lower(volume: &str, target: String, kind: &str) -> Mount {
    Mount {
        source: volume.to_owned(),
        target,
        kind: kind.to_owned(),
        read_only: true,
        options: String::new(),
    }
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
mod tests {
    use super::*;
    use crate::input::document::{Lower, Lowers, MOST_LOWERS};
    use crate::input::memory::Memory;
    use crate::steps::zram::{Formatted, Zram};

    fn mount(at: &str, lowers: &[&str]) -> document::Mount {
        let lower = |volume: &&str| Lower { volume: (*volume).to_owned(), fs: None };
        document::Mount { at: at.into(), lower: Lowers(lowers.iter().map(lower).collect()), fs: None }
    }

    fn mounts() -> Vec<document::Mount> {
        vec![mount("/", &["/dev/mapper/luks_root1"]), mount("/var", &["/dev/mapper/luks_root2"])]
    }

    fn seen_of(mounts: &[document::Mount], mounted: &[&Mount], upper: Option<Zram>) -> Seen {
        let mounted = mounted.iter().map(|mount| Mounted {
            target: mount.target.clone(),
            kind: mount.kind.clone(),
            source: mount.source.clone(),
        });
        let memory = Memory { total: 1 << 32, available: 1 << 31, huge: 0 };
        Seen {
            mounted: mounted.collect(),
            upper,
            memory: Some(memory),
            kinds: mounts.iter().map(|mount| vec![Some("ext4".into()); mount.lower.0.len()]).collect(),
            has_os: true,
            utab: utab::marked("", &entries(mounts)).unwrap(),
        }
    }

    fn seen(mounted: &[&Mount], upper: Zram) -> Seen {
        seen_of(&mounts(), mounted, Some(upper))
    }

    const EXT4: Formatted = Formatted::Ext4 { blocks: 1 << 18 };
    const UPPER: Zram =
        Zram { number: 2, bytes: 1 << 30, mem_limit: 0, written: true, file_system: Some(EXT4) };

    fn next(seen: &Seen) -> Result<Next<Action>> {
        plan(&mounts(), None, seen)
    }

    /// Acts on a list of mounts instead of a kernel, until the step is done.
    fn mount_each(mounts: &[document::Mount], tmpfs: Option<&Terms>) -> Vec<Mount> {
        let upper = tmpfs.is_none().then_some(UPPER);
        let mut mounted: Vec<Mount> = Vec::new();
        loop {
            let seen = seen_of(mounts, &mounted.iter().collect::<Vec<_>>(), upper);
            match plan(mounts, tmpfs, &seen).unwrap() {
                Next::Do(Action::Mount(mount)) => mounted.push(mount),
                Next::Do(Action::Overlay(overlay)) => mounted.push(overlay.mount),
                Next::Done(_) => return mounted,
                other => panic!("{other:?}"),
            }
        }
    }

    fn mount_all() -> Vec<Mount> {
        mount_each(&mounts(), None)
    }

    #[test]
    fn several_volumes_lie_over_each_other_in_the_order_of_the_plan() {
        let mounts = [
            mount("/", &["/dev/mapper/node", "/dev/mapper/site", "/dev/mapper/luks_root1"]),
            mount("/var", &["/dev/mapper/site"]),
        ];
        let mounted = mount_each(&mounts, None);
        let shown: Vec<_> =
            mounted.iter().map(|mount| format!("{} {}", mount.source, mount.target)).collect();
        let expected = [
            "/dev/zram2 /run/diskless/rw",
            "/dev/mapper/node /run/diskless/lower/root",
            "/dev/mapper/site /run/diskless/lower/root+1",
            "/dev/mapper/luks_root1 /run/diskless/lower/root+2",
            "overlay /sysroot",
            "/dev/mapper/site /run/diskless/lower/var",
            "overlay /sysroot/var",
        ];
        assert_eq!(shown, expected);
        let lowers =
            "lowerdir=/run/diskless/lower/root:/run/diskless/lower/root+1:/run/diskless/lower/root+2,";
        assert!(mounted[4].options.starts_with(lowers), "{}", mounted[4].options);
        let marked = utab::marked("", &entries(&mounts)).unwrap();
        assert!(marked.contains("SRC=/dev/mapper/luks_root1 TARGET=/run/diskless/lower/root+2 "), "{marked}");
        let mut unknown = seen_of(&mounts, &[&mounted[0], &mounted[1]], Some(UPPER));
        unknown.kinds[0][1] = None;
        let error = plan(&mounts, None, &unknown).unwrap_err();
        assert!(error.to_string().starts_with("/dev/mapper/site: "), "{error}");
    }

    #[test]
    fn a_tmpfs_is_mounted_within_its_limits() {
        let overlay = r#"{ "backing": "tmpfs", "size": "25%", "mounts": [] }"#;
        let terms = Terms::of(&serde_json::from_str(overlay).unwrap());
        let mounted = mount_each(&mounts(), Some(&terms));
        assert_eq!((mounted[0].kind.as_str(), mounted[0].target.as_str()), ("tmpfs", "/run/diskless/rw"));
        let (size, inodes) = ((1u64 << 32) / 100 * 25, (1u64 << 32) / 100 * 25 / 8192);
        let size = size.next_multiple_of(4096);
        assert_eq!(mounted[0].options, format!("size={size},nr_inodes={inodes},mode=0755"));
        assert_eq!(mounted.len(), 5);
        let mut small = seen_of(&mounts(), &[], None);
        small.memory = Some(Memory { total: 1 << 27, available: 1 << 27, huge: 0 });
        assert_eq!(plan(&mounts(), Some(&terms), &small).unwrap_err().code(), Code::LayerMemory);
        // What is there is not judged again.
        let mut there = seen_of(&mounts(), &[&mounted[0]], None);
        there.memory = small.memory;
        assert!(matches!(plan(&mounts(), Some(&terms), &there).unwrap(), Next::Do(Action::Mount(_))));
    }

    proptest::proptest! {
        /// mount(2) copies one page of options, and overlayfs takes them apart at commas and colons (proptest's strings are
        /// mount points that the checks of the plan let pass).
        #[test]
        fn options_need_no_escapes_and_fit_into_a_page(at in "/([a-z._-]{1,100}|-{99}|root)", lowers in 1usize..=MOST_LOWERS) {
            let at = at.get(..at.len().min(100)).unwrap();
            let volumes: Vec<String> = (0..lowers).map(|number| format!("/dev/mapper/v{number}")).collect();
            let volumes: Vec<&str> = volumes.iter().map(String::as_str).collect();
            let options = overlay(&mount(at, &volumes)).mount.options;
            assert!(options.len() < 4096 && !options.contains('\\'), "{}", options.len());
            let parts: Vec<&str> = options.split(',').collect();
            assert_eq!(parts.len(), 3, "{options}");
            assert_eq!(parts[0].split(':').count(), lowers, "{options}");
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
        let small = Zram { file_system: Some(Formatted::Ext4 { blocks: 2048 }), ..UPPER };
        let grow = next(&seen(&[&mounted[0]], small)).unwrap();
        assert_eq!(grow, Next::Do(Action::Grow { blocks: 1 << 18 }));
    }

    #[test]
    fn the_mounts_are_marked_as_needing_the_network() {
        let mounted = mount_all();
        let mut seen = seen(&mounted.iter().collect::<Vec<_>>(), UPPER);
        seen.utab = "SRC=x TARGET=/x ROOT=/ OPTS=y\n".into();
        let Next::Do(Action::Mark(table)) = next(&seen).unwrap() else { panic!() };
        let expected = "SRC=x TARGET=/x ROOT=/ OPTS=y\n\
            SRC=/dev/mapper/luks_root1 TARGET=/run/diskless/lower/root ROOT=/ OPTS=_netdev\n\
            SRC=/dev/mapper/luks_root2 TARGET=/run/diskless/lower/var ROOT=/ OPTS=_netdev\n\
            SRC=overlay TARGET=/ ROOT=/ OPTS=_netdev\n\
            SRC=overlay TARGET=/var ROOT=/ OPTS=_netdev\n";
        assert_eq!(table, expected);
        seen.utab = table;
        assert!(matches!(next(&seen).unwrap(), Next::Done(_)));
    }

    #[test]
    fn xfs_is_mounted_as_xfs_and_not_grown() {
        let upper = Zram { file_system: Some(Formatted::Xfs), ..UPPER };
        let Next::Do(Action::Mount(first)) = next(&seen(&[], upper)).unwrap() else { panic!() };
        assert_eq!((first.kind.as_str(), first.options.as_str()), ("xfs", "discard"));
        let Next::Do(Action::Mount(then)) = next(&seen(&[&first], upper)).unwrap() else { panic!() };
        assert_eq!(then.target, "/run/diskless/lower/root");
    }

    #[test]
    fn what_cannot_be_mounted_is_an_error() {
        let mounted = mount_all();
        let all: Vec<&Mount> = mounted.iter().collect();
        let mut none = seen(&all, UPPER);
        none.has_os = false;
        assert_eq!(next(&none).unwrap_err().code(), Code::NotARoot);
        let mut unknown = seen(&[&mounted[0]], UPPER);
        unknown.kinds = vec![vec![None], vec![None]];
        assert_eq!(next(&unknown).unwrap_err().code(), Code::FileSystem);
        let other = Mount { kind: "tmpfs".into(), source: "tmpfs".into(), ..mounted[2].clone() };
        let error = next(&seen(&[&mounted[0], &mounted[1], &other], UPPER)).unwrap_err();
        assert!(error.to_string().contains("tmpfs (tmpfs) is mounted there"), "{error}");
        let mut gone = seen(&all, UPPER);
        gone.upper = None;
        assert!(matches!(next(&gone).unwrap(), Next::Wait(_)));
    }

    #[test]
    fn folders_differ_for_different_mount_points() {
        let at = ["/", "/root", "/var", "/var/lib", "/var-lib", "/var--lib"];
        let folders: std::collections::BTreeSet<_> = at.iter().map(|at| folder(at)).collect();
        assert_eq!(folders.len(), at.len(), "{folders:?}");
    }
}
