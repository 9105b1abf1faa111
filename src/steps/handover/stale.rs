//! What of the image must not be any node's: names, keys and leases of the machine that it was made on. The table of them
//! is in [`super::own`].

use super::failed;
use super::observe::LONGEST;
use super::own::{Done, OWN};
use crate::error::Result;
use crate::sys::in_root::Root;

/// A folder with more names is none that the image's programs made.
const MOST_NAMES: usize = 1 << 16;

/// The files that are to be removed, on a node whose interfaces have these addresses.
pub fn stale(root: &Root, macs: &[String]) -> Result<Vec<String>> {
    let mut stale = Vec::new();
    for own in OWN {
        let unless_ours = match own.done {
            Done::Removed => false,
            Done::RemovedUnlessOurs => true,
            Done::Written => continue,
        };
        for path in matching(root, own.path)? {
            if !(unless_ours && names_any(root, &path, macs)?) {
                stale.push(path);
            }
        }
    }
    Ok(stale)
}

/// The files at `pattern`, which may have one `*` in its last part.
fn matching(root: &Root, pattern: &str) -> Result<Vec<String>> {
    let Some((start, end)) = pattern.split_once('*') else {
        let is_there = root.is_there(pattern).map_err(failed(pattern))?;
        return Ok(is_there.then(|| pattern.to_owned()).into_iter().collect());
    };
    let (folder, start) = start.rsplit_once('/').unwrap_or(("", start));
    let names = root.names(folder, MOST_NAMES).map_err(failed(folder))?;
    let fits = |name: &&String| {
        name.strip_prefix(start)
            .and_then(|rest| rest.strip_suffix(end))
            .is_some_and(|middle| !middle.is_empty())
    };
    Ok(names.iter().filter(fits).map(|name| format!("{folder}/{name}")).collect())
}

/// Whether the file at `path` speaks of one of these addresses.
fn names_any(root: &Root, path: &str, macs: &[String]) -> Result<bool> {
    let Some(found) = root.read(path, LONGEST).map_err(failed(path))? else { return Ok(false) };
    let text = String::from_utf8_lossy(&found.bytes).to_ascii_lowercase();
    Ok(macs.iter().any(|mac| text.contains(mac.as_str()) || text.contains(&mac.replace(':', "-"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_image_s_is_found_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let root = Root::open(folder.path()).unwrap();
        let macs = ["52:54:00:00:00:01".to_owned()];
        assert_eq!(stale(&root, &macs).unwrap(), [""; 0]);
        let gone = [
            "/etc/ssh/ssh_host_rsa_key",
            "/etc/ssh/ssh_host_rsa_key.pub",
            "/var/lib/systemd/random-seed",
            "/var/lib/systemd/credential.secret",
            "/var/lib/dhcp/dhclient.eth0.leases",
            "/var/lib/NetworkManager/internal-0f-eth0.lease",
            "/var/lib/NetworkManager/secret_key",
            "/etc/udev/rules.d/70-persistent-net.rules",
        ];
        for path in gone {
            write(path, "SUBSYSTEM==\"net\", ATTR{address}==\"52:54:00:AA:00:09\", NAME=\"eth0\"\n");
        }
        let stays = [
            ("/etc/ssh/sshd_config", ""),
            ("/etc/ssh/ssh_host_", ""),
            ("/var/lib/NetworkManager/NetworkManager.state", ""),
            ("/var/lib/dhcp/leases", ""),
            // A site's file for all of its nodes has this one in it.
            ("/etc/systemd/network/10-persistent-net.link", "[Match]\nMACAddress=52-54-00-00-00-01\n"),
        ];
        for (path, text) in stays {
            write(path, text);
        }
        let mut found = stale(&root, &macs).unwrap();
        found.sort();
        let mut gone: Vec<String> = gone.map(str::to_owned).into();
        gone.sort();
        assert_eq!(found, gone);
        for path in found {
            root.remove(&path).unwrap();
        }
        assert_eq!(stale(&root, &macs).unwrap(), [""; 0]);
        assert_eq!(stale(&root, &[]).unwrap(), ["/etc/systemd/network/10-persistent-net.link"]);
    }
}
