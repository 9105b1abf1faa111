//! A scenario: a folder with data. docs/harness.md describes it; unknown fields are refused.

mod check;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

pub use check::Check;
pub use words::{command_line, substitute};

use crate::error::{At, Error, Result};

/// `scenario.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// One line for `list`.
    pub summary: String,
    /// Seconds after which the machine is stopped and the scenario has failed.
    #[serde(default = "default_timeout")]
    pub timeout: u64,
    /// The virtual machine.
    #[serde(default)]
    pub machine: Machine,
    /// Its network.
    #[serde(default)]
    pub network: Network,
    /// iSCSI targets, all at the one portal.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// The command line.
    #[serde(default)]
    pub kernel: Kernel,
    /// What breaks, and when.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// How it must end.
    pub expect: Expect,
}

fn default_timeout() -> u64 {
    300
}

/// `[machine]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Machine {
    /// MiB.
    pub memory: u32,
    /// Processors.
    pub cpus: u32,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine { memory: 2048, cpus: 2 }
    }
}

/// `[network]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Whether there is a DHCP server.
    pub dhcp: bool,
}

impl Default for Network {
    fn default() -> Network {
        Network { dhcp: true }
    }
}

/// `[[targets]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The target's name.
    pub iqn: String,
    /// The logical unit that has the image.
    #[serde(default = "default_lun")]
    pub lun: u32,
    /// What the logical unit holds.
    #[serde(default)]
    pub image: Image,
    /// Who may log in; without it anybody.
    pub chap: Option<Chap>,
    /// The only initiator that may log in; without it any.
    pub initiator: Option<String>,
}

fn default_lun() -> u32 {
    1
}

/// The images there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Image {
    /// GPT, one partition, ext4, in LUKS2.
    #[default]
    Luks,
    /// The same without encryption.
    Plain,
}

/// A CHAP account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chap {
    /// The name.
    pub username: String,
    /// The secret.
    pub secret: String,
}

/// `[kernel]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kernel {
    /// Parameters: each replaces those of the same name that the harness gives.
    pub cmdline: String,
}

/// `[[faults]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Once the console has shown this.
    pub after: String,
    /// This happens.
    pub action: Action,
}

/// What can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The node's cable is pulled.
    LinkDown,
    /// And put back.
    LinkUp,
    /// The iSCSI target dies.
    TargetKill,
    /// And is started anew.
    TargetStart,
}

/// `[expect]`
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "end", rename_all = "lowercase", deny_unknown_fields)]
pub enum Expect {
    /// The image's own root comes up, reports facts, and powers off.
    Up {
        /// What the facts must say.
        #[serde(default)]
        facts: Vec<Check>,
    },
    /// The agent fails with this code and the emergency shell is reached.
    Emergency {
        /// A stable error code of the agent.
        error: String,
    },
}

/// A scenario, read and checked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// `scenario.toml`.
    pub document: Document,
    /// `plan.json`, served at `/plan.json`.
    pub plan: Option<String>,
}

impl Scenario {
    /// Reads the scenario in `folder`; all that can be wrong with it is found here.
    pub fn load(folder: &Path) -> Result<Scenario> {
        let folder = fs::canonicalize(folder).at("open", folder)?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = folder.join("scenario.toml");
        let text = fs::read_to_string(&path).at("read", &path)?;
        let document = parse(&text).map_err(|message| Error::Scenario { path, message })?;
        let path = folder.join("plan.json");
        let plan = match path.exists() {
            true => Some(read_plan(&path)?),
            false => None,
        };
        Ok(Scenario { name, folder, document, plan })
    }

    /// The folders of all scenarios below `folder`, by name.
    pub fn all(folder: &Path) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).at("list", folder)? {
            let path = entry.at("list", folder)?.path();
            if path.join("scenario.toml").exists() {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Parses `scenario.toml`.
pub fn parse(text: &str) -> std::result::Result<Document, String> {
    toml::from_str(&substitute(text)?).map_err(|cause| cause.to_string())
}

fn read_plan(path: &Path) -> Result<String> {
    let fault = |message: String| Error::Scenario { path: path.to_path_buf(), message };
    let text = substitute(&fs::read_to_string(path).at("read", path)?).map_err(fault)?;
    serde_json::from_str::<Value>(&text).map_err(|cause| fault(cause.to_string()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_scenario() {
        let document = parse("summary = 's'\n[expect]\nend = 'up'").unwrap();
        assert_eq!((document.timeout, document.machine.memory, document.network.dhcp), (300, 2048, true));
        assert!(matches!(document.expect, Expect::Up { facts } if facts.is_empty()));
    }

    #[test]
    fn unknown_fields_are_named() {
        let cases = [
            ("colour = 1\nsummary = 's'\n[expect]\nend = 'up'", "colour"),
            ("summary = 's'\n[machine]\ndisks = 1\n[expect]\nend = 'up'", "disks"),
            ("summary = 's'\n[[targets]]\niqn = 'i'\npath = 1\n[expect]\nend = 'up'", "path"),
            ("summary = 's'\n[expect]\nend = 'emergency'\nerror = 'x'\nshell = true", "shell"),
            ("summary = 's'\n[expect]\nend = 'up'\n[[expect.facts]]\nat = '/a'\nis = 1", "is"),
        ];
        for (text, field) in cases {
            let message = parse(text).unwrap_err();
            assert!(message.contains(&format!("`{field}`")), "{field}: {message}");
        }
    }

    /// The fenced blocks of a language in the documentation.
    fn documented(language: &str) -> Vec<String> {
        let text = include_str!("../../../docs/harness.md");
        let blocks = text.split("```").skip(1).step_by(2);
        blocks.filter_map(|block| block.strip_prefix(language)).map(ToOwned::to_owned).collect()
    }

    #[test]
    fn the_documented_examples_are_sound() {
        let folder = tempfile::tempdir().unwrap();
        let [full, example] = &documented("toml\n")[..] else { panic!("two examples") };
        let [plan] = &documented("json\n")[..] else { panic!("one plan") };
        for text in [full, example] {
            fs::write(folder.path().join("scenario.toml"), text).unwrap();
            fs::write(folder.path().join("plan.json"), plan).unwrap();
            Scenario::load(folder.path()).unwrap();
        }
    }

    #[test]
    fn every_scenario_of_the_repository_is_sound() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let all = Scenario::all(&folder).unwrap();
        assert!(!all.is_empty());
        for folder in all {
            Scenario::load(&folder).unwrap();
        }
    }
}
