//! Talking about a report, where a model is configured.
//!
//! Who asks may read the report, and what is looked up for the answer is looked up with their own token: nobody learns
//! from a chat what they may not see. The model gets the tools that the analysis has, within the same [`Bounds`], and
//! everything but our own words is fenced, the person's included. Edits come from the rules alone, so no `actions` are
//! ever proposed here.
//!
//! An answer is a stream of lines, each a JSON object with a `type`: `tool_call` for each look, `message_chunk`, then
//! `done`, or `error` with a sentence. It has a bound in time, and ends when the listener leaves.

mod asked;
mod talk;
mod turn;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use curtain_control::identity::Secret;
use futures::stream;
use http::{HeaderValue, header};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::reason::{Bounds, endpoint};
use super::refusal::Refusal;
use super::store::Kept;
use crate::model::{Endpoint, Limits};
use crate::platform::Tools;
pub(super) use asked::Asked;
use turn::Turns;

/// What one answer may take, below what an analysis may.
const STEPS: u32 = 20;
const INPUT_TOKENS: u64 = 300_000;
const OUTPUT_TOKENS: u64 = 20_000;
const TIME: Duration = Duration::from_secs(4 * 60);
/// For a listener that is slow to take the last lines.
const GRACE: Duration = Duration::from_secs(30);
/// Lines that wait for it.
const WAITING: usize = 64;

/// The platform as the holder of a token sees it.
pub(super) type Eyes = dyn Fn(Secret) -> Arc<dyn Tools> + Send + Sync;

/// Whoever answers. Clones are the same one.
#[derive(Clone)]
pub(super) struct Chats {
    /// Where the settings of a model are.
    model: PathBuf,
    eyes: Arc<Eyes>,
    turns: Turns,
}

impl Chats {
    pub(super) fn new(model: PathBuf, eyes: Arc<Eyes>) -> Self {
        Self { model, eyes, turns: Turns::default() }
    }

    /// Whether a model is configured, so that asking makes sense.
    pub(super) async fn are_possible(&self) -> bool {
        matches!(endpoint(&self.model).await, Ok(Some(_)))
    }

    /// Answers `asked` about `kept`, which `subject`, the holder of `token`, may read.
    pub(super) async fn answer(
        &self,
        kept: &Kept,
        asked: Asked,
        (subject, token): (&str, Secret),
    ) -> Result<Response, Refusal> {
        asked.check(kept).map_err(Refusal::Invalid)?;
        let Some(report) = kept.report.clone() else {
            return Err(Refusal::NoReport(kept.stage.as_str()));
        };
        let endpoint = bounded(endpoint(&self.model).await.map_err(Refusal::Model)?)?;
        let turn = self.turns.take(subject)?;
        let bounds = Bounds::around((self.eyes)(token), &kept.request, &report).await;
        let bounds = bounds.map_err(Refusal::Tools)?;
        let (lines, told) = mpsc::channel(WAITING);
        let mut work = JoinSet::new();
        work.spawn(async move {
            let _turn = turn;
            let talk = talk::talk(&endpoint, bounds, &report, &asked, lines);
            if tokio::time::timeout(TIME + GRACE, talk).await.is_err() {
                tracing::warn!("whoever asked about a report does not take the answer");
            }
        });
        // Dropped with the stream, which ends the work.
        let next = |(mut told, work): (mpsc::Receiver<Value>, JoinSet<()>)| async move {
            let line = told.recv().await?;
            Some((Ok::<_, Infallible>(Bytes::from(format!("{line}\n"))), (told, work)))
        };
        let mut response = Response::new(Body::from_stream(stream::unfold((told, work), next)));
        let kind = HeaderValue::from_static("application/x-ndjson");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Ok(response)
    }
}

/// The model, with the limits of a chat.
fn bounded(endpoint: Option<Endpoint>) -> Result<Endpoint, Refusal> {
    let mut endpoint = endpoint.ok_or(Refusal::NoModel)?;
    let limits = &mut endpoint.limits;
    *limits = Limits {
        input_tokens: limits.input_tokens.min(INPUT_TOKENS),
        output_tokens: limits.output_tokens.min(OUTPUT_TOKENS),
        steps: limits.steps.min(STEPS),
        time: limits.time.min(TIME),
        ..limits.clone()
    };
    Ok(endpoint)
}
