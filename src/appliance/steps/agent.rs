//! The identity of an agent: a client id and secret that the instance's identity service knows.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    api::{DeleteParams, ObjectMeta, PostParams},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    effect::{Boxed, Step},
    identity::{IDENTITY_LABEL, NAMESPACE, refused},
    world::World,
};

/// An agent's identity. The secret itself is only in the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AgentStep {
    /// The agent's name, which is its client id.
    pub agent: String,
    /// Its groups; they decide what it may do.
    pub groups: Vec<String>,
}

impl AgentStep {
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
            let secret = Secret {
                metadata: ObjectMeta {
                    name: Some(self.secret()),
                    labels: Some(BTreeMap::from([(IDENTITY_LABEL.to_owned(), "agent".to_owned())])),
                    ..ObjectMeta::default()
                },
                data: Some(BTreeMap::from([
                    ("client-id".to_owned(), text(&self.agent)),
                    (
                        "client-secret".to_owned(),
                        text(&URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())),
                    ),
                    ("groups".to_owned(), text(&self.groups.join(","))),
                ])),
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
            match secrets(world).await?.delete(&self.secret(), &DeleteParams::default()).await {
                Ok(_) => Ok(1),
                Err(kube::Error::Api(status)) if status.is_not_found() => Ok(0),
                Err(error) => Err(refused("remove the agent's identity")(error)),
            }
        })
    }
}

async fn secrets(world: &World<'_>) -> Result<Api<Secret>, Error> {
    Ok(Api::namespaced(world.client().await?.clone(), NAMESPACE))
}
