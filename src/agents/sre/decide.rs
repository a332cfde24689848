//! What a person decided about the actions of a report.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::report::{Change, Field, File, Variable};

/// Actions by their place in the report, from 0.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Decided {
    /// Those whose change was made.
    applied_indices: Vec<usize>,
    /// Those that are turned down.
    dismissed_indices: Vec<usize>,
    /// What was set otherwise than proposed, of those whose change was made.
    edits: Vec<Edit>,
}

/// The values that one change was made with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Edit {
    index: usize,
    env: Vec<Variable>,
    files: Vec<File>,
    fields: Vec<Field>,
}

impl Edit {
    /// `change` with these values, if it differs then. The error is a sentence.
    fn of(&self, change: &Value) -> Result<Option<Change>, String> {
        let proposed: Change = serde_json::from_value(change.clone()).map_err(|error| {
            format!("the change of action {} cannot be edited: {error}", self.index)
        })?;
        // Values are told by name, so a name that is there twice says nothing.
        for (env, files, fields) in [
            (&proposed.env, &proposed.files, &proposed.fields),
            (&self.env, &self.files, &self.fields),
        ] {
            let keys = repeated(env.iter().map(|one| one.key.as_str()));
            let files = repeated(files.iter().map(|one| (one.key.as_str(), &one.mount_path)));
            let pointers = repeated(fields.iter().map(|one| one.json_pointer.as_str()));
            if let Some(name) = keys.or(files.map(|(key, _)| key)).or(pointers) {
                let why = format!("action {} cannot be edited: {name} is there twice", self.index);
                return Err(why);
            }
        }
        let mut change = proposed.clone();
        let none = |what: &str| Err(format!("action {} does not set {what}", self.index));
        for edit in &self.env {
            match change.env.iter_mut().find(|one| one.key == edit.key) {
                Some(one) => one.value.clone_from(&edit.value),
                None => return none(&edit.key),
            }
        }
        for edit in &self.files {
            let same =
                |one: &&mut File| (&one.key, &one.mount_path) == (&edit.key, &edit.mount_path);
            match change.files.iter_mut().find(same) {
                Some(one) => one.value.clone_from(&edit.value),
                None => return none(&edit.key),
            }
        }
        for edit in &self.fields {
            match change.fields.iter_mut().find(|one| one.json_pointer == edit.json_pointer) {
                Some(one) => one.value.clone_from(&edit.value),
                None => return none(&edit.json_pointer),
            }
        }
        Ok((change != proposed).then_some(change))
    }
}

/// What is in `all` a second time.
fn repeated<T: Ord + Copy>(all: impl IntoIterator<Item = T>) -> Option<T> {
    let mut seen = BTreeSet::new();
    all.into_iter().find(|one| !seen.insert(*one))
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
    // A second edit would take what the first one made for what was proposed.
    for (list, twice) in [
        ("appliedIndices", repeated(decided.applied_indices.iter().copied())),
        ("dismissedIndices", repeated(decided.dismissed_indices.iter().copied())),
        ("edits", repeated(decided.edits.iter().map(|edit| edit.index))),
    ] {
        if let Some(index) = twice {
            return Err(format!("{list} names action {index} twice; name each action once"));
        }
    }
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
    let mut made = Vec::new();
    for edit in &decided.edits {
        if !decided.applied_indices.contains(&edit.index) {
            return Err(format!("action {} is edited and not applied", edit.index));
        }
        made.push((edit.index, edit.of(&actions[edit.index]["change"])?));
    }
    for (index, to) in all {
        actions[index]["status"] = to.into();
        actions[index]["decided"] = json!({"by": who, "at": now.to_string()});
    }
    for (index, change) in made {
        let Some(change) = change else { continue };
        let action = &mut actions[index];
        let proposed = std::mem::replace(&mut action["change"], json!(change));
        action["decided"]["proposed"] = proposed;
    }
    Ok(())
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
        let decided = Decided {
            applied_indices: applied.to_vec(),
            dismissed_indices: dismissed.to_vec(),
            edits: Vec::new(),
        };
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
    fn what_was_made_is_kept_beside_what_was_proposed() {
        let change = json!({
            "release_binding": "web-development", "env": [{"key": "A", "value": "1"}], "files": [],
            "fields": [{"json_pointer": "/spec/x", "value": 2}, {"json_pointer": "/spec/y", "value": 3}],
        });
        let edited = |edits: Value| {
            let mut report = report();
            let actions = &mut report["result"]["recommendations"]["recommended_actions"];
            actions[0]["change"] = change.clone();
            let decided = json!({"appliedIndices": [0], "edits": edits});
            let decided: Decided = serde_json::from_value(decided).unwrap();
            decide(&mut report, &decided, "admin", Timestamp::UNIX_EPOCH)?;
            let actions = &mut report["result"]["recommendations"]["recommended_actions"];
            Ok::<_, String>(actions[0].take())
        };
        let fields = json!([{"json_pointer": "/spec/x", "value": 5}]);
        let env = json!([{"key": "A", "value": "1"}]);
        let action = edited(json!([{"index": 0, "env": env, "fields": fields}])).unwrap();
        assert_eq!(action["change"]["fields"][0]["value"], 5);
        assert_eq!(action["change"]["fields"][1]["value"], 3);
        assert_eq!(action["decided"]["proposed"]["fields"][0]["value"], 2);
        let same = edited(json!([{"index": 0, "env": env}])).unwrap();
        assert!(same["decided"]["proposed"].is_null(), "{same}");
        for other in [
            json!([{"index": 0, "env": [{"key": "B", "value": "1"}]}]),
            json!([{"index": 0, "fields": [{"json_pointer": "/spec/owner", "value": 1}]}]),
            json!([{"index": 0, "files": [{"key": "f", "mount_path": "/", "value": ""}]}]),
            json!([{"index": 1, "env": []}]),
            json!([{"index": 0, "fields": fields}, {"index": 0, "env": env}]),
            json!([{"index": 0, "fields": [fields[0], fields[0]]}]),
        ] {
            assert!(edited(other.clone()).is_err(), "{other}");
        }
    }

    #[test]
    fn a_proposal_that_names_something_twice_is_not_edited() {
        for (list, one) in [
            ("env", json!({"key": "A", "value": "1"})),
            ("files", json!({"key": "f", "mount_path": "/etc", "value": "1"})),
            ("fields", json!({"json_pointer": "/spec/x", "value": 1})),
        ] {
            let apply = |change: Value, edits: Value| {
                let mut report = report();
                let actions = &mut report["result"]["recommendations"]["recommended_actions"];
                actions[0]["change"] = change;
                let decided = json!({"appliedIndices": [0], "edits": edits});
                let decided: Decided = serde_json::from_value(decided).unwrap();
                decide(&mut report, &decided, "admin", Timestamp::UNIX_EPOCH)
            };
            let edit = json!([{"index": 0, list: [one]}]);
            apply(json!({list: [one]}), edit.clone()).unwrap();
            let refused = apply(json!({list: [one, one]}), edit).unwrap_err();
            assert!(refused.contains("twice"), "{refused}");
            apply(json!({list: [one, one]}), json!([])).unwrap();
        }
    }

    #[test]
    fn what_makes_no_sense_changes_nothing() {
        for (applied, dismissed, words) in [
            (&[0][..], &[0][..], "both"),
            (&[1], &[], "suggested"),
            (&[], &[2], "is applied"),
            (&[7], &[], "no action 7"),
            (&[0, 0], &[], "appliedIndices names action 0 twice"),
            (&[], &[1, 1], "dismissedIndices names action 1 twice"),
        ] {
            let error = try_it(applied, dismissed).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert!(decide(&mut json!({}), &Decided::default(), "x", Timestamp::UNIX_EPOCH).is_err());
    }
}
