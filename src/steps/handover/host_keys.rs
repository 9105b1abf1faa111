//! The node's SSH host keys: those of the plan, else one that is made at each boot. The image's are those of all nodes.
//!
//! One of Ed25519 is made, here and at once: sshd asks for at least one, and an image whose own units make what is missing
//! (sshd-keygen@ of EL) adds the other types.

use std::cell::OnceCell;
use std::io::Read;
use std::path::Path;

use ring::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use super::failed;
use super::files::{Content, File};
use super::observe::open;
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::{self, Handover, HostKey};
use crate::input::secret::Secret;
use crate::input::ssh_key::{self, Kind, LONGEST, Public};
use crate::sys::in_root::Root;
use crate::sys::{http, random};

/// The key that is made.
pub const MADE: &str = "/etc/ssh/ssh_host_ed25519_key";
/// What sshd's files of host keys begin with.
pub const PREFIX: &str = "/etc/ssh/ssh_host_";
/// The public half of the key that was made in this boot: by it a later run knows that key from one of the image's.
const MADE_NOW: &str = "/run/diskless/ssh_host_ed25519_key.pub";
/// Where sshd is, on distributions with /usr/sbin and without.
pub const SSHD: [&str; 2] = ["/usr/sbin/sshd", "/usr/bin/sshd"];
/// A key that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Make {
    /// What is to stand behind it.
    pub comment: String,
}

/// What the plan says of them.
pub struct HostKeys<'a> {
    wanted: &'a document::HostKeys,
    /// The plan has files at their places.
    are_files: bool,
    /// What was read, once: a server is not asked again at each look.
    read: OnceCell<Vec<(Kind, Secret, Public)>>,
}

impl<'a> HostKeys<'a> {
    /// Those of a plan.
    pub fn of(handover: &'a Handover) -> HostKeys<'a> {
        let is_key = |path: &str| path.starts_with(PREFIX) && path.ends_with("_key");
        let are_files = handover.files.iter().any(|file| is_key(&file.path));
        HostKeys { wanted: &handover.ssh_host_keys, are_files, read: OnceCell::new() }
    }

    fn are_made(&self) -> bool {
        self.wanted.is_empty() && !self.are_files
    }

    /// The files that the plan's keys make necessary.
    ///
    /// # Errors
    /// [`Code::HostKey`]: a key cannot be used; [`Code::SecretFetch`]: its server does not answer.
    pub fn files(&self, host: &Host) -> Result<Vec<File>> {
        let file = |path: String, mode, content| File { path, mode, content: Content::Whole(content) };
        let mut files = Vec::new();
        for (kind, key, public) in self.keys(host)? {
            let path = format!("{PREFIX}{kind}_key");
            let line = public.line("diskless").into_bytes();
            files.push(file(format!("{path}.pub"), 0o644, Secret::new(line)));
            files.push(file(path, 0o600, key.clone()));
        }
        Ok(files)
    }

    fn keys(&self, host: &Host) -> Result<&Vec<(Kind, Secret, Public)>> {
        if let Some(keys) = self.read.get() {
            return Ok(keys);
        }
        let keys = self.wanted.iter().map(|(kind, key)| read(host, kind, key)).collect::<Result<_>>()?;
        Ok(self.read.get_or_init(|| keys))
    }

    /// The key that is to be made; none: the plan has some, or it is made, or nobody in the image would use it.
    pub fn to_make(&self, host: &Host, root: &Root, name: Option<&String>) -> Result<Option<Make>> {
        let mut has_sshd = false;
        for path in SSHD {
            has_sshd |= root.is_there(path).map_err(failed(path))?;
        }
        if !has_sshd || !self.are_made() {
            return Ok(None);
        }
        let public = format!("{MADE}.pub");
        let made = open(host, "/")?.read(MADE_NOW, LONGEST).map_err(failed(MADE_NOW))?;
        let there = root.read(&public, LONGEST).map_err(failed(&public))?;
        let private = root.read(MADE, LONGEST).map_err(failed(MADE))?;
        let is_made = match (made, there, private) {
            (Some(made), Some(there), Some(private)) => {
                made.bytes == there.bytes && private.mode == 0o600 && private.owned
            }
            _ => false,
        };
        let name = name.map_or("localhost", String::as_str);
        Ok((!is_made).then(|| Make { comment: format!("root@{name}") }))
    }

    /// Whether what is at `path` is, or will be, the key that is made.
    pub fn are_ours(&self, path: &str) -> bool {
        self.are_made() && path.strip_prefix(MADE).is_some_and(|rest| matches!(rest, "" | ".pub"))
    }
}

/// Reads a key of the plan.
fn read(host: &Host, kind: Kind, key: &HostKey) -> Result<(Kind, Secret, Public)> {
    let (text, object) = match key {
        HostKey::Secret(text) => {
            (Zeroizing::new(text.expose().to_vec()), format!("handover.ssh_host_keys.{kind}"))
        }
        HostKey::File(path) => (text_of(&host.path(path)).context(Code::HostKey, path)?, path.clone()),
        HostKey::Url(url) => (http::get(url, LONGEST, Code::SecretFetch, Code::HostKey)?, http::shown(url)),
    };
    let public =
        ssh_key::public_of(kind, &text).map_err(|why| Error::new(Code::HostKey, object).because(why))?;
    // A site's server takes the newline off what it reads from a file.
    let text = text.trim_ascii();
    let mut whole = Vec::with_capacity(text.len() + 1);
    whole.extend_from_slice(text);
    whole.push(b'\n');
    Ok((kind, Secret::new(whole), public))
}

/// The text of the key in the file at `path`. One byte more than there may be is read of it: that is too long, and is said
/// so by who parses it.
///
/// # Errors
/// It cannot be read.
pub fn text_of(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
    std::fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// A new key of Ed25519, its file's text and what is public of it; it is to be at `path`, which errors name.
///
/// # Errors
/// [`Code::NoRandom`]: the kernel has no random numbers yet; [`Code::HostKey`]: it is no key after all.
pub fn generate(path: &str, comment: &str) -> Result<(Zeroizing<Vec<u8>>, Public)> {
    let seed = Zeroizing::new(random::bytes::<32>().context(Code::NoRandom, path)?);
    let check = random::bytes::<4>().context(Code::NoRandom, path)?;
    let unusable = |cause: &'static str| Error::new(Code::HostKey, path).because(cause);
    let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|_| unusable("the seed is no seed"))?;
    let half =
        pair.public_key().as_ref().try_into().map_err(|_| unusable("its public half has another length"))?;
    Ok(ssh_key::ed25519(&seed, half, check, comment))
}

/// Makes the key, its public half last.
///
/// # Errors
/// Those of [`generate`]; [`Code::Handover`]: a file cannot be written.
pub fn make(host: &Host, root: &Root, Make { comment }: &Make) -> Result<()> {
    let (private, public) = generate(MADE, comment)?;
    let (path, line) = (format!("{MADE}.pub"), public.line(comment));
    root.write(MADE, &private, 0o600).map_err(failed(MADE))?;
    root.write(&path, line.as_bytes(), 0o644).map_err(failed(&path))?;
    open(host, "/")?.write(MADE_NOW, line.as_bytes(), 0o644).map_err(failed(MADE_NOW))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::handover::fixture::{document, image};
    use crate::steps::handover::own::is_listed;

    fn keygen(words: &[&str], file: &std::path::Path) -> String {
        let output = std::process::Command::new("ssh-keygen").args(words).arg(file).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn with_sshd(folder: &tempfile::TempDir) -> Root {
        let root = folder.path().join("sysroot");
        std::fs::create_dir_all(root.join("usr/sbin")).unwrap();
        std::fs::create_dir_all(root.join("etc/ssh")).unwrap();
        std::fs::create_dir_all(folder.path().join("run/diskless")).unwrap();
        std::fs::write(root.join("usr/sbin/sshd"), "").unwrap();
        Root::open(&root).unwrap()
    }

    #[test]
    fn a_key_is_made_once_in_a_boot_and_ssh_keygen_reads_it() {
        let folder = image();
        let (host, root) = (Host::fake(folder.path()), with_sshd(&folder));
        let file = folder.path().join("sysroot").join(&MADE[1..]);
        // The image's own one, which is that of all nodes.
        keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "vm", "-f"], &file);
        let image_s = std::fs::read(&file).unwrap();
        let document = document(serde_json::json!({}));
        let keys = HostKeys::of(&document.handover);
        let name = "node1".to_owned();
        let make_it = keys.to_make(&host, &root, Some(&name)).unwrap().unwrap();
        assert_eq!(make_it.comment, "root@node1");
        make(&host, &root, &make_it).unwrap();
        assert_eq!(keys.to_make(&host, &root, Some(&name)).unwrap(), None);
        let line = std::fs::read_to_string(file.with_extension("pub")).unwrap();
        assert!(line.starts_with("ssh-ed25519 AAAA") && line.ends_with(" root@node1\n"), "{line}");
        assert_eq!(keygen(&["-y", "-f"], &file), line);
        let first = std::fs::read(&file).unwrap();
        assert_ne!(first, image_s);
        // The next boot knows nothing of this one, and finds the image's again.
        std::fs::remove_dir_all(folder.path().join("run")).unwrap();
        std::fs::create_dir_all(folder.path().join("run/diskless")).unwrap();
        make(&host, &root, &keys.to_make(&host, &root, Some(&name)).unwrap().unwrap()).unwrap();
        assert_ne!(std::fs::read(&file).unwrap(), first);
    }

    #[test]
    fn nobody_s_key_is_not_made() {
        let folder = image();
        let host = Host::fake(folder.path());
        let root = Root::open(&folder.path().join("sysroot")).unwrap();
        let document = document(serde_json::json!({}));
        assert_eq!(HostKeys::of(&document.handover).to_make(&host, &root, None).unwrap(), None);
        assert!(HostKeys::of(&document.handover).files(&host).unwrap().is_empty());
    }

    #[test]
    fn the_plan_s_keys_come_from_itself_a_file_or_a_server() {
        let folder = image();
        let (host, root) = (Host::fake(folder.path()), with_sshd(&folder));
        let at = |name: &str| folder.path().join(name);
        for kind in ["ed25519", "ecdsa", "rsa"] {
            keygen(&["-q", "-t", kind, "-N", "", "-C", "diskless", "-f"], &at(kind));
        }
        let text = |name: &str| std::fs::read_to_string(at(name)).unwrap();
        let url = crate::sys::http::fixture::Server::start(vec![crate::sys::http::fixture::answer(
            "200 OK",
            &text("ecdsa"),
        )]);
        let change = serde_json::json!({"handover": {"ssh_host_keys": {
            "ed25519": {"secret": text("ed25519").trim_end()}, "rsa": {"file": "/rsa"}, "ecdsa": {"url": url.url}
        }}});
        let document = document(change);
        let keys = HostKeys::of(&document.handover);
        for _ in 0..2 {
            let files = keys.files(&host).unwrap();
            assert_eq!(files.len(), 6);
            for file in files {
                assert!(is_listed(&file.path), "{}", file.path);
                let bytes = file.content.bytes(b"", None).unwrap();
                let name = file.path.strip_prefix(PREFIX).unwrap();
                let expected = text(&name.replace("_key", ""));
                assert_eq!(String::from_utf8_lossy(&bytes), expected, "{name}");
                assert_eq!(file.mode, if name.ends_with(".pub") { 0o644 } else { 0o600 });
            }
        }
        // Asked once.
        assert_eq!(url.requests().len(), 1);
        assert_eq!(keys.to_make(&host, &root, None).unwrap(), None);
        assert!(!keys.are_ours(MADE));
    }

    #[test]
    fn a_key_that_cannot_be_used_is_named_and_not_shown() {
        let folder = image();
        let host = Host::fake(folder.path());
        std::fs::write(folder.path().join("key"), "hunter2").unwrap();
        for (path, because) in
            [("/key", "it is no private key in OpenSSH's own format"), ("/none", "No such file")]
        {
            let change = serde_json::json!({"handover": {"ssh_host_keys": {"rsa": {"file": path}}}});
            let document = document(change);
            let error = HostKeys::of(&document.handover).files(&host).err().unwrap();
            assert_eq!(error.code(), Code::HostKey);
            let text = error.to_string();
            assert!(text.starts_with(path) && text.contains(because) && !text.contains("hunter2"), "{text}");
        }
    }
}
