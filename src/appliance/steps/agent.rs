//! The identity of an agent: a client id and secret that the instance's identity service knows.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, ObjectMeta,
        PostParams,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Error,
    effect::{Boxed, Step},
    identity::{IDENTITY_LABEL, NAMESPACE, refused},
    world::World,
};

/// Where the platform's kinds are.
const GROUP: &str = "openchoreo.dev";
const VERSION: &str = "v1alpha1";

/// An agent's identity. The secret itself is only in the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AgentStep {
    /// The agent's name, which is its client id.
    pub agent: String,
    /// Its groups; they decide what it may do.
    pub groups: Vec<String>,
    /// What to show to people, if not the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// The groups of an agent nobody has granted anything yet.
const READ_ONLY: &str = "agents";

impl AgentStep {
    /// The agent `name` as every agent begins: it may look, and nothing else.
    pub(crate) fn reader(name: String, display_name: Option<String>) -> Self {
        Self { agent: name, groups: vec![READ_ONLY.to_owned()], display_name }
    }

    fn secret(&self) -> String {
        format!("agent-{}", self.agent)
    }
}

impl Step for AgentStep {
    fn name(&self) -> String {
        format!("agent/{}", self.agent)
    }

    fn title(&self) -> String {
        format!("identity of agent {}", self.agent)
    }

    fn probe<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<bool, Error>> {
        Box::pin(async move {
            let found = secrets(world).await?.get_opt(&self.secret()).await;
            Ok(found.map_err(refused("look up the agent"))?.is_some())
        })
    }

    fn act<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let text = |value: &str| ByteString(value.as_bytes().to_vec());
            let mut data = BTreeMap::from([
                ("client-id".to_owned(), text(&self.agent)),
                (
                    "client-secret".to_owned(),
                    text(&URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())),
                ),
                ("groups".to_owned(), text(&self.groups.join(","))),
            ]);
            if let Some(shown) = &self.display_name {
                data.insert("display-name".to_owned(), text(shown));
            }
            let secret = Secret {
                metadata: ObjectMeta {
                    name: Some(self.secret()),
                    labels: Some(BTreeMap::from([(IDENTITY_LABEL.to_owned(), "agent".to_owned())])),
                    ..ObjectMeta::default()
                },
                data: Some(data),
                ..Secret::default()
            };
            match secrets(world).await?.create(&PostParams::default(), &secret).await {
                // A repeated step keeps the secret that clients may already use.
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
                other => other.map(drop).map_err(refused("make the agent's identity")),
            }
        })
    }

    fn undo<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<usize, Error>> {
        Box::pin(async move {
            if world.leaving {
                return Ok(0);
            }
            // First what it may do: the next agent of this name must not inherit it.
            let granted = self.revoke(world.client().await?).await?;
            let gone = secrets(world).await?.delete(&self.secret(), &DeleteParams::default()).await;
            Ok(granted + removed(gone, "remove the agent's identity")?)
        })
    }
}

impl AgentStep {
    /// Removes the bindings that name this agent, and tells how many there were.
    async fn revoke(&self, client: &Client) -> Result<usize, Error> {
        let mut revoked = 0;
        for kind in ["ClusterAuthzRoleBinding", "AuthzRoleBinding"] {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, kind));
            let all: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            let found = match all.list(&ListParams::default()).await {
                Ok(found) => found.items,
                // An instance that is not complete may lack the kind.
                Err(kube::Error::Api(status)) if status.is_not_found() => continue,
                Err(error) => return Err(refused("look for the agent's grants")(error)),
            };
            for binding in found {
                if !self.is_bound(&binding.data) {
                    continue;
                }
                let api: Api<DynamicObject> = match binding.namespace() {
                    Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
                    None => all.clone(),
                };
                let gone = api.delete(&binding.name_any(), &DeleteParams::default()).await;
                revoked += removed(gone, "remove a grant of the agent")?;
            }
        }
        Ok(revoked)
    }

    fn is_bound(&self, binding: &Value) -> bool {
        let entitlement = &binding["spec"]["entitlement"];
        entitlement["claim"] == "sub" && entitlement["value"] == *self.agent
    }
}

/// One thing less, or none where it was gone already.
fn removed<T>(answer: kube::Result<T>, what: &str) -> Result<usize, Error> {
    match answer {
        Ok(_) => Ok(1),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(0),
        Err(error) => Err(refused(what)(error)),
    }
}

async fn secrets(world: &World<'_>) -> Result<Api<Secret>, Error> {
    Ok(Api::namespaced(world.client().await?.clone(), NAMESPACE))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_bindings_of_the_agent_itself_are_its_grants() {
        let agent = AgentStep::reader("cursor-1".to_owned(), None);
        let bound = |claim: &str, value: &str| {
            agent.is_bound(&json!({"spec": {"entitlement": {"claim": claim, "value": value}}}))
        };
        assert!(bound("sub", "cursor-1"));
        assert!(!bound("sub", "cursor-10"));
        assert!(!bound("groups", "cursor-1"));
        assert!(!agent.is_bound(&json!({})));
    }
}
