//! The lines of iscsid.conf that come of the plan's CHAP accounts: one table of all, as [`super::settings::SETTINGS`]
//! is one of all others. No preset can have a value for them.

use super::document::{Algorithm, Chap, Iscsi};
use super::secret::Secret;
use super::settings::Lands;

/// A line of iscsid.conf that an account has.
pub struct AccountSetting {
    /// As in iscsid.conf.
    pub key: &'static str,
    /// The member of the plan that it comes of.
    pub member: &'static str,
    /// Where the value shows, beside iscsid.conf of the new root.
    pub lands: Lands,
    account: fn(&Iscsi) -> Option<&Chap>,
    value: fn(&Chap) -> Option<Secret>,
}

const PROOF: Lands = Lands::Agent("what is proved to the target, and by it, in the login");
const DISCOVERY: Lands = Lands::Agent("what is proved to the portal, and by it, in a discovery");

const fn node(
    key: &'static str,
    member: &'static str,
    lands: Lands,
    value: fn(&Chap) -> Option<Secret>,
) -> AccountSetting {
    AccountSetting { key, member, lands, account: |iscsi| iscsi.auth.as_ref(), value }
}

const fn discovery(
    key: &'static str,
    member: &'static str,
    value: fn(&Chap) -> Option<Secret>,
) -> AccountSetting {
    AccountSetting {
        key,
        member,
        lands: DISCOVERY,
        account: |iscsi| iscsi.discovery.as_ref()?.auth.as_ref(),
        value,
    }
}

/// All of them, in the order of the original's file. open-iscsi has no key for the algorithms of a discovery.
pub const ACCOUNT_SETTINGS: &[AccountSetting] = &[
    discovery("discovery.sendtargets.auth.authmethod", "iscsi.discovery.auth", method),
    discovery("discovery.sendtargets.auth.username", "iscsi.discovery.auth.username", username),
    discovery("discovery.sendtargets.auth.password", "iscsi.discovery.auth.secret", password),
    discovery("discovery.sendtargets.auth.username_in", "iscsi.discovery.auth.mutual.username", username_in),
    discovery("discovery.sendtargets.auth.password_in", "iscsi.discovery.auth.mutual.secret", password_in),
    node("node.session.auth.authmethod", "iscsi.auth", PROOF, method),
    node(
        "node.session.auth.username_in",
        "iscsi.auth.mutual.username",
        Lands::Session("username_in"),
        username_in,
    ),
    node(
        "node.session.auth.password_in",
        "iscsi.auth.mutual.secret",
        Lands::Session("password_in"),
        password_in,
    ),
    node("node.session.auth.username", "iscsi.auth.username", Lands::Session("username"), username),
    node("node.session.auth.password", "iscsi.auth.secret", Lands::Session("password"), password),
    node("node.session.auth.chap_algs", "iscsi.auth.algorithms", PROOF, algorithms),
];

/// The lines of the accounts that the plan has. None as the value: the file is not to have the line, for that of
/// another account would be held to belong to this one. Of an account that the plan does not have nothing is said.
pub fn lines(iscsi: &Iscsi) -> impl Iterator<Item = (&'static str, Option<Secret>)> {
    ACCOUNT_SETTINGS
        .iter()
        .filter_map(|setting| Some((setting.key, (setting.value)((setting.account)(iscsi)?))))
}

fn secret(text: impl Into<Vec<u8>>) -> Option<Secret> {
    Some(Secret::new(text.into()))
}

fn method(_: &Chap) -> Option<Secret> {
    secret("CHAP")
}

fn username(chap: &Chap) -> Option<Secret> {
    secret(chap.username.as_str())
}

fn password(chap: &Chap) -> Option<Secret> {
    Some(chap.secret.clone())
}

fn username_in(chap: &Chap) -> Option<Secret> {
    chap.mutual.as_ref().and_then(|mutual| secret(mutual.username.as_str()))
}

fn password_in(chap: &Chap) -> Option<Secret> {
    chap.mutual.as_ref().map(|mutual| mutual.secret.clone())
}

/// None for MD5 alone, which is what iscsid does by itself: those before open-iscsi 2.1 know no such key.
fn algorithms(chap: &Chap) -> Option<Secret> {
    if chap.algorithms == [Algorithm::Md5] {
        return None;
    }
    let names = chap.algorithms.iter().map(|algorithm| match algorithm {
        Algorithm::Md5 => "MD5",
        Algorithm::Sha1 => "SHA1",
        Algorithm::Sha256 => "SHA256",
        Algorithm::Sha3_256 => "SHA3-256",
    });
    secret(names.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines as text; a line that must not be is marked.
    fn text(iscsi: serde_json::Value) -> Vec<String> {
        let iscsi: Iscsi = serde_json::from_value(iscsi).unwrap();
        lines(&iscsi)
            .map(|(key, value)| match value {
                Some(value) => format!("{key} = {}", String::from_utf8_lossy(value.expose())),
                None => format!("no {key}"),
            })
            .collect()
    }

    #[test]
    fn an_account_says_all_of_its_lines_or_that_they_must_not_be() {
        let mut iscsi = serde_json::json!({"target": "iqn.2026-01.a:b", "portals": ["10.0.0.1"]});
        assert!(text(iscsi.clone()).is_empty());
        iscsi["auth"] = serde_json::json!({"username": "node", "secret": "one"});
        let one_way = [
            "node.session.auth.authmethod = CHAP",
            "no node.session.auth.username_in",
            "no node.session.auth.password_in",
            "node.session.auth.username = node",
            "node.session.auth.password = one",
            "no node.session.auth.chap_algs",
        ];
        assert_eq!(text(iscsi.clone()), one_way);
        iscsi["discovery"] = serde_json::json!({"auth": {
            "username": "disco", "secret": "two", "mutual": {"username": "store", "secret": "three"}
        }});
        iscsi["auth"]["algorithms"] = serde_json::json!(["SHA3-256", "SHA256", "SHA1", "MD5"]);
        let mutual = [
            "discovery.sendtargets.auth.authmethod = CHAP",
            "discovery.sendtargets.auth.username = disco",
            "discovery.sendtargets.auth.password = two",
            "discovery.sendtargets.auth.username_in = store",
            "discovery.sendtargets.auth.password_in = three",
        ];
        let algorithms = ["node.session.auth.chap_algs = SHA3-256,SHA256,SHA1,MD5"];
        assert_eq!(text(iscsi), [&mutual[..], &one_way[..5], &algorithms[..]].concat());
    }
}
