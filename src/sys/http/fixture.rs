//! Servers of tests, on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;

/// A server that lives as long as the test.
pub struct Server {
    /// Where it is.
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

/// What a server does with one connection.
#[derive(Clone)]
pub enum Answer {
    /// Sends this and closes.
    Text(String),
    /// Sends this, then `x` for ever.
    Endless(String),
    /// Sends nothing and holds the connection.
    Silence,
}

/// An answer with `status` and `body`.
pub fn answer(status: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::Text(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}"))
}

impl Server {
    /// Gives each connection one of `answers` in turn, and the last one to all that follow.
    pub fn start(answers: Vec<Answer>) -> Server {
        Server::with("http", answers, serve)
    }

    /// The same over TLS, with the certificate in `config`.
    pub fn tls(answers: Vec<Answer>, config: Arc<rustls::ServerConfig>) -> Server {
        Server::with("https", answers, move |stream, answer, requests| {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            serve(rustls::StreamOwned::new(connection, stream), answer, requests);
        })
    }

    fn with(
        scheme: &str,
        answers: Vec<Answer>,
        serve: impl Fn(std::net::TcpStream, &Answer, &Mutex<Vec<String>>) + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}/p", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, serve) = (requests.clone(), Arc::new(serve));
        std::thread::spawn(move || {
            for (at, stream) in listener.incoming().enumerate() {
                let answer = answers[at.min(answers.len() - 1)].clone();
                let (serve, seen) = (serve.clone(), seen.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &answer, &seen));
            }
        });
        Server { url, requests }
    }

    /// The requests so far: heads in lower case, and bodies.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: impl Read + Write, answer: &Answer, requests: &Mutex<Vec<String>>) {
    let Some(request) = request(&mut BufReader::new(&mut stream)) else { return };
    requests.lock().unwrap().push(request);
    match answer {
        Answer::Text(text) => {
            let _ = stream.write_all(text.as_bytes());
        }
        Answer::Endless(text) => {
            let _ = stream.write_all(text.as_bytes());
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        }
        Answer::Silence => std::thread::sleep(Duration::from_secs(60)),
    }
    let _ = stream.flush();
}

fn request(reader: &mut impl BufRead) -> Option<String> {
    let mut text = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        text.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(format!("{text}\n{}", String::from_utf8(body).unwrap()))
}

/// A CA of a test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// With a key of its own.
    pub fn new() -> Authority {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server's side with a certificate for `name`, valid in the `years` from the first to the second.
    pub fn server(&self, name: &str, years: [i32; 2]) -> Arc<rustls::ServerConfig> {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        [params.not_before, params.not_after] = years.map(|year| rcgen::date_time_ymd(year, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }
}

/// A port that neither takes nor refuses connections: its queue is full as long as the rest is kept.
pub fn full_listener() -> (SocketAddr, OwnedFd, Vec<TcpStream>) {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&listener, &"127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
    listen(&listener, 0).unwrap();
    let address = SocketAddr::try_from(getsockname(&listener).unwrap()).unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
    }
    (address, listener, waiting)
}
