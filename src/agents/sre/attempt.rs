//! What came of a change that the rules are sure of, and how a report says so.

use serde_json::{Value, json};

use super::report::Change;

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Attempt {
    /// It was made.
    Made,
    /// It was tried, and this is why it was not made.
    Failed(String),
    /// It was not tried: why not, and what would let the agent.
    Left(String),
}

impl Attempt {
    /// Notes this of `change` in `report`.
    pub(super) fn note(&self, report: &mut Value, change: &Change) {
        let change = json!(change);
        let actions = report["result"]["recommendations"]["recommended_actions"].as_array_mut();
        let action = actions.into_iter().flatten().find(|action| action["change"] == change);
        let mut description = Value::Null;
        if let Some(action) = action {
            description = action["description"].clone();
            if *self == Self::Made {
                action["status"] = "applied".into();
            }
        }
        let (begun, outcome) = match self {
            Self::Made => ("Tried to change", "done"),
            Self::Failed(why) => ("Tried to change", why.as_str()),
            Self::Left(_) => ("Proposed to change", "left to a person"),
        };
        let sure = "The rules are sure of the cause";
        let step = json!({
            "action": format!("{begun} release binding {}: {}",
                change["release_binding"].as_str().unwrap_or_default(), description.as_str().unwrap_or_default()),
            "outcome": outcome,
            "rationale": match self {
                Self::Made => format!("{sure}, and a grant lets this agent make the change"),
                Self::Failed(_) => format!("{sure}, and a grant was to let this agent make the change"),
                Self::Left(why) => format!("{sure}, but this agent does not make the change itself. {why}"),
            },
        });
        if let Some(path) = report["investigation_path"].as_array_mut() {
            path.push(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(attempt: &Attempt) -> Value {
        let change = Change { release_binding: "web-development".to_owned(), ..Change::default() };
        let action = json!({"description": "Take back A", "status": "revised", "change": change});
        let mut report = json!({
            "result": {"recommendations": {"recommended_actions": [action]}}, "investigation_path": [],
        });
        attempt.note(&mut report, &change);
        report
    }

    #[test]
    fn a_step_says_no_more_than_what_came_of_it() {
        for (attempt, action, outcome, rationale, status) in [
            (Attempt::Made, "Tried", "done", "lets this agent", "applied"),
            (Attempt::Failed("gone".into()), "Tried", "gone", "was to let", "revised"),
            (
                Attempt::Left("denied: x".into()),
                "Proposed",
                "left to a person",
                "denied: x",
                "revised",
            ),
        ] {
            let report = noted(&attempt);
            let step = &report["investigation_path"][0];
            let starts = format!("{action} to change release binding web-development: Take back A");
            assert_eq!((&step["action"], &step["outcome"]), (&json!(starts), &json!(outcome)));
            assert!(step["rationale"].as_str().unwrap().contains(rationale), "{step}");
            let action = &report["result"]["recommendations"]["recommended_actions"][0];
            assert_eq!(action["status"], status);
        }
    }
}
