//! `[disklessd]`: the site's server, and its files.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Action, Document, substitute};
use crate::error::{At, Error, Result};

/// `[disklessd]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disklessd {
    /// The folder with `site.toml` and what that names, below the scenario's.
    pub site: PathBuf,
    /// Whether it runs from the start.
    pub start: bool,
}

impl Default for Disklessd {
    fn default() -> Disklessd {
        Disklessd { site: "site".into(), start: true }
    }
}

/// Whether all files of the site are there that the scenario in `folder` speaks of, and can be completed.
pub(super) fn check(document: &Document, folder: &Path) -> Result<()> {
    let fault = |message: &str| {
        Err(Error::Scenario { path: folder.join("scenario.toml"), message: message.to_owned() })
    };
    let first = document.ssh.iter().flat_map(|ssh| &ssh.first);
    let does = |wanted: &[Action]| {
        document.faults.iter().chain(first.clone()).any(|fault| wanted.contains(&fault.action))
    };
    let Some(disklessd) = &document.disklessd else {
        let idle = !does(&[Action::DisklessdKill, Action::DisklessdStart, Action::DisklessdReload]);
        return if idle { Ok(()) } else { fault("a fault of disklessd, and no [disklessd]") };
    };
    let files = ["site.toml"].into_iter().chain(does(&[Action::DisklessdReload]).then_some("reloaded.toml"));
    for path in files.map(|name| folder.join(&disklessd.site).join(name)) {
        let text = fs::read_to_string(&path).at("read", &path)?;
        substitute(&text).map_err(|message| Error::Scenario { path, message })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;

    const UP: &str = "summary = 's'\n[expect]\nend = 'up'\n";

    fn checked(text: &str, files: &[(&str, &str)]) -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("site")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join("site").join(name), text).unwrap();
        }
        check(&parse(&format!("{UP}{text}")).unwrap(), folder.path())
    }

    #[test]
    fn a_server_has_its_files() {
        let reload = "[disklessd]\n[[faults]]\nafter = 'x'\naction = 'disklessd-reload'";
        assert!(checked("", &[]).is_ok());
        assert!(checked("[disklessd]", &[("site.toml", "url = '${disklessd}'")]).is_ok());
        assert!(checked(reload, &[("site.toml", ""), ("reloaded.toml", "")]).is_ok());
        let refused = [
            checked("[disklessd]", &[]),
            checked("[disklessd]\nsite = 'other'", &[("site.toml", "")]),
            checked("[disklessd]", &[("site.toml", "${colour}")]),
            checked(reload, &[("site.toml", "")]),
            checked("[[faults]]\nafter = 'x'\naction = 'disklessd-kill'", &[("site.toml", "")]),
        ];
        assert!(refused.iter().all(Result::is_err), "{refused:?}");
    }
}
