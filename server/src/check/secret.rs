//! Secrets: none where everybody can read it. No message quotes one.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use diskless::input::cmdline::Cmdline;
use diskless::input::netroot::Netroot;
use diskless::input::secret::Secret;
use diskless::input::url::has_account;

use super::Level::{Error, Warning};
use super::found::Found;
use super::rule::{Rule, Run};
use super::view::View;
use crate::ipxe::shown;
use crate::site::Site;
use crate::site::aside::{parts, secret_files};

/// Words of the kernel command line that are for secrets: dracut.cmdline(7), systemd.system-credentials(7).
const SECRET_WORDS: &[&str] =
    &["rd.iscsi.password", "rd.iscsi.in.password", "systemd.set_credential", "systemd.set_credential_binary"];
/// Of an operators' token: 128 bits as hexadecimal digits.
const SHORTEST_TOKEN: usize = 32;
/// No token is longer, so no more of its file is read.
const LONGEST_TOKEN: u64 = 4096;

pub const RULES: &[Rule] = &[
    Rule {
        code: "secret-cmdline",
        level: Error,
        doc: "No word of a kernel command line is for a secret, and none has an account in it, in a URL or in `netroot=`.",
        advice: "put it into the boot plan; on the command line every process of the node can read it",
        run: Run::Site(cmdline),
    },
    Rule {
        code: "secret-url",
        level: Error,
        doc: "No account is in a URL that gets into an iPXE script: of this server, a kernel, an initramfs.",
        advice: "take it out of the URL, and let nodes fetch the file without",
        run: Run::Site(urls),
    },
    Rule {
        code: "secret-script",
        level: Error,
        doc: "No secret of a node's boot plan is in its iPXE script, be it in the command line or in a URL.",
        advice: "take it out of the command line, the kernel's or the initramfs's URL: it is in the plan already",
        run: Run::Site(scripts),
    },
    Rule {
        code: "site-readable",
        level: Warning,
        doc: "A site's file with secrets in it can be read by its owner and group alone.",
        advice: "`chmod o-rwx` it, or put each secret into a file of its own (`secret_file`)",
        run: Run::Site(site_readable),
    },
    Rule {
        code: "file-missing",
        level: Error,
        doc: "The token files of the server and of webhooks, and the CA files of webhooks, can be read.",
        advice: "write it, and let this server's user or group read it; `disklessd init` makes one for operators",
        run: Run::Files(file_missing),
    },
    Rule {
        code: "secret-open",
        level: Error,
        doc: "A file with a token, the key that plans are signed with, or a secret of boot plans, can be read by its owner and group alone, and written by its \
              owner alone.",
        advice: "`chmod 0640` it, and give it to the server's group",
        run: Run::Files(secret_open),
    },
    Rule {
        code: "token-short",
        level: Error,
        doc: "The operators' token is one word of at least 32 characters.",
        advice: "make one nobody can guess: `openssl rand -hex 32`",
        run: Run::Files(token_short),
    },
];

fn cmdline(view: &View<'_>, found: &mut Found) {
    for node in view.site.nodes.values() {
        for word in secret_words(&node.cmdline) {
            found.node(&node.name, "cmdline", word);
        }
    }
    for (name, image) in &view.site.file.images {
        if !view.plans.iter().any(|plan| plan.image == name) {
            for word in secret_words(&image.cmdline) {
                found.at(format!("image {name} cmdline"), word);
            }
        }
    }
}

/// What is wrong with a command line, each thing once.
pub(super) fn secret_words(text: &str) -> BTreeSet<String> {
    let cmdline = Cmdline::parse(text);
    let words = SECRET_WORDS.iter().filter(|word| cmdline.all(word).next().is_some());
    let mut wrong: BTreeSet<String> = words.map(|word| format!("{word}= is in it")).collect();
    let keys: BTreeSet<&str> = cmdline.keys().collect();
    for key in keys {
        let account = |value: &str| match value.strip_prefix("iscsi:") {
            // One with a typing error may have an account, too.
            Some(disk) => Netroot::parse(disk).map_or(disk.contains('@'), |disk| disk.auth.is_some()),
            None => value.split(',').any(has_account),
        };
        if cmdline.all(key).any(account) {
            wrong.insert(format!("{key}= has an account in it"));
        }
    }
    wrong
}

fn urls(view: &View<'_>, found: &mut Found) {
    let own = std::iter::once(("server url".to_owned(), view.site.file.server.url.as_str()));
    for (object, _) in own.chain(super::image::files(view)).filter(|(_, url)| has_account(url)) {
        found.at(object, "has an account in it");
    }
}

fn scripts(view: &View<'_>, found: &mut Found) {
    for plan in &view.plans {
        // The content of files, and what cloud-init gets, is text of any kind: that it is a word of the script says nothing.
        let shown = shown(&plan.document, &plan.script.script);
        for place in shown.iter().filter(|place| !is_text(place)) {
            found.node(&plan.node.name, "boot script", format!("{place} of its boot plan is in it"));
        }
    }
}

/// Whether a member of a boot plan is a text of the site's own, whatever is in it.
fn is_text(place: &str) -> bool {
    place.starts_with("/handover/files/") || place.starts_with("/cloud_init/")
}

/// Whether a secret stands in a table itself, at any depth.
fn holds_secret(table: &toml::Table) -> bool {
    let value = |value: &toml::Value| match value {
        toml::Value::Table(table) => holds_secret(table),
        toml::Value::Array(values) => values.iter().filter_map(toml::Value::as_table).any(holds_secret),
        _ => false,
    };
    table.iter().any(|(key, inner)| (key == "secret" && inner.is_str()) || value(inner))
}

fn site_readable(view: &View<'_>, found: &mut Found) {
    let Site { path, mode, file, .. } = view.site;
    if mode & 0o004 != 0 && parts(file).any(|part| holds_secret(part)) {
        found.at(path.display().to_string(), format!("has secrets in it, and the permissions {mode:04o}"));
    }
}

/// The token files: what they are for, and where they are.
fn tokens<'a>(view: &View<'a>) -> impl Iterator<Item = (String, &'a Path)> {
    let file = &view.site.file;
    let own = file.server.token_file.iter().map(|path| ("server token_file".to_owned(), path.as_path()));
    let webhooks = file.webhooks.iter().filter_map(|webhook| {
        Some((format!("webhook {} token_file", webhook.name), webhook.token_file.as_deref()?))
    });
    own.chain(webhooks)
}

fn file_missing(view: &View<'_>, found: &mut Found) {
    let cas = view.site.file.webhooks.iter().filter_map(|webhook| {
        Some((format!("webhook {} ca_file", webhook.name), webhook.ca_file.as_deref()?))
    });
    for (object, path) in tokens(view).chain(cas) {
        if let Err(error) = std::fs::File::open(path) {
            found.at(object, format!("{}: {error}", path.display()));
        }
    }
}

fn secret_open(view: &View<'_>, found: &mut Found) {
    let folder = view.site.path.parent().unwrap_or(Path::new(""));
    let secrets: BTreeSet<&str> = parts(&view.site.file).flat_map(|part| secret_files(part)).collect();
    let secrets = secrets.into_iter().map(|name| (format!("secret_file {name}"), folder.join(name)));
    let tokens = tokens(view).map(|(object, path)| (object, path.to_owned()));
    let key = view.site.file.server.sign_key.iter().map(|path| ("server sign_key".to_owned(), path.clone()));
    for (object, path) in tokens.chain(key).chain(secrets) {
        if let Ok(metadata) = std::fs::metadata(&path)
            && metadata.mode() & 0o027 != 0
        {
            let message = format!("{} has the permissions {:04o}", path.display(), metadata.mode() & 0o7777);
            found.at(object, message);
        }
    }
}

fn token_short(view: &View<'_>, found: &mut Found) {
    let Some(path) = &view.site.file.server.token_file else { return };
    let Ok(token) = read_token(path) else { return };
    let token = token.expose().trim_ascii();
    if token.len() < SHORTEST_TOKEN || !token.iter().all(u8::is_ascii_graphic) {
        let message = format!("{}: not one word of {SHORTEST_TOKEN} characters or more", path.display());
        found.at("server token_file", message);
    }
}

/// Wiped when dropped.
fn read_token(path: &Path) -> std::io::Result<Secret> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LONGEST_TOKEN).read_to_end(&mut bytes)?;
    Ok(Secret::new(bytes))
}
