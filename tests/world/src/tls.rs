//! Certificates for loopback: an authority made for one run, and a leaf for 127.0.0.1 and localhost.
//!
//! Authority and leaf are two certificates because rustls refuses one that is both
//! (`CaUsedAsEndEntity`). Programs that are started with `SSL_CERT_FILE` naming [`Tls::ca_file`]
//! trust the listeners; this process uses [`Tls::client`], since it cannot change its own environment.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The certificates could not be made, written or used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A file could not be written.
    #[error("cannot write a certificate: {0}")]
    File(#[from] std::io::Error),
    /// The TLS library refused what was made.
    #[error("cannot use the certificate: {0}")]
    Use(#[from] rustls::Error),
    /// The HTTP client could not be built.
    #[error("cannot build the client: {0}")]
    Client(#[from] reqwest::Error),
}

/// One run's authority and leaf.
#[derive(Debug, Clone)]
pub struct Tls {
    directory: PathBuf,
    authority: String,
    server: Arc<ServerConfig>,
}

impl Tls {
    /// Makes an authority and a leaf and writes `ca.pem`, `leaf.pem` and `leaf.key` into
    /// `directory`, which must exist.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn create(directory: &Path) -> Result<Self, TlsError> {
        let authority = CertifiedIssuer::self_signed(authority_params()?, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let leaf = leaf_params()?.signed_by(&key, &authority)?;
        std::fs::write(directory.join("ca.pem"), authority.pem())?;
        std::fs::write(directory.join("leaf.pem"), leaf.pem())?;
        std::fs::write(directory.join("leaf.key"), key.serialize_pem())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], private)?;
        Ok(Self {
            directory: directory.to_owned(),
            authority: authority.pem(),
            server: Arc::new(server),
        })
    }

    /// The authority's certificate as a PEM file: what `SSL_CERT_FILE` should name.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// The authority's certificate as PEM text.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The leaf's certificate as a PEM file.
    pub fn certificate_file(&self) -> PathBuf {
        self.directory.join("leaf.pem")
    }

    /// The leaf's private key as a PEM file.
    pub fn key_file(&self) -> PathBuf {
        self.directory.join("leaf.key")
    }

    /// What a TLS listener on loopback needs.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// Roombridge's own HTTP client, trusting this authority too.
    ///
    /// # Errors
    /// [`TlsError::Client`].
    pub fn client(&self) -> Result<reqwest::Client, TlsError> {
        let authority = reqwest::Certificate::from_pem(self.authority.as_bytes())?;
        Ok(roombridge::base::http::client_builder().tls_certs_merge([authority]).build()?)
    }
}

fn authority_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Roombridge test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authority_and_leaf_are_written() {
        let directory = tempfile::tempdir().unwrap();
        let tls = Tls::create(directory.path()).unwrap();
        assert!(tls.ca_file().exists() && tls.key_file().exists());
        let leaf = std::fs::read_to_string(tls.certificate_file()).unwrap();
        assert!(leaf.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(tls.client().is_ok());
    }
}
