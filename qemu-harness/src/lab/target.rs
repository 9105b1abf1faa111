//! iSCSI targets, by tgtd: one for each TCP port.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::SERVER;
use super::service::Service;
use crate::chroot::Root;
use crate::command;
use crate::error::{Error, Result};
use crate::recipe::Ready;
use crate::scenario::{Chap, Document, Target};

/// How long tgtd may take until it listens to tgtadm.
const START: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// The targets of a scenario.
pub struct TargetServer<'a>(Vec<Daemon<'a>>);

/// A running tgtd.
struct Daemon<'a> {
    tools: &'a Root,
    folder: PathBuf,
    service: Service,
    /// By which tgtadm finds it.
    number: String,
    /// How many targets it has.
    targets: u32,
}

impl<'a> TargetServer<'a> {
    /// Starts what the targets of a scenario need; without any there is still a portal.
    pub fn start(
        tools: &'a Root,
        folder: &Path,
        ready: &Ready,
        document: &Document,
    ) -> Result<TargetServer<'a>> {
        let default = document.targets.is_empty().then_some(3260);
        let ports: BTreeSet<u16> = document.targets.iter().map(|target| target.port).chain(default).collect();
        let mut server = TargetServer(Vec::new());
        for (number, port) in ports.into_iter().enumerate() {
            let mut daemon = Daemon::start(tools, folder, number, port)?;
            if let Some(account) = &document.discovery {
                daemon.account(account, &[])?;
            }
            for target in document.targets.iter().filter(|target| target.port == port) {
                daemon.add(target, ready)?;
            }
            server.0.push(daemon);
        }
        Ok(server)
    }

    /// An error when one has ended.
    pub fn check(&mut self) -> Result<()> {
        self.0.iter_mut().try_for_each(|daemon| daemon.service.check())
    }

    /// What tgtadm shows: targets, who is logged in, and what was negotiated.
    pub fn show(&self) -> Result<String> {
        self.0.iter().map(Daemon::show).collect()
    }
}

/// The number of sessions in what tgtadm shows.
pub fn sessions(shown: &str) -> usize {
    shown.lines().filter(|line| line.trim_start().starts_with("I_T nexus: ")).count()
}

impl<'a> Daemon<'a> {
    fn start(tools: &'a Root, folder: &Path, number: usize, port: u16) -> Result<Daemon<'a>> {
        let number = number.to_string();
        let mut tgtd = tools.command("tgtd");
        tgtd.args(["--foreground", "--control-port", &number]);
        tgtd.args(["--iscsi", &format!("portal={SERVER}:{port}")]);
        let service = Service::start("tgtd", &mut tgtd, &folder.join("tgtd.log"))?;
        let mut daemon = Daemon { tools, folder: folder.to_path_buf(), service, number, targets: 0 };
        daemon.wait()?;
        Ok(daemon)
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

    fn add(&mut self, target: &Target, ready: &Ready) -> Result<()> {
        self.targets += 1;
        let tid = self.targets.to_string();
        let lun = target.lun.to_string();
        let image = self.tools.inside(ready.image(target.image)?)?;
        let image = image.to_string_lossy();
        let at = |mode, op| ["--mode", mode, "--op", op, "--tid", tid.as_str()];
        let run = |head: [&str; 6], rest: &[&str]| self.admin(&[&head[..], rest].concat());
        run(at("target", "new"), &["--targetname", &target.iqn])?;
        run(at("logicalunit", "new"), &["--lun", &lun, "--bstype", "rdwr", "--backing-store", &image])?;
        // All scenarios share the image.
        run(at("logicalunit", "update"), &["--lun", &lun, "--params", "readonly=1"])?;
        for (name, value) in &target.params {
            run(at("target", "update"), &["--name", name, "--value", value])?;
        }
        if let Some(chap) = &target.chap {
            self.account(chap, &["--tid", &tid])?;
        }
        match &target.initiator {
            Some(name) => run(at("target", "bind"), &["--initiator-name", name]),
            None => run(at("target", "bind"), &["--initiator-address", "ALL"]),
        }
    }

    /// Makes an account and binds it: to a target, or without one to the discovery.
    fn account(&self, chap: &Chap, to: &[&str]) -> Result<()> {
        let bind = |username: &str, secret: &str, how: &[&str]| {
            let account = ["--mode", "account", "--op", "new", "--user", username, "--password", secret];
            // Two targets may have an account in common; a real mistake shows when it is bound.
            let _ = self.admin(&account);
            self.admin(&[&["--mode", "account", "--op", "bind", "--user", username], to, how].concat())
        };
        bind(&chap.username, &chap.secret, &[])?;
        match &chap.mutual {
            Some(mutual) => bind(&mutual.username, &mutual.secret, &["--outgoing"]),
            None => Ok(()),
        }
    }

    fn show(&self) -> Result<String> {
        let mut text = self.ask(&["--mode", "target", "--op", "show"])?;
        for tid in (1..=self.targets).map(|tid| tid.to_string()) {
            text += &self.ask(&["--mode", "target", "--op", "show", "--tid", &tid])?;
            text += &self.ask(&["--mode", "conn", "--op", "show", "--tid", &tid])?;
        }
        Ok(text)
    }

    fn admin(&self, words: &[&str]) -> Result<()> {
        command::run(self.tgtadm().args(words), &self.log())
    }

    fn ask(&self, words: &[&str]) -> Result<String> {
        command::output(self.tgtadm().args(words), &self.log())
    }

    fn tgtadm(&self) -> std::process::Command {
        let mut tgtadm = self.tools.command("tgtadm");
        tgtadm.args(["--control-port", &self.number, "--lld", "iscsi"]);
        tgtadm
    }

    fn log(&self) -> PathBuf {
        self.folder.join("tgtadm.log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_counted() {
        let shown = "Target 1: iqn.2026-01.org.example:image\n    System information:\n        Driver: iscsi\n    \
                     I_T nexus information:\n        I_T nexus: 1\n            Initiator: iqn.x alias: none\n        \
                     I_T nexus: 2\n    LUN information:\n";
        assert_eq!(sessions(shown), 2);
        assert_eq!(sessions(""), 0);
    }
}
