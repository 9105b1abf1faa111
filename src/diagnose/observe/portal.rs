//! The portals: the way to each, what the target says to a login, the session that the kernel has, its LUN.

use std::thread::Scope;
use std::time::Duration;

use super::plan::Known;
use super::{ALL_UNTIL, Look, WAYS_UNTIL, way};
use crate::diagnose::evidence::{Check, Of, Stage};
use crate::error::{Code, Error};
use crate::input::document::TargetPortal;
use crate::steps::iscsi::{self, Asked, Path, Portals, Question};
use crate::steps::network::Server;
use crate::sys::flag::Flag;

/// The target answers within this time.
const ANSWER_LIMIT: Duration = Duration::from_secs(4);
/// So many portals are looked at.
const MOST_PORTALS: usize = 32;

/// The sessions that the kernel has at the plan's portals.
pub fn paths(look: Look<'_>, known: &Known) -> Vec<Path> {
    let Known { document, identity } = known;
    match iscsi::paths(look.host, &document.iscsi, &identity.initiator.name) {
        Ok(paths) => paths,
        Err(error) => {
            look.tell(Check::failed(Stage::Session, Of::Node, "iSCSI sessions", &error));
            Vec::new()
        }
    }
}

/// Looks at each portal, at the same time.
pub fn look<'scope, 'env: 'scope>(
    look: Look<'env>,
    known: &'env Known,
    paths: &'env [Path],
    scope: &'scope Scope<'scope, 'env>,
) {
    let document = &known.document;
    let is_enough = iscsi::portals(document) == Portals::Alternatives
        && paths.iter().any(|path| path.session.logged_in());
    for (at, portal) in document.iscsi.portals.iter().enumerate().take(MOST_PORTALS) {
        let path = paths.iter().find(|path| path.portal == at);
        scope.spawn(move || {
            Portal { look, known, portal, name: format!("portal {portal}") }.look(path, is_enough)
        });
    }
}

struct Portal<'a> {
    look: Look<'a>,
    known: &'a Known,
    portal: &'a TargetPortal,
    name: String,
}

impl Portal<'_> {
    fn look(&self, path: Option<&Path>, is_enough: bool) {
        let address = way::look(self.look, Of::Portal, &self.name, &Server::from(self.portal), WAYS_UNTIL);
        let iscsi = &self.known.document.iscsi;
        if let Some(path) = path {
            self.session(path);
        }
        let is_logged_in = path.is_some_and(|path| path.session.logged_in());
        let Some(address) = address else { return };
        let question = Question {
            iscsi,
            initiator: &self.known.identity.initiator.name,
            portal: self.portal,
            address,
            limit: self.look.left(ALL_UNTIL, ANSWER_LIMIT),
        };
        std::thread::scope(|scope| {
            // Large frames are asked for whatever the session looks like: it hangs without a word when they are lost.
            scope.spawn(|| self.frames(&question));
            if is_logged_in {
                self.tell(Check::ok(Stage::Login, Of::Portal, &self.name, "the kernel has a session"));
            } else if is_enough {
                let why = "another portal has the one session that is wanted";
                self.tell(Check::unseen(Stage::Login, Of::Portal, &self.name, why));
            } else if let Some(pid) = self.look.boot_at_work() {
                let why = format!("a boot is at work (pid {pid}), and the target may allow one session only");
                self.tell(Check::unseen(Stage::Login, Of::Portal, &self.name, why));
            } else {
                self.login(&question);
            }
        });
    }

    fn tell(&self, check: Check) {
        self.look.tell(check);
    }

    fn frames(&self, question: &Question<'_>) {
        self.tell(match iscsi::frames(self.look.host, question, &Flag::default()) {
            Ok(found) => Check::ok(Stage::Mtu, Of::Portal, &self.name, found),
            Err(error) if error.code() == Code::Mtu => {
                Check::failed(Stage::Mtu, Of::Portal, &self.name, &error)
            }
            Err(error) => Check::unseen(Stage::Mtu, Of::Portal, &self.name, error.to_string()),
        });
    }

    fn login(&self, question: &Question<'_>) {
        if let Some(discovery) = &question.iscsi.discovery {
            match iscsi::discovers(question, discovery, &Flag::default()) {
                Ok(found) => self.tell(Check::ok(Stage::Discovery, Of::Portal, &self.name, found)),
                Err(error) => {
                    self.tell(Check::failed(Stage::Discovery, Of::Portal, &self.name, &error));
                    return;
                }
            }
        }
        match iscsi::asks(question, &Flag::default()) {
            Ok(Asked::Moved(to)) => {
                let found = format!("it redirects to {to}, which is not followed here");
                self.tell(Check::ok(Stage::Login, Of::Portal, &self.name, found));
            }
            Ok(Asked::Answered(lun)) => {
                self.tell(Check::ok(Stage::Login, Of::Portal, &self.name, "the target lets the node log in"));
                self.tell(match lun {
                    Ok(found) => Check::ok(Stage::Lun, Of::Portal, &self.name, found),
                    Err(error) if error.code() == Code::IscsiNoDisk => self.lun(&error),
                    Err(error) => Check::unseen(Stage::Lun, Of::Portal, &self.name, error.to_string()),
                });
            }
            Err(error) => self.tell(Check::failed(Stage::Login, Of::Portal, &self.name, &error)),
        }
    }

    fn lun(&self, error: &Error) -> Check {
        Check::failed(Stage::Lun, Of::Portal, &self.name, error)
    }

    /// What the kernel has of it.
    fn session(&self, path: &Path) {
        let session = &path.session;
        let iscsi = &self.known.document.iscsi;
        let sid = session.sid;
        if !session.logged_in() {
            let found = format!("iSCSI session {sid} has lost its connection: {}", session.state);
            self.tell(Check::bad(Stage::Session, Of::Portal, &self.name, Code::SessionLost, found));
            return;
        }
        self.tell(Check::ok(
            Stage::Session,
            Of::Portal,
            &self.name,
            format!("iSCSI session {sid} is logged in"),
        ));
        let no_disk = |cause: String| {
            let object = format!("LUN {} of {}", iscsi.lun, iscsi.target_at(self.portal));
            self.lun(&Error::new(Code::IscsiNoDisk, object).because(cause))
        };
        self.tell(match &session.device {
            None => no_disk(format!("iSCSI session {sid} has no such device")),
            Some(device) if device.kind != 0 => {
                no_disk(format!("it is no disk, but a SCSI device of type {}", device.kind))
            }
            Some(device) if device.state != "running" => {
                let found = format!("the device of iSCSI session {sid} is {}", device.state);
                Check::bad(Stage::Lun, Of::Portal, &self.name, Code::PathSilent, found)
            }
            Some(device) => match &device.disk {
                None => Check::open(Stage::Lun, Of::Portal, &self.name, "its disk cannot be opened yet"),
                Some(disk) if device.writable && iscsi.require_readonly_lun => {
                    let found =
                        format!("{} can be written to, and the plan wants one that cannot", disk.name);
                    Check::bad(Stage::Lun, Of::Portal, &self.name, Code::LunWritable, found)
                }
                Some(disk) => Check::ok(Stage::Lun, Of::Portal, &self.name, format!("{} runs", disk.name)),
            },
        });
    }
}
