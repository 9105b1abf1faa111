//! iSCSI targets, by tgtd: one for each portal.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::service::Service;
use super::{server, server6};
use crate::chroot::Root;
use crate::command;
use crate::error::{At, Error, Result};
use crate::recipe::Ready;
use crate::scenario::{Chap, Document, Place, Target};

/// How long tgtd may take until it listens to tgtadm.
const START: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// The portals of a scenario, each with a server of its own that runs or not.
pub struct Portals<'a> {
    tools: &'a Root,
    folder: &'a Path,
    ready: &'a Ready,
    document: &'a Document,
    portals: Vec<(Place, State<'a>)>,
}

enum State<'a> {
    Dead,
    Runs(Daemon<'a>),
    /// It stands still, and would not answer tgtadm either.
    Stopped(Daemon<'a>),
}

/// A running tgtd.
struct Daemon<'a> {
    tools: &'a Root,
    folder: PathBuf,
    service: Service,
    /// By which tgtadm finds it.
    number: String,
    /// The numbers of its targets.
    targets: Vec<u32>,
}

/// Where an image is that is the run's own, for the target of this number.
fn own(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("image{number}"))
}

/// All others share one, which stays as it is.
fn has_own(target: &Target) -> bool {
    target.altered || target.writable
}

/// Removes such images.
pub fn tidy(folder: &Path, document: &Document) {
    for number in 0..document.targets.len() {
        let _ = fs::remove_file(own(folder, number));
    }
}

/// A copy of the image `from`; `altered`: with another last octet.
fn copy(from: &Path, to: &Path, altered: bool) -> Result<()> {
    let length = fs::copy(from, to).at("write", to)?;
    if !altered {
        return Ok(());
    }
    let file = File::options().read(true).write(true).open(to).at("open", to)?;
    let last = length.saturating_sub(1);
    let mut octet = [0];
    file.read_exact_at(&mut octet, last).at("read", to)?;
    file.write_all_at(&octet.map(|octet| !octet), last).at("write", to)
}

impl<'a> Portals<'a> {
    /// None runs yet.
    pub fn new(
        tools: &'a Root,
        folder: &'a Path,
        ready: &'a Ready,
        document: &'a Document,
    ) -> Result<Portals<'a>> {
        for (number, target) in document.targets.iter().enumerate().filter(|(_, target)| has_own(target)) {
            copy(ready.image(target.image)?, &own(folder, number), target.altered)?;
        }
        let portals = document.places().into_iter().map(|place| (place, State::Dead)).collect();
        Ok(Portals { tools, folder, ready, document, portals })
    }

    /// Starts those that run from the start.
    pub fn start_first(&mut self) -> Result<()> {
        for number in 0..self.portals.len() {
            if self.portals.get(number).is_some_and(|(place, _)| place.start) {
                self.start(Some(number))?;
            }
        }
        Ok(())
    }

    /// Starts the portal of this number, or all, with what its targets need.
    pub fn start(&mut self, portal: Option<usize>) -> Result<()> {
        let (tools, folder, ready, document) = (self.tools, self.folder, self.ready, self.document);
        self.each(portal, |number, place, before| {
            // Its address must be free.
            drop(before);
            let mut daemon = Daemon::start(tools, folder, number, place, document.network.ipv6)?;
            if let Some(account) = &document.discovery {
                daemon.account(account, &[])?;
            }
            for (number, target) in
                document.targets.iter().enumerate().filter(|(_, target)| place.has(target))
            {
                let image = match has_own(target) {
                    true => own(folder, number),
                    false => ready.image(target.image)?.to_path_buf(),
                };
                daemon.add(target, &image)?;
            }
            Ok(State::Runs(daemon))
        })
    }

    /// It dies, and nobody of it says goodbye.
    pub fn kill(&mut self, portal: Option<usize>) -> Result<()> {
        self.each(portal, |_, _, _| Ok(State::Dead))
    }

    /// It stands still.
    pub fn stop(&mut self, portal: Option<usize>) -> Result<()> {
        self.each(portal, |_, _, state| match state {
            State::Runs(daemon) => {
                daemon.service.signal(Signal::SIGSTOP)?;
                Ok(State::Stopped(daemon))
            }
            other => Ok(other),
        })
    }

    /// It goes on.
    pub fn resume(&mut self, portal: Option<usize>) -> Result<()> {
        self.each(portal, |_, _, state| match state {
            State::Stopped(daemon) => {
                daemon.service.signal(Signal::SIGCONT)?;
                Ok(State::Runs(daemon))
            }
            other => Ok(other),
        })
    }

    /// Makes another state of that of a portal, or of each. What was there is gone before, with its address, when `change`
    /// does not take it.
    fn each(
        &mut self,
        portal: Option<usize>,
        change: impl Fn(usize, Place, State<'a>) -> Result<State<'a>>,
    ) -> Result<()> {
        let all = self.portals.iter_mut().enumerate();
        for (number, (place, state)) in
            all.filter(|(number, _)| portal.is_none_or(|wanted| wanted == *number))
        {
            *state = change(number, *place, std::mem::replace(state, State::Dead))?;
        }
        Ok(())
    }

    /// An error when one has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.portals.iter_mut().try_for_each(|(_, state)| match state {
            State::Runs(daemon) => daemon.service.check(),
            State::Dead | State::Stopped(_) => Ok(()),
        })
    }

    /// What tgtadm shows of each portal: targets, who is logged in, and what was negotiated; none where it does not run.
    pub fn show(&self) -> Result<Vec<Option<String>>> {
        let show = |state: &State| match state {
            State::Runs(daemon) => daemon.show().map(Some),
            State::Dead | State::Stopped(_) => Ok(None),
        };
        self.portals.iter().map(|(_, state)| show(state)).collect()
    }
}

/// The number of sessions in what tgtadm shows.
pub fn sessions(shown: &str) -> usize {
    shown.lines().filter(|line| line.trim_start().starts_with("I_T nexus: ")).count()
}

impl<'a> Daemon<'a> {
    fn start(tools: &'a Root, folder: &Path, number: usize, place: Place, ipv6: bool) -> Result<Daemon<'a>> {
        let number = number.to_string();
        let Place { subnet, port, .. } = place;
        let mut portals = format!("portal={}:{port}", server(subnet));
        if ipv6 {
            portals += &format!(",portal=[{}]:{port}", server6(subnet));
        }
        let mut tgtd = tools.command("tgtd");
        tgtd.args(["--foreground", "--control-port", &number]);
        tgtd.args(["--iscsi", &portals]);
        let service = Service::start("tgtd", &mut tgtd, &folder.join("tgtd.log"))?;
        let mut daemon = Daemon { tools, folder: folder.to_path_buf(), service, number, targets: Vec::new() };
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

    fn add(&mut self, target: &Target, image: &Path) -> Result<()> {
        let tid = target.tid.unwrap_or_else(|| self.targets.iter().max().map_or(1, |last| last + 1));
        self.targets.push(tid);
        let tid = tid.to_string();
        let lun = target.lun.to_string();
        let image = self.tools.inside(image)?;
        let image = image.to_string_lossy();
        let at = |mode, op| ["--mode", mode, "--op", op, "--tid", tid.as_str()];
        let run = |head: [&str; 6], rest: &[&str]| self.admin(&[&head[..], rest].concat());
        run(at("target", "new"), &["--targetname", &target.iqn])?;
        let size = target.block_size.map(|size| size.to_string());
        let size: Vec<&str> = size.iter().flat_map(|size| ["--blocksize", size]).collect();
        let new = ["--lun", &lun, "--bstype", "rdwr", "--backing-store", &image];
        run(at("logicalunit", "new"), &[&new[..], &size].concat())?;
        if !target.writable {
            run(at("logicalunit", "update"), &["--lun", &lun, "--params", "readonly=1"])?;
        }
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
        for tid in self.targets.iter().map(u32::to_string) {
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

    #[test]
    fn an_altered_image_ends_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("image"), own(folder.path(), 3));
        fs::write(&from, b"image\x00").unwrap();
        copy(&from, &to, true).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"image\xff");
        copy(&from, &to, false).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"image\x00");
        assert_eq!(fs::read(&from).unwrap(), b"image\x00");
    }
}
