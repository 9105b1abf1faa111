//! `diskless plan --try`: another plan for this boot.

use lexopt::{Arg, Parser};

use super::HELP;
use super::given::{Node, place};
use super::show::window;
use crate::cli::{Failed, print};
use crate::engine::host::Host;
use crate::error::Result;
use crate::input::config::Source;
use crate::input::identity::Identity;
use crate::plan;
use crate::steps::fetch;

/// Puts a plan before every other source, or takes it away. One that cannot be used changes nothing.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let mut wanted = None;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("try") if wanted.is_none() => wanted = Some(args.value()?),
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            other => return Err(other.unexpected().into()),
        }
    }
    let Some(wanted) = wanted else { return Err(lexopt::Error::from("--try is missing").into()) };
    print(&match wanted.to_str() {
        Some("none") => none(host)?,
        _ => attempt(host, &place(&wanted)?)?,
    })
}

fn none(host: &Host) -> Result<String> {
    Ok(match fetch::no_more_to_try(host)? {
        true => {
            "the plan that was tried is gone; `diskless retry` boots with the configured one\n".to_owned()
        }
        false => "no plan was being tried\n".to_owned(),
    })
}

fn attempt(host: &Host, place: &str) -> Result<String> {
    let source = match place.starts_with('/') {
        true => Source::File(place.to_owned()),
        false => Source::Urls(vec![place.to_owned()]),
    };
    let Node { config, facts, baked, .. } = Node::this(host, Some(source))?;
    let (_, found, judged) = fetch::now(host, &config.plan, config.signing)?;
    let document = if config.multipath { judged.document } else { judged.document.without_map() };
    let identity = Identity::of(&document, &config, &facts, baked.as_deref())?;
    plan::from_document(&config, &document, &identity)?;
    fetch::put_to_try(host, &found)?;
    let mut text = format!("{}: {}", crate::sys::http::shown(place), window(document.validity.as_ref()));
    if let Some(signer) = &judged.signer {
        text.push_str(&format!(", signed by {signer}"));
    }
    for warning in &judged.warnings {
        text.push_str(&format!("\nWARNING: [{}] {warning}", warning.code().as_str()));
    }
    text.push_str("\nit goes before every other plan now; boot with it: `diskless retry`; not any more: `diskless plan --try none`\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    const PLAN: &str = r#"{ "version": "1.0", "validity": { "serial": 7 },
        "iscsi": { "initiator": "iqn.c:d", "target": "iqn.a:b", "portals": ["10.0.0.1"] },
        "luks": { "key": { "file": "/k" } },
        "overlay": { "mounts": [{ "at": "/", "lower": "/dev/mapper/luks_root1" }] } }"#;

    #[test]
    fn a_wrong_plan_is_refused_by_name_and_the_old_one_stays() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        // A node without a plan of its own, that an operator has trapped.
        write("proc/cmdline", "quiet");
        write("good.json", PLAN);
        let said = attempt(&host, "/good.json").unwrap();
        assert!(said.starts_with("/good.json: for any node, serial 7\n"), "{said}");
        let tried = || std::fs::read_to_string(host.path(fetch::TRIED)).unwrap();
        assert_eq!(tried(), PLAN);
        write("wrong.json", &PLAN.replace("iqn.a:b", "a:b"));
        write(
            "time.json",
            &PLAN.replace("\"serial\"", "\"not_after\": \"1971-01-01T00:00:00Z\", \"serial\""),
        );
        write("name.json", &PLAN.replace("\"initiator\": \"iqn.c:d\",", ""));
        for (file, code) in [
            ("/none.json", Code::PlanMissing),
            ("/wrong.json", Code::PlanIscsiName),
            ("/time.json", Code::PlanOutdated),
            ("/name.json", Code::Initiator),
        ] {
            let error = attempt(&host, file).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert_eq!(tried(), PLAN);
        }
        // What must be signed must be so here, too.
        write("etc/diskless/trusted.d/site.pub", include_str!("../../../tests/data/signatures/minisign.pub"));
        assert_eq!(attempt(&host, "/good.json").unwrap_err().code(), Code::PlanSignatureMissing);
        assert!(none(&host).unwrap().contains("is gone"));
        assert!(none(&host).unwrap().contains("no plan was"));
    }
}
