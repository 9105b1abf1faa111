//! This server: where nodes reach it, and whom it tells.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use diskless::input::url::{self, is_url};
use ipnet::IpNet;

use super::Level::{Error, Warning};
use super::found::Found;
use super::rule::{Rule, Run};
use super::view::View;
use crate::webhook::trigger::TRIGGERS;

/// Paths that the server has for itself, with all that is below them.
const RESERVED: &[&str] =
    &["boot", "boot.ipxe", "files", "health", "metrics", "phone_home/kernel", "plan", "report", "v1", "web"];

pub const RULES: &[Rule] = &[
    Rule {
        code: "server-url",
        level: Error,
        doc: "`server.url` is set: http:// or https://, a host, a port, and nothing behind it.",
        advice: "write it as nodes reach this server: http://10.0.0.1:32001",
        run: Run::Site(address),
    },
    Rule {
        code: "server-url-https",
        level: Warning,
        doc: "`server.url` is http://: old iPXE ROMs have no HTTPS, and others only with a certificate built in.",
        advice: "use http:// unless all nodes boot an iPXE that trusts this server's certificate",
        run: Run::Site(https),
    },
    Rule {
        code: "server-url-local",
        level: Error,
        doc: "`server.url` does not name this machine alone (localhost, 127.0.0.1, 0.0.0.0).",
        advice: "write the address or the name by which nodes reach this server",
        run: Run::Site(local),
    },
    Rule {
        code: "server-listen",
        level: Error,
        doc: "`server.listen` has an address and a port at least once, and nothing else.",
        advice: "write addresses with ports: \"[::]:32001\", \"10.0.0.1:32001\"",
        run: Run::Site(listen),
    },
    Rule {
        code: "plans-from",
        level: Error,
        doc: "`server.plans_from` has networks only.",
        advice: "write networks, 10.1.0.0/16, and one host as 10.1.0.7/32; an empty list gives plans to everybody",
        run: Run::Site(plans_from),
    },
    Rule {
        code: "paths-shape",
        level: Error,
        doc: "The paths in `server.paths` begin with `/` and are plain.",
        advice: "write letters, digits, `.`, `-`, `_` and `/` only: /phone_home/ipxe",
        run: Run::Site(shape),
    },
    Rule {
        code: "paths-collide",
        level: Error,
        doc: "The paths in `server.paths` differ from each other and from the server's own.",
        advice: "give each of them a path of its own; docs/site.md has the usual ones",
        run: Run::Site(collide),
    },
    Rule {
        code: "webhook-twice",
        level: Error,
        doc: "No two webhooks have the same name: deliveries are kept by it.",
        advice: "rename one of them",
        run: Run::Site(webhook_twice),
    },
    Rule {
        code: "webhook-url",
        level: Error,
        doc: "A webhook has an http:// or https:// URL.",
        advice: "correct the URL",
        run: Run::Site(webhook_url),
    },
    Rule {
        code: "webhook-trigger",
        level: Error,
        doc: "The triggers of a webhook are some that there are.",
        advice: "correct the trigger, or take `triggers` out: the webhook is told of all of them then",
        run: Run::Site(webhook_trigger),
    },
    Rule {
        code: "webhook-ca",
        level: Error,
        doc: "A webhook with an https:// URL has a `ca_file`: the CAs that its server is checked by.",
        advice: "name a file with their certificates in PEM form, like /etc/ssl/certs/ca-certificates.crt",
        run: Run::Site(webhook_ca),
    },
    Rule {
        code: "webhook-token",
        level: Error,
        doc: "A webhook has both `token_header` and `token_file`, or none of them.",
        advice: "say in which header the token goes, and which file it is in",
        run: Run::Site(webhook_token),
    },
];

/// The host of an HTTP(S) URL, without brackets.
fn host(url: &str) -> Option<String> {
    let (host, _) = diskless::sys::http::server(url)?;
    Some(host.trim_matches(['[', ']']).to_owned())
}

fn address(view: &View<'_>, found: &mut Found) {
    let text = &view.site.file.server.url;
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    if text.is_empty() {
        found.at("server url", "is not set");
    } else if !is_url(text) || host(text).is_none() {
        found.at("server url", url::EXPECTED);
    } else if rest.strip_suffix('/').unwrap_or(rest).contains(['/', '?', '#']) {
        found.at("server url", "has something behind the host and port");
    }
}

fn https(view: &View<'_>, found: &mut Found) {
    if view.site.file.server.url.starts_with("https://") {
        found.at("server url", "is https://");
    }
}

fn local(view: &View<'_>, found: &mut Found) {
    let Some(host) = host(&view.site.file.server.url) else { return };
    let address = host.parse::<IpAddr>().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback() || address.is_unspecified())
    {
        found.at("server url", format!("{host} is each node itself"));
    }
}

fn listen(view: &View<'_>, found: &mut Found) {
    let listen = &view.site.file.server.listen;
    if listen.is_empty() {
        found.at("server listen", "is empty");
    }
    for text in listen.iter().filter(|text| text.parse::<SocketAddr>().is_err()) {
        found.at("server listen", format!("{text:?} is not an address with a port"));
    }
}

fn plans_from(view: &View<'_>, found: &mut Found) {
    for text in view.site.file.server.plans_from.iter().flatten() {
        if text.parse::<IpNet>().is_err() {
            found.at("server plans_from", format!("{text:?} is not a network like 10.1.0.0/16"));
        }
    }
}

fn paths<'a>(view: &'a View<'_>) -> [(&'static str, &'a str); 3] {
    let paths = &view.site.file.server.paths;
    [("ipxe", &paths.ipxe), ("cloudinit", &paths.cloudinit), ("up", &paths.up)]
}

fn shape(view: &View<'_>, found: &mut Found) {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    for (name, path) in paths(view) {
        if !path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain)) {
            found.at(format!("server paths.{name}"), format!("{path:?} is not a plain path"));
        }
    }
}

fn collide(view: &View<'_>, found: &mut Found) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, path) in paths(view) {
        let below = |reserved: &str| {
            let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(reserved));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some(reserved) = RESERVED.iter().find(|reserved| below(reserved)) {
            found.at(format!("server paths.{name}"), format!("{path} is of the server's own /{reserved}"));
        }
        if let Some(other) = owners.insert(path, name) {
            found.at(format!("server paths.{name}"), format!("{path} is that of server paths.{other}, too"));
        }
    }
}

fn webhook_twice(view: &View<'_>, found: &mut Found) {
    let mut names = BTreeSet::new();
    for webhook in &view.site.file.webhooks {
        if !names.insert(&webhook.name) {
            found.at(format!("webhook {}", webhook.name), "another one has this name");
        }
    }
}

fn webhook_url(view: &View<'_>, found: &mut Found) {
    for webhook in view.site.file.webhooks.iter().filter(|webhook| !is_url(&webhook.url)) {
        found.at(format!("webhook {}", webhook.name), url::EXPECTED);
    }
}

fn webhook_trigger(view: &View<'_>, found: &mut Found) {
    for webhook in &view.site.file.webhooks {
        for trigger in webhook.triggers.iter().filter(|trigger| !TRIGGERS.contains(&trigger.as_str())) {
            let known = TRIGGERS.join(", ");
            found.at(format!("webhook {}", webhook.name), format!("{trigger:?} is none of {known}"));
        }
    }
}

fn webhook_ca(view: &View<'_>, found: &mut Found) {
    for webhook in &view.site.file.webhooks {
        if webhook.url.starts_with("https://") && webhook.ca_file.is_none() {
            found.at(format!("webhook {}", webhook.name), "is https:// and has no ca_file");
        }
    }
}

fn webhook_token(view: &View<'_>, found: &mut Found) {
    for webhook in &view.site.file.webhooks {
        let message = match (&webhook.token_header, &webhook.token_file) {
            (Some(_), None) => "has a token_header and no token_file",
            (None, Some(_)) => "has a token_file and no token_header",
            _ => continue,
        };
        found.at(format!("webhook {}", webhook.name), message);
    }
}
