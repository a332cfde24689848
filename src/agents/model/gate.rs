//! What stands between a model and the tools.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::conversation::{ToolCall, ToolResult};
use super::error::plain;
use super::{CallRecord, Error, Fence, SUBMIT, Task, ToolSpec, Toolbox, Verdict};

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lets calls through that are allowed, read and are new; fences and cuts what they bring back.
pub(super) struct Gate<'a> {
    toolbox: &'a dyn Toolbox,
    task: &'a Task,
    fence: &'a Fence,
    /// All that the toolbox has, to know why a call is refused.
    specs: Vec<ToolSpec>,
    longest: usize,
    seen: Vec<Seen>,
}

struct Seen {
    call: (String, Result<Value, String>),
    times: u32,
    answered: bool,
}

impl<'a> Gate<'a> {
    /// The error says which tool cannot be offered.
    pub(super) fn new(
        toolbox: &'a dyn Toolbox,
        task: &'a Task,
        fence: &'a Fence,
        longest: usize,
    ) -> Result<Gate<'a>, Error> {
        let specs = toolbox.specs();
        for spec in specs.iter().filter(|spec| spec.read_only && task.allows(&spec.name)) {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            let name = &spec.name;
            if name.is_empty() || name.len() > 64 || !name.chars().all(fits) || name == SUBMIT {
                return Err(Error::Task(format!("no provider takes a tool of the name {name:?}")));
            }
        }
        Ok(Gate { toolbox, task, fence, specs, longest, seen: Vec::new() })
    }

    /// What the model is told of.
    pub(super) fn offered(&self) -> Vec<ToolSpec> {
        self.specs.iter().filter(|spec| self.refusal(&spec.name).is_none()).cloned().collect()
    }

    /// Why a tool is not called whatever its arguments.
    fn refusal(&self, name: &str) -> Option<&'static str> {
        match self.specs.iter().find(|spec| spec.name == name) {
            None => Some("There is no such tool; use those that you were given."),
            Some(_) if !self.task.allows(name) => Some("This tool is not allowed for this task."),
            Some(spec) if !spec.read_only => Some(
                "This tool may change things, and you only read. Recommend the change instead.",
            ),
            Some(_) => None,
        }
    }

    /// Calls, or says why not. The third time of the same call is an error.
    pub(super) async fn pass(
        &mut self,
        call: &ToolCall,
        step: u32,
    ) -> Result<(ToolResult, CallRecord), Error> {
        let began = Instant::now();
        let (verdict, chars, text) = match self.say_no(call)? {
            Some((verdict, words)) => (verdict, 0, words),
            None => self.call(call).await,
        };
        let failed = !matches!(verdict, Verdict::Answered | Verdict::Cut | Verdict::Repeated);
        let arguments = call.arguments.clone().unwrap_or_else(Value::String);
        let (tool, took) = (call.name.clone(), began.elapsed());
        tracing::debug!(step, tool, ?verdict, chars, ?took, "the model called a tool");
        let record = CallRecord { step, tool, arguments, verdict, chars, took };
        Ok((ToolResult { id: call.id.clone(), text, failed }, record))
    }

    fn say_no(&mut self, call: &ToolCall) -> Result<Option<(Verdict, String)>, Error> {
        let (times, answered) = self.note(call);
        if times > 2 {
            return Err(Error::Circles(plain(&call.name)));
        }
        if let Some(words) = self.refusal(&call.name) {
            return Ok(Some((Verdict::Refused, words.into())));
        }
        if call.arguments.is_err() {
            let words = "The arguments are no JSON object; nothing was called.";
            return Ok(Some((Verdict::Refused, words.into())));
        }
        // What failed may be tried once more.
        let repeated = times > 1 && answered;
        Ok(repeated.then(|| {
            let words = "You have called this with the same arguments, and have the result above. Look at something \
                         else, or submit your answer. A third time ends the work.";
            (Verdict::Repeated, words.into())
        }))
    }

    /// How often this call was made, now included, and whether it has been answered.
    fn note(&mut self, call: &ToolCall) -> (u32, bool) {
        let same = (call.name.clone(), call.arguments.clone());
        match self.seen.iter_mut().find(|seen| seen.call == same) {
            Some(seen) => {
                seen.times += 1;
                (seen.times, seen.answered)
            }
            None => {
                self.seen.push(Seen { call: same, times: 1, answered: false });
                (1, false)
            }
        }
    }

    async fn call(&mut self, call: &ToolCall) -> (Verdict, usize, String) {
        let arguments = call.arguments.clone().unwrap_or_default();
        let answer = tokio::time::timeout(PATIENCE, self.toolbox.call(&call.name, arguments)).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(format!("no answer within {} s; ask for less at once", PATIENCE.as_secs()))
        });
        if answer.is_ok()
            && let Some(seen) = self
                .seen
                .iter_mut()
                .find(|seen| seen.call.0 == call.name && seen.call.1 == call.arguments)
        {
            seen.answered = true;
        }
        let (verdict, label, text) = match answer {
            Ok(text) => (Verdict::Answered, format!("result of {}", call.name), text),
            Err(text) => (Verdict::Failed, format!("error of {}", call.name), text),
        };
        let chars = text.chars().count();
        if chars <= self.longest {
            return (verdict, chars, self.fence.wrap(&label, &text));
        }
        let kept: String = text.chars().take(self.longest).collect();
        // Half a line misleads more than none.
        let kept =
            kept.rfind('\n').filter(|at| *at > kept.len() / 2).map_or(&*kept, |at| &kept[..at]);
        let text = format!(
            "{}\nOnly the beginning: {} of {chars} characters are left out. For the rest ask for less: a shorter time, a \
             filter, one component, a smaller limit, or the next page.",
            self.fence.wrap(&label, kept),
            chars - kept.chars().count(),
        );
        (if verdict == Verdict::Answered { Verdict::Cut } else { verdict }, chars, text)
    }
}
