//! The site's server as a site runs it: unprivileged, with one file.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::DISKLESSD;
use super::bundles;
use super::dhcp::UEFI_LOADER;
use super::service::Service;
use crate::chroot::Root;
use crate::command;
use crate::error::{At, Error, Result};
use crate::recipe::Ready;
use crate::scenario::{Release, substitute};
use crate::tree;

/// Its folder in that of a run.
const SITE: &str = "site";
/// Whom it runs as: nobody.
const USER: u32 = 65534;
const AS_USER: [&str; 5] =
    ["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--bounding-set=-all"];

/// The server, running or not, in its folder.
pub struct Disklessd<'a> {
    tools: &'a Root,
    /// Its folder: the site's files, the program, the database.
    folder: PathBuf,
    log: PathBuf,
    service: Option<Service>,
}

impl<'a> Disklessd<'a> {
    /// Where the kernel and the initramfs of a run are that this server serves, below the run's `folder`.
    pub fn files(folder: &Path) -> PathBuf {
        folder.join(SITE).join("files")
    }

    /// Puts everything in its place, with the texts of the site in the folder `from` completed. It does not run yet. The
    /// initramfs is where it is to be served from already.
    pub fn place(
        tools: &'a Root,
        folder: &Path,
        ready: &Ready,
        release: Release,
        from: &Path,
    ) -> Result<Disklessd<'a>> {
        let site = folder.join(SITE);
        tree::copy(from, &site)?;
        for path in tree::files(from)?.iter().filter(|path| path.extension().is_some_and(|e| e == "toml")) {
            let text = fs::read_to_string(path).at("read", path)?;
            let text =
                substitute(&text).map_err(|message| Error::Scenario { path: path.clone(), message })?;
            let copy = site.join(path.strip_prefix(from).unwrap_or(path));
            fs::write(&copy, text).at("write", &copy)?;
        }
        let (kernel, program) = (Disklessd::files(folder).join("vmlinuz"), site.join("disklessd"));
        fs::copy(ready.kernel(release)?, &kernel).at("write", &kernel)?;
        fs::copy(ready.disklessd()?, &program).at("write", &program)?;
        for path in tree::files(&site)? {
            let mode = if path == program { 0o700 } else { 0o600 };
            fs::set_permissions(&path, Permissions::from_mode(mode)).at("set the mode of", &path)?;
            chown(&path, Some(USER), Some(USER)).at("give away", &path)?;
        }
        for path in [&site, &Disklessd::files(folder)] {
            chown(path, Some(USER), Some(USER)).at("give away", path)?;
        }
        Ok(Disklessd { tools, folder: site, log: folder.join("disklessd.log"), service: None })
    }

    /// Removes what is large and nobody looks at after a run.
    pub fn tidy(folder: &Path) -> Result<()> {
        tree::remove(&Disklessd::files(folder))?;
        tree::remove(&folder.join(SITE).join("disklessd"))
    }

    /// Starts it, and waits until it listens.
    pub fn start(&mut self) -> Result<()> {
        let mut program = self.program("serve")?;
        program.arg("--config").arg(self.inside("site.toml")?);
        let address = DISKLESSD.trim_start_matches("http://");
        self.service = Some(Service::listening("disklessd", &mut program, address, &self.log)?);
        Ok(())
    }

    /// It dies, and nothing of what it had in memory is written any more.
    pub fn kill(&mut self) {
        self.service = None;
    }

    /// Its other file takes the place of the one it was started with, and it is told so.
    pub fn reload(&self) -> Result<()> {
        let (new, file) = (self.folder.join("reloaded.toml"), self.folder.join("site.toml"));
        fs::rename(&new, &file).at("rename", &new)?;
        self.service.as_ref().map_or(Ok(()), |service| service.signal(Signal::SIGHUP))
    }

    /// An error when it has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.service.as_mut().map_or(Ok(()), Service::check)
    }

    /// What it has dnsmasq told.
    pub fn dhcp(&self) -> Result<String> {
        let mut program = self.program("dhcp")?;
        program
            .args(["--format", "dnsmasq", "--uefi", UEFI_LOADER, "--config"])
            .arg(self.inside("site.toml")?);
        command::output(&mut program, &self.log)
    }

    /// What it knows of the node that is called so; null where it does not tell.
    pub fn knows(&self, node: &str) -> Value {
        let ask = |verb| self.ask(&[verb, node, "--json"]).ok();
        let parsed = |text: Option<String>| text.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        // What the site's files hold that is for nobody else.
        let secrets =
            ["chap", "token"].map(|name| fs::read_to_string(self.folder.join(name)).unwrap_or_default());
        let secrets = secrets.map(|secret| secret.trim().to_owned());
        let bundles = bundles::facts(&self.folder.join("bundles").join(node), &secrets);
        json!({ "status": parsed(ask("status")), "timeline": parsed(ask("timeline")), "bundles": bundles })
    }

    /// The node's timeline as its verb shows it.
    pub fn timeline(&self, node: &str) -> Result<String> {
        self.ask(&["timeline", node])
    }

    fn ask(&self, words: &[&str]) -> Result<String> {
        let [verb, rest @ ..] = words else { return Ok(String::new()) };
        let mut program = self.program(verb)?;
        program.args(rest).args(["--server", DISKLESSD, "--token-file"]).arg(self.inside("token")?);
        command::output(&mut program, &self.log)
    }

    fn program(&self, verb: &str) -> Result<Command> {
        let mut program = self.tools.command("setpriv");
        program.args(AS_USER).arg(self.inside("disklessd")?).arg(verb);
        Ok(program)
    }

    fn inside(&self, name: &str) -> Result<PathBuf> {
        self.tools.inside(&self.folder.join(name))
    }
}
