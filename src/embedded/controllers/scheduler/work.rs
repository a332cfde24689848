//! Decides about one pod after the other, and carries several decisions out at a time: most of what that takes is to wait
//! until a write is on the disk, which several do together.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::{Binding, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::Controller;
use super::decide::{Decision, Nomination};
use super::turn::Turn;
use crate::controllers::events::Severity;
use crate::controllers::key::Key;

/// As many decisions are carried out at a time.
const AT_A_TIME: usize = 8;

impl Controller {
    /// Works for ever. What is written about a pod is written before it is looked at again.
    pub(super) async fn work(&self) {
        let mut running = FuturesUnordered::new();
        let mut again = HashMap::<Key, Option<Turn>>::new();
        loop {
            tokio::select! {
                turn = self.queue.next(), if running.len() < AT_A_TIME => {
                    if let Some(again) = again.get_mut(&turn.key) {
                        *again = Some(turn);
                        continue;
                    }
                    let Some((pod, decision)) = self.decide(&turn) else {
                        self.queue.done(&turn);
                        continue;
                    };
                    let work = self.carry_out(pod, decision);
                    again.insert(turn.key.clone(), None);
                    running.push(async move { (turn, work.await) });
                }
                Some((turn, outcome)) = running.next() => {
                    self.ended(&turn, outcome);
                    self.queue.add_all(again.remove(&turn.key).flatten());
                }
            }
        }
    }

    fn ended(&self, turn: &Turn, outcome: Result<(), kube::Error>) {
        match outcome {
            Ok(()) => self.queue.done(turn),
            Err(error) => {
                tracing::debug!(key = %turn, %error, "scheduling the pod failed and is tried again");
                self.queue.retry(turn.clone());
            }
        }
    }

    async fn carry_out(&self, pod: Arc<Pod>, decision: Decision) -> Result<(), kube::Error> {
        match decision {
            Decision::Bind(node) => self.bind(&pod, &node).await,
            Decision::Provision(claims, node) => self.want_volumes(&claims, &node).await,
            Decision::Wait(verdict) => {
                let makes_room = matches!(verdict.nomination, Nomination::Make(_));
                let outcome = self.refuse(&pod, verdict).await;
                if makes_room {
                    self.release(&Key::of(pod.as_ref()));
                }
                outcome
            }
        }
    }

    /// What was noted of a pod when it was decided about is no longer so, or is what the pod says.
    fn release(&self, key: &Key) {
        let mut board = self.board();
        let effect = board.release(key, self.pods.get(key));
        self.wake(&board, effect);
    }

    /// The pod is on its node for all decisions since the one about it; if it comes to nothing, it is no longer.
    async fn bind(&self, pod: &Pod, node: &str) -> Result<(), kube::Error> {
        let (key, name) = (Key::of(pod), pod.name_any());
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &key.namespace);
        let binding = Binding {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: pod.namespace(),
                uid: pod.uid(),
                ..ObjectMeta::default()
            },
            target: ObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Node".into()),
                name: Some(node.to_owned()),
                ..ObjectReference::default()
            },
        };
        let answer: Result<serde_json::Value, _> =
            api.create_subresource("binding", &name, &PostParams::default(), &binding).await;
        let Err(error) = answer else {
            let message = format!("Successfully assigned {key} to {node}");
            self.recorder.record(pod, Severity::Normal, "Scheduled", &message).await;
            return Ok(());
        };
        self.release(&key);
        match error {
            kube::Error::Api(status) if status.code == 404 => Ok(()),
            // Also where somebody was faster: if it is not on a node then, it is looked at again.
            error => Err(error),
        }
    }
}
