//! Whether a script shows what only its node may know.

use serde_json::Value;

/// Members of a boot plan (`docs/plan.md`) whose text is a secret.
const SECRETS: &[&str] = &["secret", "content", "password", "user_data", "vendor_data"];
/// Anything shorter is found in any text: it proves nothing. RFC 7143 wants CHAP secrets of 12 bytes at least.
const SHORTEST: usize = 4;

/// The places (JSON pointers) of those secrets of a boot plan that stand in `text`, as they are or as a URL has them.
///
/// Secrets are CHAP secrets, the content of files, what cloud-init is to do, and in URLs the account and the query.
pub fn shown(plan: &Value, text: &str) -> Vec<String> {
    let mut secrets = Vec::new();
    collect(plan, String::new(), false, &mut secrets);
    let shown = |secret: &str| {
        secret.len() >= SHORTEST && (text.contains(secret) || text.contains(&super::script::percent(secret)))
    };
    secrets.into_iter().filter(|(_, secret)| shown(secret)).map(|(place, _)| place).collect()
}

fn collect(value: &Value, place: String, secret: bool, secrets: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) if secret => secrets.push((place, text.trim().to_owned())),
        Value::String(text) => {
            secrets.extend(of_url(text).into_iter().map(|part| (place.clone(), part.to_owned())));
        }
        Value::Array(values) => {
            for (number, value) in values.iter().enumerate() {
                collect(value, format!("{place}/{number}"), secret, secrets);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                let secret = secret || SECRETS.contains(&name.as_str());
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(value, format!("{place}/{name}"), secret, secrets);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The password and the query of `text`, if it is a URL that has them.
fn of_url(text: &str) -> Vec<&str> {
    let Some((_, rest)) = text.split_once("://") else { return Vec::new() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let account = authority.rsplit_once('@').map(|(account, _)| account);
    let password = account.map(|account| account.split_once(':').map_or(account, |(_, password)| password));
    let query = path.split_once('?').map(|(_, query)| query);
    password.into_iter().chain(query).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_where_they_show() {
        let plan = serde_json::json!({
            "hostname": "ocean7",
            "iscsi": { "auth": { "username": "node", "secret": "chap secret/1", "mutual": { "secret": "0123456789ab" } } },
            "luks": { "key": { "url": "https://keys:letmein@keys.example/key?token=hush" } },
            "handover": { "files": [{ "path": "/etc/a/b", "content": "private key\n" }] },
            "cloud_init": { "user_data": "password: hidden" },
        });
        let shown = |text| shown(&plan, text);
        assert_eq!(shown("kernel http://a/ocean7 rd.iscsi.username=node https://keys.example/key"), [""; 0]);
        assert_eq!(shown("a=chap secret/1"), ["/iscsi/auth/secret"]);
        assert_eq!(shown("a=chap%20secret%2F1"), ["/iscsi/auth/secret"]);
        assert_eq!(shown("b=x0123456789abx"), ["/iscsi/auth/mutual/secret"]);
        assert_eq!(shown("c=http://keys:letmein@other/"), ["/luks/key/url"]);
        assert_eq!(shown("d=http://other/?token=hush"), ["/luks/key/url"]);
        assert_eq!(shown("e=private key"), ["/handover/files/0/content"]);
        assert_eq!(shown("f=password: hidden"), ["/cloud_init/user_data"]);
    }
}
