//! An operator at the other end of the cable: OpenSSH's client, with the keys of the harness.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::machine::mac;
use crate::chroot::Root;
use crate::command;
use crate::error::{At, Error, Result};
use crate::scenario::{Key, Ssh, Typed};

/// The public key of the operator, as the initramfs and plans have it.
pub const OPERATOR: &str = include_str!("../../assets/ssh/operator.pub");
/// Both private keys; they open nothing but virtual machines of the harness.
const KEYS: [(&str, &str); 2] = [
    ("operator", include_str!("../../assets/ssh/operator")),
    ("stranger", include_str!("../../assets/ssh/stranger")),
];
/// Where the initramfs has the keys of operators.
pub const AUTHORIZED: &str = "etc/diskless/authorized_keys";
/// How lines of the client's log begin that are of its own work.
const NOT_FOR_PEOPLE: [&str; 6] = [
    "debug1: ",
    "OpenSSH_",
    "Authenticated to ",
    "Warning: Permanently added",
    "Transferred: ",
    "Bytes per second: ",
];
/// Between two tries to reach the node, and two looks whether a command is over.
const AGAIN: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(20);
/// So much of what is printed is kept.
const MOST: u64 = 1 << 20;

/// Somebody who can log in.
#[derive(Clone)]
pub struct Operator {
    tools: Root,
    folder: PathBuf,
}

impl Operator {
    /// With the programs of `tools`; all is recorded in `folder`, that of the run.
    pub fn new(tools: Root, folder: &Path) -> Result<Operator> {
        for (name, text) in KEYS {
            let path = folder.join(name);
            fs::write(&path, text).at("write", &path)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600)).at("set the mode of", &path)?;
        }
        Ok(Operator { tools, folder: folder.to_path_buf() })
    }

    /// Removes the keys.
    pub fn tidy(folder: &Path) {
        for (name, _) in KEYS {
            let _ = fs::remove_file(folder.join(name));
        }
    }

    /// Types what `ssh`, the one of this number, has to say, and waits for its end. Until somebody answers, and until the
    /// time is over, it is tried again.
    pub fn type_in(&self, number: usize, ssh: &Ssh) -> Result<Typed> {
        let deadline = Instant::now() + Duration::from_secs(ssh.within);
        let typed = loop {
            let typed = match address(&self.folder.join("leases")) {
                Some(address) => self.once(&address, ssh, deadline)?,
                None => {
                    Typed { exit: Some(255), errors: "the node has no address".into(), ..Typed::default() }
                }
            };
            let answered = typed.host_key.is_some() || typed.exit != Some(255);
            if answered || Instant::now() + AGAIN >= deadline {
                break typed;
            }
            thread::sleep(AGAIN);
        };
        self.record(number, ssh, &typed)?;
        Ok(typed)
    }

    fn once(&self, address: &str, ssh: &Ssh, deadline: Instant) -> Result<Typed> {
        let file = |name: &str| self.folder.join(name);
        let (output, errors, log) = (file("ssh.output"), file("ssh.errors"), file("ssh.debug"));
        for path in [&output, &errors, &log] {
            let _ = fs::remove_file(path);
        }
        let key = match ssh.key {
            Key::Right => "operator",
            Key::Wrong => "stranger",
        };
        let mut client = self.tools.command("ssh");
        client.args(["-v", "-F", "/dev/null", "-E"]).arg(self.tools.inside(&log)?);
        client.arg("-i").arg(self.tools.inside(&file(key))?);
        // It is compared with what the console showed.
        client.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
        client.args(["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=10"]);
        client.args(["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=6"]);
        client.arg(format!("root@{address}")).arg(&ssh.run);
        let exit = run(&mut client, &output, &errors, deadline)?;
        let (said, host_key) = of_log(&read(&log)?);
        let typed = Typed { exit, output: read(&output)?, errors: read(&errors)? + &said, host_key };
        for path in [&output, &errors, &log] {
            let _ = fs::remove_file(path);
        }
        Ok(typed)
    }

    fn record(&self, number: usize, ssh: &Ssh, typed: &Typed) -> Result<()> {
        let path = self.folder.join("ssh.log");
        let exit = typed.exit.map_or("none".to_owned(), |code| code.to_string());
        let key = typed.host_key.as_deref().unwrap_or("not seen");
        let text = format!(
            "# {number}: {}\n{}{}# exit code {exit}, host key {key}\n\n",
            ssh.run, typed.output, typed.errors
        );
        command::open_log(&path)?.write_all(text.as_bytes()).at("write", &path)
    }
}

/// Runs it until it ends or the deadline kills it; then there is no code.
fn run(client: &mut Command, output: &Path, errors: &Path, deadline: Instant) -> Result<Option<i32>> {
    let create = |path: &Path| File::create(path).at("create", path);
    let mut child = client
        .stdin(Stdio::null())
        .stdout(create(output)?)
        .stderr(create(errors)?)
        .spawn()
        .map_err(|source| Error::Start { program: "ssh".to_owned(), source })?;
    loop {
        if let Some(status) = child.try_wait().at("wait for", "ssh")? {
            return Ok(status.code());
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(MOST).read_to_end(&mut bytes).at("read", path)?,
        Err(_) => 0,
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What ssh said for people, and the fingerprint of the server's key, both in what it said with `-v`.
fn of_log(log: &str) -> (String, Option<String>) {
    let host_key = log.lines().find_map(|line| {
        let (_, key) = line.split_once("Server host key: ")?;
        key.split_whitespace().find(|word| word.starts_with("SHA256:")).map(str::to_owned)
    });
    // What was typed stands there too, over several lines: it is not what was said.
    let (mut said, mut typed) = (String::new(), false);
    for line in log.lines().map(str::trim_end) {
        let of_client = NOT_FOR_PEOPLE.iter().any(|beginning| line.starts_with(beginning));
        typed = line.contains("Sending command: ") || typed && !of_client;
        if !typed && !of_client {
            said += &format!("{line}\n");
        }
    }
    (said, host_key)
}

/// The address of the node's first card in dnsmasq's file of leases: `EXPIRY MAC ADDRESS NAME ID`.
fn address(leases: &Path) -> Option<String> {
    let text = fs::read_to_string(leases).ok()?;
    let node = mac(0, 0);
    text.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        (words.next()? == node).then(|| words.next().map(str::to_owned))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_s_log_tells_the_key_and_what_people_read() {
        let log = "OpenSSH_9.2p1 Debian-2\r\ndebug1: Connecting to 198.18.0.101 [198.18.0.101] port 22.\r\n\
                   debug1: Server host key: ssh-ed25519 SHA256:abc\r\nroot@198.18.0.101: Permission denied (publickey).\r\n";
        let expected =
            ("root@198.18.0.101: Permission denied (publickey).\n".to_owned(), Some("SHA256:abc".to_owned()));
        assert_eq!(of_log(log), expected);
        assert_eq!(of_log(""), (String::new(), None));
        let log = "debug1: Sending command: set -e\r\nfalse\r\n\r\ndebug1: client_input_channel_req\r\nConnection closed.\r\n\
                   Transferred: sent 1, received 2 bytes\r\n";
        assert_eq!(of_log(log).0, "Connection closed.\n");
    }

    #[test]
    fn the_address_is_that_of_the_last_lease_of_the_first_card() {
        let folder = tempfile::tempdir().unwrap();
        let leases = folder.path().join("leases");
        assert_eq!(address(&leases), None);
        let text = "1 52:54:00:00:00:01 198.18.0.101 * *\n2 52:54:00:00:00:02 198.18.1.102 * *\n\
                    3 52:54:00:00:00:01 198.18.0.103 node1 ff:1\n";
        fs::write(&leases, text).unwrap();
        assert_eq!(address(&leases).as_deref(), Some("198.18.0.103"));
    }

    #[test]
    fn what_takes_too_long_has_no_exit_code() {
        let folder = tempfile::tempdir().unwrap();
        let (output, errors) = (folder.path().join("o"), folder.path().join("e"));
        let run = |script: &str, ms| {
            let deadline = Instant::now() + Duration::from_millis(ms);
            run(Command::new("sh").args(["-c", script]), &output, &errors, deadline).unwrap()
        };
        assert_eq!(run("echo a; echo b >&2; exit 3", 60_000), Some(3));
        assert_eq!((read(&output).unwrap().as_str(), read(&errors).unwrap().as_str()), ("a\n", "b\n"));
        assert_eq!(run("exec sleep 100", 50), None);
    }
}
