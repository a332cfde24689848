//! Group, version and kind, and the collections a plane serves for them.

use crate::controllers::context::{Error, JSON, send};
use crate::types::AppliedResource;
use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Group, version and kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Gvk {
    /// Empty for core.
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
}

impl Gvk {
    /// From a manifest's `apiVersion` and `kind`; `None` when one is missing.
    pub(crate) fn of(manifest: &Value) -> Option<Self> {
        let api_version = manifest["apiVersion"].as_str()?;
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind = manifest["kind"].as_str().filter(|kind| !kind.is_empty())?;
        Some(Self { group: group.into(), version: version.into(), kind: kind.into() })
    }

    pub(crate) fn of_applied(applied: &AppliedResource) -> Self {
        Self {
            group: applied.group.clone().unwrap_or_default(),
            version: applied.version.clone(),
            kind: applied.kind.clone(),
        }
    }

    /// `/api/v1` or `/apis/{group}/{version}`.
    fn root(&self) -> String {
        match self.group.as_str() {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        }
    }
}

impl std::fmt::Display for Gvk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.group.as_str() {
            "" => write!(f, "{} ({})", self.kind, self.version),
            group => write!(f, "{} ({group}/{})", self.kind, self.version),
        }
    }
}

/// A collection a plane serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// `/api/v1` or `/apis/{group}/{version}`.
    root: String,
    plural: String,
    pub(crate) namespaced: bool,
}

impl Served {
    /// The objects of every namespace.
    pub(crate) fn all(&self) -> String {
        format!("{}/{}", self.root, self.plural)
    }

    /// One object.
    pub(crate) fn object(&self, namespace: Option<&str>, name: &str) -> String {
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => {
                format!("{}/namespaces/{namespace}/{}/{name}", self.root, self.plural)
            }
            None => format!("{}/{}/{name}", self.root, self.plural),
        }
    }
}

/// What a plane serves, asked once per kind.
#[derive(Debug, Default)]
pub(crate) struct Discovery(Mutex<HashMap<Gvk, Served>>);

#[derive(Deserialize)]
struct ResourceList {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    namespaced: bool,
    kind: String,
}

impl Discovery {
    /// The collection of a kind; `None` when the plane does not serve it (which is asked again next time).
    pub(crate) async fn find(&self, client: &Client, gvk: &Gvk) -> Result<Option<Served>, Error> {
        if let Some(served) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(gvk) {
            return Ok(Some(served.clone()));
        }
        let root = gvk.root();
        let text = match send(client, "discover", &root, http::Method::GET, &root, JSON, Vec::new())
            .await
        {
            Ok(text) => text,
            Err(error) if error.code() == Some(404) => return Ok(None),
            Err(error) => return Err(error),
        };
        let list: ResourceList = serde_json::from_str(&text).map_err(|source| Error::Api {
            verb: "discover",
            target: root.clone(),
            source: kube::Error::SerdeError(source),
        })?;
        let found = list
            .resources
            .into_iter()
            .find(|r| r.kind == gvk.kind && !r.name.contains('/'))
            .map(|r| Served { root, plural: r.name, namespaced: r.namespaced });
        if let Some(served) = &found {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(gvk.clone(), served.clone());
        }
        Ok(found)
    }
}
