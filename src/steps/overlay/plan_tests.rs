use super::*;
use crate::input::document::{Lower, Lowers, MOST_LOWERS};
use crate::input::memory::Memory;
use crate::steps::zram::{Formatted, Zram};

fn mount(at: &str, lowers: &[&str]) -> document::Mount {
    let lower = |volume: &&str| Lower { volume: (*volume).to_owned(), fs: None };
    let unclean = document::Unclean::Refuse;
    document::Mount { at: at.into(), lower: Lowers(lowers.iter().map(lower).collect()), fs: None, unclean }
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
    let on_volume = OnVolume { kind: Some("xfs".into()), unclean: None };
    Seen {
        mounted: mounted.collect(),
        upper,
        memory: Some(memory),
        lowers: mounts.iter().map(|mount| vec![on_volume.clone(); mount.lower.0.len()]).collect(),
        has_os: true,
        utab: utab::marked("", &entries(mounts)).unwrap(),
    }
}

fn seen(mounted: &[&Mount], upper: Zram) -> Seen {
    seen_of(&mounts(), mounted, Some(upper))
}

const EXT4: Formatted = Formatted::Ext4 { blocks: 1 << 18 };
const UPPER: Zram = Zram { number: 2, bytes: 1 << 30, mem_limit: 0, written: true, file_system: Some(EXT4) };

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
    let shown: Vec<_> = mounted.iter().map(|mount| format!("{} {}", mount.source, mount.target)).collect();
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
    let lowers = "lowerdir=/run/diskless/lower/root:/run/diskless/lower/root+1:/run/diskless/lower/root+2,";
    assert!(mounted[4].options.starts_with(lowers), "{}", mounted[4].options);
    let marked = utab::marked("", &entries(&mounts)).unwrap();
    assert!(marked.contains("SRC=/dev/mapper/luks_root1 TARGET=/run/diskless/lower/root+2 "), "{marked}");
    let mut unknown = seen_of(&mounts, &[&mounted[0], &mounted[1]], Some(UPPER));
    unknown.lowers[0][1].kind = None;
    let error = plan(&mounts, None, &unknown).unwrap_err();
    assert!(error.to_string().starts_with("/dev/mapper/site: "), "{error}");
}

#[test]
fn a_tmpfs_is_mounted_within_its_limits() {
    let overlay = r#"{ "backing": "tmpfs", "size": "25%", "mounts": [] }"#;
    let terms = Terms::of(&serde_json::from_str(overlay).unwrap());
    let mounted = mount_each(&mounts(), Some(&terms));
    assert_eq!((mounted[0].kind.as_str(), mounted[0].target.as_str()), ("tmpfs", "/run/diskless/rw"));
    assert_eq!(mounted[0].options, "size=1073741824,nr_inodes=131072,mode=0755");
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
    unknown.lowers[0][0].kind = None;
    assert_eq!(next(&unknown).unwrap_err().code(), Code::FileSystem);
    let other = Mount { kind: "tmpfs".into(), source: "tmpfs".into(), ..mounted[2].clone() };
    let error = next(&seen(&[&mounted[0], &mounted[1], &other], UPPER)).unwrap_err();
    assert!(error.to_string().contains("tmpfs (tmpfs) is mounted there"), "{error}");
    let mut gone = seen(&all, UPPER);
    gone.upper = None;
    assert!(matches!(next(&gone).unwrap(), Next::Wait(_)));
}

#[test]
fn what_was_not_cleanly_unmounted_is_mounted_only_if_the_plan_says_so() {
    let mounted = mount_all();
    let mut seen = seen(&mounted.iter().take(3).collect::<Vec<_>>(), UPPER);
    seen.lowers[1][0].unclean = Some(Unclean { sign: "a sign", option: "norecovery" });
    let error = next(&seen).unwrap_err();
    assert_eq!(error.code(), Code::FileSystemUnclean);
    let text = "/dev/mapper/luks_root2 (xfs): the file system was not cleanly unmounted: a sign";
    assert_eq!(error.to_string(), text);
    assert!(warnings(&mounts(), &seen).is_empty());
    let mut allowed = mounts();
    allowed[1].unclean = document::Unclean::Mount;
    let Next::Do(Action::Mount(mount)) = plan(&allowed, None, &seen).unwrap() else { panic!() };
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
    assert!(matches!(next(&done).unwrap(), Next::Done(_)));
}

#[test]
fn folders_differ_for_different_mount_points() {
    let at = ["/", "/root", "/var", "/var/lib", "/var-lib", "/var--lib"];
    let folders: std::collections::BTreeSet<_> = at.iter().map(|at| folder(at)).collect();
    assert_eq!(folders.len(), at.len(), "{folders:?}");
}
