//! Saying who one is, in the ways that a host names when it lets nobody in: a password, or a token that is had for one.
//!
//! Invariant: credentials are those of the host that is asked; they go to it, and to where it has tokens made, as the
//! protocol has it.

use std::sync::PoisonError;

use curtain_role::Secret;
use http::header::WWW_AUTHENTICATE;
use http::{Response, StatusCode, Uri};
use hyper::body::Incoming;
use serde::Deserialize;

use super::challenge::Challenge;
use super::credential::Credential;
use super::error::PullError;
use super::session::{Ask, Session};

const LARGEST_TOKEN: u64 = 1 << 20;

impl Session<'_> {
    /// Tries the ways that the host has named, with each of the credentials, until one is accepted.
    pub(super) async fn introduce(
        &self,
        uri: &Uri,
        answer: Response<Incoming>,
        ask: &Ask<'_>,
    ) -> Result<Response<Incoming>, PullError> {
        let values = answer.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenges = Challenge::parse(values.filter_map(|value| value.to_str().ok()));
        let mut last = answer;
        let known = self.credentials.iter().map(|one| Some(*one));
        // Without credentials a token may be had all the same.
        for credential in known.chain(self.credentials.is_empty().then_some(None)) {
            for challenge in &challenges {
                let authorization = match (challenge, credential) {
                    (Challenge::Basic, Some(one)) => Secret::new(one.basic()),
                    (Challenge::Basic, None) => continue,
                    (Challenge::Bearer { realm, service, scope }, who) => {
                        match self.token(realm, service.as_deref(), scope.as_deref(), who).await? {
                            Some(token) => token,
                            None => continue,
                        }
                    }
                };
                last = self.once(uri, Some(&authorization), Some(ask)).await?;
                if last.status() != StatusCode::UNAUTHORIZED {
                    *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(authorization);
                    return Ok(last);
                }
            }
        }
        Ok(last)
    }

    /// Has a token made; `None` where that is refused.
    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
        who: Option<&Credential>,
    ) -> Result<Option<Secret>, PullError> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
        }
        let own = format!("repository:{}:pull", self.repository);
        let joint = if realm.contains('?') { '&' } else { '?' };
        let uri =
            self.allowed(&format!("{realm}{joint}{}", query(service, scope.unwrap_or(&own))))?;
        let who = who.map(|one| Secret::new(one.basic()));
        let answer = self.once(&uri, who.as_ref(), None).await?;
        let from = uri.host().unwrap_or_default().to_owned();
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
                return Ok(None);
            }
            status => {
                return Err(self.answer(format!("has tokens made at {from}, which says {status}")));
            }
        }
        let bytes = self.read(answer.into_body(), LARGEST_TOKEN).await?;
        let unclear = || self.answer(format!("has tokens made at {from}, which sent none"));
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|_| unclear())?;
        let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
        Ok(Some(Secret::new(format!("Bearer {}", token.ok_or_else(unclear)?))))
    }
}

/// What a token is for, as a query. Not in [`Session::token`]: the serializer cannot go to another thread.
fn query(service: Option<&str>, scope: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(service) = service {
        query.append_pair("service", service);
    }
    query.append_pair("scope", scope);
    query.finish()
}
