//! How a role reaches its API server.

use std::path::PathBuf;

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

/// Where the cluster puts the token of a role, by which other roles know it.
pub const ROLE_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Where the credentials for the API server are.
#[derive(Debug, Clone, Default)]
pub enum KubeAccess {
    /// In the pod, as the kubelet puts them there.
    #[default]
    InCluster,
    /// In a kubeconfig file; its current context is used.
    Kubeconfig(PathBuf),
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// Not in a pod, or without a service account.
    #[error("cannot read the pod's service account: {0}; outside a pod, name a kubeconfig file")]
    InCluster(#[source] Box<kube::config::InClusterError>),
    /// The file could not be used.
    #[error("cannot use the kubeconfig {path}: {source}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        source: Box<kube::config::KubeconfigError>,
    },
    /// TLS or the client itself could not be set up.
    #[error("cannot set up the Kubernetes client: {0}")]
    Client(#[source] Box<kube::Error>),
}

impl KubeAccess {
    /// A client with these credentials. Nothing is sent yet.
    pub async fn client(&self) -> Result<Client, KubeError> {
        let config = match self {
            Self::InCluster => {
                Config::incluster().map_err(|source| KubeError::InCluster(Box::new(source)))?
            }
            Self::Kubeconfig(path) => {
                let wrap =
                    |source| KubeError::Kubeconfig { path: path.clone(), source: Box::new(source) };
                let file = Kubeconfig::read_from(path).map_err(wrap)?;
                Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                    .await
                    .map_err(wrap)?
            }
        };
        Client::try_from(config).map_err(|source| KubeError::Client(Box::new(source)))
    }
}
