//! Conditions, as every status carries them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[allow(missing_docs)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// One aspect of an object's observed state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which aspect, e.g. `Ready`.
    #[schemars(
        length(max = 316),
        regex(
            pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
        )
    )]
    pub r#type: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One word for programs.
    #[schemars(
        length(min = 1, max = 1024),
        regex(pattern = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
    )]
    pub reason: String,
    /// One sentence for people.
    #[schemars(length(max = 32768))]
    pub message: String,
    /// When the status last flipped.
    pub last_transition_time: Time,
    /// The generation this was computed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
}

/// Reading and writing a list of conditions.
pub trait Conditions {
    /// The condition of this type.
    fn condition(&self, r#type: &str) -> Option<&Condition>;
    /// Sets a condition; its transition time moves only when the status flips. True when anything changed.
    fn set_condition(
        &mut self,
        r#type: &str,
        status: ConditionStatus,
        reason: &str,
        message: &str,
        generation: Option<i64>,
        now: &Time,
    ) -> bool;
    /// Removes a condition. True when it was there.
    fn clear_condition(&mut self, r#type: &str) -> bool;
    /// Whether the condition is there and `True`.
    fn holds(&self, r#type: &str) -> bool;
}

/// The longest message the schema admits, in characters.
const MESSAGE_LIMIT: usize = 32768;

impl Conditions for Vec<Condition> {
    fn condition(&self, r#type: &str) -> Option<&Condition> {
        self.iter().find(|c| c.r#type == r#type)
    }

    fn set_condition(
        &mut self,
        r#type: &str,
        status: ConditionStatus,
        reason: &str,
        message: &str,
        generation: Option<i64>,
        now: &Time,
    ) -> bool {
        let mut next = Condition {
            r#type: r#type.to_owned(),
            status,
            reason: reason.to_owned(),
            message: message.chars().take(MESSAGE_LIMIT).collect(),
            last_transition_time: now.clone(),
            observed_generation: generation,
        };
        let Some(old) = self.iter_mut().find(|c| c.r#type == r#type) else {
            self.push(next);
            return true;
        };
        if old.status == status {
            next.last_transition_time = old.last_transition_time.clone();
        }
        let changed = *old != next;
        *old = next;
        changed
    }

    fn clear_condition(&mut self, r#type: &str) -> bool {
        let before = self.len();
        self.retain(|c| c.r#type != r#type);
        self.len() != before
    }

    fn holds(&self, r#type: &str) -> bool {
        self.condition(r#type).is_some_and(|c| c.status == ConditionStatus::True)
    }
}

/// The schema of a list of conditions keyed by type, as the newer kinds have it.
pub(super) fn keyed_conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Vec::<Condition>::json_schema(generator);
    schema.insert("x-kubernetes-list-type".into(), "map".into());
    schema.insert("x-kubernetes-list-map-keys".into(), serde_json::json!(["type"]));
    schema
}
