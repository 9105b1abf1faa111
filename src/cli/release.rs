//! `diskless release`.

use lexopt::{Arg, Parser};

use super::{Failed, print};
use crate::engine::host::Host;
use crate::engine::orders::Orders;
use crate::engine::state::{self, State};

pub(super) const HELP: &str = "\
usage: diskless release

Goes on with a boot that stands still: every step is run again, and what is there already is done at once. No hold holds
any more, neither of `diskless hold` nor of rd.break= or rd.diskless=trap. Leaving the shell on the console, or
`systemctl stop dracut-emergency.service`, does the same, but keeps what `diskless hold` asked for.
";

/// Lets the boot go on, for good.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    if let Some(arg) = args.next()? {
        return match arg {
            Arg::Short('h') | Arg::Long("help") => print(HELP),
            other => Err(other.unexpected().into()),
        };
    }
    let state = State::read(&host.path(state::FILE)).unwrap_or_default();
    Orders::change(host, Orders::release)?;
    print(match state {
        Some(state) if state.waits(host).is_some() => "the boot goes on\n",
        Some(state) if state.pauses(host).is_some() => "the pause is over: the boot is tried again\n",
        _ => "the boot does not stand still, and no hold will hold it\n",
    })
}
