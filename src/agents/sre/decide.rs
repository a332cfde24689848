//! What became of the actions of a report: what a person decided, and what the agent did itself.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::report::Change;

/// Actions by their place in the report, from 0.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Decided {
    /// Those whose change was made.
    applied_indices: Vec<usize>,
    /// Those that are turned down.
    dismissed_indices: Vec<usize>,
}

/// Notes in `report` what `who` decided at `now`. The error is a sentence for the caller; then nothing is noted.
pub(super) fn decide(
    report: &mut Value,
    decided: &Decided,
    who: &str,
    now: Timestamp,
) -> Result<(), String> {
    let actions = &mut report["result"]["recommendations"]["recommended_actions"];
    let Some(actions) = actions.as_array_mut() else {
        return Err("the report proposes nothing".into());
    };
    let both =
        decided.applied_indices.iter().find(|index| decided.dismissed_indices.contains(index));
    if let Some(index) = both {
        return Err(format!("action {index} cannot be both applied and dismissed"));
    }
    let applied = decided.applied_indices.iter().map(|index| (*index, "applied"));
    let dismissed = decided.dismissed_indices.iter().map(|index| (*index, "dismissed"));
    let all: Vec<(usize, &str)> = applied.chain(dismissed).collect();
    for (index, to) in &all {
        let action = actions.get(*index).ok_or_else(|| format!("there is no action {index}"))?;
        let from = action["status"].as_str().unwrap_or_default();
        let may = match *to {
            "applied" => from == "revised",
            _ => matches!(from, "revised" | "suggested"),
        };
        if !may {
            return Err(format!("action {index} is {from}, and cannot become {to}"));
        }
    }
    for (index, to) in all {
        actions[index]["status"] = to.into();
        actions[index]["decided"] = json!({"by": who, "at": now.to_string()});
    }
    Ok(())
}

/// Notes in `report` what came of making `change` by the agent itself.
pub(super) fn tried(report: &mut Value, change: &Change, outcome: &Result<(), String>) {
    let change = json!(change);
    let actions = report["result"]["recommendations"]["recommended_actions"].as_array_mut();
    let action = actions.into_iter().flatten().find(|action| action["change"] == change);
    let mut description = Value::Null;
    if let Some(action) = action {
        description = action["description"].clone();
        if outcome.is_ok() {
            action["status"] = "applied".into();
        }
    }
    let step = json!({
        "action": format!("Tried to change release binding {}: {}", change["release_binding"].as_str().unwrap_or_default(),
            description.as_str().unwrap_or_default()),
        "outcome": match outcome { Ok(()) => "done", Err(why) => why.as_str() },
        "rationale": "The rules are sure of the cause, and this agent holds a grant",
    });
    if let Some(path) = report["investigation_path"].as_array_mut() {
        path.push(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Value {
        json!({"result": {"recommendations": {"recommended_actions": [
            {"status": "revised"}, {"status": "suggested"}, {"status": "applied"},
        ]}}})
    }

    fn try_it(applied: &[usize], dismissed: &[usize]) -> Result<Vec<String>, String> {
        let mut report = report();
        let decided =
            Decided { applied_indices: applied.to_vec(), dismissed_indices: dismissed.to_vec() };
        decide(&mut report, &decided, "admin", Timestamp::UNIX_EPOCH)?;
        let actions = &report["result"]["recommendations"]["recommended_actions"];
        let status = |action: &Value| action["status"].as_str().unwrap().to_owned();
        Ok(actions.as_array().unwrap().iter().map(status).collect())
    }

    #[test]
    fn a_change_is_applied_and_advice_can_be_dismissed() {
        assert_eq!(try_it(&[0], &[1]).unwrap(), ["applied", "dismissed", "applied"]);
    }

    #[test]
    fn what_makes_no_sense_changes_nothing() {
        for (applied, dismissed, words) in [
            (&[0][..], &[0][..], "both"),
            (&[1], &[], "suggested"),
            (&[], &[2], "is applied"),
            (&[7], &[], "no action 7"),
        ] {
            let error = try_it(applied, dismissed).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert!(decide(&mut json!({}), &Decided::default(), "x", Timestamp::UNIX_EPOCH).is_err());
    }
}
