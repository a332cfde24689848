//! From what the rules say to a report.

use super::alert::Request;
use super::evidence::Evidence;
use super::report::{
    Advice, AlertContext, Confidence, Finding, Moment, Nothing, Outcome, Recommendations, Report,
    RootCause,
};
use super::rules::{Cause, Judgement};

/// Actions of a report, at most.
const ACTIONS: usize = 3;

/// The report about `evidence`.
pub fn conclude(evidence: &Evidence, judgement: Judgement) -> Report {
    let Judgement { causes, steps, excluded } = judgement;
    let (summary, result) = match causes.first() {
        None => nothing(evidence),
        Some(first) => {
            let request = &evidence.request;
            let summary = format!(
                "{}. This is why {:?} fired for <comp:{}> in <env:{}>.",
                first.summary, request.alert.rule.name, request.component, request.environment
            );
            let recommended = causes.iter().flat_map(|cause| cause.actions.clone());
            let recommendations = Recommendations {
                recommended_actions: recommended.take(ACTIONS).collect(),
                observability_recommendations: advice(evidence),
            };
            let timeline = timeline(evidence, &causes);
            let root_causes = causes.into_iter().map(root_cause).collect();
            let result = Outcome::RootCauseIdentified {
                root_causes,
                timeline,
                excluded_causes: excluded,
                recommendations,
            };
            (summary, result)
        }
    };
    Report { alert_context: context(&evidence.request), summary, result, investigation_path: steps }
}

fn root_cause(cause: Cause) -> RootCause {
    RootCause {
        confidence: match cause.weight {
            weight if weight >= 0.8 => Confidence::High,
            weight if weight >= 0.65 => Confidence::Medium,
            _ => Confidence::Low,
        },
        summary: cause.summary,
        analysis: cause.analysis,
        supporting_findings: cause.findings,
    }
}

fn context(request: &Request) -> AlertContext {
    let alert = &request.alert;
    let rule = &alert.rule;
    AlertContext {
        alert_id: alert.id.clone(),
        alert_name: rule.name.clone(),
        alert_description: rule.description.clone(),
        severity: rule.severity.clone(),
        triggered_at: alert.timestamp,
        trigger_value: alert.value.clone(),
        source_type: rule.source.r#type.clone(),
        source_query: rule.source.query.clone(),
        source_metric: rule.source.metric.clone(),
        condition: rule.condition.clone(),
        component: request.component.clone(),
        project: request.project.clone(),
        environment: request.environment.clone(),
    }
}

/// What happened when, the earliest first.
fn timeline(evidence: &Evidence, causes: &[Cause]) -> Vec<Moment> {
    let of = |finding: &Finding| Moment {
        timestamp: finding.time_range.start,
        component: Some(finding.component.clone()),
        event: finding.observation.clone(),
    };
    let request = &evidence.request;
    // What is known of the whole range only did not happen at a moment.
    let findings = causes.iter().flat_map(|cause| &cause.findings);
    let findings = findings.filter(|finding| finding.time_range.start > evidence.range.start);
    let mut all: Vec<Moment> = findings.map(of).collect();
    all.push(Moment {
        timestamp: request.alert.timestamp,
        component: Some(request.component.clone()),
        event: format!("The alert {:?} fired", request.alert.rule.name),
    });
    all.sort_by_key(|moment| moment.timestamp);
    all.dedup();
    all
}

/// Why there is no cause to tell.
fn nothing(evidence: &Evidence) -> (String, Outcome) {
    let alerted = evidence.alerted();
    let known = evidence.components.get(alerted);
    let outside =
        evidence.calls_of(alerted).find(|call| call.to.starts_with("external:") && call.fails());
    let trouble = evidence.components.values().any(|component| {
        component.state.fails()
            || !component.state.complaints.is_empty()
            || component.lines.iter().any(|lines| lines.level == "ERROR")
    });
    let (outcome, explanation) = if let Some(call) = outside {
        let host = call.to.trim_start_matches("external:");
        let told = format!("{alerted} calls {host}, outside of the platform, in vain");
        (Nothing::ExternalDependency, told)
    } else if !evidence.gaps.is_empty() || known.is_none() {
        let gaps = evidence.gaps.join("; ");
        let told = format!("Too little could be read of {alerted} and what it calls: {gaps}");
        (Nothing::InsufficientData, told)
    } else if trouble {
        let told = format!(
            "{alerted}, or something it calls, is in trouble, but neither logs nor events, settings or traffic say why"
        );
        (Nothing::InsufficientData, told)
    } else {
        let told = format!("{alerted} and all it calls are well now: whatever it was has passed");
        (Nothing::Transient, told)
    };
    let summary = format!("No cause can be told. {explanation}.");
    let advice = advice(evidence);
    let recommendations = (!advice.is_empty()).then(|| Recommendations {
        recommended_actions: Vec::new(),
        observability_recommendations: advice,
    });
    (summary, Outcome::NoRootCauseIdentified { outcome, explanation, recommendations })
}

/// What would have helped to see more.
fn advice(evidence: &Evidence) -> Vec<Advice> {
    let silent = |name: &&String| {
        let component = &evidence.components[*name];
        component.state.fails() && component.lines.is_empty() && !component.spoke
    };
    let silent = evidence.components.keys().find(silent);
    let silent = silent.map(|name| Advice {
        description: format!("Have {name} log why a request fails, at level ERROR"),
        rationale: Some("It answers with errors and writes nothing about them.".to_owned()),
    });
    silent.into_iter().collect()
}
