//! iPXE scripts, line by line: what stands in one, what a node's console shows, and how it waits.
//!
//! Only commands that iPXE of 2019 has (Debian's `ipxe-qemu`): <https://ipxe.org/cmd>. A script ends when a command fails,
//! so a line that may fail says what comes then: `|| goto LABEL`, or `||` alone for "never mind".

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Characters that fit into a line of a console beside what firmware draws.
const WIDTH: usize = 76;
/// No text on a console is longer, in characters.
const LONGEST: usize = 600;
/// The name that iPXE gives the initramfs: UEFI's kernel finds it by `initrd=`.
pub(super) const INITRAMFS: &str = "initramfs.img";
/// How long a download may stand still before it is given up, in milliseconds.
pub(super) const STALLED: u32 = 30_000;
/// How long a boot may be held up by telling the server of it, in milliseconds.
pub(super) const TELLING: u32 = 2_000;
/// Seconds between attempts to fetch something; each becomes something between its half and one and a half of it.
pub(super) const FETCHING: [u32; 4] = [4, 8, 16, 32];
/// Seconds between questions to a server that has nothing for a node, or does not answer. The last one stays.
pub(super) const ASKING: [u32; 4] = [8, 16, 32, 60];

/// A script under construction.
pub(super) struct Script {
    text: String,
    /// What makes its delays its own.
    seed: String,
    /// Where the server is, without a slash at its end; empty: where the script came from.
    server: String,
}

impl Script {
    pub(super) fn new(server: &str, seed: &str) -> Script {
        let server = server.trim_end_matches('/').to_owned();
        Script { text: "#!ipxe\n".to_owned(), seed: seed.to_owned(), server }
    }

    /// A line. Nothing in it may come from the network.
    pub(super) fn line(&mut self, line: &str) {
        debug_assert!(!line.contains('\n'), "{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Shows `text` on the node's console; it may come from anywhere.
    pub(super) fn say(&mut self, text: &str) {
        let mut line = String::new();
        for word in plain(text).split(' ').filter(|word| !word.is_empty()) {
            if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
                self.echo(&line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            self.echo(&line);
        }
    }

    fn echo(&mut self, line: &str) {
        // What starts with a dash would be an option.
        match line.strip_prefix('-') {
            Some(rest) => self.line(&format!("echo ?{rest}")),
            None => self.line(&format!("echo {line}")),
        }
    }

    /// Waits, the longer the higher `counter` is, an iPXE setting that this counts up. The person in front can have a
    /// shell meanwhile.
    pub(super) fn wait(&mut self, counter: &str, seconds: &[u32; 4]) {
        self.line(&format!("inc {counter}"));
        let [sooner @ .., last] = seconds;
        self.line(&format!("set delay {}", jitter(&self.seed, 0, *last)));
        for (attempt, seconds) in (1..).zip(sooner) {
            let delay = jitter(&self.seed, attempt, *seconds);
            self.line(&format!("iseq ${{{counter}}} {attempt} && set delay {delay} ||"));
        }
        self.line("echo Again in ${delay} seconds; Ctrl-C opens the shell of iPXE, exit leaves it.");
        self.line("sleep ${delay} || shell ||");
    }

    /// The end of every script: `again` waits, `ask` asks the server anew, so that what was changed there takes effect
    /// without anybody at the node.
    pub(super) fn ask_again(mut self) -> String {
        self.line(":again");
        self.wait("asks", &ASKING);
        self.line(":ask");
        self.line("imgfree ||");
        let server = &self.server;
        let (command, query) = (format!("chain --timeout {STALLED} --autofree --replace"), QUERY);
        // Not by a label of its own: what fails here is the connection or the server, and it may come back.
        let line = format!("{command} {server}/boot.ipxe?{query} || goto again");
        self.line(&line);
        self.text
    }
}

/// What iPXE says of itself. `netX` is the interface that it booted from; a host name may hold anything.
const QUERY: &str = "mac=${netX/mac}&uuid=${uuid}&hostname=${hostname:uristring}";

/// `text` with a question mark for every character that a script or a console might take for more than itself, and cut
/// to what a console has room for.
pub(super) fn plain(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " -_.,:/=@+()[]'\"%?".contains(c);
    text.chars().take(LONGEST).map(|c| if plain(c) { c } else { '?' }).collect()
}

/// `part` as one part of a URL's path, or of its query (RFC 3986, section 2.3).
pub(super) fn percent(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Seconds around `seconds` that are the same each time for one `seed`, and differ between seeds: thousands of nodes
/// that lost their server at one moment do not come back at one moment.
fn jitter(seed: &str, attempt: u32, seconds: u32) -> u32 {
    let digest = Sha256::new().chain_update(seed).chain_update(attempt.to_be_bytes()).finalize();
    let number = digest.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte));
    (seconds / 2).max(1) + number % (seconds + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_differ_between_nodes() {
        for (attempt, seconds) in (1..).zip(ASKING) {
            let delays: Vec<u32> =
                (0..4000).map(|n| jitter(&format!("ocean{n}"), attempt, seconds)).collect();
            let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
            assert_eq!((*least, *most), (seconds / 2, seconds / 2 + seconds));
            // Spread evenly: no second has twice its share of the nodes.
            let twice = 2 * delays.len() / (most - least + 1) as usize;
            for delay in *least..=*most {
                assert!(delays.iter().filter(|other| **other == delay).count() < twice, "{delay}");
            }
        }
    }

    #[test]
    fn a_console_is_told_text_and_nothing_else() {
        let mut script = Script::new("http://a/", "a");
        script.say("--x ${net0/mac}; a && b || c # d\nshell\r\u{1b}[2J ö \\");
        assert_eq!(script.text, "#!ipxe\necho ?-x ??net0/mac?? a ?? b ?? c ? d?shell??[2J ? ?\n");
        let mut script = Script::new("", "a");
        script.say(&"word ".repeat(1000));
        assert!(script.text.lines().all(|line| line.len() <= WIDTH + "echo ".len()));
        assert!(script.text.len() < 2 * LONGEST);
    }

    #[test]
    fn parts_of_urls() {
        assert_eq!(percent("ocean1.x"), "ocean1.x");
        assert_eq!(percent("a/b,c ${d}\n"), "a%2Fb%2Cc%20%24%7Bd%7D%0A");
    }
}
