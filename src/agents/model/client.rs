//! One question to a provider, tried again where that may help.

use std::time::Duration;

use bytes::Bytes;
use curtain_role::Backoff;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::Value;

use super::codec::{self, Ask};
use super::conversation::{Conversation, Finish, Message, Reply};
use super::error::plain;
use super::{Endpoint, Error};

/// How often a question is put.
const TRIES: u32 = 4;
/// The first pause; it doubles.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause that a provider may ask for.
const LONGEST: Duration = Duration::from_secs(60);
/// No answer is longer than this.
const LARGEST: usize = 16 << 20;

/// A try that failed, and whether another may do better.
struct Failed {
    error: Error,
    again: Again,
}

enum Again {
    Never,
    /// After the pause that the provider asks for, or else our own.
    After(Option<Duration>),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed { error, again: Again::Never }
    }
}

/// Sends what [`codec::body`] wrote, and tries again when the provider is busy, broken or out of reach.
pub(super) async fn ask(endpoint: &Endpoint, body: Bytes) -> Result<Reply, Error> {
    let mut pauses = Backoff::starting_at(PAUSE);
    let mut tries = 1;
    loop {
        let Failed { error, again } = match once(endpoint, body.clone(), tries).await {
            Ok(reply) => return Ok(reply),
            Err(failed) => failed,
        };
        let pause = match again {
            Again::After(asked) if tries < TRIES => asked.or_else(|| pauses.next()),
            _ => None,
        };
        let Some(pause) = pause.filter(|pause| *pause <= LONGEST) else { return Err(error) };
        tracing::debug!(%error, tries, ?pause, "the model is asked again");
        tokio::time::sleep(pause).await;
        tries += 1;
    }
}

/// Asks for a word, to learn early whether address, key and model's name are right. Gives what the provider calls the
/// model that answered, where it says so.
///
/// # Errors
/// As of [`reason()`](super::reason()).
pub async fn ping(endpoint: &Endpoint) -> Result<Option<String>, Error> {
    let messages = vec![Message::User("Say: ready".into())];
    let conversation = Conversation { system: "You answer with one word.".into(), messages };
    // Models that reason first need more than the word takes.
    let question = Ask { conversation: &conversation, tools: &[], reply_tokens: 1024 };
    let body = codec::body(endpoint, question).to_string();
    let reply = ask(endpoint, body.into()).await?;
    match reply.finish {
        Finish::Refused(words) => Err(Error::Refused(plain(&words))),
        _ => Ok(reply.model.map(|name| safe(endpoint, &name))),
    }
}

async fn once(endpoint: &Endpoint, body: Bytes, tries: u32) -> Result<Reply, Failed> {
    let exchange = tokio::time::timeout(endpoint.timeout, exchange(endpoint, body));
    // Not again: the provider may still be at it, and is paid for it.
    let (status, headers, body) = exchange.await.map_err(|_| Error::Slow {
        host: endpoint.host().to_owned(),
        seconds: endpoint.timeout.as_secs(),
    })??;
    if status.is_success() {
        let reply = codec::reply(endpoint.kind, &body).map_err(|why| Error::Malformed {
            host: endpoint.host().to_owned(),
            why: safe(endpoint, &why),
        });
        return Ok(reply?);
    }
    Err(judge(endpoint, status, &headers, &body, tries))
}

async fn exchange(
    endpoint: &Endpoint,
    body: Bytes,
) -> Result<(StatusCode, HeaderMap, Bytes), Failed> {
    let passing = |words: String| Failed {
        error: Error::Unreachable(safe(endpoint, &words)),
        again: Again::After(None),
    };
    let mut request = Request::post(endpoint.url.clone())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "curtain-agents")
        .body(Full::new(body))
        .map_err(|error| Error::Unreachable(error.to_string()))?;
    request.headers_mut().extend(codec::headers(endpoint));
    let (head, body) = endpoint.web.request(request).await.map_err(passing)?.into_parts();
    let body = Limited::new(body, LARGEST).collect().await;
    let body = body.map_err(|error| {
        passing(format!("the answer of {} broke off: {error}", endpoint.host()))
    })?;
    Ok((head.status, head.headers, body.to_bytes()))
}

/// What an answer without success means.
fn judge(
    endpoint: &Endpoint,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    tries: u32,
) -> Failed {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let words = said["error"]["message"].as_str().or_else(|| said["error"].as_str());
    let words = match words.or_else(|| said["message"].as_str()) {
        Some(words) => safe(endpoint, words),
        None => safe(endpoint, &String::from_utf8_lossy(body)),
    };
    let (host, code) = (endpoint.host().to_owned(), status.as_u16());
    let paid_up = said["error"]["code"] != "insufficient_quota";
    let may = headers.get("x-should-retry").is_none_or(|value| value != "false");
    let passing = matches!(code, 408 | 409 | 429) || status.is_server_error();
    match code {
        401 | 403 => Error::Key { host, status: code, words }.into(),
        _ if passing && may && paid_up => Failed {
            error: Error::Busy { host, tries, status: code, words },
            again: Again::After(asked_pause(headers)),
        },
        _ => Error::Rejected { host, status: code, words }.into(),
    }
}

/// The pause a provider asks for, in seconds or, with some, in milliseconds. A date is not understood.
fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds =
        number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// What others say, without the key.
fn safe(endpoint: &Endpoint, words: &str) -> String {
    let key = endpoint.key.expose();
    plain(&if key.is_empty() { words.to_owned() } else { words.replace(key, "[secret]") })
}
