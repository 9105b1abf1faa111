//! What listens where a target could be, and behaves badly.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{PORTAL, server};
use crate::error::{At, Result};
use crate::scenario::{self, Behaviour};

/// How often it looks for clients, and whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long one that waits for a client or the portal behind it does so.
const SILENCE: Duration = Duration::from_secs(300);
/// The first request of a login and its answer are smaller.
const PIECE: usize = 16 << 10;

/// A listening trap; dropping it ends it.
pub struct Trap {
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

impl Trap {
    /// Sets it up at the lab's address in the trap's subnet.
    pub fn set(trap: &scenario::Trap) -> Result<Trap> {
        Trap::listen(&format!("{}:{}", server(trap.subnet), trap.port), PORTAL, trap.does)
            .map(|(trap, _)| trap)
    }

    /// At `address`, which it also returns, with a real portal `behind` it.
    fn listen(address: &str, behind: &'static str, does: Behaviour) -> Result<(Trap, SocketAddr)> {
        let listener = TcpListener::bind(address).at("listen on", address)?;
        listener.set_nonblocking(true).at("listen on", address)?;
        let at = listener.local_addr().at("listen on", address)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let worker = thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                match listener.accept() {
                    // How a client takes it is its own affair.
                    Ok((client, _)) => drop(thread::spawn(move || treat(&client, behind, does))),
                    Err(_) => thread::sleep(LOOK_EVERY),
                }
            }
        });
        Ok((Trap { stop, worker: Some(worker) }, at))
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

fn treat(mut client: &TcpStream, behind: &str, does: Behaviour) -> std::io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(SILENCE))?;
    let mut piece = vec![0; PIECE];
    match does {
        Behaviour::NeverAnswers => while client.read(&mut piece)? > 0 {},
        Behaviour::ClosesInLogin => {
            let mut portal = TcpStream::connect(behind)?;
            portal.set_read_timeout(Some(SILENCE))?;
            let length = client.read(&mut piece)?;
            portal.write_all(piece.get(..length).unwrap_or_default())?;
            let length = portal.read(&mut piece)?;
            client.write_all(piece.get(..length).unwrap_or_default())?;
            // The second request: its sender is told nothing.
            let _ = client.read(&mut piece)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_request_is_not_answered() {
        let portal = TcpListener::bind("127.0.0.1:0").unwrap();
        let behind: &'static str = Box::leak(portal.local_addr().unwrap().to_string().into_boxed_str());
        thread::spawn(move || {
            let (mut client, _) = portal.accept().unwrap();
            let mut request = [0; 5];
            client.read_exact(&mut request).unwrap();
            client.write_all(b"answer").unwrap();
            let _ = client.read(&mut request);
        });
        let (_trap, at) = Trap::listen("127.0.0.1:0", behind, Behaviour::ClosesInLogin).unwrap();
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(b"login").unwrap();
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
        stream.write_all(b"again").unwrap();
        assert_eq!(stream.read(&mut answer).unwrap_or(0), 0);
    }

    #[test]
    fn silence_is_an_answer_too() {
        let (_trap, at) = Trap::listen("127.0.0.1:0", "", Behaviour::NeverAnswers).unwrap();
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        stream.write_all(b"login").unwrap();
        assert!(stream.read(&mut [0; 6]).is_err());
    }
}
