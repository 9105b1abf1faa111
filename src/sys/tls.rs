//! HTTPS for ureq, by rustls: the only CAs are those put into the initramfs, and a clock that stands before the
//! initramfs was made does not stop the boot.

use std::path::Path;
use std::sync::{Arc, Once};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::ClientConnection;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, RootCertStore, StreamOwned};
use ureq::unversioned::transport::time::Instant;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::clock;
use crate::error::{Code, Context, Error, Result};

/// No file of CA certificates is longer.
const LONGEST_CA: u64 = 1 << 20;

/// A client that trusts the CAs in the PEM file `ca`, and no other.
///
/// Certificates are checked as of now, or as of the time when the initramfs was made if the clock stands before that:
/// a time that is known to be past, so no certificate passes that a right clock would have called expired by then.
///
/// # Errors
/// [`Code::TlsCa`]: there is no such file, or no certificate in it.
pub fn trusting(ca: &Path) -> Result<Arc<ClientConfig>> {
    let object = || ca.display().to_string();
    let metadata = std::fs::metadata(ca).context(Code::TlsCa, object())?;
    if metadata.len() > LONGEST_CA {
        return Err(Error::new(Code::TlsCa, object()).because(format!("longer than {LONGEST_CA} bytes")));
    }
    let roots = roots(&std::fs::read(ca).context(Code::TlsCa, object())?);
    let roots = roots.map_err(|why| Error::new(Code::TlsCa, object()).because(why))?;
    // Nor does one stand before the file with the CA.
    let made = clock::initramfs_made(Path::new("/")).max(metadata.modified().ok());
    let time = NotBefore(made.unwrap_or(UNIX_EPOCH));
    time.tell_once();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_details(provider, Arc::new(time))
        .with_safe_default_protocol_versions()
        .context(Code::TlsCa, object())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The certificates in the text of a PEM file; at least one.
fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("no certificate in PEM form is in it".into()) } else { Ok(roots) }
}

/// The clock, but never before this.
#[derive(Debug)]
struct NotBefore(SystemTime);

impl NotBefore {
    fn tell_once(&self) {
        static TOLD: Once = Once::new();
        let now = SystemTime::now();
        if now < self.0 {
            TOLD.call_once(|| {
                log::warn!(
                    "the clock is wrong: {} is before this initramfs was made; certificates are checked as of {}",
                    clock::utc(now),
                    clock::utc(self.0)
                );
            });
        }
    }
}

impl TimeProvider for NotBefore {
    fn current_time(&self) -> Option<UnixTime> {
        let time = SystemTime::now().max(self.0);
        Some(UnixTime::since_unix_epoch(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

/// The code and the cause, for people, of a certificate that was refused; none if that was not the reason.
pub fn refused(error: &(dyn std::error::Error + 'static)) -> Option<(Code, String)> {
    let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref::<rustls::Error>() else {
        return None;
    };
    let utc = |time: &UnixTime| clock::utc(UNIX_EPOCH + Duration::from_secs(time.as_secs()));
    Some(match why {
        CertificateError::NotValidYetContext { time, not_before } => (
            Code::TlsClock,
            format!("it is valid from {}, and the clock says {}", utc(not_before), utc(time)),
        ),
        CertificateError::ExpiredContext { time, not_after } => (
            Code::TlsExpired,
            format!("it was valid until {}, and the clock says {}", utc(not_after), utc(time)),
        ),
        CertificateError::NotValidYet => (Code::TlsClock, why.to_string()),
        CertificateError::Expired => (Code::TlsExpired, why.to_string()),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            (Code::TlsName, why.to_string())
        }
        _ => (Code::TlsUntrusted, why.to_string()),
    })
}

/// Puts TLS over the connections of `https` URLs; without a configuration there are none.
#[derive(Debug)]
pub struct Tls(pub Option<Arc<ClientConfig>>);

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Encrypted>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        below: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(below) = below else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(below)));
        }
        let config = self.0.clone().ok_or(ureq::Error::TlsRequired)?;
        let host = details.uri.host().unwrap_or_default();
        let name = ServerName::try_from(host.trim_start_matches('[').trim_end_matches(']').to_owned());
        let name = name.map_err(|error| ureq::Error::Other(Box::new(error)))?;
        let mut connection =
            ClientConnection::new(config, name).map_err(|error| ureq::Error::Other(Box::new(error)))?;
        let mut socket = TransportAdapter::new(below.boxed(), details.current_time.clone());
        socket.set_timeout(left(details));
        connection.complete_io(&mut socket)?;
        let stream = StreamOwned::new(connection, socket);
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Either::B(Encrypted { buffers, stream })))
    }
}

/// What is left of the time for connecting, after what lies below has taken its part.
fn left(details: &ConnectionDetails) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Instant::Exact(now), Instant::Exact(start)) = ((details.current_time)(), details.now)
        && !timeout.after.is_not_happening()
    {
        let left = timeout.after.saturating_sub(now.saturating_duration_since(start));
        timeout.after = ureq::unversioned::transport::time::Duration::Exact(left);
    }
    timeout
}

/// A connection with TLS.
pub struct Encrypted {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let bytes = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(std::io::Write::write_all(&mut self.stream, bytes)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = std::io::Read::read(&mut self.stream, self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl std::fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encrypted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused_before_anything_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        assert_eq!(trusting(&file).unwrap_err().code(), Code::TlsCa);
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", "no certificate\n", broken] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(trusting(&file).unwrap_err().code(), Code::TlsCa, "{text:?}");
        }
    }

    #[test]
    fn the_clock_counts_once_it_is_past_the_making() {
        let at = |time: SystemTime| NotBefore(time).current_time().unwrap().as_secs();
        let future = UNIX_EPOCH + Duration::from_secs(7_258_118_400);
        assert_eq!(at(future), 7_258_118_400);
        assert!(at(UNIX_EPOCH).abs_diff(UnixTime::now().as_secs()) < 60);
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_taken_or_refused(pem: Vec<u8>) {
            let _ = roots(&pem);
        }
    }
}
