//! What a model answers, and how it becomes part of a report.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::sre::evidence::Evidence;
use crate::sre::report;
use crate::sre::report::{
    Action, Confidence, Excluded, Finding, Moment, Nothing, Outcome, Recommendations, Report,
    RootCause, Status,
};

/// Causes that are taken over, and pieces of evidence of each.
const CAUSES: usize = 3;
const PIECES: usize = 5;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    summary: String,
    causes: Vec<Cause>,
    excluded: Vec<Excluded>,
    explanation: String,
    advice: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Cause {
    component: String,
    summary: String,
    confidence: Confidence,
    analysis: String,
    evidence: Vec<String>,
}

/// The JSON schema of an answer.
pub(super) fn schema() -> Value {
    let text = |about: &str| json!({"type": "string", "minLength": 1, "description": about});
    let texts =
        |about: &str| json!({"type": "array", "items": {"type": "string"}, "description": about});
    let cause = json!({
        "type": "object",
        "required": ["component", "summary", "confidence", "analysis", "evidence"],
        "additionalProperties": false,
        "properties": {
            "component": text("where it begins"),
            "summary": text("one sentence"),
            "confidence": {"type": "string", "enum": ["low", "medium", "high"]},
            "analysis": text("how it leads to the alert"),
            "evidence": texts("lines, events, settings and numbers that show it, as they were seen"),
        },
    });
    let excluded = json!({
        "type": "object", "required": ["description", "rationale"], "additionalProperties": false,
        "properties": {"description": text("what it is not"), "rationale": text("why not")},
    });
    json!({
        "type": "object",
        "required": ["summary", "causes", "excluded", "explanation", "advice"],
        "additionalProperties": false,
        "properties": {
            "summary": text("one or two sentences"),
            "causes": {"type": "array", "items": cause, "description": "the likeliest first; empty if it cannot be told"},
            "excluded": {"type": "array", "items": excluded},
            "explanation": {"type": "string", "description": "why it cannot be told, if so"},
            "advice": texts("what a person should do, at most three"),
        },
    })
}

/// Puts an answer that fits the schema into `report`. What the rules saw of a component that it names, and the edits
/// that they propose for it, stay with it; those for components that it does not name are left out.
pub(super) fn merge(report: &mut Report, evidence: &Evidence, answer: &Value) {
    let Ok(answer) = serde_json::from_value::<Answer>(answer.clone()) else { return };
    report.summary = answer.summary;
    let (rules, timeline, proposed) = match &report.result {
        Outcome::RootCauseIdentified { root_causes, timeline, recommendations, .. } => {
            (root_causes.clone(), timeline.clone(), recommendations.clone())
        }
        Outcome::NoRootCauseIdentified { recommendations, .. } => {
            (Vec::new(), Vec::new(), recommendations.clone().unwrap_or_default())
        }
    };
    if answer.causes.is_empty() {
        let (outcome, explanation) = (Nothing::InsufficientData, answer.explanation);
        let recommendations = Some(Recommendations { recommended_actions: Vec::new(), ..proposed });
        report.result = Outcome::NoRootCauseIdentified { outcome, explanation, recommendations };
        return;
    }
    let named: Vec<&str> = answer.causes.iter().map(|cause| cause.component.as_str()).collect();
    let about = |action: &Action| {
        let binding = action.change.as_ref().map(|change| change.release_binding.as_str());
        binding.is_some_and(|binding| {
            named.iter().any(|name| {
                evidence.deployment(name).is_some_and(|deployment| deployment.binding == binding)
            })
        })
    };
    let advice = answer.advice.iter().map(|description| Action {
        description: description.clone(),
        rationale: "The model's advice.".to_owned(),
        status: Status::Suggested,
        change: None,
    });
    let actions: Vec<Action> = proposed
        .recommended_actions
        .iter()
        .filter(|action| about(action))
        .cloned()
        .chain(advice)
        .take(3)
        .collect();
    let root_causes = answer
        .causes
        .iter()
        .take(CAUSES)
        .map(|cause| root_cause(cause, evidence, &rules))
        .collect();
    let fired = Moment {
        timestamp: evidence.request.alert.timestamp,
        component: Some(evidence.request.component.clone()),
        event: format!("The alert {:?} fired", evidence.request.alert.rule.name),
    };
    report.result = Outcome::RootCauseIdentified {
        root_causes,
        timeline: if timeline.is_empty() { vec![fired] } else { timeline },
        excluded_causes: answer.excluded,
        recommendations: Recommendations {
            recommended_actions: actions,
            observability_recommendations: proposed.observability_recommendations,
        },
    };
}

fn root_cause(cause: &Cause, evidence: &Evidence, rules: &[RootCause]) -> RootCause {
    let said = cause.evidence.iter().take(PIECES).map(|piece| Finding {
        observation: piece.clone(),
        component: cause.component.clone(),
        time_range: evidence.range,
        evidence: report::Evidence::Metric { summary: piece.clone() },
    });
    let seen = rules.iter().flat_map(|rule| &rule.supporting_findings);
    let seen = seen.filter(|finding| finding.component == cause.component).cloned();
    let mut findings: Vec<Finding> = seen.chain(said).collect();
    if findings.is_empty() {
        // A cause without any evidence is one only by the model's word.
        findings.push(Finding {
            observation: cause.summary.clone(),
            component: cause.component.clone(),
            time_range: evidence.range,
            evidence: report::Evidence::Metric { summary: "The model's judgement".to_owned() },
        });
    }
    RootCause {
        summary: cause.summary.clone(),
        confidence: cause.confidence,
        analysis: cause.analysis.clone(),
        supporting_findings: findings,
    }
}
