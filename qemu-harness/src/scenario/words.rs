//! Texts of a scenario that the harness completes: `${…}` and the kernel's command line.

use crate::lab::{DISKLESSD, HTTP, HTTPS, OPERATOR, PORT, PORTAL, SERVER, lio_address, server, server6};
use crate::recipe::{KEY_ARGON2ID, KEY_PBKDF2, LUKS_UUID};
use crate::scenario::Kernel;

/// What the harness gives every node; `panic=-1` ends a machine that panics, or starts it anew. Mitigations of
/// processor faults, and huge pages, which are cleared whole, only make an emulated processor slow.
const MACHINE: &str = "console=ttyS0 panic=-1 mitigations=off transparent_hugepage=never";
/// And one that boots without a server that knows better.
const NETWORK: &str = "ip=dhcp rd.neednet=1";

/// Replaces `${server}`, `${portal}` and `${portal.N}`, `${portal6.N}`, `${lio.N}` (in subnet N), `${http}`, `${https}`, `${disklessd}`, `${machine}`, `${ssh.key}`, `${image.uuid}`,
/// `${key.argon2id}` and `${key.pbkdf2}`.
pub fn substitute(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            return Err("`${` without `}`".to_owned());
        };
        out.push_str(before);
        out.push_str(&value(name).ok_or_else(|| format!("`${{{name}}}` is not known"))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn value(name: &str) -> Option<String> {
    if let Some((kind, subnet)) = name.split_once('.') {
        let subnet = subnet.parse::<u8>();
        match (kind, subnet) {
            ("lio", Ok(subnet)) => return Some(format!("{}:{PORT}", lio_address(subnet))),
            ("portal", Ok(subnet)) => return Some(format!("{}:{PORT}", server(subnet))),
            ("portal6", Ok(subnet)) => return Some(format!("[{}]:{PORT}", server6(subnet))),
            _ => {}
        }
    }
    let fixed = match name {
        "server" => SERVER,
        "portal" => PORTAL,
        "http" => HTTP,
        "https" => HTTPS,
        "disklessd" => DISKLESSD,
        "machine" => MACHINE,
        "ssh.key" => OPERATOR.trim_ascii_end(),
        "image.uuid" => LUKS_UUID,
        "key.argon2id" => KEY_ARGON2ID,
        "key.pbkdf2" => KEY_PBKDF2,
        _ => return None,
    };
    Some(fixed.to_owned())
}

/// The kernel's command line: the harness's parameters, less those that the scenario names, and the scenario's, of which
/// `one` is one of [`Kernel::each`]. `served` says whether a plan is to be had over HTTP.
pub fn command_line(kernel: &Kernel, one: &str, served: bool) -> String {
    let own: Vec<&str> = kernel.cmdline.split_whitespace().chain(one.split_whitespace()).collect();
    let plan = served.then(|| format!("rd.diskless.plan={HTTP}/plan.json"));
    let network = if kernel.network { NETWORK } else { "" };
    let base = MACHINE.split_whitespace().chain(network.split_whitespace()).chain(plan.as_deref());
    let kept = base.filter(|word| !own.iter().any(|other| name(other) == name(word)));
    kept.chain(own.iter().copied()).collect::<Vec<_>>().join(" ")
}

fn name(parameter: &str) -> &str {
    parameter.split_once('=').map_or(parameter, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced() {
        assert_eq!(substitute("a ${portal} b").unwrap(), format!("a {PORTAL} b"));
        assert_eq!(substitute("${portal.0}").unwrap(), PORTAL);
        assert_eq!(
            substitute("${portal.2} ${portal6.1}").unwrap(),
            "198.18.2.1:3260 [fd00:198:18:1::1]:3260"
        );
        assert_eq!(substitute("no names, $ and {}").unwrap(), "no names, $ and {}");
        assert!(substitute("${colour}").unwrap_err().contains("colour"));
        assert!(substitute("${portal").is_err());
        assert!(substitute("${portal.x}").is_err());
    }

    #[test]
    fn the_scenarios_parameters_win() {
        let kernel = |cmdline: &str, network| Kernel { cmdline: cmdline.into(), network, each: Vec::new() };
        assert_eq!(
            command_line(&kernel("rd.diskless.plan=/etc/plan.json quiet", true), "root=diskless", true),
            "console=ttyS0 panic=-1 mitigations=off transparent_hugepage=never ip=dhcp rd.neednet=1 rd.diskless.plan=/etc/plan.json quiet root=diskless"
        );
        let plan = format!("rd.diskless.plan={HTTP}/plan.json");
        assert!(command_line(&kernel("", true), "", true).ends_with(&plan));
        assert!(!command_line(&kernel("", true), "", false).contains("rd.diskless"));
        assert!(!command_line(&kernel("", false), "", false).contains("ip="));
    }
}
