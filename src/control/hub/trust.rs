//! Which certificates are trusted, and when that is decided.
//!
//! At the agents' door the handshake proves only that the agent has the key of
//! its certificate. Whom it stands for depends on the plane it names, which
//! the handshake does not know; [`is_signed_by`] decides it at the upgrade.

use std::sync::Arc;

use curtain_tunnel::certs::{clients_of, provider, roots_from};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

/// Asks for a certificate and takes any whose key the client proves to have.
#[derive(Debug)]
pub(super) struct Proven(Arc<CryptoProvider>);

impl Proven {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(provider()))
    }
}

impl ClientCertVerifier for Proven {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Check that `chain` is a client certificate that comes from the CA in `pem`
/// and is valid now. `origin` names the plane object in errors.
///
/// # Errors
/// What is wrong, for the log.
pub(super) fn is_signed_by(
    origin: &str,
    pem: &[u8],
    chain: &[CertificateDer<'static>],
) -> Result<(), String> {
    let [leaf, others @ ..] = chain else { return Err("no certificate was sent".to_owned()) };
    let roots = roots_from(origin.as_ref(), pem).map_err(|error| error.to_string())?;
    let verifier = clients_of(roots).map_err(|error| error.to_string())?;
    let verified = verifier.verify_client_cert(leaf, others, UnixTime::now());
    verified.map(drop).map_err(|error| error.to_string())
}
