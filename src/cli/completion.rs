//! `diskless completion SHELL`: what a shell needs to complete a command line.

use std::fmt::Write as _;

use lexopt::{Arg, Parser};

use super::help::{HELPS, Takes, takes};
use super::print;
use super::{Failed, no_more};
use crate::engine::host::Host;
use crate::plan::STEPS;

pub(super) const HELP: &str = "\
usage: diskless completion bash|zsh

Writes a script that has the shell complete verbs, their options and the names of steps. The packages install it; elsewhere:
eval \"$(diskless completion bash)\".
";

/// Writes the script of a shell.
pub fn main(args: &mut Parser, _: &Host) -> Result<(), Failed> {
    let shell = match args.next()? {
        Some(Arg::Short('h') | Arg::Long("help")) => return print(HELP),
        Some(Arg::Value(shell)) => shell,
        Some(other) => return Err(other.unexpected().into()),
        None => return Err(lexopt::Error::from("bash or zsh").into()),
    };
    no_more(args)?;
    match shell.to_str() {
        Some("bash") => print(&bash()),
        Some("zsh") => print(&zsh()),
        _ => Err(lexopt::Error::from(format!("no completion for {}: bash or zsh", shell.display())).into()),
    }
}

/// The words that may stand behind the program's name.
fn verbs() -> String {
    let verbs: Vec<&str> = HELPS.iter().map(|(verb, _)| *verb).chain(["--help", "--version"]).collect();
    verbs.join(" ")
}

/// Those behind a verb.
fn words(takes: &Takes) -> String {
    let steps = STEPS.iter().copied().filter(|_| takes.steps);
    let words: Vec<&str> = takes.words.iter().map(String::as_str).chain(["--help"]).chain(steps).collect();
    words.join(" ")
}

fn bash() -> String {
    let mut text = format!(
        "# Completion of diskless(8) for bash, made by: diskless completion bash\n\
         _diskless() {{\n    \
         local words= files=\n    \
         case $COMP_CWORD in\n        \
         1) words='{}' ;;\n        \
         *) case ${{COMP_WORDS[1]}} in\n",
        verbs()
    );
    // Writing to a string cannot fail.
    for (verb, help) in HELPS {
        let takes = takes(help);
        let files = if takes.files { " files=yes" } else { "" };
        let _ = writeln!(text, "            {verb}) words='{}'{files} ;;", words(&takes));
    }
    text + "        esac ;;\n    \
            esac\n    \
            COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n    \
            [ -z \"$files\" ] || COMPREPLY+=($(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\"))\n\
            }\n\
            complete -F _diskless diskless\n"
}

fn zsh() -> String {
    let mut text = format!(
        "#compdef diskless\n\
         # Completion of diskless(8) for zsh, made by: diskless completion zsh\n\
         _diskless() {{\n    \
         if (( CURRENT == 2 )); then\n        \
         compadd -- {}\n        \
         return\n    \
         fi\n    \
         case $words[2] in\n",
        verbs()
    );
    for (verb, help) in HELPS {
        let takes = takes(help);
        let files = if takes.files { "; _files" } else { "" };
        let _ = writeln!(text, "        {verb}) compadd -- {}{files} ;;", words(&takes));
    }
    text + "    esac\n}\ncompdef _diskless diskless\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What bash offers for `line`, whose last word is being typed.
    fn offered(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
        let script = format!(
            "set -u; {}\nCOMP_WORDS=({}); COMP_CWORD={}; _diskless; printf '%s\\n' \"${{COMPREPLY[@]-}}\"",
            bash(),
            words.join(" "),
            words.len() - 1
        );
        let output = Command::new("bash").args(["--norc", "-c", &script]).output().unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .filter(|line| !line.is_empty())
            .collect()
    }

    #[test]
    fn a_real_bash_completes_verbs_options_steps_and_files() {
        assert_eq!(offered("diskless un"), ["undo", "unmount"]);
        assert_eq!(offered("diskless --v"), ["--version"]);
        assert_eq!(offered("diskless retry lu"), ["luks"]);
        assert_eq!(offered("diskless status --w"), ["--watch"]);
        assert_eq!(offered("diskless completion "), ["bash", "zsh", "--help"]);
        assert_eq!(offered("diskless hold "), [&["--help"], STEPS].concat());
        assert!(offered("diskless luks dump /proc/vers").contains(&"/proc/version".to_owned()));
        assert!(offered("diskless status /proc/vers").is_empty());
        assert!(offered("diskless dance ").is_empty());
    }

    #[test]
    fn both_shells_have_every_verb() {
        for script in [bash(), zsh()] {
            for (verb, _) in HELPS {
                assert!(script.contains(&format!(" {verb}) ")), "{verb}");
            }
        }
    }
}
