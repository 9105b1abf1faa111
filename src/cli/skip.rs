//! `diskless skip`.

use lexopt::{Arg, Parser, ValueExt};

use super::{Failed, print};
use crate::engine::host::Host;
use crate::engine::orders::Orders;
use crate::engine::skip::{SKIPPED, skipped};

pub(super) const HELP: &str = "\
usage: diskless skip WHAT...
       diskless skip --none
  --none  skip nothing any more

Has the boot do without something, from its next run on:
  report                  no event of this boot is posted, nor that the node is up
  modules                 the new root is not looked at for modules of the running kernel
  exit                    nothing of diskless takes the node apart at its end
  handover.files          the files of the plan are not written into the new root
  handover.services       the units of the plan are not enabled in the new root
  handover.ssh_host_keys  the node has an SSH host key of this boot alone
  cloud_init              cloud-init of the image goes by what the image has
All other steps are needed; asked for one of them, it says why.
";

/// Has the boot skip something.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let mut skip = Vec::new();
    let mut none = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            Arg::Long("none") => none = true,
            Arg::Value(what) => {
                let what = what.string()?;
                let word =
                    skipped(&what).ok_or_else(|| lexopt::Error::from(format!("nothing is called {what}")))?;
                skip.push(word?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if skip.is_empty() != none {
        return Err(lexopt::Error::from("WHAT, or --none").into());
    }
    Orders::change(host, |orders| {
        if none {
            orders.skip.clear();
        }
        for word in &skip {
            if !orders.skip.iter().any(|skip| skip == word) {
                orders.skip.push((*word).to_owned());
            }
        }
    })?;
    if none {
        return print("the boot skips nothing\n");
    }
    let lines = SKIPPED.iter().filter(|(word, _)| skip.contains(word));
    print(&lines.map(|(word, lacks)| format!("{word}: skipped: {lacks}\n")).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn what_is_needed_is_refused_with_the_reason() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let say = |words: &[&str]| main(&mut Parser::from_args(words), &host);
        say(&["report", "handover.files"]).unwrap();
        say(&["report"]).unwrap();
        match say(&["exit", "luks"]) {
            Err(Failed::Error(error)) => {
                assert_eq!(error.code(), Code::NotSkipped);
                assert!(error.to_string().contains("there is no root"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(Orders::read(&host).skip, ["report", "handover.files"]);
        for wrong in [&["dance"][..], &[], &["--none", "exit"]] {
            assert!(matches!(say(wrong), Err(Failed::Usage(_))), "{wrong:?}");
        }
        say(&["--none"]).unwrap();
        assert!(Orders::read(&host).skip.is_empty());
    }

    #[test]
    fn the_help_lists_all() {
        for (word, lacks) in SKIPPED {
            let line = format!("\n  {word:<24}{lacks}\n");
            assert!(HELP.contains(&line), "{line}");
        }
    }
}
