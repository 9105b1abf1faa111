//! What of a parameter's value people are shown.

use super::cmdline::normal;
use super::url::{has_account, is_url};
use super::words::{NETROOT, PASSWORD, PASSWORD_IN};
use crate::sys::http;

/// In place of a secret.
pub const SECRET: &str = "(secret)";

/// The value of the kernel parameter `name` without what is secret in it: CHAP secrets, and of URLs the account and
/// what stands behind a `?`, where tokens are.
pub fn value(name: &str, value: &str) -> String {
    let is = |other: &str| normal(name) == normal(other);
    if is(PASSWORD) || is(PASSWORD_IN) {
        return if value.is_empty() { String::new() } else { SECRET.to_owned() };
    }
    if is(NETROOT) {
        return netroot(value);
    }
    // Lists of URLs, and `UUID=URL`.
    let parts: Vec<String> = value.split(',').map(url).collect();
    parts.join(",")
}

/// `iscsi:USER:SECRET@SERVER:…`; what stands before the last `@` is the account, as the parser has it.
fn netroot(value: &str) -> String {
    match value.rsplit_once('@') {
        Some((account, server)) if account != "iscsi:" => {
            let protocol = if account.starts_with("iscsi:") { "iscsi:" } else { "" };
            format!("{protocol}{SECRET}@{server}")
        }
        _ => url(value),
    }
}

fn url(text: &str) -> String {
    let Some(at) = ["http://", "https://"].iter().filter_map(|scheme| text.find(scheme)).min() else {
        return text.to_owned();
    };
    let (before, url) = text.split_at(at);
    let more = if url.contains(['?', '#']) { format!("?{SECRET}") } else { String::new() };
    let account = if has_account(url) || !is_url(url) { format!("{SECRET}@") } else { String::new() };
    let shown = http::shown(url);
    let shown = shown.replacen("://", &format!("://{account}"), 1);
    format!("{before}{shown}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::words::{LUKS_KEY, PLAN, TIMEOUT};

    #[test]
    fn no_secret_is_shown_and_all_else_is() {
        let cases = [
            (PASSWORD, "hunter2", "(secret)"),
            ("rd.iscsi.in.password", "hunter2", "(secret)"),
            (PASSWORD, "", ""),
            (TIMEOUT, "30", "30"),
            (PLAN, "/etc/plan.json", "/etc/plan.json"),
            (PLAN, "http://a/p,https://me:hunter2@b/p", "http://a/p,https://(secret)@b/p"),
            (PLAN, "http://a/p?token=hunter2", "http://a/p?(secret)"),
            (LUKS_KEY, "2b1c6b0e=https://me:hunter2@b/k?t=hunter2", "2b1c6b0e=https://(secret)@b/k?(secret)"),
            (NETROOT, "iscsi:a::::iqn.x", "iscsi:a::::iqn.x"),
            (NETROOT, "iscsi:u:hunter2@a::::iqn.x", "iscsi:(secret)@a::::iqn.x"),
            (NETROOT, "iscsi:u:hunter2:t:hunter2@[::1]::::iqn.x", "iscsi:(secret)@[::1]::::iqn.x"),
            (NETROOT, "iscsi:@a::::iqn.x", "iscsi:@a::::iqn.x"),
        ];
        for (name, given, expected) in cases {
            assert_eq!(value(name, given), expected, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_account_is(user in "[a-z]{1,5}", secret in "[0-9]{9}[a-z:]{0,3}") {
            for text in [format!("iscsi:{user}:{secret}@10.0.0.1::::iqn.x"), format!("http://{user}:{secret}@a/p")] {
                for name in [NETROOT, PLAN] {
                    proptest::prop_assert!(!value(name, &text).contains(&secret) || name == PLAN && text.starts_with("iscsi"));
                }
            }
        }
    }
}
