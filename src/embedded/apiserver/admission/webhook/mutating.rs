//! Hooks that may change a document.

use futures::future::BoxFuture;
use serde_json::Value;

use super::super::super::status::ApiError;
use super::super::{Admission, Plugin, Round, amend, seen};
use super::hook::Hook;
use super::{Asked, Hooks, ask};

/// Asks one after the other.
pub(in super::super) struct Mutating(Hooks);

/// Who is to be asked in the second round.
#[derive(Default)]
pub(in super::super) struct Calls {
    /// Those who want to know of changes, and of none yet.
    told: Vec<(String, String)>,
    /// Those who were asked before something was changed.
    again: Vec<(String, String)>,
    /// What the last of them left.
    left: Option<Value>,
}

impl Calls {
    fn changed(&mut self) {
        self.again.append(&mut self.told);
    }
}

impl Default for Mutating {
    fn default() -> Self {
        Self(Hooks::new("mutatingwebhookconfigurations", Hook::mutating))
    }
}

impl Plugin for Mutating {
    fn change<'a>(
        &'a self,
        admission: &'a Admission<'a>,
        round: &'a mut Round,
        document: &'a mut Value,
        old: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(async move {
            let Some(hooks) = self.0.about(admission) else { return Ok(()) };
            if round.again && round.calls.left.as_ref() != Some(document) {
                round.calls.changed();
            }
            for hook in hooks.iter() {
                if round.again && !round.calls.again.contains(&hook.id) {
                    continue;
                }
                let Some(asked) = ask(hook, admission, Some(document), old).await? else {
                    continue;
                };
                if let Some(new) = patched(hook, admission, asked, document)? {
                    *document = new;
                    round.changed = true;
                    round.calls.changed();
                }
                if hook.again {
                    round.calls.told.push(hook.id.clone());
                }
            }
            round.calls.left = Some(document.clone());
            Ok(())
        })
    }

    /// A deletion has no first pass, and nothing to change.
    fn check<'a>(
        &'a self,
        admission: &'a Admission<'a>,
        document: Option<&'a Value>,
        old: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(async move {
            if document.is_some() {
                return Ok(());
            }
            let Some(hooks) = self.0.about(admission) else { return Ok(()) };
            for hook in hooks.iter() {
                if let Some(Asked { patch: Some(_), .. }) = ask(hook, admission, None, old).await? {
                    return Err(ApiError::internal(format!(
                        "admission webhook {:?} attempted to modify the object, which is not supported for this operation",
                        hook.name
                    )));
                }
            }
            Ok(())
        })
    }
}

/// The document as the hook wants it; `None` if that is how it is.
fn patched(
    hook: &Hook,
    admission: &Admission<'_>,
    asked: Asked,
    document: &Value,
) -> Result<Option<Value>, ApiError> {
    let (Some(patch), Some(mut object)) = (asked.patch, asked.object) else { return Ok(None) };
    let failed = |why: String| {
        ApiError::internal(format!("the patch of admission webhook {:?} failed: {why}", hook.name))
    };
    curtain_json::json_patch(&mut object, &patch).map_err(|why| failed(why.to_string()))?;
    let object = seen::taken_back(admission, &asked.wanted, object, document).map_err(failed)?;
    let new = amend::amended(admission, document, object).map_err(failed)?;
    Ok((new != *document).then_some(new))
}
