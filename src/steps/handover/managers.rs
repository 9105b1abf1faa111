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
/// A link to nowhere: the image's makers do not want it to run.
const NETWORKD_ITSELF: &str = "/etc/systemd/system/systemd-networkd.service";

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
    let networkd = any(&["/usr/lib/systemd/systemd-networkd", "/lib/systemd/systemd-networkd"])?;
    let masked = root.link_target(NETWORKD_ITSELF).map_err(failed(NETWORKD_ITSELF))?;
    let masked = masked.as_deref() == Some("/dev/null");
    let enabled =
        wanted.iter().any(|unit| unit.name.starts_with("systemd-networkd.")) || any(STARTS_NETWORKD)?;
    let known = |nic: &Nic| host.path(format!("/run/NetworkManager/devices/{}", nic.index)).exists();
    Ok(Managers {
        udev: any(&["/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd"])?,
        networkd,
        networkd_starts: networkd && enabled && !masked,
        network_manager: any(&["/usr/sbin/NetworkManager"])?,
        network_manager_goes_on: nics.iter().filter(|nic| nic.carries).all(known),
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
        put("run/NetworkManager/devices/2");
        assert!(look(&[]).network_manager_goes_on);
        let wanted = [Wanted { name: "systemd-networkd.service".into(), required: true }];
        assert!(look(&wanted).networkd_starts);
        put("sysroot/etc/systemd/system/sockets.target.wants/systemd-networkd.socket");
        assert!(look(&[]).networkd_starts);
        symlink("/dev/null", root.join("etc/systemd/system/systemd-networkd.service")).unwrap();
        assert!(!look(&wanted).networkd_starts);
    }
}
