//! What may be shown of text that somebody may have put a secret into. Pure.
//!
//! Of a kernel command line a value is shown where its parameter is known to hold no secret, and no other. Of other text,
//! which nobody knows the form of, everything is shown but what looks like a secret; [`crate::bundle::scrub`] takes out what
//! is known to be one as well.

mod free_text;

pub use free_text::free_text;

use super::cmdline::{Word, parse_word, split};
use super::words::{ISCSI_PARAM, LUKS_KEY, NETROOT, PARAMETERS, PASSWORD, PASSWORD_IN};
use crate::sys::http::shown;

/// What stands for what is not shown.
pub const HIDDEN: &str = "***";

/// Parameters beside ours whose values are no secrets: those of the kernel, systemd and dracut that a boot is told by.
const PLAIN: &[&str] = &[
    "BOOT_IMAGE",
    "apparmor",
    "audit",
    "biosdevname",
    "bond",
    "bridge",
    "console",
    "crashkernel",
    "debug",
    "default_hugepagesz",
    "earlycon",
    "earlyprintk",
    "efi",
    "emergency",
    "enforcing",
    "fips",
    "hugepages",
    "hugepagesz",
    "ifname",
    "init",
    "initrd",
    "intel_iommu",
    "amd_iommu",
    "intel_pstate",
    "iommu",
    "ip",
    "isolcpus",
    "log_buf_len",
    "loglevel",
    "mem",
    "mitigations",
    "modprobe.blacklist",
    "module_blacklist",
    "nameserver",
    "net.ifnames",
    "nohz_full",
    "nomodeset",
    "nosmt",
    "numa_balancing",
    "panic",
    "pci",
    "pcie_aspm",
    "printk.devkmsg",
    "quiet",
    "random.trust_bootloader",
    "random.trust_cpu",
    "rcu_nocbs",
    "rd.break",
    "rd.debug",
    "rd.emergency",
    "rd.info",
    "rd.neednet",
    "rd.net.timeout.carrier",
    "rd.net.timeout.dhcp",
    "rd.retry",
    "rd.route",
    "rd.shell",
    "rd.systemd.unit",
    "rd.timeout",
    "rd.udev.log_level",
    "rdinit",
    "rhgb",
    "ro",
    "rootdelay",
    "rootflags",
    "rootwait",
    "rw",
    "security",
    "selinux",
    "single",
    "splash",
    "systemd.condition_first_boot",
    "systemd.debug_shell",
    "systemd.journald.forward_to_console",
    "systemd.log_color",
    "systemd.log_level",
    "systemd.log_target",
    "systemd.mask",
    "systemd.show_status",
    "systemd.unit",
    "systemd.wants",
    "team",
    "transparent_hugepage",
    "tsc",
    "vconsole.keymap",
    "vlan",
];

/// The command line `text` with `***` for each value that may be a secret. What follows `--` is init's, and hidden.
pub fn cmdline(text: &str) -> String {
    let mut shown: Vec<String> = Vec::new();
    for word in split(text) {
        if word == "--" {
            shown.push(format!("-- {HIDDEN}"));
            break;
        }
        shown.push(self::word(&parse_word(&word)));
    }
    shown.join(" ")
}

/// What of `text` [`cmdline`] hides, as far as it may be a secret.
pub fn hidden_of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut words = split(text).into_iter();
    for text in words.by_ref().take_while(|word| word != "--") {
        let parsed = parse_word(&text);
        match &parsed.value {
            Some(value) if self::word(&parsed).ends_with(value) => (),
            Some(value) if is_known(&parsed.key) => found.extend(accounts(value)),
            // Of what nobody knows the words that people use are no secrets: `performance`, `memory`.
            Some(value) => found.extend(Some(value.clone()).filter(|value| is_odd(value))),
            None => found.extend(Some(text).filter(|text| !is_known(&parsed.key) && is_odd(text))),
        }
    }
    found.extend(words.filter(|word| is_odd(word)));
    found
}

fn is_known(key: &str) -> bool {
    let is = |name: &str| name.replace('-', "_") == key;
    PARAMETERS.iter().any(|parameter| is(parameter.name)) || PLAIN.iter().any(|name| is(name))
}

/// Whether a text is more than words of lower case.
fn is_odd(text: &str) -> bool {
    !text.bytes().all(|byte| byte.is_ascii_lowercase() || b"_-.,".contains(&byte))
}

/// The secrets in a URL: its account, and the values of its query.
pub fn secrets_of_url(url: &str) -> Vec<String> {
    accounts(url)
}

/// The absolute paths that parameters name, and that a key may be at: `rd.luks.key=[UUID=]PATH`.
pub fn paths(text: &str) -> Vec<String> {
    let words = split(text).into_iter().map(|text| parse_word(&text));
    let keys = words.filter(|word| word.key == LUKS_KEY).filter_map(|word| word.value);
    keys.filter_map(|value| Some(value.get(value.find('/')?..)?.to_owned())).collect()
}

/// The names of what is no secret in a query: who a node is.
const WHO: &[&str] = &["mac", "uuid", "hostname", "node", "name", "serial", "arch", "version", "buildarch"];

/// The secrets in a value: passwords of an account before `@`, values of a query, and all of one that has neither.
fn accounts(value: &str) -> Vec<String> {
    // Several URLs stand in one value with commas between them.
    let separator = if value.contains("://") { "," } else { "\n" };
    value.split(separator).flat_map(secrets).collect()
}

fn secrets(value: &str) -> Vec<String> {
    let account = value.rsplit_once('@').map(|(before, _)| before.rsplit("://").next().unwrap_or(before));
    let account = account.map(|account| account.strip_prefix("iscsi:").unwrap_or(account));
    let mut found = Vec::new();
    match account.and_then(|account| account.split_once(':')) {
        // NAME:PASSWORD, and of iSCSI the other direction's behind it.
        Some((_, rest)) => {
            found.push(rest.to_owned());
            found.extend(rest.split(':').step_by(2).map(str::to_owned));
        }
        None => found.extend(account.map(str::to_owned)),
    }
    let queries = value.split('?').skip(1).flat_map(|query| query.split(['&', '#']));
    let values = queries.filter_map(|part| match part.split_once('=') {
        Some((name, _)) if WHO.contains(&name) => None,
        Some((_, value)) => Some(value),
        None => Some(part),
    });
    found.extend(values.map(str::to_owned));
    if account.is_none() && !value.contains("://") {
        found.push(value.to_owned());
    }
    found
}

fn word(Word { key, value, .. }: &Word) -> String {
    let is = |name: &str| name.replace('-', "_") == *key;
    let ours = || PARAMETERS.iter().any(|parameter| is(parameter.name));
    let plain = || PLAIN.iter().any(|name| is(name));
    let Some(value) = value else {
        return if ours() || plain() { key.clone() } else { HIDDEN.to_owned() };
    };
    if is(PASSWORD) || is(PASSWORD_IN) {
        return format!("{key}={HIDDEN}");
    }
    if is(NETROOT) {
        let rest = value.rsplit_once('@').map(|(_, rest)| format!("iscsi:{HIDDEN}@{rest}"));
        return format!("{key}={}", rest.as_ref().unwrap_or(value));
    }
    if is(ISCSI_PARAM) {
        // A setting of a session; those of its account are refused, and may be there all the same.
        let is_account = value.contains(".auth.") && !value.contains("chap_algs");
        return if is_account { format!("{key}={HIDDEN}") } else { format!("{key}={value}") };
    }
    if ours() || plain() {
        return format!("{key}={}", urls(value));
    }
    // What nobody knows: its name, if it looks like one.
    let is_name =
        key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte));
    if is_name && key.len() <= 64 { format!("{key}={HIDDEN}") } else { HIDDEN.to_owned() }
}

/// `text` with each http:// or https:// URL in it without account and query.
pub fn urls(text: &str) -> String {
    let mut found = String::new();
    let mut rest = text;
    while let Some(at) = ["http://", "https://"].iter().filter_map(|scheme| rest.find(scheme)).min() {
        let (before, url) = rest.split_at(at);
        let ends =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>' | ',' | '`');
        let (url, after) = url.split_at(url.find(ends).unwrap_or(url.len()));
        found.push_str(before);
        found.push_str(&shown(url));
        rest = after;
    }
    found + rest
}

#[cfg(test)]
mod tests {
    use super::free_text::SECRET_NAMES;
    use super::*;

    #[test]
    fn a_command_line_shows_what_cannot_be_a_secret() {
        let cases = [
            ("quiet ro console=ttyS0,115200", "quiet ro console=ttyS0,115200"),
            (
                "rd.iscsi.password=hunter2 rd.iscsi.in.password=\"hunter 2\"",
                "rd.iscsi.password=*** rd.iscsi.in.password=***",
            ),
            ("rd.iscsi.username=node1", "rd.iscsi.username=node1"),
            ("netroot=iscsi:u:hunter2:t:s@10.0.0.1::::iqn.a:b", "netroot=iscsi:***@10.0.0.1::::iqn.a:b"),
            ("netroot=iscsi:10.0.0.1::::iqn.a:b", "netroot=iscsi:10.0.0.1::::iqn.a:b"),
            (
                "rd.diskless.plan=http://u:hunter2@a/p?t=hunter2,https://b/p?hunter2",
                "rd.diskless.plan=http://a/p,https://b/p",
            ),
            ("rd.luks.key=0123=https://u:hunter2@a/k", "rd.luks.key=0123=https://a/k"),
            ("rd.iscsi.param=node.session.auth.password=hunter2", "rd.iscsi.param=***"),
            (
                "rd.iscsi.param=node.session.timeo.replacement_timeout=5",
                "rd.iscsi.param=node.session.timeo.replacement_timeout=5",
            ),
            ("rd.iscsi.password= hunter2", "rd.iscsi.password=*** ***"),
            ("inst.rootpw=hunter2 c2Vj=cmV0", "inst.rootpw=*** ***"),
            ("quiet -- hunter2", "quiet -- ***"),
        ];
        for (text, expected) in cases {
            assert_eq!(cmdline(text), expected, "{text}");
            let is_known = hidden_of(text).iter().any(|secret| secret.contains("hunter2"));
            assert_eq!(text.contains("hunter2"), is_known, "{text}: {:?}", hidden_of(text));
        }
    }

    #[test]
    fn what_is_no_secret_is_not_looked_for() {
        let hidden = |text: &str| hidden_of(text);
        assert_eq!(
            hidden("netroot=iscsi:user1:Secret1:peer1:Secret2@a::::iqn.a:b"),
            ["Secret1:peer1:Secret2", "Secret1", "Secret2"]
        );
        assert_eq!(
            hidden("rd.diskless.plan=http://user1:Secret1@a/p?mac=52:54&t=Secret2"),
            ["Secret1", "Secret1", "Secret2"]
        );
        assert!(
            hidden("cgroup_disable=memory quiet nosplash console=ttyS0,115200 root=/dev/mapper/X1")
                .is_empty()
        );
    }

    #[test]
    fn parameters_with_secrets_are_known() {
        for parameter in PARAMETERS {
            let name = parameter.name;
            let shows = cmdline(&format!("{name}=hunter2hunter2")).contains("hunter2");
            let is_secret = SECRET_NAMES.iter().any(|secret| name.contains(secret));
            assert_eq!(shows, !is_secret, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_shown_or_not(text: String, words in "([a-z.=:@/?\" ]{0,12}(http://|secret|password)){0,4}") {
            for text in [text, words] {
                let _ = (cmdline(&text), hidden_of(&text));
            }
        }
    }
}
