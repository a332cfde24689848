//! Asking a model what it makes of the evidence, where one is configured.
//!
//! It sees what the rules saw and what they said, may look further with the same tools within the [bounds] of
//! the alert, and answers in a [shape](answer) that becomes part of the report. Edits come from the rules alone: what a
//! model proposes is advice, whatever a log made it write.

mod answer;
mod bounds;
mod greet;
mod settings;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::evidence::Evidence;
use super::report::{Outcome, Report, Step};
use crate::model::{Endpoint, Task, Trail, reason};
use crate::platform::Tools;
pub(super) use bounds::Bounds;
pub(super) use greet::greet;
pub(super) use settings::endpoint;

/// Who the model is, and how to work.
const SYSTEM: &str = "You are the SRE agent of an application platform. An alert fired. Find its root cause: the component \
    where the trouble begins and why, not the components that merely suffer from it. Follow calls from the component with \
    the alert to those that it calls. Prefer a cause that is written in a log, an event, a setting or a release over one \
    that is only likely. The findings of a rules engine come with the evidence: check them, they can be wrong. Use tools \
    only for what the evidence does not say. If what is known does not tell, say so: a wrong cause is worse than none.";

/// Asks the model, if there is one, and puts what it says into `report`.
pub(super) async fn further(
    folder: &Path,
    tools: &Arc<dyn Tools>,
    evidence: &Evidence,
    report: &mut Report,
) {
    let endpoint = match endpoint(folder).await {
        Ok(Some(endpoint)) => endpoint,
        Ok(None) => return,
        Err(why) => {
            tracing::warn!(why, "the model cannot be asked");
            return report.investigation_path.push(step("a model", why));
        }
    };
    let name = format!("the model {}", endpoint.model);
    match ask(&endpoint, tools, evidence, report).await {
        Ok((said, trail)) => {
            answer::merge(report, evidence, &said);
            report.investigation_path.push(step(&name, account(&trail)));
        }
        Err(why) => {
            tracing::warn!(why, model = endpoint.model, "the model gave no answer");
            report.investigation_path.push(step(&name, format!("No answer: {why}")));
        }
    }
}

async fn ask(
    endpoint: &Endpoint,
    tools: &Arc<dyn Tools>,
    evidence: &Evidence,
    report: &Report,
) -> Result<(Value, Trail), String> {
    let bounds = Bounds::new(tools.clone(), evidence).await?;
    let request = "What is the root cause of this alert?";
    let task = Task::new(SYSTEM, request, answer::schema())
        .evidence("the alert", text(&json!(report.alert_context)))
        .evidence("what was gathered around it", text(&json!(evidence)))
        .evidence("what the rules found", text(&found(report)))
        .allow(bounds::TOOLS.iter().map(|(_, name)| *name));
    let outcome = reason(endpoint, &bounds, task).await;
    let outcome = outcome.map_err(|failure| failure.to_string())?;
    Ok((outcome.answer, outcome.trail))
}

/// Causes of the rules, without edits.
fn found(report: &Report) -> Value {
    match &report.result {
        Outcome::RootCauseIdentified { root_causes, excluded_causes, .. } => {
            json!({"causes": root_causes, "excluded": excluded_causes})
        }
        Outcome::NoRootCauseIdentified { explanation, .. } => json!({"none": explanation}),
    }
}

fn text(value: &Value) -> String {
    value.to_string()
}

fn step(who: &str, outcome: String) -> Step {
    Step {
        action: format!("Asked {who} what it makes of the evidence"),
        outcome,
        rationale: "A model is configured for this agent".to_owned(),
    }
}

/// What a run took, in words.
fn account(trail: &Trail) -> String {
    let calls: Vec<&str> = trail.calls.iter().map(|call| call.tool.as_str()).collect();
    let looked = match calls.as_slice() {
        [] => "without looking further".to_owned(),
        calls => format!("after {}", calls.join(", ")),
    };
    let usage = trail.usage;
    format!(
        "It answered {looked}: {} steps, {} tokens read, {} written",
        trail.steps, usage.input, usage.output
    )
}
