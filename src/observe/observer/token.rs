//! Callers' tokens, kept for as long as their request runs.
//!
//! A tool call reaches its toolbox with the caller but without the request's headers, and the control plane
//! wants the caller's own token. So the layer here notes the token of a caller while a request of theirs is
//! being answered, and forgets it with the last one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use curtain_control::identity::Caller;
use http::{HeaderMap, header};

/// Tokens by caller, with the number of requests that need them.
#[derive(Clone, Default)]
pub(super) struct Tokens(Arc<Mutex<HashMap<Name, (String, usize)>>>);

/// Subject and expiry tell one token from the next of the same caller.
type Name = (String, u64);

fn name(caller: &Caller) -> Name {
    (caller.subject.clone(), caller.expires)
}

/// The token of a request that was let through.
pub(super) fn bearer_of(headers: &HeaderMap) -> &str {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.trim().split_once(' ')).map_or("", |(_, token)| token.trim())
}

/// Forgets the token when the request is done, or was given up.
struct Held(Tokens, Name);

impl Drop for Held {
    fn drop(&mut self) {
        let mut tokens = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, requests)) = tokens.get_mut(&self.1) {
            *requests -= 1;
            if *requests == 0 {
                tokens.remove(&self.1);
            }
        }
    }
}

impl Tokens {
    /// The token of a caller with a request under way.
    pub(super) fn of(&self, caller: &Caller) -> Option<String> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(&name(caller)).map(|(token, _)| token.clone())
    }

    fn hold(&self, caller: &Caller, token: &str) -> Held {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, requests) = tokens.entry(name(caller)).or_insert_with(|| (token.to_owned(), 0));
        *requests += 1;
        drop(tokens);
        Held(self.clone(), name(caller))
    }
}

/// The layer. It checks the token itself, since it stands outside of the layer that refuses.
pub(super) async fn note(
    State((tokens, validator)): State<(Tokens, Arc<curtain_control::identity::Validator>)>,
    request: Request,
    next: Next,
) -> Response {
    let token = bearer_of(request.headers()).to_owned();
    let held = match validator.validate(&token).await {
        Ok(caller) => Some(tokens.hold(&caller, &token)),
        // The layer inside answers 401 with the reason.
        Err(_) => None,
    };
    let response = next.run(request).await;
    drop(held);
    response
}

#[cfg(test)]
mod tests {
    use curtain_control::identity::SubjectKind;

    use super::*;

    #[test]
    fn a_token_is_known_only_while_a_request_runs() {
        let caller = Caller {
            subject: "dev".into(),
            kind: SubjectKind::User,
            groups: Vec::new(),
            display_name: String::new(),
            expires: 1,
        };
        let tokens = Tokens::default();
        let (first, second) = (tokens.hold(&caller, "t"), tokens.hold(&caller, "t"));
        drop(first);
        assert_eq!(tokens.of(&caller).as_deref(), Some("t"));
        drop(second);
        assert_eq!(tokens.of(&caller), None);
    }
}
