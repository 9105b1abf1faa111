//! Which managers of interfaces the image has.

use super::failed;
use super::nic::Nic;
use super::pins::Managers;
use super::units::Wanted;
use crate::engine::host::Host;
use crate::error::Result;
use crate::sys::in_root::Root;

/// What starts systemd-networkd, below the folders of units: its own links, and netplan's generator, which makes them.
const STARTS_NETWORKD: &[&str] = &[
    "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service",
    "/etc/systemd/system/sockets.target.wants/systemd-networkd.socket",
    "/usr/lib/systemd/system/multi-user.target.wants/systemd-networkd.service",
    "/usr/lib/systemd/system/sockets.target.wants/systemd-networkd.socket",
    "/usr/lib/systemd/system-generators/netplan",
];
/// What starts NetworkManager.
const STARTS_NETWORK_MANAGER: &[&str] = &[
    "/etc/systemd/system/multi-user.target.wants/NetworkManager.service",
    "/usr/lib/systemd/system/multi-user.target.wants/NetworkManager.service",
];
/// A link to nowhere where a unit of the image is to be: its makers do not want it to run.
const MASKED: &str = "/dev/null";

/// Those of the image in `root`, where the units `wanted` will be enabled, for `nics`.
pub fn managers(host: &Host, root: &Root, wanted: &[Wanted], nics: &[Nic]) -> Result<Managers> {
    let any = |paths: &[&str]| -> Result<bool> {
        for path in paths {
            if root.is_there(path).map_err(failed(path))? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let starts = |program: &str, links: &[&str]| -> Result<bool> {
        let itself = format!("/etc/systemd/system/{program}.service");
        let masked = root.link_target(&itself).map_err(failed(&itself))?.as_deref() == Some(MASKED);
        let planned = wanted.iter().any(|unit| {
            unit.name.strip_prefix(program).is_some_and(|rest| [".service", ".socket"].contains(&rest))
        });
        Ok(!masked && (planned || any(links)?))
    };
    let networkd = any(&["/usr/lib/systemd/systemd-networkd", "/lib/systemd/systemd-networkd"])?;
    let network_manager = any(&["/usr/sbin/NetworkManager"])?;
    let known = |nic: &Nic| host.path(format!("/run/NetworkManager/devices/{}", nic.index)).exists();
    Ok(Managers {
        udev: any(&["/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd"])?,
        networkd,
        networkd_starts: networkd && starts("systemd-networkd", STARTS_NETWORKD)?,
        network_manager,
        network_manager_goes_on: network_manager
            && starts("NetworkManager", STARTS_NETWORK_MANAGER)?
            && nics.iter().filter(|nic| nic.carries).all(known),
        // Others have an ifup too; Debian's is the one with this unit.
        ifupdown: any(&[
            "/usr/lib/systemd/system/networking.service",
            "/lib/systemd/system/networking.service",
        ])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_manager_is_there_by_its_files_and_starts_by_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("sysroot");
        std::fs::create_dir_all(&root).unwrap();
        let put = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        let host = Host::fake(folder.path());
        let nics = [Nic { name: "eth0".into(), index: 2, carries: true, lease: None, timed: Vec::new() }];
        let look = |wanted: &[Wanted]| managers(&host, &Root::open(&root).unwrap(), wanted, &nics).unwrap();
        assert_eq!(look(&[]), Managers::default());
        put("sysroot/usr/lib/systemd/systemd-networkd");
        put("sysroot/lib/systemd/system/networking.service");
        put("sysroot/usr/sbin/NetworkManager");
        assert_eq!(
            look(&[]),
            Managers { networkd: true, network_manager: true, ifupdown: true, ..Managers::default() }
        );
        put("sysroot/etc/systemd/system/multi-user.target.wants/NetworkManager.service");
        assert!(!look(&[]).network_manager_goes_on);
        put("run/NetworkManager/devices/2");
        assert!(look(&[]).network_manager_goes_on);
        symlink("/dev/null", root.join("etc/systemd/system/NetworkManager.service")).unwrap();
        assert!(!look(&[]).network_manager_goes_on);
        let wanted = [Wanted { name: "systemd-networkd.service".into(), required: true }];
        assert!(look(&wanted).networkd_starts);
        put("sysroot/etc/systemd/system/sockets.target.wants/systemd-networkd.socket");
        assert!(look(&[]).networkd_starts);
        symlink("/dev/null", root.join("etc/systemd/system/systemd-networkd.service")).unwrap();
        assert!(!look(&wanted).networkd_starts);
    }
}
