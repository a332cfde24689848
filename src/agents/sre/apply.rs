//! Making a change that a report proposes: by the agent itself, only where a person granted it that kind of change.
//!
//! The platform is the judge, not the agent: the tool that writes is offered to an agent that holds a grant, and the call
//! is decided, and recorded, like any other's. What is not sure, has no edit, or is refused stays a proposal.

use serde_json::{Value, json};

use super::alert::Request;
use super::report::{Change, Confidence, Outcome, Report, Status, Step};
use crate::platform::{Server, Tools};

/// The tool that changes a release binding.
const TOOL: &str = "update_release_binding";
/// Members of a binding's spec that the tool takes, and its arguments for them.
const MEMBERS: [(&str, &str); 3] = [
    ("workloadOverrides", "workload_overrides"),
    ("componentTypeEnvironmentConfigs", "component_type_environment_configs"),
    ("releaseName", "release_name"),
];

/// Makes the first proposed change of the likeliest cause, if that is sure and this agent may; notes in the report what
/// came of it.
pub(super) async fn where_allowed(tools: &dyn Tools, request: &Request, report: &mut Report) {
    let Outcome::RootCauseIdentified { root_causes, recommendations, .. } = &mut report.result
    else {
        return;
    };
    let sure = root_causes.first().is_some_and(|cause| cause.confidence == Confidence::High);
    let action = recommendations.recommended_actions.first_mut();
    let Some(action) = action.filter(|action| sure && action.change.is_some()) else { return };
    let Some(change) = &action.change else { return };
    match tools.offered(Server::Control).await {
        Ok(offered) if offered.iter().any(|tool| tool["name"] == TOOL) => {}
        Ok(_) => return,
        Err(error) => {
            tracing::warn!(%error, "cannot ask what this agent may do");
            return;
        }
    }
    let (outcome, status) = match make(tools, &request.namespace, change).await {
        Ok(()) => ("done".to_owned(), Status::Applied),
        Err(error) => (error, action.status),
    };
    tracing::info!(binding = change.release_binding, outcome, "a proposed change was tried");
    action.status = status;
    report.investigation_path.push(Step {
        action: format!(
            "Changed release binding {}: {}",
            change.release_binding, action.description
        ),
        outcome,
        rationale: "The cause is sure, and a grant allows this agent that kind of change"
            .to_owned(),
    });
}

async fn make(tools: &dyn Tools, namespace: &str, change: &Change) -> Result<(), String> {
    let named = json!({"namespace_name": namespace, "binding_name": change.release_binding});
    let shown = tools.call(Server::Control, "get_release_binding", named.clone()).await?;
    let arguments = arguments(named, &shown, change)?;
    tools.call(Server::Control, TOOL, arguments).await.map(drop)
}

/// The arguments that make `change` of a binding that is as `shown`: whole members, with all else in them as it was.
fn arguments(mut named: Value, shown: &Value, change: &Change) -> Result<Value, String> {
    let mut spec = json!({});
    for field in &change.fields {
        let path = field.json_pointer.strip_prefix("/spec/");
        let path = path.ok_or_else(|| format!("{} is not in the spec", field.json_pointer))?;
        let (member, within) = path.split_once('/').unwrap_or((path, ""));
        let known = MEMBERS.iter().find(|(name, _)| *name == member);
        let (member, argument) = known.ok_or_else(|| format!("no tool changes {member}"))?;
        if spec[argument].is_null() {
            spec[argument] = shown[member].clone();
        }
        put(&mut spec[argument], within, field.value.clone());
    }
    if let (Value::Object(named), Value::Object(spec)) = (&mut named, spec) {
        named.extend(spec);
    }
    Ok(named)
}

/// Puts `value` at a path of names, and makes what is missing on the way.
fn put(target: &mut Value, path: &str, value: Value) {
    let mut at = target;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[name.replace("~1", "/").replace("~0", "~")];
    }
    *at = value;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sre::report::Field;

    fn change(pointer: &str, value: Value) -> Change {
        let fields = vec![Field { json_pointer: pointer.to_owned(), value }];
        Change { release_binding: "web-development".into(), fields, ..Change::default() }
    }

    #[test]
    fn what_an_edit_does_not_name_stays() {
        let shown =
            json!({"workloadOverrides": {"container": {"env": [{"key": "A"}], "files": [1]}}});
        let change = change("/spec/workloadOverrides/container/env", json!([]));
        let made = arguments(json!({"binding_name": "web-development"}), &shown, &change).unwrap();
        assert_eq!(made["workload_overrides"], json!({"container": {"env": [], "files": [1]}}));
        assert_eq!(made["binding_name"], "web-development");
    }

    #[test]
    fn a_release_is_a_member_by_itself_and_other_members_are_refused() {
        let back = change("/spec/releaseName", json!("web-1"));
        assert_eq!(
            arguments(json!({}), &json!({}), &back).unwrap(),
            json!({"release_name": "web-1"})
        );
        for pointer in ["/spec/owner/projectName", "/metadata/name"] {
            assert!(arguments(json!({}), &json!({}), &change(pointer, json!("x"))).is_err());
        }
    }
}
