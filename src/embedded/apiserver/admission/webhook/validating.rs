//! Hooks that may refuse what a document has become.

use futures::future::{BoxFuture, join_all};
use serde_json::Value;

use super::super::super::status::ApiError;
use super::super::{Admission, Plugin};
use super::hook::Hook;
use super::{Hooks, ask};

/// Asks all of them at once.
pub(in super::super) struct Validating(Hooks);

impl Default for Validating {
    fn default() -> Self {
        Self(Hooks::new("validatingwebhookconfigurations", Hook::validating))
    }
}

impl Plugin for Validating {
    fn check<'a>(
        &'a self,
        admission: &'a Admission<'a>,
        document: Option<&'a Value>,
        old: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(async move {
            let Some(hooks) = self.0.about(admission) else { return Ok(()) };
            let all = hooks.iter().map(|hook| ask(hook, admission, document, old));
            join_all(all).await.into_iter().try_for_each(|asked| asked.map(drop))
        })
    }
}
