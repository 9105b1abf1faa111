//! What nodes put into queries and bodies, as values. Pure; anything is a form, if perhaps an empty one.

use std::borrow::Cow;

use diskless::report::record::Record;

use crate::ipxe::Asked;
use crate::store::Form;

/// What cloud-init sends for what it has no value for.
const NO_VALUE: &str = "N/A";
/// The kinds of SSH host keys that cloud-init sends, as `pub_key_KIND`.
const KEYS: [&str; 4] = ["dsa", "rsa", "ecdsa", "ed25519"];
/// No boot id, and no version, is longer.
const LONGEST_ID: usize = 64;

/// The fields of `text`, `application/x-www-form-urlencoded`: `+` and `%XX` decoded, what is no UTF-8 replaced.
fn fields(text: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Option<String>)> {
    form_urlencoded::parse(text).map(|(name, value)| {
        let value = value.trim();
        (name, (!value.is_empty() && value != NO_VALUE).then(|| value.to_owned()))
    })
}

/// Reads the form of cloud-init's [phone_home], of its older versions (no `pub_key_ed25519`) too. Of a field that comes
/// twice the last one counts; fields that are not known are left out.
///
/// [phone_home]: https://docs.cloud-init.io/en/latest/reference/modules.html#phone-home
pub fn phone_home(body: &[u8]) -> Form {
    let mut form = Form::default();
    for (name, value) in fields(body) {
        match &*name {
            "instance_id" => form.instance_id = value,
            "hostname" => form.hostname = value,
            "fqdn" => form.fqdn = value,
            name => {
                let kind = name.strip_prefix("pub_key_").filter(|kind| KEYS.contains(kind));
                match (kind, value) {
                    (Some(kind), Some(key)) => _ = form.pub_keys.insert(kind.to_owned(), key),
                    (Some(kind), None) => _ = form.pub_keys.remove(kind),
                    (None, _) => {}
                }
            }
        }
    }
    form
}

/// Reads what iPXE says of itself in the query of its request.
pub fn asked(query: &str) -> Asked {
    let mut asked = Asked::default();
    for (name, value) in fields(query.as_bytes()) {
        match &*name {
            "mac" => asked.mac = value,
            "uuid" => asked.uuid = value,
            "hostname" => asked.hostname = value,
            _ => {}
        }
    }
    asked
}

/// Reads an event of the agent, as `docs/report.md` describes it.
///
/// # Errors
/// What is wrong with it. The text quotes nothing of it.
pub fn event(body: &[u8]) -> Result<Record, String> {
    let record: Record = serde_json::from_slice(body)
        .map_err(|error| format!("line {}, column {}", error.line(), error.column()))?;
    let major = record.version.split_once('.').map(|(major, _)| major);
    if major != Some("1") || record.version.len() > LONGEST_ID {
        return Err("version: only 1.x is known".to_owned());
    }
    let known = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    if record.boot_id.is_empty() || record.boot_id.len() > LONGEST_ID || !record.boot_id.bytes().all(known) {
        return Err("boot_id: that is not one of the kernel's".to_owned());
    }
    if record.seq == 0 {
        return Err("seq: it counts from 1".to_owned());
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use diskless::report::record::Kind;
    use proptest::prelude::*;

    #[test]
    fn what_cloud_init_sends_is_read() {
        // As cloud-init 22.4 sends it with `post: all`, and as older ones do.
        let new = b"pub_key_rsa=ssh-rsa+AAAA%2BB%3D%3D+root%40node1&pub_key_ecdsa=N%2FA&pub_key_ed25519=ssh-ed25519+CC\
            &instance_id=iid-node1&hostname=node1&fqdn=node1.example.org";
        let form = phone_home(new);
        assert_eq!(form.hostname.as_deref(), Some("node1"));
        assert_eq!(form.fqdn.as_deref(), Some("node1.example.org"));
        assert_eq!(form.instance_id.as_deref(), Some("iid-node1"));
        let keys: Vec<_> = form.pub_keys.iter().map(|(kind, key)| (kind.as_str(), key.as_str())).collect();
        assert_eq!(keys, [("ed25519", "ssh-ed25519 CC"), ("rsa", "ssh-rsa AAAA+B== root@node1")]);
        let old =
            phone_home(b"pub_key_dsa=ssh-dss+A&pub_key_rsa=N%2FA&instance_id=i-1&hostname=N%2FA&fqdn=n");
        assert_eq!(old.hostname, None);
        assert_eq!(old.pub_keys.len(), 1);
    }

    #[test]
    fn odd_forms_are_forms() {
        for (text, hostname) in [
            (&b"hostname=a&hostname=b"[..], Some("b")),
            (b"hostname=a&hostname=N/A", None),
            (b"&&=&hostname=a&junk&pub_key_evil=x&x=1", Some("a")),
            (b"hostname=%ff%zz", Some("\u{fffd}%zz")),
            (b"hostname", None),
            (b"", None),
            (b"{\"hostname\": \"a\"}", None),
        ] {
            let form = phone_home(text);
            assert_eq!(form.hostname.as_deref(), hostname, "{}", String::from_utf8_lossy(text));
            assert!(form.pub_keys.is_empty());
        }
    }

    #[test]
    fn ipxe_says_who_it_is() {
        let said = asked("mac=52%3A54%3A00%3A00%3A00%3A01&uuid=&hostname=node1&x=1");
        let mac = Some("52:54:00:00:00:01".to_owned());
        assert_eq!(said, Asked { mac, uuid: None, hostname: Some("node1".to_owned()) });
        assert_eq!(asked(""), Asked::default());
    }

    #[test]
    fn an_event_of_the_agent_is_read_and_nothing_else() {
        let good = r#"{"version": "1.0", "boot_id": "0b5c-1", "run": 1, "seq": 1, "time": "", "uptime_ms": 1, "event": "run"}"#;
        assert_eq!(event(good.as_bytes()).unwrap().seq, 1);
        let newer = good.replace("1.0", "1.7").replace("\"run\": 1", "\"run\": 1, \"rack\": {\"a\": [1]}");
        assert_eq!(event(newer.as_bytes()).unwrap().version, "1.7");
        // What a later agent tells is kept, whatever it means.
        let newest = newer.replace("\"run\"}", "\"dance\"}");
        assert_eq!(event(newest.as_bytes()).unwrap().event, Kind::Other);
        for (from, to, wrong) in [
            ("1.0", "2.0", "version"),
            ("1.0", "1", "version"),
            ("0b5c-1", "", "boot_id"),
            ("0b5c-1", "a\\nb", "boot_id"),
            ("\"seq\": 1", "\"seq\": 0", "seq"),
            ("\"seq\": 1", "\"seq\": -1", "line 1"),
            ("\"run\"}", "7}", "line 1"),
            ("{", "[", "line 1"),
        ] {
            let error = event(good.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.contains(wrong), "{to}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_do(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let form = phone_home(&bytes);
            prop_assert!(form.pub_keys.len() <= KEYS.len());
            asked(&String::from_utf8_lossy(&bytes));
            let _ = event(&bytes);
        }

        #[test]
        fn a_value_comes_back(value in "[^\u{0}-\u{20}]{1,40}") {
            prop_assume!(value.trim() == value && value != NO_VALUE);
            let body = form_urlencoded::Serializer::new(String::new()).append_pair("fqdn", &value).finish();
            prop_assert_eq!(phone_home(body.as_bytes()).fqdn, Some(value));
        }
    }
}
