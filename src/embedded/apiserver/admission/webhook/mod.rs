//! Webhooks: others who are asked about writes, over HTTPS.
//!
//! A configuration is read once for each state of its table ([`hooks`], [`hook`]). A hook whose rules, selectors and conditions
//! match is sent an `AdmissionReview` ([`review`], [`client`]) wherever it is ([`target`]). First those that may change
//! the document, one after the other by the names of their configurations; after a change all plugins are asked
//! again, and those of the hooks that want it. Then, once it is valid, those that may only refuse it, all at once.
//!
//! Invariants:
//! - What a hook changes is in shape, and keeps its identity and what the write may not change.
//! - Nobody is asked about `admissionregistration.k8s.io`, and about what the server writes itself: the way back from a
//!   hook that does not answer is always open, and the server starts whatever there is.
//! - A call has a bound in time and in size; what becomes of the write when it fails is for the hook to say.

mod client;
mod hook;
mod hooks;
mod mutating;
mod review;
mod target;
mod validating;

use serde_json::Value;

use super::super::kinds::Resource;
use super::super::status::ApiError;
use super::Admission;
use super::seen::Seen;
use hook::Hook;
use hooks::Hooks;
use review::Answer;

pub(super) use mutating::{Calls, Mutating};
pub(super) use validating::Validating;

/// More characters than this are not told of a failed call.
const LONGEST: usize = 1000;

/// Why a call failed, without what does not belong in messages and logs: it may be in the words of who answered.
fn brief(why: &str) -> String {
    why.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

/// What a hook that was asked said, and in which version of the resource.
struct Asked {
    wanted: std::sync::Arc<Resource>,
    object: Option<Value>,
    patch: Option<Value>,
}

/// Asks a hook, if the write is its business. One that fails, and says that this does not matter, has said nothing.
async fn ask(
    hook: &Hook,
    admission: &Admission<'_>,
    document: Option<&Value>,
    old: Option<&Value>,
) -> Result<Option<Asked>, ApiError> {
    let Some(wanted) = hook.interest.finds(admission, document, old)? else { return Ok(None) };
    let seen = Seen::new(admission, &wanted, document, old);
    match hook.conditions.hold_for(admission, &seen) {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(why) if hook.fails => {
            let qualified = admission.resource.qualified();
            return Err(ApiError::forbidden(qualified, admission.name, &why));
        }
        Err(why) => {
            tracing::warn!(hook = hook.name, %why, "the conditions of a webhook failed: it is left out");
            return Ok(None);
        }
    }
    let called = async {
        let (uid, body) = review::request(hook, &seen);
        let answer = client::call(admission.api, hook, body).await?;
        review::answer(hook, &uid, &answer)
    };
    let limit = hook.timeout;
    let called = match tokio::time::timeout(limit, called).await {
        Ok(called) => called,
        Err(_) => {
            Err(format!("failed to call webhook: Post {:?}: context deadline exceeded", hook.url()))
        }
    };
    match called.map_err(|why| brief(&why)) {
        Ok(Answer { warnings, verdict }) => {
            warnings.iter().for_each(|warning| admission.warnings.add(warning));
            let patch = verdict?;
            Ok(Some(Asked { wanted, object: seen.object, patch }))
        }
        Err(why) if hook.fails => {
            let name = &hook.name;
            Err(ApiError::internal(format!("failed calling webhook {name:?}: {why}")))
        }
        Err(why) => {
            tracing::warn!(hook = hook.name, %why, "a webhook failed: it is left out");
            Ok(Some(Asked { wanted, object: None, patch: None }))
        }
    }
}
