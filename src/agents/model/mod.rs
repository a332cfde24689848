//! Asking a language model that may look things up before it answers.
//!
//! ```no_run
//! # use curtain_agents::model::*;
//! # async fn example(toolbox: &dyn Toolbox, alert: &str, logs: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let mut endpoint = Endpoint::parse("openai:gpt-5.1", None, Secret::new("…"))?;
//! endpoint.limits.steps = 20;
//! let schema = serde_json::json!({"type": "object", "required": ["summary"],
//!     "properties": {"summary": {"type": "string"}}, "additionalProperties": false});
//! let task = Task::new("You find root causes.", "Why did this alert fire?", schema)
//!     .evidence("the alert", alert)
//!     .evidence("logs around it", logs)
//!     .allow(["query_component_logs", "query_traces"]);
//! match reason(&endpoint, toolbox, task).await {
//!     Ok(Outcome { answer, trail }) => println!("{answer}: {} steps", trail.steps),
//!     Err(failure) => println!("{failure}; spent {:?}", failure.trail.usage),
//! }
//! # Ok(()) }
//! ```
//!
//! - [`Endpoint`] says which model, where, with which key, and within which [`Limits`]: a provider of the OpenAI or the
//!   Anthropic shape, public or private. [`ping`] tries whether it answers.
//! - [`Toolbox`] is what the model may look into. [`reason()`] offers it the tools that are read-only and allowed by the
//!   [`Task`], and one more, [`SUBMIT`], whose input schema is the task's: calling it is how the model answers. The
//!   answer in [`Outcome`] fits that schema.
//! - [`Trail`] says what a run took and did, of a run that failed, too.
//!
//! What [`reason()`] takes care of, so that a caller need not:
//! - Everything in [`Task::evidence`] and every result of a tool is [fenced](Fence) as data; the system prompt says what
//!   that means. `system` and `request` are the caller's own words: never put text of the platform or of a user there.
//! - A tool that is unknown, not allowed or not read-only is refused without a call. The same call twice is said to be
//!   one, three times ends the run. A long result is cut with a hint; a slow tool is given up.
//! - At the last step that steps, tokens or cost allow, only [`SUBMIT`] is left, so that a run ends with what is known.
//! - An answer that does not fit is sent back once, with what is wrong with it.
//! - Rate limits and passing faults of the provider are waited for and tried again, a bounded number of times.
//!
//! Invariants: the key is in one header of the request and in no `Debug`, log or error; every wait has a bound; no tool
//! is called that may write.

mod budget;
mod client;
mod codec;
mod conversation;
mod endpoint;
mod error;
mod fence;
mod gate;
mod limits;
mod reason;
mod schema;
mod task;
mod toolbox;
mod trail;

#[cfg(test)]
pub(crate) mod tests;

pub use client::ping;
pub use curtain_role::Secret;
pub use endpoint::{Endpoint, EndpointError, Kind};
pub use error::{Error, Exhausted, Failure};
pub use fence::Fence;
pub use limits::{CostLimit, Limits, Prices, Usage};
pub use reason::{Outcome, SUBMIT, reason};
pub use task::Task;
pub use toolbox::{ToolSpec, Toolbox};
pub use trail::{CallRecord, Trail, Verdict};
