//! What the verbs have in common that ask a server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, io};

use lexopt::{Arg, Parser, ValueExt};
use serde::Serialize;

use super::{Failed, print};
use crate::client::Server;
use crate::error::Error;
use crate::{site, time};

/// How each of these verbs finds its server; part of their help.
const WHERE: &str = "
The server, and the operators' token:
  --config FILE       the site's file, which has both; /etc/disklessd/site.toml if nothing says either
  --server URL        http://10.0.0.1:32001; or the variable DISKLESSD_SERVER
  --token-file FILE   or the variable DISKLESSD_TOKEN_FILE
";

const CONFIG: &str = "config";
const SERVER: &str = "server";
const TOKEN_FILE: &str = "token-file";

/// What a verb takes.
pub struct Takes {
    /// Its help, without what all of them share.
    pub help: &'static str,
    /// Options without a value.
    pub flags: &'static [&'static str],
    /// Options with one.
    pub values: &'static [&'static str],
}

/// What a verb was given.
#[derive(Debug, Default)]
pub struct Given {
    /// Words that are no options.
    pub words: Vec<String>,
    flags: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Takes {
    /// Reads the arguments; none: help was asked for and given.
    ///
    /// # Errors
    /// An option that is none, or without its value.
    pub fn read(&self, args: &mut Parser) -> Result<Option<Given>, Failed> {
        let mut given = Given::default();
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Short('h') | Arg::Long("help") => {
                    print(self.help)?;
                    print(WHERE)?;
                    return Ok(None);
                }
                Arg::Long(name) if self.flags.contains(&name) => given.flags.push(name.to_owned()),
                Arg::Long(name)
                    if self.values.contains(&name) || [CONFIG, SERVER, TOKEN_FILE].contains(&name) =>
                {
                    let name = name.to_owned();
                    given.values.insert(name, args.value()?.string()?);
                }
                Arg::Value(word) => given.words.push(word.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Some(given))
    }
}

impl Given {
    /// Whether there is this option.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    /// The value of this option.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The words from the one at `from` on, as one node set.
    ///
    /// # Errors
    /// There is none.
    pub fn node_set(&self, from: usize) -> Result<String, lexopt::Error> {
        match self.words.get(from..) {
            Some(words) if !words.is_empty() => Ok(words.join(",")),
            _ => Err(lexopt::Error::from("no node set; @all is all nodes")),
        }
    }

    /// The server to ask. The site's file says what no option and no variable says.
    ///
    /// # Errors
    /// Nobody says which, or the token cannot be read.
    pub fn server(&self) -> Result<Server, Failed> {
        let set = |option: &str, variable: &str| {
            self.value(option)
                .map(str::to_owned)
                .or_else(|| env::var(variable).ok().filter(|it| !it.is_empty()))
        };
        let mut url = set(SERVER, "DISKLESSD_SERVER");
        let mut token_file = set(TOKEN_FILE, "DISKLESSD_TOKEN_FILE").map(PathBuf::from);
        // What is missing is in the site's file, on the machine that has it.
        let some_missing = url.is_none() || token_file.is_none();
        let usual = self.value(CONFIG).is_none() && some_missing && Path::new(super::CONFIG).exists();
        if let Some(config) = self.value(CONFIG).or(usual.then_some(super::CONFIG)) {
            let server = site::read(config.as_ref())?.file.server;
            // What stands on the command line wins, not what happens to be in the environment.
            let kept = |option| usual || self.value(option).is_some();
            url = url.filter(|_| kept(SERVER)).or(Some(server.url));
            token_file = token_file.filter(|_| kept(TOKEN_FILE)).or(server.token_file);
        }
        let none = |what: &str| {
            Failed::Usage(lexopt::Error::from(format!("which {what}? give --config, or --{what}")))
        };
        let url = url.ok_or_else(|| none(SERVER))?;
        let token_file = token_file.ok_or_else(|| none(TOKEN_FILE))?;
        Ok(Server::new(&url, &token_file)?)
    }
}

/// Reads `90s`, `10m`, `2h`.
///
/// # Errors
/// It is none of that.
pub fn duration(text: &str) -> Result<Duration, lexopt::Error> {
    let none = || lexopt::Error::from(format!("{text:?} is no duration such as 90s, 10m or 2h"));
    time::duration(text).ok_or_else(none)
}

/// Writes `value` to standard output.
///
/// # Errors
/// Nobody reads it.
pub fn print_json(value: &impl Serialize) -> Result<(), Failed> {
    let failed = |error| Error::Io { what: "standard output".to_owned(), source: io::Error::from(error) };
    print(&(serde_json::to_string_pretty(value).map_err(failed)? + "\n"))
}

/// What a server said, as a terminal may show it: nodes write parts of it, and a terminal obeys control characters.
pub fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// A time that somebody waits, as people say it: `45s`, `3m10s`, `2h5m`, `4d3h`.
pub fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes}m"),
        (days, hours, ..) => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKES: Takes = Takes { help: "", flags: &["json"], values: &["ttl"] };

    fn read(words: &str) -> Result<Option<Given>, Failed> {
        TAKES.read(&mut Parser::from_args(words.split_whitespace()))
    }

    #[test]
    fn options_and_words() {
        let given = read("up a[1-2] --ttl 10m b --json --server=http://x").unwrap().unwrap();
        assert_eq!(given.words, ["up", "a[1-2]", "b"]);
        assert!(given.has("json") && !given.has("watch"));
        assert_eq!((given.value("ttl"), given.value("server")), (Some("10m"), Some("http://x")));
        assert_eq!(given.node_set(1).unwrap(), "a[1-2],b");
        assert!(given.node_set(3).is_err() && given.node_set(9).is_err());
        assert!(read("--help").unwrap().is_none());
        for wrong in ["--watch", "-j", "--ttl", "--json=1", "--token secret"] {
            assert!(matches!(read(wrong), Err(Failed::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn durations() {
        let seconds = |text| duration(text).map(|time| time.as_secs()).ok();
        assert_eq!(["90s", "10m", "2h"].map(seconds), [90, 600, 7200].map(Some));
        assert_eq!(["", "10", "soon", "-1s", "0"].map(seconds), [None; 5]);
        assert_eq!(
            [45, 190, 7500, 356_400].map(|s| spoken(Duration::from_secs(s))),
            ["45s", "3m10s", "2h5m", "4d3h"]
        );
    }

    #[test]
    fn a_terminal_is_told_nothing() {
        assert_eq!(plain("a\x1b[2J\r\nb"), "a [2J  b");
    }
}
