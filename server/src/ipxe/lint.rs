//! Reads a script as iPXE does, as far as it takes to find what iPXE would stumble over on a node.

use std::collections::BTreeSet;

/// The commands that a script may have: those of Debian's `ipxe-qemu` of 2019, tried there.
const COMMANDS: &[&str] = &[
    "boot", "chain", "echo", "exit", "goto", "imgfetch", "imgfree", "inc", "initrd", "iseq", "isset",
    "kernel", "sanboot", "set", "shell", "sleep",
];
/// Those that do not fail, or whose failing ends a script on purpose.
const SURE: &[&str] = &["echo", "exit", "goto", "inc", "set"];

/// What is wrong with `script`; nothing, if that list is empty.
pub(super) fn lint(script: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if !script.starts_with("#!ipxe\n") || !script.ends_with('\n') {
        wrong.push("it is no script".to_owned());
    }
    let labels: Vec<&str> = script.lines().filter_map(|line| line.strip_prefix(':')).collect();
    if labels.iter().collect::<BTreeSet<_>>().len() != labels.len() {
        wrong.push("a label stands twice".to_owned());
    }
    for line in script.lines().skip(1) {
        wrong.extend(lint_line(line, &labels).into_iter().map(|what| format!("{what}: {line}")));
    }
    for label in &labels {
        if !script.contains(&format!("goto {label}")) && !["again", "ask", "failed"].contains(label) {
            wrong.push(format!("nothing goes to {label}"));
        }
    }
    wrong
}

/// The same for one line.
fn lint_line(line: &str, labels: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut say = |what: &str| wrong.push(what.to_owned());
    if let Some(label) = line.strip_prefix(':') {
        if label.is_empty() || label.contains(char::is_whitespace) {
            say("a label that is none");
        }
        return wrong;
    }
    if line.is_empty() || line.trim() != line || line.len() > 3000 || line.ends_with('\\') {
        say("a line that is empty, indented, too long or goes on");
    }
    if !line.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        say("more than printable ASCII");
    }
    if line.split("${").skip(1).any(|rest| !rest.contains('}')) {
        say("a setting that is not closed");
    }
    let words: Vec<&str> = line.split(' ').collect();
    let mut commands = words.split(|word| ["||", "&&"].contains(word)).peekable();
    let mut first = true;
    while let Some(command) = commands.next() {
        let Some((name, arguments)) = command.split_first() else {
            // `||` at the end: never mind.
            if first || commands.peek().is_some() {
                say("nothing where a command belongs");
            }
            continue;
        };
        if !COMMANDS.contains(name) {
            say(&format!("no such command as {name}"));
        }
        if command.iter().any(|word| *word == ";" || word.starts_with('#')) {
            say("a separator or a comment");
        }
        if *name == "goto" && !arguments.first().is_some_and(|label| labels.contains(label)) {
            say("goes nowhere");
        }
        if first && commands.peek().is_none() && !SURE.contains(name) {
            say("may fail and end the script");
        }
        first = false;
    }
    wrong
}

#[test]
fn what_ipxe_would_stumble_over_is_found() {
    assert_eq!(lint("#!ipxe\n:a\nsleep 1 ||\nkernel http://a x=${y} || goto a\nexit 1\n"), [""; 0]);
    for script in [
        "echo a\n",
        "#!ipxe\necho a",
        "#!ipxe\nreboot ||\n",
        "#!ipxe\ngoto a\n",
        "#!ipxe\n:a\n:a\ngoto a\n",
        "#!ipxe\n:a\necho a\n",
        "#!ipxe\nsleep 1\n",
        "#!ipxe\n|| echo a\n",
        "#!ipxe\necho a && && echo b\n",
        "#!ipxe\necho ${a\n",
        "#!ipxe\necho a ; shell\n",
        "#!ipxe\necho a \\\n",
        "#!ipxe\necho \u{1b}[2J\n",
        "#!ipxe\necho a\n\n",
    ] {
        assert_ne!(lint(script), [""; 0], "{script}");
    }
}
