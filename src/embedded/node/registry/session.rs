//! Talking to one host about one repository: TLS or not, who asks, redirects, limits.
//!
//! Invariants: credentials and tokens go to the host itself and to the place it names for tokens, never along with a
//! redirect to another host; nothing that must be private goes without TLS unless the host may be spoken to so; what
//! comes is bounded in size, every wait in time, and what comes too slowly is given up.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use curtain_role::{Secret, Web};
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, RANGE, USER_AGENT};
use http::uri::Authority;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

use super::credential::{Credential, Keyring};
use super::error::PullError;
use super::pace::Pace;
use crate::Registries;

/// How long a host may take to begin an answer, and between two pieces of it.
const PATIENCE: Duration = Duration::from_secs(30);
const MOST_REDIRECTS: usize = 5;
const AGENT: &str = concat!("curtain/", env!("CARGO_PKG_VERSION"));

/// What is asked.
pub(super) struct Ask<'a> {
    /// Below `/v2/<repository>/`.
    pub(super) path: &'a str,
    /// Media types that are understood.
    pub(super) accept: Option<&'static str>,
    /// Bytes that are there already.
    pub(super) from: u64,
}

/// A host, a repository and who asks.
pub(super) struct Session<'a> {
    web: &'a Web,
    pub(super) registries: &'a Registries,
    /// As in images' names.
    pub(super) host: String,
    pub(super) scheme: &'static str,
    pub(super) repository: String,
    pub(super) credentials: Vec<&'a Credential>,
    /// The `Authorization` that was accepted last.
    pub(super) authorization: Mutex<Option<Secret>>,
}

impl<'a> Session<'a> {
    /// Finds out how the host is spoken to.
    pub(super) async fn open(
        web: &'a Web,
        registries: &'a Registries,
        keyring: &'a Keyring,
        host: &str,
        repository: &str,
    ) -> Result<Self, PullError> {
        let mut session = Self {
            web,
            registries,
            host: host.to_owned(),
            scheme: "https",
            repository: repository.to_owned(),
            credentials: keyring.of(host, repository),
            authorization: Mutex::default(),
        };
        if registries.is_plain(host) {
            // With TLS if it has that: only a host that does not answer so is spoken to without.
            let secure = session.uri("")?;
            if session.once(&secure, None, None).await.is_err() {
                session.scheme = "http";
            }
        }
        Ok(session)
    }

    /// Asks for something, as whoever the host lets in, wherever it sends us.
    pub(super) async fn get(&self, ask: &Ask<'_>) -> Result<Response<Incoming>, PullError> {
        let first = self.uri(&format!("{}/{}", self.repository, ask.path))?;
        let mut answer = self.once(&first, self.known().as_ref(), Some(ask)).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            answer = self.introduce(&first, answer, ask).await?;
        }
        let mut uri = first.clone();
        for _ in 0..=MOST_REDIRECTS {
            if !answer.status().is_redirection() {
                let status = answer.status();
                // Who asks for a part has to know that there is none.
                return match status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE {
                    true => Ok(answer),
                    false => Err(self.refusal(answer, ask).await),
                };
            }
            uri = self.next(&uri, answer.headers())?;
            let same = uri.authority() == first.authority() && uri.scheme() == first.scheme();
            let who = self.known().filter(|_| same);
            answer = self.once(&uri, who.as_ref(), Some(ask)).await?;
        }
        Err(self.answer(format!("redirects more than {MOST_REDIRECTS} times")))
    }

    fn known(&self) -> Option<Secret> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One request, and the beginning of its answer.
    pub(super) async fn once(
        &self,
        uri: &Uri,
        who: Option<&Secret>,
        ask: Option<&Ask<'_>>,
    ) -> Result<Response<Incoming>, PullError> {
        let host = uri.authority().map(Authority::as_str).unwrap_or_default();
        if !self.registries.may_ask(host) {
            return Err(PullError::Offline { host: host.to_owned() });
        }
        let mut request = Request::new(Full::<Bytes>::default());
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(ask) = ask {
            if let Some(accept) = ask.accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            if ask.from > 0 {
                let range = format!("bytes={}-", ask.from);
                let range =
                    HeaderValue::try_from(range).map_err(|_| self.answer("is not understood"))?;
                headers.insert(RANGE, range);
            }
        }
        if let Some(who) = who {
            let mut value = HeaderValue::try_from(who.expose())
                .map_err(|_| self.answer("gave a token that is none"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        match tokio::time::timeout(PATIENCE, self.web.request(request)).await {
            Ok(answer) => answer.map_err(|why| PullError::Unreachable { why }),
            Err(_) => Err(PullError::Unreachable {
                why: format!(
                    "{} did not answer within {} s",
                    uri.host().unwrap_or_default(),
                    PATIENCE.as_secs()
                ),
            }),
        }
    }

    /// The next piece of a body; `None` at its end.
    pub(super) async fn piece(
        &self,
        body: &mut Incoming,
        pace: &mut Pace,
    ) -> Result<Option<Bytes>, PullError> {
        loop {
            let stopped = |why: String| PullError::Unreachable {
                why: format!("{} stopped in the middle of an answer: {why}", self.host),
            };
            let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
            let frame =
                frame.map_err(|_| stopped(format!("nothing came for {} s", PATIENCE.as_secs())))?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    let data = frame.into_data().ok();
                    let length = data.as_ref().map_or(0, Bytes::len);
                    pace.came(length, Instant::now()).map_err(stopped)?;
                    if data.is_some() {
                        return Ok(data);
                    }
                }
                Some(Err(error)) => return Err(stopped(error.to_string())),
            }
        }
    }

    /// A whole body of at most `most` bytes.
    pub(super) async fn read(&self, mut body: Incoming, most: u64) -> Result<Vec<u8>, PullError> {
        let (mut bytes, mut pace) = (Vec::new(), Pace::new(Instant::now()));
        while let Some(piece) = self.piece(&mut body, &mut pace).await? {
            if (bytes.len() + piece.len()) as u64 > most {
                return Err(self.answer(format!("sent a document of more than {most} bytes")));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// The image or part of it that a path is about.
    pub(super) fn name(&self, path: &str) -> String {
        let version = path.rsplit_once('/').map_or(path, |(_, version)| version);
        let joint = if version.contains(':') { '@' } else { ':' };
        format!("{}{joint}{version}", self.repository)
    }

    /// An answer that cannot be used.
    pub(super) fn answer(&self, why: impl Into<String>) -> PullError {
        PullError::Answer { host: self.host.clone(), why: why.into() }
    }

    fn uri(&self, path: &str) -> Result<Uri, PullError> {
        let authority = match self.host.as_str() {
            "docker.io" => "registry-1.docker.io",
            host => host,
        };
        let text = format!("{}://{authority}/v2/{path}", self.scheme);
        text.parse().map_err(|_| self.answer("is no host that can be asked"))
    }
}
