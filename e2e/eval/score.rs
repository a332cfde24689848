//! What became of each fault, and the sum.

use std::time::Duration;

use serde_json::{Value, json};

use crate::pack::Case;

/// What an agent said of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// The right cause, first.
    Correct,
    /// That it cannot tell.
    Abstained,
    /// Another cause.
    Wrong,
    /// Nothing: there was no alert, or no report in time.
    Nothing,
}

/// A fault and what was said of it.
pub(crate) struct Verdict {
    pub(crate) said: Said,
    /// From the fault to the alert.
    pub(crate) alert: Option<Duration>,
    /// From the alert to the report.
    pub(crate) report: Option<Duration>,
    /// The report's summary.
    pub(crate) summary: String,
}

impl Verdict {
    /// For whoever watches.
    pub(crate) fn line(&self, case: &Case) -> String {
        let seconds = |time: Option<Duration>| {
            time.map_or_else(|| "-".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()))
        };
        let said = format!("{:?}", self.said).to_lowercase();
        format!(
            "{:<20} {:<10} {said:<10} alert {:>7}, report {:>7}: {}",
            case.name,
            case.component,
            seconds(self.alert),
            seconds(self.report),
            self.summary
        )
    }
}

/// Whether `report` has the cause of `case` first.
pub(crate) fn judge(report: &Value, case: &Case) -> Said {
    let result = &report["result"];
    let Some(first) = result["root_causes"].get(0) else {
        return match result["type"].as_str() {
            Some("no_root_cause_identified") => Said::Abstained,
            _ => Said::Nothing,
        };
    };
    let component = &first["supporting_findings"][0]["component"];
    let text = first.to_string().to_lowercase();
    let named = case.words.iter().any(|word| text.contains(&word.to_lowercase()));
    if *component == case.component.as_str() && named { Said::Correct } else { Said::Wrong }
}

/// The sum over all faults.
#[derive(Default)]
pub(crate) struct Score {
    verdicts: Vec<Verdict>,
    pub(crate) false_alarms: usize,
}

impl Score {
    pub(crate) fn take(&mut self, verdict: Verdict) {
        self.verdicts.push(verdict);
    }

    /// Metric, value and unit.
    pub(crate) fn lines(&self) -> Vec<(&'static str, Value, &'static str)> {
        let count = |said: Said| self.verdicts.iter().filter(|one| one.said == said).count();
        let slowest = |time: fn(&Verdict) -> Option<Duration>| {
            let slowest = self.verdicts.iter().filter_map(time).max().unwrap_or_default();
            (slowest.as_secs_f64() * 10.0).round() / 10.0
        };
        vec![
            ("faults", json!(self.verdicts.len()), ""),
            ("correct_first", json!(count(Said::Correct)), ""),
            ("abstained", json!(count(Said::Abstained)), ""),
            ("wrong", json!(count(Said::Wrong)), ""),
            ("unanswered", json!(count(Said::Nothing)), ""),
            ("false_alarms", json!(self.false_alarms), ""),
            ("slowest_alert", json!(slowest(|one| one.alert)), "s"),
            ("slowest_report", json!(slowest(|one| one.report)), "s"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_right_when_its_place_and_its_words_are() {
        let case = Case {
            name: "bad-config".into(),
            component: "checkout".into(),
            words: vec!["TAX_PERCENT".into()],
            make: Vec::new(),
            end: Vec::new(),
        };
        let report = |component: &str, summary: &str| {
            json!({"result": {"type": "root_cause_identified", "root_causes": [
                {"summary": summary, "supporting_findings": [{"component": component}]},
                {"summary": "TAX_PERCENT", "supporting_findings": [{"component": "checkout"}]},
            ]}})
        };
        assert_eq!(judge(&report("checkout", "tax_percent is wrong"), &case), Said::Correct);
        assert_eq!(judge(&report("web", "TAX_PERCENT is wrong"), &case), Said::Wrong);
        assert_eq!(judge(&report("checkout", "it is slow"), &case), Said::Wrong);
        let none = json!({"result": {"type": "no_root_cause_identified"}});
        assert_eq!(judge(&none, &case), Said::Abstained);
        assert_eq!(judge(&json!({}), &case), Said::Nothing);
    }
}
