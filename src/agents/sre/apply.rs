//! Making a change that a report proposes: by the agent itself, only where a person granted it that kind of change.
//!
//! The platform is the judge, not the agent: it is asked first, and the call is decided, and recorded, like any other's.
//! Without a grant there is no call, and the report says which one would let it ([`super::leave`]). Only what the rules
//! are sure of is made, in the project of the alert, and only what takes something back; a model can talk the agent out
//! of a change, and never into one. What is not made stays a proposal.

use curtain_control::authz::Hierarchy;
use serde_json::{Value, json};

use super::alert::Request;
use super::attempt::Attempt;
use super::leave::{Leave, Place};
use super::report::{Change, Outcome, Report};
use super::rules::Judgement;
use super::work::SURE;
use crate::platform::{Server, Tools};

/// The tool that changes a release binding.
const TOOL: &str = "update_release_binding";
/// Where a binding says which release it runs.
const RELEASE: &str = "/spec/releaseName";

/// A change that the rules are sure of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Remedy {
    component: String,
    pub(super) change: Change,
}

/// The change that the likeliest cause proposes first, if that is one to be made without a person.
pub(super) fn remedy(judgement: &Judgement) -> Option<Remedy> {
    let cause = judgement.causes.first().filter(|cause| cause.weight >= SURE)?;
    let change = cause.actions.first()?.change.clone()?;
    let takes_back = change.env.is_empty()
        && change.files.is_empty()
        && change.fields.iter().all(|field| field.json_pointer == RELEASE);
    let own = !cause.component.contains('/');
    (takes_back && own).then(|| Remedy { component: cause.component.clone(), change })
}

/// Makes the change of `remedy`, if `report` still has its component first and this agent may. `None` when it is no
/// matter any more.
pub(super) async fn where_allowed(
    (tools, leave): (&dyn Tools, &dyn Leave),
    request: &Request,
    report: &Report,
    remedy: &Remedy,
) -> Option<Attempt> {
    let Outcome::RootCauseIdentified { root_causes, .. } = &report.result else { return None };
    let first = root_causes.first()?.supporting_findings.first()?;
    if first.component != remedy.component {
        return None;
    }
    let place = Place {
        at: Hierarchy::namespace(request.namespace.clone())
            .project(request.project.clone())
            .component(remedy.component.clone()),
        environment: request.environment.clone(),
    };
    let change = &remedy.change;
    if let Err(why) = leave.to_change(&place, change.remove_env.is_empty()).await {
        tracing::info!(binding = change.release_binding, why, "a change is left to a person");
        return Some(Attempt::Left(why));
    }
    let made = make(tools, &request.namespace, change).await;
    tracing::info!(binding = change.release_binding, ?made, "a proposed change was tried");
    Some(made.map_or_else(Attempt::Failed, |()| Attempt::Made))
}

async fn make(tools: &dyn Tools, namespace: &str, change: &Change) -> Result<(), String> {
    let named = json!({"namespace_name": namespace, "binding_name": change.release_binding});
    let shown = tools.call(Server::Control, "get_release_binding", named.clone()).await?;
    let arguments = arguments(named, &shown, change)?;
    tools.call(Server::Control, TOOL, arguments).await.map(drop)
}

/// The arguments that make `change` of a binding that is as `shown`: whole members, with all else in them as it is now.
fn arguments(mut named: Value, shown: &Value, change: &Change) -> Result<Value, String> {
    if change.generation.is_some() && change.generation != shown["generation"].as_i64() {
        return Err("the binding was changed since it was looked at".to_owned());
    }
    if let Some(field) = change.fields.iter().find(|field| field.json_pointer == RELEASE) {
        named["release_name"] = field.value.clone();
    }
    if !change.remove_env.is_empty() {
        let mut overrides = shown["workloadOverrides"].clone();
        let variables = overrides.pointer_mut("/container/env").and_then(Value::as_array_mut);
        let variables = variables.ok_or("the binding sets no variables any more")?;
        let before = variables.len();
        variables.retain(|variable| {
            !change.remove_env.iter().any(|key| variable["key"] == key.as_str())
        });
        if variables.len() == before {
            return Err("the binding does not set it any more".to_owned());
        }
        named["workload_overrides"] = overrides;
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sre::report::Field;

    #[test]
    fn what_is_not_taken_back_stays_as_it_is_now() {
        let shown = json!({"workloadOverrides": {"container": {
            "env": [{"key": "A", "value": "1"}, {"key": "NEW", "value": "2"}], "files": [1],
        }}});
        let change = Change { remove_env: vec!["A".into()], ..Change::default() };
        let made = arguments(json!({"binding_name": "web-development"}), &shown, &change).unwrap();
        let remains = json!({"env": [{"key": "NEW", "value": "2"}], "files": [1]});
        assert_eq!(made["workload_overrides"], json!({"container": remains}));
        assert_eq!(made["binding_name"], "web-development");
        assert!(arguments(json!({}), &json!({}), &change).is_err(), "it is gone already");
    }

    #[test]
    fn what_somebody_changed_since_is_left_alone() {
        let shown = json!({"generation": 4, "workloadOverrides": {"container": {
            "env": [{"key": "A", "value": "right"}],
        }}});
        let change = |generation| Change {
            generation: Some(generation),
            remove_env: vec!["A".into()],
            ..Change::default()
        };
        assert!(arguments(json!({}), &shown, &change(4)).is_ok());
        let refused = arguments(json!({}), &shown, &change(3)).unwrap_err();
        assert!(refused.contains("changed since"), "{refused}");
    }

    #[test]
    fn a_release_is_a_member_by_itself() {
        let field = Field { json_pointer: RELEASE.to_owned(), value: json!("web-1") };
        let back = Change { fields: vec![field], ..Change::default() };
        let made = arguments(json!({}), &json!({}), &back).unwrap();
        assert_eq!(made, json!({"release_name": "web-1"}));
    }
}
