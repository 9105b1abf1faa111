//! `diskless plan`: shows, checks, compares, tries and signs boot plans.

mod attempt;
mod check;
mod diff;
mod dry_run;
mod explain;
mod given;
mod keygen;
mod paths;
mod show;
mod sign;
mod verify;

use lexopt::Parser;

use super::Failed;
use crate::engine::host::Host;

pub(super) const HELP: &str = "\
usage: diskless plan show [--json]
       diskless plan explain [--json]
       diskless plan check FILE|URL [--json]
       diskless plan diff FILE|URL [--json]
       diskless plan --try FILE|URL|none
       diskless plan keygen NAME
       diskless plan sign --key FILE [--comment TEXT] PLAN
       diskless plan verify [--keys DIR|FILE.pub] [--now TIME] [--least-serial N] [--facts FILE] PLAN
       diskless plan --cmdline TEXT|@FILE [--plan FILE] [--facts FILE] [--json]

Boot plans: what is in force, what another would change, and whether a plan may be used. No secret of a plan is ever
shown. A plan on a server is fetched as a boot would fetch it.

  show                  the plan that a boot of this node would take now, and where it is from
  explain               each step of that boot: what it will do, why, and where each value comes from
  check                 everything that is wrong with a plan; exit code 1 if that is something
  diff                  what another plan would change: its members, then what the steps would do
  --try FILE|URL|none   checks another plan wholly and puts it before every other source until the next boot, or until
                        none; then `diskless retry` boots with it. It must be signed where a plan must be
  keygen                makes NAME.key, to sign with, and NAME.pub, for /etc/diskless/trusted.d of the initramfs
  sign                  checks PLAN and writes its signature, PLAN.minisig
  verify                whether a trusted key signed PLAN, and whether it is for this time, and this node (--facts)
  (none of them)        the boot of a node on any machine; nothing is fetched or touched, and any user may run it

  --cmdline TEXT|@FILE  the node's kernel command line, or a file with it; without it, those of this node. Of show,
                        explain and diff, too: with --plan and --facts
  --plan FILE           the boot plan; without it, of a plan elsewhere only the steps that lead to it are shown
  --facts FILE          the node's facts, as JSON:
                        {\"interfaces\": [{\"name\": \"eth0\", \"mac\": \"52:54:00:00:00:01\"}], \"uuid\": \"...\"}
  --key FILE            a secret key without a password: of keygen, or of minisign -G -W
  --comment TEXT        what is signed with the plan, for people; time, file and serial
  --keys DIR|FILE.pub   the trusted keys, of minisign or signify; /etc/diskless/trusted.d
  --now TIME            judge as of then, as 2026-01-31T23:59:59Z; now
  --least-serial N      refuse lower serials; 0
  --json                the same for programs
";

/// What is done with a plan.
type Act = (&'static str, fn(&mut Parser, &Host) -> Result<(), Failed>);

const ACTS: &[Act] = &[
    ("show", show::main),
    ("explain", explain::main),
    ("check", check::main),
    ("diff", diff::main),
    ("keygen", keygen::main),
    ("sign", sign::main),
    ("verify", verify::main),
];

/// Does what the first word says; without one, shows the boot of a node.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let first = args.raw_args()?.peek().map(ToOwned::to_owned).unwrap_or_default();
    if let Some((_, act)) = ACTS.iter().find(|(name, _)| first == *name) {
        args.next()?;
        return act(args, host);
    }
    match first.to_str() {
        Some(word) if word == "--try" || word.starts_with("--try=") => attempt::main(args, host),
        _ => dry_run::main(args),
    }
}
