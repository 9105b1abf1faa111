//! Where Debian packages come from: from where the host's own do.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command;
use crate::error::{At, Error, Result};
use crate::scenario::Release;

/// The variable that names an archive to use instead of the host's.
pub const VARIABLE: &str = "DISKLESS_MIRROR";
/// Archives used beside the release itself, when the host uses them.
const SUFFIXES: [&str; 3] = ["", "-updates", "-security"];

/// The archives of a release.
#[derive(Debug, PartialEq, Eq)]
pub struct Mirror {
    /// (suite, address), the release itself first.
    suites: Vec<(String, String)>,
}

impl Mirror {
    /// That of `wanted`: asks the host's apt, unless the variable is set.
    pub fn of_host(wanted: Release, log: &Path) -> Result<Mirror> {
        if let Some(address) = std::env::var(VARIABLE).ok().filter(|value| !value.is_empty()) {
            return Ok(Mirror { suites: vec![(wanted.codename().to_owned(), address)] });
        }
        let release = fs::read_to_string("/etc/os-release").at("read", "/etc/os-release")?;
        let field = |name: &str| {
            let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches('"').to_owned()
        };
        if field("ID") != "debian" {
            return Err(Error::Host(format!(
                "this is not Debian: run the harness in a Debian container, or set {VARIABLE}"
            )));
        }
        let mut apt = Command::new("apt-get");
        apt.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]);
        Mirror::parse(&command::output(&mut apt, log)?, &field("VERSION_CODENAME"), wanted)
    }

    /// Reads lines `ADDRESS SUITE COMPONENT` of a host of the release `codename`, which lends its archives to `wanted`.
    fn parse(targets: &str, codename: &str, wanted: Release) -> Result<Mirror> {
        let release = wanted.codename();
        let find = |suffix: &&str| {
            let wanted = format!("{codename}{suffix}");
            targets.lines().find_map(|line| {
                let mut words = line.split(' ');
                let (address, suite, component) = (words.next()?, words.next()?, words.next()?);
                let found = suite == wanted && component == "main";
                found.then(|| (format!("{release}{suffix}"), address.to_owned()))
            })
        };
        let suites: Vec<_> = SUFFIXES.iter().filter_map(find).collect();
        match suites.first() {
            Some((suite, _)) if suite == release => Ok(Mirror { suites }),
            _ => Err(Error::Host(format!("apt on this host knows no archive of {codename}, component main"))),
        }
    }

    /// The address of the release itself.
    pub fn address(&self) -> &str {
        self.suites.first().map_or("", |(_, address)| address)
    }

    /// An apt `sources.list`.
    pub fn sources(&self) -> String {
        self.suites.iter().map(|(suite, address)| format!("deb {address} {suite} main\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &str = "http://packages.example/tool/ stable main\n\
        http://deb.example/debian/ bookworm main\n\
        http://deb.example/debian/ bookworm non-free\n\
        http://deb.example/security/ bookworm-security main\n";

    #[test]
    fn the_hosts_archives_are_used() {
        let mirror = Mirror::parse(TARGETS, "bookworm", Release::Bookworm).unwrap();
        assert_eq!(mirror.address(), "http://deb.example/debian/");
        assert_eq!(
            mirror.sources(),
            "deb http://deb.example/debian/ bookworm main\n\
             deb http://deb.example/security/ bookworm-security main\n"
        );
    }

    #[test]
    fn a_host_of_another_release_lends_its_mirror() {
        let targets = TARGETS.replace("bookworm", "trixie");
        let (theirs, ours) = (
            Mirror::parse(&targets, "trixie", Release::Bookworm),
            Mirror::parse(TARGETS, "bookworm", Release::Bookworm),
        );
        assert_eq!(theirs.unwrap(), ours.unwrap());
        let newer = Mirror::parse(TARGETS, "bookworm", Release::Trixie).unwrap();
        assert!(newer.sources().starts_with("deb http://deb.example/debian/ trixie main\n"));
    }

    #[test]
    fn no_archive_is_an_error() {
        assert!(
            Mirror::parse("http://packages.example/tool/ stable main\n", "bookworm", Release::Bookworm)
                .is_err()
        );
    }
}
