//! Programs inside of a root folder that the harness made; the host's own are not used.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::MsFlags;

use crate::error::{Error, Result};
use crate::namespace;

/// Where a root sees the cache.
const CACHE_INSIDE: &str = "/mnt";
/// Set for every program inside: nothing of the caller's environment reaches it, except proxies.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ("LC_ALL", "C"),
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("HOME", "/root"),
];
const PROXIES: [&str; 6] = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/// A root folder with kernel file systems and the cache mounted in it.
#[derive(Debug, Clone)]
pub struct Root {
    path: PathBuf,
    cache: PathBuf,
}

impl Root {
    /// Mounts what programs need into `path`. To be called in a mount namespace of the caller's own: nothing
    /// is ever unmounted.
    pub fn enter(path: &Path, cache: &Path) -> Result<Root> {
        namespace::kernel("proc", &path.join("proc"), MsFlags::empty())?;
        namespace::kernel("sysfs", &path.join("sys"), MsFlags::MS_RDONLY)?;
        namespace::bind(Path::new("/dev"), &path.join("dev"))?;
        for scratch in ["run", "tmp", "var/tmp"] {
            namespace::tmpfs(&path.join(scratch))?;
        }
        namespace::bind(cache, &path.join(CACHE_INSIDE.trim_start_matches('/')))?;
        Ok(Root { path: path.to_path_buf(), cache: cache.to_path_buf() })
    }

    /// How programs inside name a file of the cache.
    pub fn inside(&self, path: &Path) -> Result<PathBuf> {
        match path.strip_prefix(&self.cache) {
            Ok(rest) => Ok(Path::new(CACHE_INSIDE).join(rest)),
            Err(_) => Err(Error::Host(format!("{} is not in the cache", path.display()))),
        }
    }

    /// A program inside, to be given its arguments.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.path).arg(program).env_clear().envs(ENVIRONMENT);
        command.envs(PROXIES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command
    }
}
