//! What a run took and did.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::Usage;

/// The account of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Trail {
    /// Tokens of all steps.
    pub usage: Usage,
    /// What they cost in US dollars, where prices are known.
    pub cost: Option<f64>,
    /// How often the model answered.
    pub steps: u32,
    /// Every call of a tool that the model asked for, in order.
    pub calls: Vec<CallRecord>,
}

/// One call that the model asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallRecord {
    /// The step, from 1.
    pub step: u32,
    /// The tool's name as the model wrote it.
    pub tool: String,
    /// The arguments; text where they were no JSON.
    pub arguments: Value,
    /// What came of it.
    pub verdict: Verdict,
    /// Characters of the result, before it was cut.
    pub chars: usize,
    /// How long the tool took.
    #[serde(skip)]
    pub took: Duration,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The model has the result.
    Answered,
    /// The model has the beginning of the result.
    Cut,
    /// The tool failed, and the model has its words.
    Failed,
    /// Not called: no such tool, not allowed, not read-only, or its arguments no object.
    Refused,
    /// Not called: the same call had been answered.
    Repeated,
}
