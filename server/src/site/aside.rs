//! The files that the site's file names and that are read with it: MACs by host name, secrets.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use diskless::input::facts;
use diskless::input::secret::Secret;

use super::file::{File, Part};
use super::signing::Signer;

/// What these files say, or why they could not be read.
#[derive(Debug, Default)]
pub struct Aside {
    /// MACs by host name.
    pub ethers: BTreeMap<PathBuf, Result<HashMap<String, String>, String>>,
    /// The secrets.
    pub secrets: Secrets,
    /// The key that boot plans are signed with.
    pub signer: Signer,
    /// Which files were read, or would have been.
    pub files: BTreeSet<PathBuf>,
}

/// Secrets by the name of their file, as the site's file has it.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, Result<Secret, String>>);

/// Without the secrets.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Secrets {
    /// What stands in this file, but for the end of the line.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn get(&self, file: &str) -> Result<&str, &str> {
        match self.0.get(file) {
            Some(Ok(secret)) => std::str::from_utf8(secret.expose()).map_err(|_| "it is not UTF-8"),
            Some(Err(message)) => Err(message),
            None => Err("it was not read"),
        }
    }

    /// The same with one more.
    pub fn with(mut self, file: &str, secret: Result<Secret, String>) -> Secrets {
        self.0.insert(file.to_owned(), secret);
        self
    }
}

impl Aside {
    /// Reads the files that `file`, which is below `folder`, names.
    pub fn read(file: &File, folder: &Path) -> Aside {
        let mut aside = Aside::default();
        let interfaces = file.nodes.iter().flat_map(|nodes| nodes.interfaces.values());
        for path in interfaces.filter_map(|interface| interface.ethers.as_ref()) {
            let read = || ethers(&super::text(path).map_err(|error| error.to_string())?.0);
            aside.ethers.entry(path.clone()).or_insert_with(read);
            aside.files.insert(path.clone());
        }
        if let Some(path) = &file.server.sign_key {
            aside.signer = Signer::read(path);
            aside.files.insert(path.clone());
        }
        for part in parts(file) {
            for name in secret_files(&part.0) {
                let path = folder.join(name);
                aside.secrets.0.entry(name.to_owned()).or_insert_with(|| secret(&path));
                aside.files.insert(path);
            }
        }
        aside
    }
}

/// All parts of boot plans that stand in the file.
pub fn parts(file: &File) -> impl Iterator<Item = &Part> {
    let images = file.images.values().map(|image| &image.plan);
    let servers = file.servers.values().map(|server| &server.plan);
    let profiles = file.profiles.values().map(|profile| &profile.plan);
    let groups = file.groups.values().map(|group| &group.layer.plan);
    let nodes = file.nodes.iter().map(|nodes| &nodes.layer.plan);
    std::iter::once(&file.defaults.plan)
        .chain(images)
        .chain(servers)
        .chain(profiles)
        .chain(groups)
        .chain(nodes)
}

/// The member of a boot plan that is a secret. There are no variables in it: it may have a `${` of its own.
pub const SECRET: &str = "secret";
/// The member that names the file of a secret, in the place of [`SECRET`].
pub const SECRET_FILE: &str = "secret_file";

/// The files of secrets that a table names, at any depth.
pub fn secret_files(table: &toml::Table) -> Vec<&str> {
    let mut files = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::String(file) if key == SECRET_FILE => files.push(file.as_str()),
            toml::Value::Table(table) => files.extend(secret_files(table)),
            _ => (),
        }
    }
    files
}

fn secret(path: &Path) -> Result<Secret, String> {
    let (text, _) = super::text(path).map_err(|error| error.to_string())?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(Secret::new(line.as_bytes().to_vec()))
}

/// MACs by host name, in the format of ethers(5): a MAC, blanks, a name; `#` begins a comment. A name that stands twice
/// has the first of its MACs, as for ether_hostton(3).
///
/// # Errors
/// A line is none; which.
pub fn ethers(text: &str) -> Result<HashMap<String, String>, String> {
    let mut macs = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (None, ..) => (),
            (Some(mac), Some(name), None) => {
                let mac = self::mac(mac).ok_or_else(|| format!("line {number}: {mac:?} is no MAC"))?;
                macs.entry(name.to_owned()).or_insert(mac);
            }
            _ => return Err(format!("line {number}: not a MAC and a host name")),
        }
    }
    Ok(macs)
}

/// A MAC, lower case with colons; with dashes or without leading zeros (ethers(5)) it may be written as well. None: it is
/// none.
pub fn mac(text: &str) -> Option<String> {
    let octet = |octet: &str| if octet.len() == 1 { format!("0{octet}") } else { octet.to_owned() };
    let octets: Vec<String> = text.split([':', '-']).map(octet).collect();
    facts::mac(&octets.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs() {
        let good = ["52:54:00:00:00:0a", "52:54:00:00:00:0A", "52-54-00-00-00-0A", "52:54:0:0:0:a"];
        for text in good {
            assert_eq!(mac(text).as_deref(), Some("52:54:00:00:00:0a"), "{text}");
        }
        for text in ["", "52:54:00:00:00", "52:54:00:00:00:0g", "00:00:00:00:00:00", "5254.0000.000a"] {
            assert_eq!(mac(text), None, "{text}");
        }
    }

    #[test]
    fn lines_of_ethers() {
        let macs =
            ethers("# all\n\n52:54:0:0:0:1\tnode1 # first\n  52:54:00:00:00:02 node2\n52:54:0:0:0:3 node1\n");
        let macs = macs.unwrap();
        assert_eq!(macs.len(), 2);
        assert_eq!(macs["node1"], "52:54:00:00:00:01");
        assert_eq!(macs["node2"], "52:54:00:00:00:02");
        assert_eq!(ethers("52:54:0:0:0:1\n").unwrap_err(), "line 1: not a MAC and a host name");
        assert_eq!(ethers("\n52:54:0:0:0 a\n").unwrap_err(), "line 2: \"52:54:0:0:0\" is no MAC");
    }

    #[test]
    fn a_secret_is_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chap");
        for (text, expected) in [("hunter2\n", "hunter2"), ("hunter2", "hunter2"), (" a b \r\n", " a b ")] {
            std::fs::write(&path, text).unwrap();
            let secrets = Secrets::default().with("chap", secret(&path));
            assert_eq!(secrets.get("chap"), Ok(expected));
            assert!(!format!("{secrets:?}").contains(expected));
        }
        std::fs::write(&path, "\n").unwrap();
        assert!(secret(&path).is_err_and(|message| message == "it is empty"));
        assert!(secret(&folder.path().join("none")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_ethers_or_an_error(text in "([0-9a-f:]{0,18}[ \t#\n]{0,2}){0,8}") {
            let _ = ethers(&text);
        }
    }
}
