//! A toolbox that keeps what it was asked.

use std::sync::Mutex;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::model::{ToolSpec, Toolbox};

type Answer = Box<dyn Fn(&str, &Value) -> Option<Result<String, String>> + Send + Sync>;

/// Answers with a function; `None` means never.
pub(super) struct Tools {
    answer: Answer,
    called: Mutex<Vec<(String, Value)>>,
}

impl Tools {
    pub(super) fn answering(
        answer: impl Fn(&str, &Value) -> Option<Result<String, String>> + Send + Sync + 'static,
    ) -> Tools {
        Tools { answer: Box::new(answer), called: Mutex::default() }
    }

    /// Every call is answered with `text`.
    pub(super) fn saying(text: impl Into<String>) -> Tools {
        let text = text.into();
        Tools::answering(move |_, _| Some(Ok(text.clone())))
    }

    pub(super) fn called(&self) -> Vec<(String, Value)> {
        self.called.lock().unwrap().clone()
    }
}

impl Toolbox for Tools {
    fn specs(&self) -> Vec<ToolSpec> {
        let named = |(name, read_only): (&str, bool)| ToolSpec {
            name: name.into(),
            description: format!("Does {name}."),
            input_schema: json!({"type": "object"}),
            read_only,
        };
        let tools = [
            ("query_logs", true),
            ("query_traces", true),
            ("query_costs", true),
            ("delete_component", false),
        ];
        tools.into_iter().map(named).collect()
    }

    fn call<'a>(
        &'a self,
        name: &'a str,
        arguments: Value,
    ) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async move {
            let answer = (self.answer)(name, &arguments);
            self.called.lock().unwrap().push((name.to_owned(), arguments));
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }
}
