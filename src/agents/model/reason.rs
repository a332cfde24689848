//! The loop: ask, call, tell, until there is an answer.

use bytes::Bytes;
use serde_json::Value;

use super::budget::{Budget, Room};
use super::codec::{self, Ask};
use super::conversation::{Conversation, Finish, Message, Reply, ToolCall, ToolResult};
use super::error::plain;
use super::gate::Gate;
use super::schema::Schema;
use super::{Endpoint, Error, Exhausted, Failure, Fence, Task, ToolSpec, Toolbox, Trail, client};

/// The tool by which a model answers.
pub const SUBMIT: &str = "submit";

/// How often a model that answers in words is told to submit.
const REMINDERS: u32 = 2;
const REMINDER: &str =
    "Answers in words are not read. Use the tools, or call `submit` with your answer.";
const WRAP_UP: &str = "This is the last step: no tool is left but `submit`. Call it now with what you know, and say \
                       what stays uncertain.";

/// An answer that fits the task's schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The answer.
    pub answer: Value,
    /// What it took.
    pub trail: Trail,
}

/// Has the model work on a task with the tools that only read, and gives its answer back.
///
/// # Errors
/// [`Failure`] says why there is no answer, and what was spent all the same.
pub async fn reason(
    endpoint: &Endpoint,
    toolbox: &dyn Toolbox,
    task: Task,
) -> Result<Outcome, Box<Failure>> {
    let mut trail = Trail { cost: endpoint.limits.cost.map(|_| 0.0), ..Trail::default() };
    let work =
        tokio::time::timeout(endpoint.limits.time, work(endpoint, toolbox, &task, &mut trail));
    match work.await.unwrap_or(Err(Error::Exhausted(Exhausted::Time))) {
        Ok(answer) => Ok(Outcome { answer, trail }),
        Err(error) => Err(Box::new(Failure { error, trail })),
    }
}

async fn work(
    endpoint: &Endpoint,
    toolbox: &dyn Toolbox,
    task: &Task,
    trail: &mut Trail,
) -> Result<Value, Error> {
    let schema = Schema::compile(&task.schema).map_err(Error::Task)?;
    let fence = Fence::new();
    let gate = Gate::new(toolbox, task, &fence, endpoint.limits.result_chars)?;
    let mut tools = vec![ToolSpec {
        name: SUBMIT.into(),
        description: "Gives your final answer, and ends the work.".into(),
        input_schema: task.schema.clone(),
        read_only: true,
    }];
    tools.extend(gate.offered());
    let budget = Budget::new(&endpoint.limits);
    let conversation = begin(task, &fence);
    let mut work = Work {
        endpoint,
        trail,
        schema,
        gate,
        tools,
        budget,
        conversation,
        wrong: None,
        reminded: 0,
    };
    loop {
        if let Some(answer) = work.step().await? {
            return Ok(answer);
        }
    }
}

fn begin(task: &Task, fence: &Fence) -> Conversation {
    let system = format!(
        "{}\n\nYou look things up with tools that only read. When you know enough, call `{SUBMIT}` once, alone, with \
         your answer.\n\n{}",
        task.system,
        fence.rule()
    );
    let mut request = task.request.clone();
    for (label, text) in &task.evidence {
        request.push_str("\n\n");
        request.push_str(&fence.wrap(label, text));
    }
    Conversation { system, messages: vec![Message::User(request)] }
}

struct Work<'a> {
    endpoint: &'a Endpoint,
    trail: &'a mut Trail,
    schema: Schema<'a>,
    gate: Gate<'a>,
    /// [`SUBMIT`] first.
    tools: Vec<ToolSpec>,
    budget: Budget<'a>,
    conversation: Conversation,
    /// What was wrong with an answer that was sent back.
    wrong: Option<String>,
    reminded: u32,
}

impl Work<'_> {
    async fn step(&mut self) -> Result<Option<Value>, Error> {
        let mut body = self.body(false);
        let last = match self.budget.room(body.len() as u64) {
            Room::Plenty => false,
            Room::Last => {
                self.conversation.note(WRAP_UP);
                body = self.body(true);
                true
            }
            // A wrong answer says more than the limit that kept it from being corrected.
            Room::None(limit) => {
                return Err(match &self.wrong {
                    Some(problem) => Error::Answer(plain(problem)),
                    None => Error::Exhausted(limit),
                });
            }
        };
        let sent = body.len() as u64;
        let reply = client::ask(self.endpoint, body).await?;
        self.count(&reply, sent);
        match &reply.finish {
            Finish::Refused(words) => return Err(Error::Refused(plain(words))),
            Finish::Full => return Err(Error::Exhausted(Exhausted::Window)),
            Finish::Done | Finish::Cut => {}
        }
        if let Some(verbatim) = &reply.verbatim {
            self.conversation.messages.push(Message::Assistant(verbatim.clone()));
        }
        if reply.calls.is_empty() { self.words(&reply) } else { self.calls(&reply, last).await }
    }

    fn body(&self, last: bool) -> Bytes {
        let tools: Vec<_> =
            self.tools.iter().take(if last { 1 } else { self.tools.len() }).collect();
        let reply_tokens = self.budget.reply_tokens();
        let ask = Ask { conversation: &self.conversation, tools: &tools, reply_tokens };
        codec::body(self.endpoint, ask).to_string().into()
    }

    fn count(&mut self, reply: &Reply, sent: u64) {
        let said = reply.verbatim.as_ref().map_or(0, |said| said.to_string().len() as u64);
        let usage = self.budget.took(reply.usage, sent, said);
        self.trail.usage += usage;
        self.trail.steps = self.budget.steps();
        self.trail.cost = self.endpoint.limits.cost.map(|cost| cost.prices.of(&self.trail.usage));
        tracing::debug!(step = self.trail.steps, ?usage, "the model answered");
    }

    /// An answer in words: some models write there what belongs into the call.
    fn words(&mut self, reply: &Reply) -> Result<Option<Value>, Error> {
        let answer = serde_json::from_str(reply.text.trim()).ok().filter(Value::is_object);
        let words = match answer.map(|answer: Value| self.judge(Ok(answer), reply)) {
            Some(Ok(answer)) => return Ok(Some(answer)),
            Some(Err(problem)) => self.back(problem)?,
            None if self.reminded == REMINDERS => {
                let said = plain(&reply.text);
                return Err(Error::Answer(format!("it is no call of {SUBMIT} but words: {said}")));
            }
            None => {
                self.reminded += 1;
                REMINDER.into()
            }
        };
        self.conversation.messages.push(Message::User(words));
        Ok(None)
    }

    async fn calls(&mut self, reply: &Reply, last: bool) -> Result<Option<Value>, Error> {
        let mut wrong = None;
        if let Some(call) = reply.calls.iter().find(|call| call.name == SUBMIT) {
            match self.judge(call.arguments.clone(), reply) {
                Ok(answer) => return Ok(Some(answer)),
                Err(problem) => wrong = Some(self.back(problem)?),
            }
        }
        let mut results = Vec::new();
        for call in &reply.calls {
            let no = |text: &str| told(call, text);
            results.push(if call.name == SUBMIT {
                no(wrong.as_deref().unwrap_or_default())
            } else if last {
                no("Not called: no step is left to look at the result.")
            } else if reply.finish == Finish::Cut {
                no("Not called: your message was cut off here. Write less at once.")
            } else {
                let (result, record) = self.gate.pass(call, self.budget.steps()).await?;
                self.trail.calls.push(record);
                result
            });
        }
        self.conversation.messages.push(Message::Results(results));
        Ok(None)
    }

    /// The answer, or what is wrong with it.
    fn judge(&self, answer: Result<Value, String>, reply: &Reply) -> Result<Value, String> {
        let problem = match answer {
            Ok(answer) => match self.schema.check(&answer) {
                Ok(()) => return Ok(answer),
                Err(problem) => problem,
            },
            Err(_) => "it is no JSON object".into(),
        };
        let cut = if reply.finish == Finish::Cut { "it was cut off, being too long; " } else { "" };
        Err(format!("{cut}{problem}"))
    }

    /// What the model is told of its wrong answer; the second is an error.
    fn back(&mut self, problem: String) -> Result<String, Error> {
        if self.wrong.is_some() {
            return Err(Error::Answer(plain(&problem)));
        }
        let words = format!(
            "The answer does not fit the schema: {problem}. Submit it again, corrected and whole."
        );
        self.wrong = Some(problem);
        Ok(words)
    }
}

fn told(call: &ToolCall, text: &str) -> ToolResult {
    ToolResult { id: call.id.clone(), text: text.to_owned(), failed: true }
}
