//! Which component was given which image: in the cluster, where only its administrator reads and writes.
//!
//! Invariant: a claim says what this machine did. What an agent may write, such as a workload, says only what it would
//! like to be true.

use std::collections::BTreeMap;

use curtain_deploy::{MANAGER, same};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::NAMESPACE;
use crate::{Error, identity::refused};

/// Where the claims are.
const NAME: &str = "curtain-deploy-images";

/// The last image that each component was given, as `REFERENCE DIGEST`, by [`key`].
#[derive(Debug, Default)]
pub(super) struct Claims(pub(super) BTreeMap<String, String>);

impl Claims {
    /// What is known.
    ///
    /// # Errors
    /// A cluster that does not answer.
    pub(super) async fn read(client: &Client) -> Result<Self, Error> {
        let found = maps(client).get_opt(NAME).await;
        let found = found.map_err(refused("read which component was given which image"))?;
        Ok(Self(found.and_then(|map| map.data).unwrap_or_default()))
    }

    /// Whether the image `id` called `reference` was given to the component `key`, and none of this name to another.
    pub(super) fn is_only_of(&self, key: &str, reference: &str, id: &str) -> bool {
        let mut of_name = self.0.iter().filter_map(|(key, claim)| {
            let (named, id) = claim.split_once(' ')?;
            same(named, reference).then_some((key, id))
        });
        of_name.next().is_some_and(|(its, known)| its == key && known == id)
            && of_name.next().is_none()
    }
}

/// Records that the component `key` was given the image `id` called `reference`.
///
/// # Errors
/// A cluster that does not answer.
pub(super) async fn claim(
    client: &Client,
    key: &str,
    reference: &str,
    id: &str,
) -> Result<(), Error> {
    let maps = maps(client);
    let to = "record which component was given which image";
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME},
        "data": {key: format!("{reference} {id}")},
    });
    let how = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    match maps.patch(NAME, &how, &Patch::Merge(&map)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        patched => return patched.map(drop).map_err(refused(to)),
    }
    let new = serde_json::from_value(map).unwrap_or_default();
    maps.create(&PostParams::default(), &new).await.map(drop).map_err(refused(to))
}

/// How a component is called here: no name has the character between the two.
pub(super) fn key(project: &str, component: &str) -> String {
    format!("{project}_{component}")
}

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), NAMESPACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_of_whom_it_was_given_to_alone() {
        let claims = |all: &[(&str, &str)]| {
            Claims(
                all.iter().map(|(key, claim)| ((*key).to_owned(), (*claim).to_owned())).collect(),
            )
        };
        let known =
            claims(&[("p_mine", "docker.io/library/a:1 sha256:1"), ("p_b", "b:1 sha256:2")]);
        assert!(known.is_only_of("p_mine", "a:1", "sha256:1"));
        assert!(!known.is_only_of("p_mine", "a:1", "sha256:9"), "somebody replaced it");
        assert!(!known.is_only_of("p_mine", "b:1", "sha256:2"), "it is of another");
        assert!(!known.is_only_of("p_mine", "c:1", "sha256:3"), "it was given to nobody");
        let both = claims(&[("p_mine", "a:1 sha256:1"), ("p_b", "a:1 sha256:1")]);
        assert!(!both.is_only_of("p_mine", "a:1", "sha256:1"), "another would get it, too");
    }
}
