//! The bundles that a node sent to the site's server, as facts.

use std::path::Path;

use serde_json::{Value, json};

/// A tar's block.
const BLOCK: usize = 512;

/// For each bundle in `folder`: its files without the folder that they are in, how many of `secrets` are in it, and what it
/// says is missing.
pub fn facts(folder: &Path, secrets: &[String]) -> Value {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).map(|tar| one(&tar, secrets)).collect()
}

fn one(tar: &[u8], secrets: &[String]) -> Value {
    let files = files(tar);
    let name =
        |(name, _): &(String, &[u8])| name.split_once('/').map_or(name.clone(), |(_, name)| name.to_owned());
    let missing = files.iter().find(|(name, _)| name.ends_with("/missing.txt"));
    let missing = missing.map(|(_, text)| String::from_utf8_lossy(text).into_owned());
    let text = String::from_utf8_lossy(tar);
    let found = secrets.iter().filter(|secret| !secret.is_empty() && text.contains(secret.as_str())).count();
    json!({
        "files": files.iter().map(name).collect::<Vec<_>>(),
        "missing": missing,
        "secrets": found,
        "bytes": tar.len(),
    })
}

/// The files of a tar (POSIX.1-1988 ustar), up to where it cannot be read.
fn files(mut tar: &[u8]) -> Vec<(String, &[u8])> {
    let mut files = Vec::new();
    while let Some((header, rest)) = tar.split_at_checked(BLOCK) {
        let field = |from: usize, to: usize| {
            let bytes = header.get(from..to).unwrap_or_default();
            String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
        };
        let Ok(size) = usize::from_str_radix(&field(124, 136), 8) else { break };
        let Some(content) = rest.get(..size) else { break };
        files.push((field(0, 100), content));
        tar = rest.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_bundle() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(facts(&folder.path().join("none"), &[]), json!([]));
        let inside = folder.path().join("b");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(inside.join("dmesg.txt"), "it is hunter2\n").unwrap();
        std::fs::write(inside.join("missing.txt"), "journal.txt: none\n").unwrap();
        let tars = folder.path().join("tars");
        std::fs::create_dir(&tars).unwrap();
        let made = std::process::Command::new("tar")
            .args(["--format=ustar", "-C"])
            .arg(folder.path())
            .arg("-cf")
            .arg(tars.join("1.tar"))
            .args(["b/dmesg.txt", "b/missing.txt"])
            .status();
        assert!(made.unwrap().success());
        let found = facts(&tars, &["hunter2".to_owned(), "other".to_owned()]);
        assert_eq!(found.pointer("/0/files"), Some(&json!(["dmesg.txt", "missing.txt"])));
        assert_eq!(found.pointer("/0/secrets"), Some(&json!(1)));
        assert_eq!(found.pointer("/0/missing"), Some(&json!("journal.txt: none\n")));
    }
}
