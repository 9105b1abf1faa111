use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea operator@site";

/// An initramfs with sshd and these files.
fn initramfs(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in [("usr/sbin/sshd", ""), (UNIT.trim_start_matches('/'), "")].iter().chain(files) {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn read(root: &tempfile::TempDir, path: &str) -> String {
    fs::read_to_string(root.path().join(path.trim_start_matches('/'))).unwrap()
}

fn codes(warnings: &[Error]) -> Vec<String> {
    warnings.iter().map(|warning| warning.to_string().split(": ").next().unwrap().to_owned()).collect()
}

fn keygen(words: &[&str]) -> String {
    let output = std::process::Command::new("ssh-keygen").args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_host_key_is_made_once_in_a_boot_and_sshd_is_told_of_it() {
    let root = initramfs(&[("etc/diskless/authorized_keys", KEY), ("etc/shadow", "root:!:1::::::\n")]);
    let host = Host::fake(root.path());
    let prepared = prepare(&host, &Cmdline::parse("")).unwrap();
    assert!(prepared.has_keys && prepared.warnings.is_empty() && prepared.sshd.ends_with("usr/sbin/sshd"));
    let config = read(&root, CONFIG);
    assert!(
        config.starts_with("HostKey /run/diskless/ssh/ssh_host_ed25519_key\nAuthorizedKeysFile"),
        "{config}"
    );
    assert_eq!(read(&root, OWN_KEYS), format!("{KEY}\n"));
    assert_eq!(read(&root, "etc/shadow"), "root:*:1::::::\n");
    let key = root.path().join("run/diskless/ssh/ssh_host_ed25519_key");
    for (path, mode) in [(key.as_path(), 0o600), (key.parent().unwrap(), 0o700)] {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
    let shown = keygen(&["-l", "-f", key.to_str().unwrap()]);
    let ours = host_key::public(&host);
    assert_eq!(shown.split(' ').nth(1), Some(ours[0].fingerprint().as_str()));
    let first = fs::read(&key).unwrap();
    prepare(&host, &Cmdline::parse("")).unwrap();
    assert_eq!(fs::read(&key).unwrap(), first);
}

#[test]
fn the_site_s_host_keys_go_before_one_of_the_boot_and_a_bad_one_is_named() {
    let root = initramfs(&[("etc/diskless/ssh_host_rsa_key", "hunter2")]);
    let host = Host::fake(root.path());
    let path = root.path().join("etc/diskless/ssh_host_ecdsa_key");
    keygen(&["-q", "-t", "ecdsa", "-N", "", "-C", "site", "-f", path.to_str().unwrap()]);
    // What an initramfs was made with: sshd would refuse it so.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let prepared = prepare(&host, &Cmdline::parse("")).unwrap();
    assert_eq!(codes(&prepared.warnings), ["/etc/diskless/ssh_host_rsa_key"]);
    assert!(!prepared.warnings[0].to_string().contains("hunter2"));
    assert!(read(&root, CONFIG).starts_with("HostKey /run/diskless/ssh/ssh_host_ecdsa_key\nAuthorized"));
    let copy = root.path().join("run/diskless/ssh/ssh_host_ecdsa_key");
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read(copy).unwrap(), fs::read(path).unwrap());
    assert!(!root.path().join("run/diskless/ssh/ssh_host_ed25519_key").exists());
}

#[test]
fn keys_come_from_the_initramfs_the_command_line_and_the_plan() {
    let file = format!("# operators\nno-pty {KEY}\nhunter2\n");
    let root = initramfs(&[("etc/diskless/authorized_keys", &file)]);
    let host = Host::fake(root.path());
    let other = KEY.replace("operator", "other");
    let cmdline = format!("rd.diskless.authorized_key=\"{other}\" rd.diskless.authorized_key=hunter2");
    let prepared = prepare(&host, &Cmdline::parse(&cmdline)).unwrap();
    assert_eq!(read(&root, OWN_KEYS), format!("no-pty {KEY}\n{other}\n"));
    assert_eq!(codes(&prepared.warnings), ["/etc/diskless/authorized_keys:3", "rd.diskless.authorized_key="]);
    let admit = |keys: &[&str]| {
        super::admit(&host, &Access { authorized_keys: keys.iter().map(|key| (*key).to_owned()).collect() })
    };
    admit(&[KEY, &other]).unwrap();
    assert_eq!(read(&root, PLAN_KEYS), format!("{KEY}\n{other}\n"));
    // Another plan, by a retry: whoever it does not name is out again.
    admit(&[]).unwrap();
    admit(&[]).unwrap();
    assert!(!root.path().join(&PLAN_KEYS[1..]).exists());
}

#[test]
fn without_a_key_nobody_is_let_in_until_the_plan_brings_one() {
    let root = initramfs(&[]);
    let host = Host::fake(root.path());
    assert!(!prepare(&host, &Cmdline::parse("")).unwrap().has_keys);
    assert_eq!(invitation(&host), None);
    admit(&host, &Access { authorized_keys: vec![KEY.to_owned()] }).unwrap();
    assert!(prepare(&host, &Cmdline::parse("")).unwrap().has_keys);
}

#[test]
fn an_initramfs_without_sshd_has_nothing_of_it() {
    let root = tempfile::tempdir().unwrap();
    let host = Host::fake(root.path());
    assert_eq!(prepare(&host, &Cmdline::parse("")).err().unwrap().code(), Code::Access);
    admit(&host, &Access { authorized_keys: vec![KEY.to_owned()] }).unwrap();
    assert_eq!(root.path().read_dir().unwrap().count(), 0);
}

#[test]
fn the_invitation_names_addresses_and_the_key() {
    let root = initramfs(&[]);
    let host = Host::fake(root.path());
    prepare(&host, &Cmdline::parse("")).unwrap();
    let keys = host_key::public(&host);
    let text = invite(&["198.18.0.101".to_owned(), "fd00::9".to_owned()], &keys).unwrap();
    let expected = format!("ssh root@198.18.0.101 or ssh root@fd00::9, host key {}", keys[0].fingerprint());
    assert_eq!(text, expected);
    assert_eq!((invite(&[], &keys), invite(&["a".to_owned()], &[])), (None, None));
}

#[test]
fn open_iscsi_gets_a_name_that_is_the_node_s_own() {
    let root = initramfs(&[("sys/class/dmi/id/product_uuid", "5D15C1E5-0000-4000-8000-000000000001\n")]);
    let host = Host::fake(root.path());
    name_initiator(&host, &Cmdline::parse("")).unwrap();
    let expected = "InitiatorName=iqn.2026-01.node.diskless:5d15c1e5-0000-4000-8000-000000000001\n";
    assert_eq!(read(&root, identity::BAKED), expected);
    // One that is there is not replaced.
    name_initiator(&host, &Cmdline::parse("rd.iscsi.initiator=iqn.2026-01.a:b")).unwrap();
    assert_eq!(read(&root, identity::BAKED), expected);
}

/// sshd takes the configuration as it is, where there is one to ask.
#[test]
fn sshd_understands_its_configuration() {
    let Some(sshd) = SSHD.iter().find(|path| Path::new(path).exists()) else {
        println!("SKIPPED: there is no sshd on this machine");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    keygen(&["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()]);
    let config = folder.path().join("config");
    fs::write(&config, format!("HostKey {}\n{SETTINGS}", key.display())).unwrap();
    let output = std::process::Command::new(sshd).arg("-T").arg("-f").arg(&config).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in
        ["authenticationmethods publickey", "passwordauthentication no", "permitrootlogin without-password"]
    {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}
