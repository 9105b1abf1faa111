//! Who may log in while the node is in its initramfs: OpenSSH's sshd with keys alone, where the dracut module put it in.
//!
//! ```text
//!   /etc/diskless/ssh_host_*_key ──or── a key of this boot ──> host key      ┐
//!   /etc/diskless/authorized_keys, rd.diskless.authorized_key= ──> keys      ├─ /run/diskless/ssh ──> sshd
//!   the plan's access.authorized_keys, once there is a plan ──> keys.plan    ┘
//! ```
//!
//! `diskless access` prepares all but the last and goes on as sshd; where there is no key at all it says so and ends, and
//! diskless-sshd.path starts it again with the plan's keys. It needs neither a plan nor a command line that is right:
//! whoever has to put these right has to get in.

mod host_key;
mod keys;
mod shadow;

use std::path::{Path, PathBuf};

use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::cmdline::Cmdline;
use crate::input::document::Access;
use crate::input::facts::Facts;
use crate::input::identity;
use crate::input::ssh_key::Public;
use crate::steps::handover::host_keys::SSHD;
use crate::sys::{address, whole_file};

pub use keys::KEYS;

/// Whose what is made here is: nobody else looks into it.
const FOLDER: &str = "/run/diskless/ssh";
/// sshd's configuration.
pub const CONFIG: &str = "/run/diskless/ssh/sshd_config";
/// The keys of the initramfs and of the kernel command line, and those of the plan.
const OWN_KEYS: &str = "/run/diskless/ssh/authorized_keys";
const PLAN_KEYS: &str = "/run/diskless/ssh/authorized_keys.plan";
/// The unit of sshd in the initramfs: there where the dracut module was told to bring it.
const UNIT: &str = "/usr/lib/systemd/system/diskless-sshd.service";

/// What sshd is told beside its host keys: keys and nothing else let somebody in, as root, and for a shell alone.
const SETTINGS: &str = "\
AuthorizedKeysFile /run/diskless/ssh/authorized_keys /run/diskless/ssh/authorized_keys.plan
AllowUsers root
PermitRootLogin prohibit-password
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
DisableForwarding yes
PrintMotd no
PrintLastLog no
PidFile none
LoginGraceTime 30
ClientAliveInterval 30
SetEnv PATH=/usr/sbin:/usr/bin:/sbin:/bin
Subsystem sftp internal-sftp
";

/// What is ready for sshd.
pub struct Prepared {
    /// sshd itself.
    pub sshd: PathBuf,
    /// Somebody could log in.
    pub has_keys: bool,
    /// What an operator must know although it works.
    pub warnings: Vec<Error>,
}

/// Makes all that sshd needs; what is there of an earlier run of this boot stays, the host key too.
///
/// # Errors
/// [`Code::Access`]: the initramfs has no sshd; [`Code::Io`], [`Code::NoRandom`]: a file or a key cannot be made.
pub fn prepare(host: &Host, cmdline: &Cmdline) -> Result<Prepared> {
    let sshd = SSHD.iter().map(|path| host.path(path)).find(|path| path.exists());
    let sshd = sshd.ok_or_else(|| Error::new(Code::Access, "sshd").because("it is not in the initramfs"))?;
    let mut warnings = Vec::new();
    keys::private_folder(&host.path(FOLDER))?;
    let host_keys = host_key::prepare(host, &mut warnings)?;
    let own = keys::own(host, cmdline, &mut warnings);
    keys::write(&host.path(OWN_KEYS), &own)?;
    let config = host_keys.iter().map(|path| format!("HostKey {path}\n")).collect::<String>() + SETTINGS;
    whole_file::write(&host.path(CONFIG), config.as_bytes(), 0o600, None)?;
    shadow::unlock(host)?;
    let has_keys = !own.is_empty() || host.path(PLAN_KEYS).exists();
    Ok(Prepared { sshd, has_keys, warnings })
}

/// Lets in those whom the plan names, and those of an earlier plan no more. systemd starts sshd when it sees the file.
///
/// # Errors
/// [`Code::Io`]: the file cannot be written or removed.
pub fn admit(host: &Host, access: &Access) -> Result<()> {
    let file = host.path(PLAN_KEYS);
    if !host.path(UNIT).exists() {
        return Ok(());
    }
    if access.authorized_keys.is_empty() {
        return match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context(Code::Io, PLAN_KEYS)
            }
            _ => Ok(()),
        };
    }
    keys::private_folder(&host.path(FOLDER))?;
    keys::write(&file, &access.authorized_keys)
}

/// How to log in, for who stands in front of the console: `ssh root@198.18.0.101, host key SHA256:...`; none where nobody
/// can, or the node has no address yet.
pub fn invitation(host: &Host) -> Option<String> {
    let may_enter = [OWN_KEYS, PLAN_KEYS]
        .iter()
        .any(|keys| std::fs::metadata(host.path(keys)).is_ok_and(|file| file.len() > 0));
    if !may_enter || !host.path(UNIT).exists() {
        return None;
    }
    let addresses = address::by_interface().into_values().flatten().filter(|address| !address.is_loopback());
    let addresses: Vec<String> = addresses.map(|address| address.to_string()).collect();
    invite(&addresses, &host_key::public(host))
}

fn invite(addresses: &[String], keys: &[Public]) -> Option<String> {
    let key = keys.first()?;
    let at: Vec<String> = addresses.iter().map(|address| format!("ssh root@{address}")).collect();
    (!at.is_empty()).then(|| format!("{}, host key {}", at.join(" or "), key.fingerprint()))
}

/// Gives open-iscsi of the initramfs the node's own name, where no other one is there.
///
/// # Errors
/// [`Code::Initiator`]: there is nothing to derive it from; [`Code::Io`]: the file cannot be written.
pub fn name_initiator(host: &Host, cmdline: &Cmdline) -> Result<()> {
    let root = host.path("/");
    if identity::baked(&root).is_some() {
        return Ok(());
    }
    let initiator = identity::name_without_plan(cmdline, &Facts::read(&root))?;
    let text = format!("InitiatorName={}\n", initiator.name);
    whole_file::write(&host.path(identity::BAKED), text.as_bytes(), 0o600, None)
}

/// The name of the file of `path`.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
