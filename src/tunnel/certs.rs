//! Certificates and keys as they are mounted: PEM files of a Secret.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};

/// Why mounted certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A file could not be read.
    #[error("cannot read {path}: {source}; is the Secret mounted there?")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file has no certificate or key, or a broken one.
    #[error("cannot use {path}: {source}")]
    Pem {
        /// Where the PEM came from.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// No certificate in a list of roots can be trusted.
    #[error("{path} holds no CA certificate")]
    NoRoot {
        /// Where the PEM came from.
        path: PathBuf,
    },
    /// Key and certificate do not fit.
    #[error("cannot set up TLS from {path}: {source}")]
    Tls {
        /// Where the certificate came from.
        path: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
}

/// A certificate chain with its key: `tls.crt` and `tls.key` of a directory.
pub struct Pair {
    directory: PathBuf,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Pair {
    /// Read the pair.
    ///
    /// # Errors
    /// [`CertError`] naming the file.
    pub fn read(directory: &Path) -> Result<Self, CertError> {
        let chain = certificates(&directory.join("tls.crt"))?;
        let path = directory.join("tls.key");
        let key = PrivateKeyDer::from_pem_slice(&read(&path)?)
            .map_err(|source| CertError::Pem { path, source })?;
        Ok(Self { directory: directory.to_owned(), chain, key })
    }

    /// Serve with this pair; `clients` decides about client certificates.
    ///
    /// # Errors
    /// [`CertError::Tls`] when key and certificate do not fit.
    pub fn server(self, clients: Arc<dyn ClientCertVerifier>) -> Result<ServerConfig, CertError> {
        let tls = |source| CertError::Tls { path: self.directory.clone(), source };
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_client_cert_verifier(clients)
            .with_single_cert(self.chain, self.key)
            .map_err(|source| CertError::Tls { path: self.directory, source })
    }

    /// Dial servers whose certificate comes from `roots`, with this pair as
    /// our own.
    ///
    /// # Errors
    /// [`CertError::Tls`] when key and certificate do not fit.
    pub fn client(self, roots: RootCertStore) -> Result<ClientConfig, CertError> {
        let tls = |source| CertError::Tls { path: self.directory.clone(), source };
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_root_certificates(roots)
            .with_client_auth_cert(self.chain, self.key)
            .map_err(|source| CertError::Tls { path: self.directory, source })
    }
}

/// The CA certificates of a PEM file.
///
/// # Errors
/// [`CertError`] naming the file; one without a usable certificate is an error.
pub fn roots(path: &Path) -> Result<RootCertStore, CertError> {
    roots_from(path, &read(path)?)
}

/// The CA certificates of PEM text; `origin` names it in errors.
///
/// # Errors
/// As [`roots`].
pub fn roots_from(origin: &Path, pem: &[u8]) -> Result<RootCertStore, CertError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(parse(origin, pem)?);
    if store.is_empty() {
        return Err(CertError::NoRoot { path: origin.to_owned() });
    }
    Ok(store)
}

/// Requires client certificates that come from `roots`.
///
/// # Errors
/// When `roots` is empty.
pub fn clients_of(
    roots: RootCertStore,
) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
    WebPkiClientVerifier::builder_with_provider(roots.into(), provider()).build()
}

/// The one cryptography of this binary.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertError> {
    parse(path, &read(path)?)
}

fn parse(origin: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|source| CertError::Pem { path: origin.to_owned(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, CertError> {
    std::fs::read(path).map_err(|source| CertError::Read { path: path.to_owned(), source })
}
