//! Who is signed in: session ids in cookies, tokens in memory.
//!
//! A restart of the portal signs everybody out; tokens live an hour anyway.

use crate::answers::Answers;
use crate::error::PageError;
use crate::server::Portal;
use crate::token::Token;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, header};
use rand::Rng as _;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Sessions kept; the oldest go first.
const MOST_SESSIONS: usize = 1_000;

/// One signed-in person.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) token: Token,
    /// What the person is called.
    pub(crate) name: String,
    /// Proves that a form came from one of our pages.
    pub(crate) form_key: String,
    pub(crate) answers: Answers,
    expires: Instant,
}

/// Sessions by the hash of their id.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<[u8; 32], Arc<Session>>>);

impl Sessions {
    /// Opens a session and returns its id, which is the cookie's value.
    pub(crate) fn open(&self, token: Token, lives: Duration) -> String {
        let claims = token.claims().unwrap_or_default();
        let claim = |name: &str| claims[name].as_str().filter(|text| !text.is_empty());
        let name = claim("name").or(claim("sub")).unwrap_or("signed in").to_owned();
        let id = random();
        let expires = Instant::now() + lives;
        let (form_key, answers) = (random(), Answers::default());
        let session = Arc::new(Session { token, name, form_key, answers, expires });
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        sessions.retain(|_, session| session.expires > now);
        if sessions.len() >= MOST_SESSIONS
            && let Some(oldest) =
                sessions.iter().min_by_key(|(_, session)| session.expires).map(|(id, _)| *id)
        {
            sessions.remove(&oldest);
        }
        sessions.insert(hash(&id), session);
        id
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Session>> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&hash(id)).filter(|session| session.expires > Instant::now()).cloned()
    }

    pub(crate) fn close(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(id));
    }
}

/// Whether two secrets are the same; takes as long whichever of their characters differ.
pub(crate) fn same(one: &str, other: &str) -> bool {
    hash(one) == hash(other)
}

fn hash(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

/// 256 random bits in hexadecimal digits.
fn random() -> String {
    let mut bytes = [0u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The session cookie of an instance. Instances share the host name `localhost`, and cookies do
/// not know ports, so its name tells them apart.
#[derive(Debug, Clone)]
pub(crate) struct Cookie(String);

impl Cookie {
    pub(crate) fn new(instance: &str) -> Cookie {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        Cookie(format!("curtain_{}_session", instance.chars().map(plain).collect::<String>()))
    }

    /// The session id of a request.
    pub(crate) fn read<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == self.0)
            .map(|(_, value)| value)
    }

    /// The header that stores a session id.
    pub(crate) fn set(&self, id: &str, lives: Duration) -> String {
        let seconds = lives.as_secs();
        format!("{}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}", self.0)
    }

    /// The header that forgets it.
    pub(crate) fn clear(&self) -> String {
        format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0", self.0)
    }
}

/// The signed-in person of a request; anybody else is sent to the sign-in page.
pub(crate) struct SignedIn(pub(crate) Arc<Session>);

impl FromRequestParts<Arc<Portal>> for SignedIn {
    type Rejection = PageError;

    async fn from_request_parts(
        parts: &mut Parts,
        portal: &Arc<Portal>,
    ) -> Result<Self, PageError> {
        portal
            .cookie
            .read(&parts.headers)
            .and_then(|id| portal.sessions.find(id))
            .map(SignedIn)
            .ok_or_else(|| {
                // An event source would follow a redirect, and give up at a page that is no stream.
                let accepted =
                    parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
                match accepted {
                    Some("text/event-stream") => PageError::StreamEnded,
                    _ => PageError::SignIn(parts.uri.to_string()),
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::{Cookie, Sessions};
    use crate::token::Token;
    use http::{HeaderMap, HeaderValue, header};
    use std::time::Duration;

    #[test]
    fn sessions_end() {
        let sessions = Sessions::default();
        let token = || Token::new("a.eyJuYW1lIjoiQW5uIn0.c".to_owned());
        let id = sessions.open(token(), Duration::from_secs(60));
        let session = sessions.find(&id).unwrap();
        assert_eq!(session.name, "Ann");
        assert!(!format!("{session:?}").contains("eyJ"));
        assert!(sessions.find("other").is_none());
        sessions.close(&id);
        assert!(sessions.find(&id).is_none());
        let ended = sessions.open(token(), Duration::ZERO);
        assert!(sessions.find(&ended).is_none());
    }

    #[test]
    fn cookies_of_instances_do_not_meet() {
        let (one, two) = (Cookie::new("one"), Cookie::new("t/w;o"));
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_static("a=b; curtain_one_session=1; curtain_t_w_o_session=2");
        headers.insert(header::COOKIE, value);
        assert_eq!((one.read(&headers), two.read(&headers)), (Some("1"), Some("2")));
        assert!(one.set("x", Duration::from_secs(9)).contains("HttpOnly; SameSite=Strict"));
    }
}
