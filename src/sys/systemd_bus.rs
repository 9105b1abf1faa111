//! What systemd is about to do, and a word to it, at the socket that systemctl uses too: no D-Bus daemon, no program and
//! no file of the root is needed (D-Bus specification, "Message Protocol"; org.freedesktop.systemd1(5)).

mod message;

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use message::{Bytes, Call};

/// systemd's own socket, for root alone.
pub const SOCKET: &str = "/run/systemd/private";
/// No message that is read is longer; a system has some hundred jobs of some hundred bytes.
const LONGEST: usize = 4 << 20;
/// So many messages that are no answer are passed over.
const MOST_MESSAGES: usize = 1000;
/// Types of messages.
const ANSWER: u8 = 2;
const ERROR: u8 = 3;
/// "I am 0", in hexadecimal digits of its decimal ones, as SASL's mechanism EXTERNAL has it; and that messages follow, which
/// must not come behind the answer: systemd would not look at a message that arrives together with this word.
const AUTH: &[u8] = b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n";
/// The whole of systemd, and its units below it.
const SYSTEMD: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// The units of the jobs that systemd has, each with the kind of its job (`start`, `stop`).
///
/// # Errors
/// systemd does not answer within `limit`, or not like systemd; so everywhere below.
pub fn jobs(socket: &Path, limit: Duration) -> io::Result<Vec<(String, String)>> {
    let body = call(socket, limit, &manager("ListJobs", &[]))?;
    parse_jobs(&body).ok_or_else(nonsense)
}

/// Queues a job that starts `unit`, and does not wait for it.
///
/// # Errors
/// As [`jobs`], or systemd refuses: there is no such unit, or a job is under way that cannot be replaced.
pub fn start(socket: &Path, limit: Duration, unit: &str) -> io::Result<()> {
    call(socket, limit, &manager("StartUnit", &[unit, "replace"])).map(drop)
}

/// Queues one that starts `unit` and stops what stands in its way, for good: the end of the machine.
///
/// # Errors
/// As [`start`].
pub fn start_for_good(socket: &Path, limit: Duration, unit: &str) -> io::Result<()> {
    call(socket, limit, &manager("StartUnit", &[unit, "replace-irreversibly"])).map(drop)
}

/// Queues one that stops `unit`.
///
/// # Errors
/// As [`start`].
pub fn stop(socket: &Path, limit: Duration, unit: &str) -> io::Result<()> {
    call(socket, limit, &manager("StopUnit", &[unit, "replace"])).map(drop)
}

/// Has systemd run its generators and read all units again.
///
/// # Errors
/// As [`jobs`].
pub fn reload(socket: &Path, limit: Duration) -> io::Result<()> {
    call(socket, limit, &manager("Reload", &[])).map(drop)
}

/// How `unit` is: `active`, `activating`, `deactivating`, `inactive`, `failed`, `reloading`.
///
/// # Errors
/// As [`jobs`].
pub fn state(socket: &Path, limit: Duration, unit: &str) -> io::Result<String> {
    let path = path_of(unit);
    let get = Call {
        path: &path,
        interface: "org.freedesktop.DBus.Properties",
        member: "Get",
        arguments: &["org.freedesktop.systemd1.Unit", "ActiveState"],
    };
    let body = call(socket, limit, &get)?;
    parse_text(&body).ok_or_else(nonsense)
}

fn manager<'a>(member: &'a str, arguments: &'a [&'a str]) -> Call<'a> {
    Call { path: SYSTEMD, interface: MANAGER, member, arguments }
}

/// Where systemd has an object for `unit`: its name with `_` and the hexadecimal digits for each character that is
/// neither a letter nor a digit.
fn path_of(unit: &str) -> String {
    let mut path = format!("{SYSTEMD}/unit/");
    for (at, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (byte.is_ascii_digit() && at > 0) {
            path.push(byte.into());
        } else {
            // Writing to a string cannot fail.
            let _ = write!(path, "_{byte:02x}");
        }
    }
    path
}

/// Says who we are, makes the call and gives the body of the answer.
fn call(socket: &Path, limit: Duration, call: &Call<'_>) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + limit;
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(AUTH)?;
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n") {
        let mut byte = [0];
        read(&mut stream, &mut byte, deadline)?;
        said.extend_from_slice(&byte);
        if said.len() > 256 {
            return Err(nonsense());
        }
    }
    if !said.starts_with(b"OK") {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    stream.write_all(&call.bytes())?;
    for _ in 0..MOST_MESSAGES {
        match message(&mut stream, deadline)? {
            (ANSWER, body) => return Ok(body),
            // Its text for people is the first argument.
            (ERROR, body) => {
                let said = Bytes::of(&body).text().unwrap_or_default();
                return Err(io::Error::other(format!("systemd refuses: {said}")));
            }
            _ => (),
        }
    }
    Err(nonsense())
}

fn nonsense() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// The next message: its type and its body.
fn message(stream: &mut UnixStream, deadline: Instant) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 16];
    read(stream, &mut head, deadline)?;
    let mut bytes = Bytes::of(&head);
    let (Some(_), Some(body), Some(_), Some(fields)) = (bytes.u32(), bytes.u32(), bytes.u32(), bytes.u32())
    else {
        return Err(nonsense());
    };
    let [endian, kind, ..] = head;
    let (body, fields) = (body as usize, (fields as usize).next_multiple_of(8));
    if endian != b'l' || body > LONGEST || fields > LONGEST {
        return Err(nonsense());
    }
    let mut rest = vec![0; fields + body];
    read(stream, &mut rest, deadline)?;
    Ok((kind, rest.split_off(fields)))
}

/// Fills `buffer`; not longer than until `deadline`, however slowly the bytes come.
fn read(stream: &mut UnixStream, mut buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => buffer = buffer.get_mut(length..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// The answer to ListJobs: `a(usssoo)`, of each job its number, unit, kind, state, and two paths.
fn parse_jobs(body: &[u8]) -> Option<Vec<(String, String)>> {
    let mut bytes = Bytes::of(body);
    let end = bytes.array(8)?;
    let mut jobs = Vec::new();
    while bytes.before(end) {
        bytes.align(8);
        bytes.u32()?;
        let (unit, kind) = (bytes.text()?, bytes.text()?);
        for _ in 0..3 {
            bytes.text()?;
        }
        jobs.push((unit, kind));
    }
    Some(jobs)
}

/// A property that is a text: `v` with an `s` in it.
fn parse_text(body: &[u8]) -> Option<String> {
    let mut bytes = Bytes::of(body);
    (bytes.signature()? == b"s").then(|| bytes.text())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn text(body: &mut Vec<u8>, text: &str) {
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend_from_slice(&(text.len() as u32).to_le_bytes());
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }

    fn body(jobs: &[(&str, &str)]) -> Vec<u8> {
        let mut body = vec![0; 8];
        for (unit, kind) in jobs {
            body.resize(body.len().next_multiple_of(8), 0);
            body.extend_from_slice(&7u32.to_le_bytes());
            for word in [unit, kind, "waiting", "/org/freedesktop/systemd1/job/7", "/org"] {
                text(&mut body, word);
            }
        }
        let length = body.len() as u32 - 8;
        body[..4].copy_from_slice(&length.to_le_bytes());
        body
    }

    fn message_of(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut message = vec![b'l', kind, 0, 1];
        message.extend_from_slice(&(body.len() as u32).to_le_bytes());
        // Number 1, and fields of 5 bytes, padded to 8.
        message.extend_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0, 5, 1, b'u', 0, 1, 0, 0, 0]);
        message.extend_from_slice(body);
        message
    }

    const JOBS: [(&str, &str); 2] = [("poweroff.target", "start"), ("ssh.service", "stop")];

    /// What `ask` makes of a systemd that says this, and what it was asked.
    fn asked_by<T>(
        greeting: &'static [u8],
        answer: Vec<u8>,
        ask: impl FnOnce(&Path, Duration) -> io::Result<T>,
    ) -> (io::Result<T>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("private");
        let listener = UnixListener::bind(&socket).unwrap();
        let systemd = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; AUTH.len()];
            stream.read_exact(&mut hello).unwrap();
            assert_eq!(hello, AUTH);
            let _ = stream.write_all(greeting).and_then(|()| stream.write_all(&answer));
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut call = Vec::new();
            let _ = stream.read_to_end(&mut call);
            call
        });
        let result = ask(&socket, Duration::from_secs(60));
        (result, systemd.join().unwrap())
    }

    fn asked(greeting: &'static [u8], answer: Vec<u8>) -> (io::Result<Vec<(String, String)>>, Vec<u8>) {
        asked_by(greeting, answer, jobs)
    }

    #[test]
    fn a_units_state_and_a_refusal_are_understood() {
        let mut active = vec![1, b's', 0];
        text(&mut active, "deactivating");
        let unit = "dracut-emergency.service";
        let (got, call) =
            asked_by(b"OK\r\n", message_of(ANSWER, &active), |socket, limit| state(socket, limit, unit));
        assert_eq!(got.unwrap(), "deactivating");
        let field = |call: &[u8], text: &str| call.windows(text.len()).any(|part| part == text.as_bytes());
        let path = "/org/freedesktop/systemd1/unit/dracut_2demergency_2eservice\0";
        assert!(field(&call, path) && field(&call, "ActiveState\0") && field(&call, "\x02ss\0"));

        let mut refusal = Vec::new();
        text(&mut refusal, "Unit a.service not found.");
        let (got, call) = asked_by(b"OK\r\n", message_of(ERROR, &refusal), |socket, limit| {
            start(socket, limit, "a.service")
        });
        assert_eq!(got.unwrap_err().to_string(), "systemd refuses: Unit a.service not found.");
        assert!(field(&call, "StartUnit\0") && field(&call, "replace\0"));
        let (got, _) =
            asked_by(b"OK\r\n", message_of(ANSWER, &active[..5]), |socket, limit| state(socket, limit, unit));
        assert_eq!(got.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn jobs_are_listed_behind_signals() {
        let answer = [message_of(4, b"12345"), message_of(ANSWER, &body(&JOBS))].concat();
        let (jobs, call) = asked(b"OK 0123\r\n", answer);
        let expected = JOBS.map(|(unit, kind)| (unit.to_owned(), kind.to_owned()));
        assert_eq!(jobs.unwrap(), expected);
        assert_eq!(call.len() % 8, 0);
        let field = |text: &str| call.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(field("ListJobs\0") && field("/org/freedesktop/systemd1\0"));
    }

    #[test]
    fn who_is_not_systemd_is_an_error() {
        use io::ErrorKind::{InvalidData, PermissionDenied, UnexpectedEof};
        let cases = [
            (&b"REJECTED\r\n"[..], Vec::new(), PermissionDenied),
            (b"OK\r\n", Vec::new(), UnexpectedEof),
            (b"OK\r\n", message_of(ANSWER, &[9, 0, 0, 0]), InvalidData),
            (b"OK\r\n", vec![b'B'; 64], InvalidData),
            (b"OK\r\n", vec![b'l'; 64], InvalidData),
        ];
        for (greeting, answer, kind) in cases {
            assert_eq!(asked(greeting, answer).0.unwrap_err().kind(), kind);
        }
        assert!(jobs(Path::new("/nonexistent"), Duration::from_secs(1)).is_err());
    }

    #[test]
    fn a_silent_systemd_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("private");
        let _listener = UnixListener::bind(&socket).unwrap();
        let begin = Instant::now();
        assert!(jobs(&socket, Duration::from_millis(30)).is_err());
        assert!(begin.elapsed() < Duration::from_secs(30));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, cut in 0usize..200) {
            let _ = (parse_jobs(&bytes), parse_text(&bytes));
            let mut body = body(&JOBS);
            body.truncate(cut);
            let _ = parse_jobs(&body);
        }
    }
}
