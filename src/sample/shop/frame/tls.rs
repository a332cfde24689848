//! Certificates: of an authority that a service makes for itself at its start, and trust in that authority.
//!
//! Nothing is secret but the key, which never leaves its process. Whoever calls gets the authority's certificate from
//! the service itself: good enough for a sample, whose certificates are there to expire.

use std::sync::{Arc, Mutex, PoisonError};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use super::{Call, Failure, upstream::Upstream};

/// Where a service shows its authority's certificate.
pub(crate) const AUTHORITY: &str = "/authority";

/// A service's own certificate.
pub(crate) struct Identity {
    /// Takes connections.
    pub(crate) acceptor: TlsAcceptor,
    /// The authority's certificate in base64.
    pub(crate) authority: String,
}

impl Identity {
    /// A certificate for `name` that is valid until `days` from now; with a negative number it has expired.
    pub(crate) fn new(name: &str, days: i64) -> Result<Self, Failure> {
        make(name, days)
            .map_err(|error| Failure::own(format!("cannot make a certificate: {error}")))
    }
}

fn make(name: &str, days: i64) -> Result<Identity, Box<dyn std::error::Error>> {
    let now = Timestamp::now();
    let day = |at: Timestamp| {
        let date = at.to_zoned(TimeZone::UTC).date();
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        rcgen::date_time_ymd(date.year().into(), month, day)
    };
    let end = now + SignedDuration::from_hours(days.clamp(-3000, 3000) * 24);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, format!("authority of {name}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.not_before = day(now - SignedDuration::from_hours(24 * 3650));
    params.not_after = day(now + SignedDuration::from_hours(24 * 3650));
    let authority = params.self_signed(&key)?;
    let issuer = Issuer::new(params, key);

    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = day(now.min(end) - SignedDuration::from_hours(48));
    params.not_after = day(end);
    let own = params.signed_by(&key, &issuer)?;
    let private = PrivateKeyDer::try_from(key.serialize_der())?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], private)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Ok(Identity { acceptor, authority: STANDARD.encode(authority.der()) })
}

/// Trust in the authority of a service.
pub(super) struct Trust {
    name: &'static str,
    authority: Box<Upstream>,
    known: Mutex<Option<Arc<ClientConfig>>>,
}

impl Trust {
    pub(super) fn new(name: &'static str, authority: Upstream) -> Self {
        Self { name, authority: Box::new(authority), known: Mutex::default() }
    }

    /// Forgets the authority if that may help against `failure`; whether there was one.
    pub(super) fn forget(&self, failure: &Failure) -> bool {
        failure.message.contains("invalid peer certificate") && self.lock().take().is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<ClientConfig>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// TLS over `stream` with the service this trusts.
    pub(super) async fn wrap(
        &self,
        call: &Call,
        stream: TcpStream,
        upstream: &Upstream,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let known = self.lock().clone();
        let config = match known {
            Some(config) => config,
            None => {
                let config = Arc::new(self.config(call).await?);
                *self.lock() = Some(Arc::clone(&config));
                config
            }
        };
        let name = ServerName::try_from(self.name)
            .map_err(|error| Failure::own(format!("{} is no name: {error}", self.name)))?;
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected.map_err(|error| upstream.unreachable(&error))
    }

    async fn config(&self, call: &Call) -> Result<ClientConfig, Failure> {
        let shown = self.authority.http(call, Method::GET, (AUTHORITY, AUTHORITY), None).await?;
        let bad = |why: String| {
            Failure::own(format!("the authority of {} is unusable: {why}", self.name))
        };
        let der = STANDARD
            .decode(shown["certificate"].as_str().unwrap_or_default())
            .map_err(|error| bad(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(der)).map_err(|error| bad(error.to_string()))?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}
