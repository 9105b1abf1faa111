//! `diskless plan sign`: the signature of a plan.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

use lexopt::Parser;

use super::given::{Options, read};
use super::show::window;
use crate::cli::{Failed, print};
use crate::engine::host::Host;
use crate::error::{Code, Error, Result};
use crate::input::document::Document;
use crate::input::signature::{ENDINGS, SecretKey};
use crate::input::time::Time;
use crate::sys::whole_file;

/// Checks plans and signs them.
pub fn main(args: &mut Parser, _: &Host) -> Result<(), Failed> {
    let Some(options) = Options::parse(args, &["key", "comment"], 1)? else { return Ok(()) };
    let key = options.value("key").ok_or_else(|| lexopt::Error::from("--key is missing"))?;
    let comment = options.parsed("comment", |text| Some(text.to_owned()))?;
    for plan in &options.words {
        print(&sign(key, plan, comment.as_deref(), SystemTime::now().into())?)?;
    }
    Ok(())
}

fn sign(key: &OsStr, plan: &OsStr, comment: Option<&str>, now: Time) -> Result<String> {
    let object = || key.display().to_string();
    let secret = SecretKey::parse(&read(key)?);
    let secret = secret.map_err(|why| Error::new(Code::SigningKey, object()).because(why))?;
    let text = read(plan)?;
    let document = Document::parse(&text)?;
    let validity = document.validity.unwrap_or_default();
    let name = Path::new(plan).file_name().unwrap_or_default().to_string_lossy();
    let usual = || {
        let serial = validity.serial.map_or_else(String::new, |serial| format!(" serial:{serial}"));
        format!("timestamp:{} file:{name}{serial}", now.0)
    };
    let signature = secret.sign(&text, &comment.map_or_else(usual, str::to_owned));
    let mut file = OsString::from(plan);
    // minisign's name for it is the first that is looked for.
    file.push(ENDINGS.first().copied().unwrap_or_default());
    whole_file::write(Path::new(&file), signature.as_bytes(), 0o644, None)?;
    let mut said = format!("{}: {}\n", file.display(), window(Some(&validity)));
    if validity.node.is_none() || validity.serial.is_none() {
        said.push_str(
            "WARNING: a node that asks for signed plans takes none without validity.node and validity.serial\n",
        );
    }
    if std::fs::metadata(Path::new(key)).is_ok_and(|key| key.mode() & 0o077 != 0) {
        said.push_str(&format!("WARNING: others than its owner can read {}\n", object()));
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::signature::{PublicKey, Signature};

    #[test]
    fn a_plan_is_signed_and_what_is_none_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).into_os_string();
        let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/signatures/minisign.key");
        let docs = include_str!("../../../docs/plan.md");
        let plan = docs.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
        std::fs::write(path("plan.json"), plan).unwrap();
        let sign = |name: &str, comment| sign(key.as_ref(), &path(name), comment, Time(1_798_761_599));
        let said = sign("plan.json", None).unwrap();
        assert!(said.contains("plan.json.minisig: for "), "{said}");
        let read = || Signature::parse(&std::fs::read(path("plan.json.minisig")).unwrap()).unwrap();
        let public = PublicKey::parse(include_bytes!("../../../tests/data/signatures/minisign.pub")).unwrap();
        assert_eq!(read().verify(&public, plan.as_bytes()), Ok(()));
        assert!(read().comment().unwrap().starts_with("timestamp:1798761599 file:plan.json"));
        sign("plan.json", Some("by hand")).unwrap();
        assert_eq!(read().comment(), Some("by hand"));
        std::fs::write(path("none.json"), "{}").unwrap();
        assert_eq!(sign("none.json", None).unwrap_err().code(), Code::PlanInvalid);
        assert!(!Path::new(&path("none.json.minisig")).exists());
        let not_a_key = super::sign(&path("none.json"), &path("plan.json"), None, Time(0)).unwrap_err();
        assert_eq!(not_a_key.code(), Code::SigningKey);
    }
}
