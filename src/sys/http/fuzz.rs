//! Fuzz targets of this folder; see [`crate::fuzz`].

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use super::Client;

/// No answer is taken that is longer.
const MOST: u64 = 1 << 15;

/// What a server sends to a request for a plan.
pub fn answer(data: &[u8]) {
    // To follow a redirection would be to leave this machine.
    if data.windows(8).any(|word| word.eq_ignore_ascii_case(b"location")) {
        return;
    }
    let Some(address) = serve(data) else { return };
    let Ok(client) = Client::new(&format!("http://{address}/"), Duration::from_secs(5), Path::new("/"))
    else {
        return;
    };
    match client.get(&[], MOST) {
        Ok(body) => assert!(body.len() as u64 <= MOST),
        Err(failure) => _ = failure.to_string(),
    }
}

/// Has a server send `bytes` to the next that asks.
fn serve(bytes: &[u8]) -> Option<SocketAddr> {
    static SERVER: OnceLock<Option<(SocketAddr, Sender<Vec<u8>>)>> = OnceLock::new();
    let (address, next) = SERVER
        .get_or_init(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            let address = listener.local_addr().ok()?;
            let (next, answers) = channel::<Vec<u8>>();
            thread::spawn(move || {
                for answer in answers {
                    let Ok((mut stream, _)) = listener.accept() else { return };
                    // The request is one small segment. What is not read would make a reset of the close.
                    let _ = stream.read(&mut [0; 4096]);
                    let _ = stream.write_all(&answer);
                }
            });
            Some((address, next))
        })
        .as_ref()?;
    next.send(bytes.to_vec()).ok()?;
    Some(*address)
}
