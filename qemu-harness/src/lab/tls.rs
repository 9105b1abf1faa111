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
