//! What to do about a cause: an edit of the release binding where one does it, else advice.
//!
//! An edit never adds what was not there: it takes back what an environment sets, goes back to the release before, or
//! gives more of what ran out. It is an edit of the binding as it was seen: of one that was changed since, nobody knows
//! whether it is still wanted. Whether it is made is for a person to say, or for who was allowed that kind of change.

use serde_json::{Value, json};

use super::evidence::{Deployment, Evidence};
use super::report::{Action, Change, Field, Status};

/// Where it holds the limit of memory.
const MEMORY: &str = "/spec/componentTypeEnvironmentConfigs/resources/limits/memory";

fn edit(deployment: &Deployment, pointer: &str, value: Value) -> Change {
    Change {
        release_binding: deployment.binding.clone(),
        generation: deployment.generation,
        fields: vec![Field { json_pointer: pointer.to_owned(), value }],
        ..Change::default()
    }
}

fn action(description: String, rationale: String, change: Option<Change>) -> Action {
    let status = if change.is_some() { Status::Revised } else { Status::Suggested };
    Action { description, rationale, status, change }
}

/// Takes back the variable `key`, or says where it is to be mended.
pub(super) fn setting(name: &str, deployment: &Deployment, key: &str) -> Vec<Action> {
    let Some((setting, own)) = deployment.setting(key) else { return Vec::new() };
    if !own {
        let description = format!("Give {key} a value in the workload of {name} that it can use");
        let rationale = format!("The workload sets {}.", setting.shown());
        return vec![action(description, rationale, None)];
    }
    let workload = deployment.settings.iter().find(|setting| setting.key == key);
    let then = workload.map_or_else(
        || format!("Then {name} has no {key} and goes by its own default."),
        |setting| format!("Then the workload's own counts: {}.", setting.shown()),
    );
    let description = format!("Take back {key} of {name}, which only this environment sets");
    let change = Change {
        release_binding: deployment.binding.clone(),
        generation: deployment.generation,
        remove_env: vec![key.to_owned()],
        ..Change::default()
    };
    vec![action(
        description,
        format!("{} is set in {}. {then}", setting.shown(), deployment.binding),
        Some(change),
    )]
}

/// Takes back what was changed shortly before, if it is one thing; else names what to look at.
pub(super) fn latest(evidence: &Evidence, name: &str, deployment: &Deployment) -> Vec<Action> {
    if evidence.changed(name).is_none() {
        return Vec::new();
    }
    match deployment.overrides.as_slice() {
        [] => rollback(name, deployment),
        [one] => setting(name, deployment, &one.key),
        many => {
            let shown: Vec<String> = many.iter().map(|setting| setting.shown()).collect();
            let description = format!("Look at what this environment sets for {name}");
            let rationale =
                format!("Its pods were replaced shortly before, and it sets {}.", shown.join(", "));
            vec![action(description, rationale, None)]
        }
    }
}

/// Goes back to the release before, where there is one and it would stay.
pub(super) fn rollback(name: &str, deployment: &Deployment) -> Vec<Action> {
    let Some(previous) = &deployment.previous else { return Vec::new() };
    let rationale = format!("It ran before {}.", deployment.release);
    if deployment.automatic {
        let description = format!(
            "Mend the release of {name}, or switch off its auto-deploy and go back to {previous}"
        );
        return vec![action(description, rationale, None)];
    }
    let description = format!("Go back to release {previous} of {name}");
    let change = edit(deployment, "/spec/releaseName", json!(previous));
    vec![action(description, rationale, Some(change))]
}

/// Takes back what may take the memory, or gives more of it.
pub(super) fn memory(evidence: &Evidence, name: &str, deployment: &Deployment) -> Vec<Action> {
    let mut actions = latest(evidence, name, deployment);
    let limit = deployment.resources["limits"]["memory"].as_str().and_then(double);
    if let Some(limit) = limit {
        let description = format!("Give {name} more memory: a limit of {limit}");
        let rationale =
            "Helps if it needs that much, and only for a while if it keeps more and more.";
        let change = edit(deployment, MEMORY, json!(limit));
        actions.push(action(description, rationale.to_owned(), Some(change)));
    }
    actions
}

/// Twice a quantity, such as `64Mi`.
fn double(quantity: &str) -> Option<String> {
    let digits = quantity.find(|char: char| !char.is_ascii_digit()).unwrap_or(quantity.len());
    let (number, unit) = quantity.split_at(digits);
    // `1.5Gi` would become nonsense.
    unit.chars().all(|char| char.is_ascii_alphabetic()).then_some(())?;
    Some(format!("{}{unit}", number.parse::<u64>().ok()?.checked_mul(2)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sre::evidence::{Setting, Value as Set};

    fn deployment() -> Deployment {
        let set =
            |key: &str, value: &str| Setting { key: key.into(), value: Set::Text(value.into()) };
        Deployment {
            binding: "web-development".into(),
            overrides: vec![set("A", "1"), set("B", "2")],
            settings: vec![set("A", "0"), set("C", "3")],
            ..Deployment::default()
        }
    }

    #[test]
    fn a_variable_of_the_environment_is_taken_back() {
        let [action] = &setting("web", &deployment(), "A")[..] else { panic!() };
        let change = action.change.as_ref().unwrap();
        assert_eq!((&change.remove_env[..], change.fields.len()), (&["A".to_owned()][..], 0));
        assert!(action.rationale.contains("A=\"0\""), "{}", action.rationale);
    }

    #[test]
    fn a_variable_of_the_workload_is_only_named() {
        let [action] = &setting("web", &deployment(), "C")[..] else { panic!() };
        assert_eq!((action.status, &action.change), (Status::Suggested, &None));
        assert!(setting("web", &deployment(), "D").is_empty());
    }

    #[test]
    fn a_release_that_would_come_back_by_itself_is_not_gone_back_from() {
        let release = Deployment { previous: Some("web-1".into()), ..deployment() };
        assert!(rollback("web", &release)[0].change.is_some());
        let automatic = Deployment { automatic: true, ..release };
        assert_eq!(rollback("web", &automatic)[0].change, None);
    }

    #[test]
    fn quantities_are_doubled() {
        assert_eq!(double("64Mi").as_deref(), Some("128Mi"));
        assert_eq!(double("1.5Gi"), None);
        assert_eq!(double("x"), None);
    }
}
