//! Takes over a changed site without a restart: at once on SIGHUP, and within seconds of a change of its files.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::signal::unix::Signal;
use tokio::time::{MissedTickBehavior, interval};

use super::{App, systemd};
use crate::check::{self, Finding, Level};
use crate::error::Error;
use crate::site::{self, Site};
use crate::time::Time;

/// The files are looked at so often; one that changed is read when it has not changed for as long.
const EVERY: Duration = Duration::from_secs(2);

/// How the last reading of the site's file went.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Since when the site in use is in use.
    pub used_since: Time,
    /// How many nodes it has.
    pub nodes: usize,
    /// Whether the file has changed since, and is not used because it is bad.
    pub refused: bool,
}

impl Outcome {
    /// `site` is in use from now on.
    pub fn used(site: &Site) -> Outcome {
        Outcome { used_since: Time::now(), nodes: site.nodes.len(), refused: false }
    }
}

/// A site that is not to be used.
#[derive(Debug)]
pub enum Refused {
    /// It cannot be read.
    Unread(Error),
    /// There is something wrong with it.
    Findings(Vec<Finding>),
}

/// Reads the site in `path` and checks it; its warnings come with it.
///
/// # Errors
/// It cannot be read, or has findings that are errors.
pub fn read(path: &Path) -> Result<(Site, Vec<Finding>), Refused> {
    let mut site = site::read(path).map_err(Refused::Unread)?;
    systemd::Given::here().to(&mut site);
    let findings = check::check(&site);
    if findings.iter().any(|finding| finding.level == Level::Error) {
        return Err(Refused::Findings(findings));
    }
    Ok((site, findings))
}

/// Says in the log why a site is not used.
pub fn log_refusal(refused: &Refused) {
    match refused {
        Refused::Unread(error) => log::error!(event = "site-unread"; "{error}"),
        Refused::Findings(findings) => log_findings(findings),
    }
}

/// Says in the log what is wrong with a site.
pub fn log_findings(findings: &[Finding]) {
    for Finding { code, level, object, message, advice } in findings {
        let level = if *level == Level::Error { log::Level::Error } else { log::Level::Warn };
        log::log!(level, event = "finding", code = *code, object = object.as_str(), advice = *advice; "{message}");
    }
}

/// Uses another site from now on, if it is one to be used; what cannot change without a restart is said.
pub fn replace(app: &App, read: Result<(Site, Vec<Finding>), Refused>) {
    let mut outcome = app.reloaded.write().unwrap_or_else(PoisonError::into_inner);
    let (site, warnings) = match read {
        Ok(read) => read,
        Err(refused) => {
            log_refusal(&refused);
            log::error!(event = "reload-refused"; "the site of {} stays in use", outcome.used_since);
            systemd::tell(&format!(
                "STATUS=The site's file is bad, see the log: that of {} is in use",
                outcome.used_since
            ));
            app.metrics.reloads.refused();
            outcome.refused = true;
            return;
        }
    };
    log_findings(&warnings);
    let old = app.site();
    for member in fixed(&old, &site) {
        log::warn!(event = "needs-restart", member = member; "it has changed, and takes a restart");
    }
    *outcome = Outcome::used(&site);
    let (nodes, status) = (site.nodes.len(), status(&site));
    app.replace(site);
    app.metrics.reloads.taken(outcome.used_since);
    log::info!(event = "reloaded", nodes = nodes; "");
    systemd::tell(&status);
}

/// For `systemctl status`.
pub fn status(site: &Site) -> String {
    format!("STATUS={} nodes", site.nodes.len())
}

/// What differs between two sites that a running server cannot change.
fn fixed(old: &Site, new: &Site) -> Vec<&'static str> {
    let (old, new) = (&old.file.server, &new.file.server);
    let changed =
        [("server.listen", old.listen != new.listen), ("server.database", old.database != new.database)];
    changed.into_iter().filter_map(|(member, changed)| changed.then_some(member)).collect()
}

/// Reloads the site in `path` whenever it should, as long as the server runs.
pub async fn watch(app: Arc<App>, path: PathBuf, mut hangup: Signal) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut used = stamps(&path, &app.site());
    let mut seen = used.clone();
    loop {
        tokio::select! {
            _ = hangup.recv() => log::info!(event = "reload", by = "SIGHUP"; ""),
            _ = ticks.tick() => {
                let now = stamps(&path, &app.site());
                // Whoever writes it is perhaps not done yet: not until it looks the same twice.
                let settled = now == seen;
                seen = now;
                if !settled || seen == used {
                    continue;
                }
                log::info!(event = "reload", by = "change"; "");
            }
            () = app.stopping() => return,
        }
        let before = stamps(&path, &app.site());
        let reading = tokio::task::spawn_blocking({
            let (app, path) = (Arc::clone(&app), path.clone());
            move || replace(&app, read(&path))
        });
        if reading.await.is_err() {
            log::error!(event = "reload-refused"; "a defect of disklessd: the site in use stays");
        }
        // It may name other files now. Of those that were there before, a change while they were read is a change.
        used = stamps(&path, &app.site());
        for (path, stamp) in used.iter_mut() {
            *stamp = before.get(path).copied().unwrap_or(*stamp);
        }
    }
}

/// What tells that a file was changed: device and inode, size, and the time of its last change. None: it is not there.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// The files that `site` was read from, and `path`, if that is not one of them yet.
fn stamps(path: &Path, site: &Site) -> BTreeMap<PathBuf, Stamp> {
    let stamp = |path: &PathBuf| {
        let file = std::fs::metadata(path).ok();
        (
            path.clone(),
            file.map(|file| (file.dev(), file.ino(), file.size(), file.ctime(), file.ctime_nsec())),
        )
    };
    site.files.iter().chain([&path.to_owned()]).map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::file;

    #[test]
    fn every_change_of_a_file_that_the_site_names_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let (ethers, path) = (folder.path().join("ethers"), folder.path().join("site.toml"));
        std::fs::write(&path, "[[nodes]]\nnames = \"a\"\ninterfaces.eth0.ethers = \"ethers\"\n").unwrap();
        let site = site::read(&path).unwrap();
        let before = stamps(&path, &site);
        assert_eq!(before.keys().collect::<Vec<_>>(), [&ethers, &path]);
        assert_eq!(stamps(&path, &site), before);
        std::fs::write(&ethers, "52:54:00:00:00:01 a\n").unwrap();
        let with_ethers = stamps(&path, &site);
        assert_ne!(with_ethers, before);
        // An editor's way, with the times of the old one.
        let new = folder.path().join("new");
        std::fs::write(&new, "b").unwrap();
        std::fs::rename(&new, &path).unwrap();
        assert_ne!(stamps(&path, &site), with_ethers);
    }

    #[test]
    fn what_takes_a_restart_is_said() {
        let (old, mut new) = (Site::default(), Site::default());
        new.file.server.silent_after = "1m".to_owned();
        new.file.server.paths = file::Paths { up: "/up".to_owned(), ..file::Paths::default() };
        assert!(fixed(&old, &new).is_empty());
        new.file.server.listen = vec!["127.0.0.1:1".to_owned()];
        new.file.server.database = "other.db".into();
        assert_eq!(fixed(&old, &new), ["server.listen", "server.database"]);
    }
}
