//! iSCSI targets, by tgtd.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::PORTAL;
use super::service::Service;
use crate::chroot::Root;
use crate::command;
use crate::error::{Error, Result};
use crate::recipe::Ready;
use crate::scenario::{Image, Target};

/// How long tgtd may take until it listens to tgtadm.
const START: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// A running tgtd.
pub struct TargetServer<'a> {
    tools: &'a Root,
    folder: PathBuf,
    service: Service,
}

impl<'a> TargetServer<'a> {
    /// Starts tgtd and gives it the targets of a scenario.
    pub fn start(
        tools: &'a Root,
        folder: &Path,
        ready: &Ready,
        targets: &[Target],
    ) -> Result<TargetServer<'a>> {
        let mut tgtd = tools.command("tgtd");
        tgtd.args(["--foreground", "--iscsi", &format!("portal={PORTAL}")]);
        let service = Service::start("tgtd", &mut tgtd, &folder.join("tgtd.log"))?;
        let mut server = TargetServer { tools, folder: folder.to_path_buf(), service };
        server.wait()?;
        for (number, target) in (1..).zip(targets) {
            server.add(number, target, ready)?;
        }
        Ok(server)
    }

    /// An error when it has ended.
    pub fn check(&mut self) -> Result<()> {
        self.service.check()
    }

    fn wait(&mut self) -> Result<()> {
        let start = Instant::now();
        while self.admin(&["--mode", "sys", "--op", "show"]).is_err() {
            self.service.check()?;
            if start.elapsed() > START {
                return Err(Error::Late { what: "tgtd's control socket".into(), seconds: START.as_secs() });
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn add(&self, number: u32, target: &Target, ready: &Ready) -> Result<()> {
        let tid = number.to_string();
        let lun = target.lun.to_string();
        let image = self.tools.inside(match target.image {
            Image::Luks => &ready.luks,
            Image::Plain => &ready.disk,
        })?;
        let image = image.to_string_lossy();
        let at = |mode, op| ["--mode", mode, "--op", op, "--tid", tid.as_str()];
        let run = |head: [&str; 6], rest: &[&str]| self.admin(&[&head[..], rest].concat());
        run(at("target", "new"), &["--targetname", &target.iqn])?;
        run(at("logicalunit", "new"), &["--lun", &lun, "--bstype", "rdwr", "--backing-store", &image])?;
        // All scenarios share the image.
        run(at("logicalunit", "update"), &["--lun", &lun, "--params", "readonly=1"])?;
        if let Some(chap) = &target.chap {
            let account = ["--mode", "account", "--op", "new", "--user", &chap.username];
            run(account, &["--password", &chap.secret])?;
            run(at("account", "bind"), &["--user", &chap.username])?;
        }
        match &target.initiator {
            Some(name) => run(at("target", "bind"), &["--initiator-name", name]),
            None => run(at("target", "bind"), &["--initiator-address", "ALL"]),
        }
    }

    fn admin(&self, words: &[&str]) -> Result<()> {
        let mut tgtadm = self.tools.command("tgtadm");
        command::run(tgtadm.args(["--lld", "iscsi"]).args(words), &self.folder.join("tgtadm.log"))
    }
}
