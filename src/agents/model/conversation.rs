//! A conversation in our own words; the [codecs](super::codec) know those of the providers.

use serde_json::Value;

use super::Usage;

/// What the model is sent: all that was said.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) system: String,
    pub(super) messages: Vec<Message>,
}

#[derive(Debug)]
pub(super) enum Message {
    User(String),
    /// As the provider wrote it, for it may hold what only the provider understands, such as signed reasoning.
    Assistant(Value),
    /// A result for each call of the message before.
    Results(Vec<ToolResult>),
}

impl Conversation {
    /// Adds to the last message what the model should know. Not as a message of its own after results: models learn
    /// from that to wait for one.
    pub(super) fn note(&mut self, words: &str) {
        match self.messages.last_mut() {
            Some(Message::User(text)) => return add(text, words),
            Some(Message::Results(results)) => {
                if let Some(result) = results.last_mut() {
                    return add(&mut result.text, words);
                }
            }
            _ => {}
        }
        self.messages.push(Message::User(words.to_owned()));
    }
}

fn add(text: &mut String, words: &str) {
    text.push_str("\n\n");
    text.push_str(words);
}

/// What the model answered.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// Who the provider says has answered.
    pub(super) model: Option<String>,
    pub(super) text: String,
    pub(super) calls: Vec<ToolCall>,
    pub(super) finish: Finish,
    /// Missing where a server does not count.
    pub(super) usage: Option<Usage>,
    /// For [`Message::Assistant`]; nothing where nothing was said.
    pub(super) verbatim: Option<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct ToolCall {
    pub(super) id: String,
    pub(super) name: String,
    /// An object, or the text that is none.
    pub(super) arguments: Result<Value, String>,
}

#[derive(Debug, Default, PartialEq)]
pub(super) enum Finish {
    /// It said all that it wanted.
    #[default]
    Done,
    /// It was cut off at the tokens that it may write.
    Cut,
    /// The context window is full.
    Full,
    /// The model or a filter refused, with its words.
    Refused(String),
}

#[derive(Debug)]
pub(super) struct ToolResult {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) failed: bool,
}
