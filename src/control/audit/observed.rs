//! What the observer and the SRE agent were asked. They are other processes, so they tell by a door of their own, which lets
//! in nobody else: no outside agent can make up a record, of itself or of another.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    middleware,
    routing::post,
};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Audit, Outcome, Record, record::by};
use crate::{
    authz::{Decision, Question, Via},
    identity::{Caller, Doorman, SubjectKind, require_role},
};

/// Where roles post a list of [`Observed`].
pub const OBSERVED_PATH: &str = "/api/v1/audit/observed";
/// The longest list, in bytes.
const LONGEST: usize = 256 << 10;

/// A query that was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    time: Timestamp,
    actor: String,
    actor_kind: SubjectKind,
    action: String,
    object: String,
    at: String,
    environment: Option<String>,
    decision: Decision,
    via: Via,
}

impl Observed {
    /// That `caller` asked `question` about `object` at `time`, and what was decided.
    pub fn new(
        caller: &Caller,
        question: Question<'_>,
        object: &str,
        decision: Decision,
        time: Timestamp,
    ) -> Self {
        Self {
            time,
            actor: caller.subject.clone(),
            actor_kind: caller.kind,
            action: question.action.to_owned(),
            object: object.to_owned(),
            at: question.at.path(),
            environment: question.attributes.environment.clone(),
            decision,
            via: Via::Observer,
        }
    }

    /// The same through another door than the observer's.
    pub(crate) fn through(self, via: Via) -> Self {
        Self { via, ..self }
    }

    fn record(self) -> Record {
        let (binding, granted_by) = by(&self.decision);
        let reason = self.decision.why(format_args!("{} {}", self.actor_kind, self.actor));
        let result = if self.decision.is_allowed() { Outcome::Allowed } else { Outcome::Denied };
        Record {
            time: self.time,
            actor: self.actor,
            actor_kind: self.actor_kind,
            via: self.via,
            call: "query".to_owned(),
            action: self.action,
            object: self.object,
            at: self.at,
            environment: self.environment.unwrap_or_default(),
            result,
            binding,
            granted_by,
            note: String::new(),
            change: String::new(),
            reason,
        }
    }
}

/// The door of those roles.
pub(crate) fn routes(audit: Audit, doorman: Doorman) -> Router {
    Router::new()
        .route(OBSERVED_PATH, post(keep))
        .layer(middleware::from_fn_with_state(doorman, require_role))
        .layer(DefaultBodyLimit::max(LONGEST))
        .with_state(audit)
}

async fn keep(State(audit): State<Audit>, Json(observed): Json<Vec<Observed>>) -> StatusCode {
    for one in observed {
        audit.keep(one.record()).await;
    }
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::{Attributes, Hierarchy};

    #[test]
    fn what_let_the_caller_is_on_record() {
        let caller = Caller {
            subject: "one".into(),
            kind: SubjectKind::Agent,
            groups: vec!["agents".into()],
            display_name: "One".into(),
            expires: 0,
        };
        let (at, attributes) = (Hierarchy::namespace("team"), Attributes::default());
        let question = Question { action: "logs:view", at: &at, attributes: &attributes };
        let decision = Decision::Allowed {
            binding: "ClusterAuthzRoleBinding agents".to_owned(),
            entitlement: "groups:agents".to_owned(),
            granted_by: Some("admin".to_owned()),
        };
        let seen =
            Observed::new(&caller, question, "Component/web", decision, Timestamp::UNIX_EPOCH);
        let record = seen.record();
        assert_eq!(record.result, Outcome::Allowed);
        assert_eq!(
            (record.binding.as_str(), record.granted_by.as_str()),
            ("ClusterAuthzRoleBinding agents", "admin")
        );
    }
}
