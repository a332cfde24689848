//! Why there is no answer.

use super::Trail;

/// How much of others' words an error keeps.
const WORDS: usize = 300;

/// What a provider or a model says, as it may stand in an error: cut, on one line, without control characters.
pub(super) fn plain(words: &str) -> String {
    let words = words.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    line.chars().take(WORDS).collect()
}

/// A run without an answer.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// Why.
    pub error: Error,
    /// What it took and did until then.
    pub trail: Trail,
}

/// Why a model gave no answer. The words never hold the key.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// No connection, also when tried again.
    #[error("{0}; look at the address, and whether this pod may reach it")]
    Unreachable(String),
    /// It took longer than the endpoint's time-out.
    #[error("{host} did not answer within {seconds} s; allow more time, or take a faster model")]
    Slow {
        /// Who.
        host: String,
        /// The time-out.
        seconds: u64,
    },
    /// 401 or 403.
    #[error(
        "{host} does not take the key ({status}): {words}; replace the key in the agent's Secret"
    )]
    Key {
        /// Who.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        words: String,
    },
    /// Still busy or broken when tried for the last time.
    #[error("{host} is busy or broken after {tries} tries ({status}): {words}; try again later")]
    Busy {
        /// Who.
        host: String,
        /// How often it was asked.
        tries: u32,
        /// The HTTP status.
        status: u16,
        /// What it said.
        words: String,
    },
    /// Another status that is no success.
    #[error(
        "{host} refuses the request ({status}): {words}; look at the model's name, the base URL and the account"
    )]
    Rejected {
        /// Who.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        words: String,
    },
    /// An answer that cannot be read.
    #[error(
        "{host} does not answer as its kind of API does: {why}; is the base URL that of the API?"
    )]
    Malformed {
        /// Who.
        host: String,
        /// What is wrong.
        why: String,
    },
    /// The model or its provider declined.
    #[error("the model refuses to answer: {0}")]
    Refused(String),
    /// A limit came before the answer.
    #[error("the model had no answer within its limits: {0}")]
    Exhausted(Exhausted),
    /// The same call again and again.
    #[error("the model went in circles: it called {0} with the same arguments three times")]
    Circles(String),
    /// The answer does not fit the schema, also when asked again.
    #[error("the model's answer does not fit: {0}")]
    Answer(String),
    /// The task or the toolbox cannot be asked about at all.
    #[error("the task cannot be put to a model: {0}")]
    Task(String),
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// [`Limits::steps`](super::Limits::steps).
    #[error("no steps are left")]
    Steps,
    /// [`Limits::input_tokens`](super::Limits::input_tokens).
    #[error("no input tokens are left for another step")]
    Input,
    /// [`Limits::output_tokens`](super::Limits::output_tokens).
    #[error("no output tokens are left for another step")]
    Output,
    /// [`Limits::cost`](super::Limits::cost).
    #[error("another step would cost too much")]
    Cost,
    /// [`Limits::time`](super::Limits::time).
    #[error("the time is over")]
    Time,
    /// The model's own.
    #[error("the conversation does not fit the model's context window")]
    Window,
}
