//! `disklessd set`: what nodes are to do when they ask.

use lexopt::Parser;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as NoAction;

use super::asking::Takes;
use super::{Failed, print};
use crate::error::Error;
use crate::serve::operator::answer::{Set, Want};
use crate::site::file::Action;
use crate::site::nodeset::fold;

const TAKES: Takes = Takes {
    help: "\
usage: disklessd set boot|trap|rescue|local|default NODESET... [--once]

What the nodes are to do from their next boot on; with --once, in the next boot only. A node that runs is left alone.
  boot      boot the image
  trap      boot, and stop in the initramfs before the switch to the new root
  rescue    stop in the initramfs with nothing done
  local     boot from the node's own disk
  default   what the site's file says
",
    flags: &["once"],
    values: &[],
};

/// The verb.
pub fn main(args: &mut Parser) -> Result<(), Failed> {
    let Some(given) = TAKES.read(args)? else { return Ok(()) };
    let word = given.words.first().ok_or_else(|| lexopt::Error::from("set what?"))?;
    let action = action(word)?;
    let once = given.has("once");
    if action.is_none() && once {
        return Err(lexopt::Error::from("default for one boot only says nothing: leave --once out").into());
    }
    let want = Want { nodes: given.node_set(1)?, action, once };
    let set: Set = given.server()?.put("/v1/wanted", &want).map_err(Error::from)?;
    let when = if once { ", once" } else { "" };
    print(&format!("{word}{when}: {} ({})\n", fold(&set.nodes), set.nodes.len()))
}

/// The action that `word` is; none: the one of the site's file.
fn action(word: &str) -> Result<Option<Action>, lexopt::Error> {
    match word {
        "default" => Ok(None),
        word => {
            let read: Result<Action, NoAction> = Action::deserialize(word.into_deserializer());
            let unknown =
                |_| lexopt::Error::from(format!("{word:?} is no boot, trap, rescue, local or default"));
            read.map(Some).map_err(unknown)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions() {
        assert_eq!(action("default").unwrap(), None);
        assert_eq!(action("trap").unwrap(), Some(Action::Trap));
        assert!(action("Trap").is_err() && action("reboot").is_err());
    }
}
