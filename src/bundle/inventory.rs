//! What a bundle has in a cluster: a ConfigMap per bundle that names every object with its uid.
//!
//! It is written before objects are applied (so that what a crash leaves is known) and again after
//! (with uids). Only what it names is ever pruned or uninstalled, and only while the uid is the same.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams},
};
use serde::{Deserialize, Serialize};

use crate::{Error, document::Identity};

/// Namespace of the inventories: it exists in every cluster.
const NAMESPACE: &str = "kube-system";
/// Label of everything a bundle applies; its value is the bundle's name.
pub(crate) const BUNDLE_LABEL: &str = "curtain.dev/bundle";
/// Who the engine is in `managedFields`.
pub(crate) const MANAGER: &str = "curtain-bundle";

/// An inventory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Inventory {
    /// Version of this format.
    pub(crate) version: u32,
    /// Digest of the bundle's files that were applied; empty while they are being applied.
    pub(crate) digest: String,
    /// The objects, in the order they were applied.
    pub(crate) items: Vec<Item>,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item {
    #[serde(flatten)]
    pub(crate) identity: Identity,
    /// Empty until the object is known to exist.
    #[serde(default)]
    pub(crate) uid: String,
}

const VERSION: u32 = 1;

impl Inventory {
    /// The inventory of `bundle`; `None` if it was never installed.
    pub(crate) async fn read(client: &Client, bundle: &str) -> Result<Option<Self>, Error> {
        let fail = || Error::api(bundle, "read its inventory");
        let found = maps(client).get_opt(&name(bundle)).await.map_err(fail())?;
        let Some(text) = found.and_then(|map| map.data?.remove("inventory")) else {
            return Ok(None);
        };
        let inventory: Self = serde_json::from_str(&text).map_err(|error| Error::Broken {
            bundle: bundle.to_owned(),
            file: format!("the ConfigMap {NAMESPACE}/{}", name(bundle)),
            document: None,
            why: error.to_string(),
        })?;
        if inventory.version > VERSION {
            return Err(Error::Broken {
                bundle: bundle.to_owned(),
                file: format!("the ConfigMap {NAMESPACE}/{}", name(bundle)),
                document: None,
                why: format!("it has version {}, this build knows {VERSION}", inventory.version),
            });
        }
        Ok(Some(inventory))
    }

    /// Stores the inventory.
    pub(crate) async fn write(&self, client: &Client, bundle: &str) -> Result<(), Error> {
        let text =
            serde_json::to_string(&Self { version: VERSION, ..self.clone() }).unwrap_or_default();
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(name(bundle)),
                labels: Some(BTreeMap::from([(BUNDLE_LABEL.to_owned(), bundle.to_owned())])),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from([("inventory".to_owned(), text)])),
            ..ConfigMap::default()
        };
        let params = PatchParams::apply(MANAGER).force();
        let patched = maps(client).patch(&name(bundle), &params, &Patch::Apply(&map)).await;
        patched.map(drop).map_err(Error::api(bundle, "write its inventory"))
    }

    /// Removes the inventory itself.
    pub(crate) async fn remove(client: &Client, bundle: &str) -> Result<(), Error> {
        match maps(client).delete(&name(bundle), &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            other => other.map(drop).map_err(Error::api(bundle, "remove its inventory")),
        }
    }

    /// Before `wanted` is applied: everything there is and everything there will be.
    pub(crate) fn before(former: &Self, wanted: &[Identity]) -> Self {
        let mut items = former.items.clone();
        for identity in wanted {
            if !items.iter().any(|item| item.identity == *identity) {
                items.push(Item { identity: identity.clone(), uid: String::new() });
            }
        }
        Self { version: VERSION, digest: String::new(), items }
    }

    /// What is no longer wanted.
    pub(crate) fn surplus(&self, wanted: &[Identity]) -> Vec<Item> {
        self.items.iter().filter(|item| !wanted.contains(&item.identity)).cloned().collect()
    }
}

fn name(bundle: &str) -> String {
    format!("curtain-bundle-{bundle}")
}

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), NAMESPACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: &str) -> Identity {
        Identity {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: Some("n".into()),
            name: name.into(),
        }
    }

    #[test]
    fn before_applying_it_names_old_and_new_and_afterwards_the_surplus_is_known() {
        let item = |name: &str| Item { identity: identity(name), uid: "u".into() };
        let former =
            Inventory { version: 1, digest: "d".into(), items: vec![item("old"), item("kept")] };
        let wanted = [identity("kept"), identity("new")];
        let before = Inventory::before(&former, &wanted);
        let names: Vec<_> = before.items.iter().map(|item| item.identity.name.as_str()).collect();
        assert_eq!(names, ["old", "kept", "new"]);
        assert_eq!(before.digest, "", "until all is applied, nothing counts as installed");
        assert_eq!(former.surplus(&wanted), [item("old")]);
    }

    #[test]
    fn version_1_is_understood() {
        let text = r#"{"version":1,"digest":"d","items":[
            {"apiVersion":"v1","kind":"ConfigMap","namespace":"n","name":"a","uid":"u"}]}"#;
        let inventory: Inventory = serde_json::from_str(text).unwrap();
        assert_eq!(inventory.items[0].identity, identity("a"));
    }
}
