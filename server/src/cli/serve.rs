//! `disklessd serve`: the server.

use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use super::{CONFIG, Failed};
use crate::error::Error;
use crate::log::{self as logging, Format};
use crate::serve::{reload, run};

const HELP: &str = "\
usage: disklessd serve [--config FILE] [--log logfmt|json] [--log-level error|warn|info] [--access-log]

Serves the site of FILE (/etc/disklessd/site.toml) until SIGTERM. SIGHUP, and every change of the file, makes it read
the file again; a file with errors is not used, and the log says why.
";

/// Runs the verb.
pub fn main(args: &mut Parser) -> Result<(), Failed> {
    let mut path = PathBuf::from(CONFIG);
    let mut options = logging::Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("config") => path = args.value()?.into(),
            Arg::Long("log") => {
                options.format = args.value()?.parse_with(|word| match word {
                    "logfmt" => Ok(Format::Logfmt),
                    "json" => Ok(Format::Json),
                    _ => Err("not logfmt or json"),
                })?;
            }
            Arg::Long("log-level") => options.level = args.value()?.parse()?,
            Arg::Long("access-log") => options.access = true,
            Arg::Short('h') | Arg::Long("help") => return super::print(HELP),
            other => return Err(other.unexpected().into()),
        }
    }
    logging::install(options);
    let (site, warnings) = reload::read(&path).map_err(|refused| {
        reload::log_refusal(&refused);
        Failed::Told(1)
    })?;
    reload::log_findings(&warnings);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Error::Io { what: "threads".to_owned(), source })?;
    let ended = runtime.block_on(run::run(path, site));
    // A webhook that does not answer is not waited for: what it was told now it is told again.
    runtime.shutdown_background();
    Ok(ended?)
}
