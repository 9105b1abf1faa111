//! What systemd is about to do, asked at the socket that systemctl uses too: no D-Bus daemon, no program and no file of
//! the root is needed (D-Bus specification, "Message Protocol"; org.freedesktop.systemd1(5)).

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// systemd's own socket, for root alone.
pub const SOCKET: &str = "/run/systemd/private";
/// No message that is read is longer; a system has some hundred jobs of some hundred bytes.
const LONGEST: usize = 4 << 20;
/// So many messages that are no answer are passed over.
const MOST_MESSAGES: usize = 1000;
/// Types of messages.
const CALL: u8 = 1;
const ANSWER: u8 = 2;
/// "I am 0", in hexadecimal digits of its decimal ones, as SASL's mechanism EXTERNAL has it.
const AUTH: &[u8] = b"\0AUTH EXTERNAL 30\r\n";

/// The units of the jobs that systemd has, each with the kind of its job (`start`, `stop`).
///
/// # Errors
/// systemd does not answer within `limit`, or not like systemd.
pub fn jobs(socket: &Path, limit: Duration) -> io::Result<Vec<(String, String)>> {
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
    stream.write_all(b"BEGIN\r\n")?;
    stream.write_all(&list_jobs())?;
    for _ in 0..MOST_MESSAGES {
        let (kind, body) = message(&mut stream, deadline)?;
        if kind == ANSWER {
            return parse(&body).ok_or_else(nonsense);
        }
    }
    Err(nonsense())
}

fn nonsense() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// The call of org.freedesktop.systemd1.Manager.ListJobs.
fn list_jobs() -> Vec<u8> {
    let mut fields = Vec::new();
    for (code, kind, value) in [
        (1, b'o', "/org/freedesktop/systemd1"),
        (2, b's', "org.freedesktop.systemd1.Manager"),
        (3, b's', "ListJobs"),
        (6, b's', "org.freedesktop.systemd1"),
    ] {
        fields.resize(fields.len().next_multiple_of(8), 0);
        fields.extend_from_slice(&[code, 1, kind, 0]);
        fields.extend_from_slice(&u32::try_from(value.len()).unwrap_or(0).to_le_bytes());
        fields.extend_from_slice(value.as_bytes());
        fields.push(0);
    }
    // Little-endian, no flags, version 1, an empty body, number 1.
    let mut call = vec![b'l', CALL, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0];
    call.extend_from_slice(&u32::try_from(fields.len()).unwrap_or(0).to_le_bytes());
    call.append(&mut fields);
    call.resize(call.len().next_multiple_of(8), 0);
    call
}

/// The next message: its type and its body.
fn message(stream: &mut UnixStream, deadline: Instant) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 16];
    read(stream, &mut head, deadline)?;
    let mut bytes = Bytes { bytes: &head, at: 4 };
    let (Some(body), Some(_), Some(fields)) = (bytes.u32(), bytes.u32(), bytes.u32()) else {
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

/// The body of the answer: `a(usssoo)`, of each job its number, unit, kind, state, and two paths.
fn parse(body: &[u8]) -> Option<Vec<(String, String)>> {
    let mut bytes = Bytes { bytes: body, at: 0 };
    let length = bytes.u32()? as usize;
    bytes.align(8);
    let end = bytes.at.checked_add(length).filter(|end| *end <= body.len())?;
    let mut jobs = Vec::new();
    while bytes.at < end {
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

/// Reads what D-Bus writes.
struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bytes<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4);
        let bytes = self.bytes.get(self.at..self.at.checked_add(4)?)?;
        self.at += 4;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let length = self.u32()? as usize;
        let text = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        // And its NUL.
        self.at += length + 1;
        Some(String::from_utf8_lossy(text).into_owned())
    }
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

    /// What `jobs` makes of a systemd that says this.
    fn asked(greeting: &'static [u8], answer: Vec<u8>) -> (io::Result<Vec<(String, String)>>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("private");
        let listener = UnixListener::bind(&socket).unwrap();
        let systemd = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; 19];
            stream.read_exact(&mut hello).unwrap();
            assert_eq!(&hello, AUTH);
            let _ = stream.write_all(greeting).and_then(|()| stream.write_all(&answer));
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut call = Vec::new();
            let _ = stream.read_to_end(&mut call);
            call
        });
        let jobs = jobs(&socket, Duration::from_secs(60));
        (jobs, systemd.join().unwrap())
    }

    #[test]
    fn jobs_are_listed_behind_signals() {
        let answer = [message_of(4, b"12345"), message_of(ANSWER, &body(&JOBS))].concat();
        let (jobs, call) = asked(b"OK 0123\r\n", answer);
        let expected = JOBS.map(|(unit, kind)| (unit.to_owned(), kind.to_owned()));
        assert_eq!(jobs.unwrap(), expected);
        let call = call.strip_prefix(b"BEGIN\r\n").unwrap();
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
            let _ = parse(&bytes);
            let mut body = body(&JOBS);
            body.truncate(cut);
            let _ = parse(&body);
        }
    }
}
