//! A server that is measured, and what is made on it.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

use crate::Outcome;
use crate::process::connect;

/// A server, and the namespace on it that everything is made in.
pub(crate) struct Target {
    kubeconfig: PathBuf,
    pub(crate) namespace: String,
}

/// A ConfigMap of about a kilobyte.
pub(crate) fn object(name: &str, labels: &Value) -> ConfigMap {
    let body =
        json!({"metadata": {"name": name, "labels": labels}, "data": {"text": "x".repeat(900)}});
    serde_json::from_value(body).unwrap_or_default()
}

impl Target {
    pub(crate) fn new(kubeconfig: &Path) -> Self {
        let namespace = format!("bench-{}", std::process::id());
        Self { kubeconfig: kubeconfig.to_owned(), namespace }
    }

    /// A connection of its own, open and warm.
    pub(crate) async fn connect(&self) -> Outcome<Client> {
        let client = connect(&self.kubeconfig).await?;
        client.apiserver_version().await?;
        Ok(client)
    }

    /// The ConfigMaps of the namespace, on a connection of their own.
    pub(crate) async fn maps(&self) -> Outcome<Api<ConfigMap>> {
        Ok(Api::namespaced(self.connect().await?, &self.namespace))
    }

    /// The API group of the kinds that are made for this.
    pub(crate) fn group(&self) -> String {
        format!("{}.example.com", self.namespace)
    }

    pub(crate) async fn make_namespace(&self) -> Outcome<()> {
        let body = json!({"metadata": {"name": self.namespace}});
        let namespaces = Api::<Namespace>::all(self.connect().await?);
        namespaces.create(&PostParams::default(), &serde_json::from_value(body)?).await?;
        Ok(())
    }

    /// Asks for the end of everything that was made; a kind is left over only where something failed.
    pub(crate) async fn remove(&self) -> Outcome<()> {
        let client = self.connect().await?;
        let definitions = Api::<CustomResourceDefinition>::all(client.clone());
        for definition in definitions.list_metadata(&ListParams::default()).await? {
            let name = definition.metadata.name.unwrap_or_default();
            if name.ends_with(&self.group()) {
                definitions.delete(&name, &DeleteParams::default()).await?;
            }
        }
        let namespaces = Api::<Namespace>::all(client);
        match namespaces.delete(&self.namespace, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            outcome => outcome.map(drop).map_err(Into::into),
        }
    }
}
