//! A certificate authority made for one scenario, and the server's certificate from it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::SERVER;
use crate::error::{Error, Result};

/// Certificates are as young as a site's can be: a clock that is wrong is noticed.
const AGE: Duration = Duration::from_secs(24 * 3600);
const LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, as a PEM file.
    pub pem: String,
}

impl Authority {
    /// Makes one.
    pub fn new() -> Result<Authority> {
        let mut params = params(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "qemu-harness");
        let key = KeyPair::generate().map_err(fault)?;
        let pem = params.self_signed(&key).map_err(fault)?.pem();
        Ok(Authority { issuer: Issuer::new(params, key), pem })
    }

    /// What a server at the lab's address needs.
    pub fn server(&self) -> Result<Arc<ServerConfig>> {
        let key = KeyPair::generate().map_err(fault)?;
        let certificate = params(vec![SERVER.to_owned()])?.signed_by(&key, &self.issuer).map_err(fault)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)
            });
        Ok(Arc::new(config.map_err(fault)?))
    }
}

fn params(names: Vec<String>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names).map_err(fault)?;
    let now = SystemTime::now();
    params.not_before = (now - AGE).into();
    params.not_after = (now + LIFE).into();
    Ok(params)
}

fn fault(cause: impl std::fmt::Display) -> Error {
    Error::Host(format!("certificates: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection, StreamOwned};

    use super::*;

    /// What a client that knows `known` reads from the server of `authority`.
    fn talk(authority: &Authority, known: &Authority) -> std::io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        let config = authority.server().unwrap();
        let worker = std::thread::spawn(move || {
            let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), server);
            stream.write_all(b"hello").and_then(|()| stream.flush())
        });
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(known.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from(SERVER).unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), client);
        let mut text = [0; 5];
        let read = stream.read_exact(&mut text);
        drop(stream);
        let _ = worker.join().unwrap();
        read.map(|()| String::from_utf8_lossy(&text).into_owned())
    }

    #[test]
    fn only_who_knows_the_authority_trusts_the_server() {
        let (authority, another) = (Authority::new().unwrap(), Authority::new().unwrap());
        assert_eq!(talk(&authority, &authority).unwrap(), "hello");
        let refused = talk(&authority, &another).unwrap_err().to_string();
        assert!(refused.contains("UnknownIssuer") || refused.contains("BadSignature"), "{refused}");
    }
}
