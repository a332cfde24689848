//! Clients for planes.
//!
//! A plane is reached through the cluster gateway: an ordinary Kubernetes client whose base URL is
//! `{gateway}/api/proxy/{planeType}/{planeID}/{namespace|_cluster}/{name}/k8s`. Watches work, because the tunnel behind
//! it carries streams.

use curtain_role::dns::Resolver;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::{Client, Config};
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The kinds of plane, as the gateway calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlaneType {
    /// `dataplane`
    Data,
    /// `observabilityplane`
    Observability,
    /// `workflowplane`
    Workflow,
}

impl PlaneType {
    /// The name in the gateway's URLs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Data => "dataplane",
            Self::Observability => "observabilityplane",
            Self::Workflow => "workflowplane",
        }
    }
}

/// Which plane, and the object that registers it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaneRef {
    /// What it is for.
    pub r#type: PlaneType,
    /// Its logical id.
    pub id: String,
    /// Namespace of its object; `None` for the cluster-scoped kinds.
    pub namespace: Option<String>,
    /// Name of its object.
    pub name: String,
}

impl PlaneRef {
    /// `dataplane/default/_cluster/default`
    pub fn path(&self) -> String {
        let namespace = self.namespace.as_deref().unwrap_or("_cluster");
        format!("{}/{}/{namespace}/{}", self.r#type.as_str(), self.id, self.name)
    }

    /// Reads [`PlaneRef::path`] back.
    pub fn parse(path: &str) -> Option<Self> {
        let mut parts = path.split('/');
        let r#type = match parts.next()? {
            "dataplane" => PlaneType::Data,
            "observabilityplane" => PlaneType::Observability,
            "workflowplane" => PlaneType::Workflow,
            _ => return None,
        };
        let (id, namespace, name) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || id.is_empty() || name.is_empty() {
            return None;
        }
        let namespace = (namespace != "_cluster").then(|| namespace.to_owned());
        Some(Self { r#type, id: id.to_owned(), namespace, name: name.to_owned() })
    }
}

/// How planes are reached.
#[derive(Clone)]
pub enum Planes {
    /// Through the cluster gateway.
    Gateway(Gateway),
    /// Every plane is this one cluster; for tests of everything but the way there.
    Direct(Client),
}

/// The cluster gateway and our certificate for it.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its base URL, e.g. `https://cluster-gateway.openchoreo-control-plane:8444`.
    pub url: String,
    /// Directory with `tls.crt`, `tls.key` and `ca.crt`.
    pub certificates: PathBuf,
}

/// Why there is no client for a plane.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// The gateway's URL or the plane's names make no URL.
    #[error("{url} is no URL for a plane: {source}")]
    Url {
        /// What was put together.
        url: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },
    /// A certificate could not be read.
    #[error(
        "cannot read {path}: {source}; is the client certificate for the cluster gateway mounted?"
    )]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificates cannot be used.
    #[error("cannot set up TLS for the cluster gateway: {0}")]
    Tls(#[source] Box<kube::Error>),
}

impl Planes {
    /// A client for the plane. Nothing is sent yet.
    ///
    /// # Errors
    /// When the certificates for the gateway are missing or unusable.
    pub fn client(&self, plane: &PlaneRef) -> Result<Client, PlaneError> {
        match self {
            Self::Direct(client) => Ok(client.clone()),
            Self::Gateway(gateway) => gateway.client(&format!("api/proxy/{}/k8s", plane.path())),
        }
    }
}

impl Gateway {
    /// A client for a path of the gateway.
    ///
    /// # Errors
    /// When the certificates are missing or unusable.
    pub fn client(&self, path: &str) -> Result<Client, PlaneError> {
        let config = self.config(path)?;
        let mut tls = config.rustls_client_config().map_err(|e| PlaneError::Tls(Box::new(e)))?;
        tls.client_auth_cert_resolver = Arc::new(Mounted(self.certificates.clone()));
        let mut tcp = HttpConnector::new_with_resolver(Resolver::default());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_secs(5)));
        let https = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .build::<_, Body>(https);
        let service = ClientBuilder::new(client, "default").with_layer(&config.base_uri_layer());
        Ok(service.build())
    }

    fn config(&self, path: &str) -> Result<Config, PlaneError> {
        let url = format!("{}/{path}", self.url.trim_end_matches('/'));
        let uri = url.parse().map_err(|source| PlaneError::Url { url, source })?;
        let mut config = Config::new(uri);
        config.root_cert = Some(pem_blocks(&self.read("ca.crt")?));
        use base64::Engine as _;
        let encode = |bytes: Vec<u8>| base64::engine::general_purpose::STANDARD.encode(bytes);
        config.auth_info.client_certificate_data = Some(encode(self.read("tls.crt")?));
        config.auth_info.client_key_data = Some(encode(self.read("tls.key")?).into());
        Ok(config)
    }

    fn read(&self, file: &str) -> Result<Vec<u8>, PlaneError> {
        let path: &Path = &self.certificates.join(file);
        std::fs::read(path)
            .map_err(|source| PlaneError::Certificate { path: path.to_owned(), source })
    }
}

/// The pair in a directory as it is at each handshake: it is renewed while clients live on.
#[derive(Debug)]
struct Mounted(PathBuf);

impl Mounted {
    fn read(&self) -> Result<CertifiedKey, Box<dyn std::error::Error>> {
        let chain = CertificateDer::pem_file_iter(self.0.join("tls.crt"))?;
        let key = PrivateKeyDer::from_pem_file(self.0.join("tls.key"))?;
        let chain = chain.collect::<Result<_, _>>()?;
        Ok(CertifiedKey::new(chain, any_supported_type(&key)?))
    }
}

impl ResolvesClientCert for Mounted {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let read = self.read();
        if let Err(error) = &read {
            tracing::warn!(directory = %self.0.display(), %error, "the client certificate cannot be read");
        }
        read.ok().map(Arc::new)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The DER certificates of a PEM file; what is no certificate is left out.
fn pem_blocks(pem: &[u8]) -> Vec<Vec<u8>> {
    CertificateDer::pem_slice_iter(pem).flatten().map(|der| der.to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_back() {
        for namespace in [None, Some("acme".to_owned())] {
            let plane = PlaneRef {
                r#type: PlaneType::Data,
                id: "eu-1".into(),
                namespace,
                name: "default".into(),
            };
            assert_eq!(PlaneRef::parse(&plane.path()), Some(plane));
        }
        for broken in ["", "dataplane", "dataplane/a/b", "otherplane/a/b/c", "dataplane/a/b/c/d"] {
            assert_eq!(PlaneRef::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_missing_certificate_is_named() {
        let gateway =
            Gateway { url: "https://gateway:8444".into(), certificates: "/nonexistent".into() };
        let plane =
            PlaneRef { r#type: PlaneType::Data, id: "d".into(), namespace: None, name: "d".into() };
        let error = Planes::Gateway(gateway).client(&plane).err().map(|e| e.to_string());
        assert!(error.is_some_and(|e| e.contains("/nonexistent/ca.crt")));
    }
}
