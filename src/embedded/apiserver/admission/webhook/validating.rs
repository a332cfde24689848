//! Hooks that may refuse what a document has become.

use futures::future::{BoxFuture, join_all};
use serde_json::Value;

use super::super::super::status::ApiError;
use super::super::derived::Derived;
use super::super::{Admission, Plugin};
use super::hook::Hook;
use super::{ask, is_exempt};

/// Asks all of them at once.
pub(in super::super) struct Validating(Derived<Hook>);

impl Default for Validating {
    fn default() -> Self {
        let table = "admissionregistration.k8s.io/validatingwebhookconfigurations";
        Self(Derived::new(table, Hook::validating))
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
            let hooks = self.0.get(&admission.api.store);
            if hooks.is_empty() || is_exempt(admission) {
                return Ok(());
            }
            let all = hooks.iter().map(|hook| ask(hook, admission, document, old));
            join_all(all).await.into_iter().try_for_each(|asked| asked.map(drop))
        })
    }
}
