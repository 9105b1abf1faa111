//! The scripts of the page, where Node.js is installed: their syntax, and the parts that only decide.

use std::path::Path;
use std::process::Command;

use crate::skipped;

fn node(arguments: &[&Path]) -> Option<std::process::Output> {
    let run = Command::new("node").args(arguments).output();
    match run {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("node: {error}"),
    }
}

/// Node takes a file for a module by its name alone.
fn modules(folder: &Path) -> Vec<std::path::PathBuf> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    let scripts = std::fs::read_dir(web).unwrap().map(|entry| entry.unwrap().path());
    let scripts = scripts.filter(|path| path.extension().is_some_and(|extension| extension == "js"));
    let copied = |path: std::path::PathBuf| {
        let copy = folder.join(path.file_name().unwrap()).with_extension("mjs");
        std::fs::copy(&path, &copy).unwrap();
        copy
    };
    scripts.map(copied).collect()
}

#[test]
fn every_script_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let modules = modules(folder.path());
    assert!(modules.len() > 5);
    for module in modules {
        let Some(output) = node(&[Path::new("--check"), &module]) else {
            return skipped("the syntax of the page's scripts", "there is no node");
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn scripts_decide_as_they_should() {
    let folder = tempfile::tempdir().unwrap();
    modules(folder.path());
    let test = folder.path().join("decisions.mjs");
    std::fs::write(&test, include_str!("decisions.js")).unwrap();
    let Some(output) = node(&[&test]) else {
        return skipped("what the page's scripts decide", "there is no node");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.ends_with(b"all decided\n"));
}
