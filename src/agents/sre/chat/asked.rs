//! What somebody asks about a report.

use serde::Deserialize;

use crate::sre::store::Kept;

/// Messages of a conversation.
const MOST: usize = 50;
/// Characters of one.
const LONGEST: usize = 10_000;

/// The body of a chat. Its place is the report's; a client that names one must name that.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::sre) struct Asked {
    pub(in crate::sre) report_id: String,
    namespace: String,
    project: String,
    environment: String,
    pub(super) messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) role: Role,
    pub(super) content: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    User,
    Assistant,
}

impl Asked {
    /// Whether it makes sense, about `kept`. The error is a sentence.
    pub(super) fn check(&self, kept: &Kept) -> Result<(), String> {
        let at = &kept.request;
        for (name, said, is) in [
            ("namespace", &self.namespace, &at.namespace),
            ("project", &self.project, &at.project),
            ("environment", &self.environment, &at.environment),
        ] {
            if !said.is_empty() && said != is {
                return Err(format!("the report is not of the {name} {said}"));
            }
        }
        if !(1..=MOST).contains(&self.messages.len()) {
            return Err(format!("give between 1 and {MOST} messages, the question last"));
        }
        if self.messages.last().is_some_and(|last| last.role != Role::User) {
            return Err("the last message must be the user's question".to_owned());
        }
        let unfit = |message: &Message| {
            message.content.trim().is_empty() || message.content.chars().count() > LONGEST
        };
        match self.messages.iter().position(unfit) {
            Some(at) => Err(format!("message {at} must have between 1 and {LONGEST} characters")),
            None => Ok(()),
        }
    }

    /// What was said before, and the question.
    pub(super) fn parts(&self) -> (String, &str) {
        let Some((question, before)) = self.messages.split_last() else {
            return (String::new(), "");
        };
        let said = before.iter().map(|message| match message.role {
            Role::User => format!("the person: {}", message.content),
            Role::Assistant => format!("you: {}", message.content),
        });
        (said.collect::<Vec<_>>().join("\n\n"), &question.content)
    }
}
