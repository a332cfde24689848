//! One request: matched, changed, sent to a backend, and its answer back.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::header::{HOST, LOCATION};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::time::timeout;

use super::filter::change_headers;
use super::pathform::{self, PathForm};
use super::router::{Asked, Entry, Target};
use super::{Shared, cookies, forward};

/// A backend's body, or one of our own.
pub(super) type Body = Either<Incoming, Full<Bytes>>;

/// Bytes per direction of an upgraded connection.
const TUNNEL: usize = 8 * 1024;

/// Counts requests, so that weighted backends take turns.
static TURN: AtomicU32 = AtomicU32::new(0);

/// Answer a request that came to `port` from `peer`.
pub(super) async fn answer(
    shared: &Shared,
    port: u16,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    route(shared, port, peer, request).await.unwrap_or_else(|(status, text)| own(status, text))
}

type Refusal = (StatusCode, &'static str);

async fn route(
    shared: &Shared,
    port: u16,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let router = shared.router();
    let port = router.ports.get(&port).ok_or((StatusCode::NOT_FOUND, "this port is closing\n"))?;
    let authority = authority(&request).ok_or((StatusCode::BAD_REQUEST, "no Host header\n"))?;
    let host = host_of(&authority);
    let path = request.uri().path().to_owned();
    let (host, path, prefix) = match pathform::read(port, &host, &path) {
        None => (host.as_str(), path.as_str(), None),
        Some(PathForm::Inside { host, prefix, path }) => (host, path, Some(prefix)),
        Some(PathForm::Bare(prefix)) => return Ok(with_slash(&prefix, request.uri().query())),
    };
    let asked = Asked {
        host,
        path,
        query: request.uri().query(),
        method: request.method(),
        headers: request.headers(),
    };
    let entry = port.find(&asked).ok_or((StatusCode::NOT_FOUND, "no route for this\n"))?;
    let rule = &entry.rule;
    let value = HeaderValue::from_str(&authority);
    let authority_value = value.map_err(|_| (StatusCode::BAD_REQUEST, "a broken Host header\n"))?;

    if let Some(redirect) = &rule.filters.redirect {
        let location = redirect.location(&authority, path, asked.query, &entry.path);
        let mut response = own(redirect.status, "");
        let location = HeaderValue::from_str(&location);
        response.headers_mut().insert(LOCATION, location.map_err(|_| BAD_REWRITE)?);
        change_headers(&rule.filters.response, response.headers_mut());
        return Ok(response);
    }
    let backend = rule.backend(TURN.fetch_add(1, Ordering::Relaxed));
    let target = backend.and_then(|backend| backend.target.as_ref());
    let target = target.ok_or((StatusCode::INTERNAL_SERVER_ERROR, "the route has no backend\n"))?;
    let uri = target_uri(entry, target, path, asked.query)?;
    let caller = Caller { peer, host: authority_value, prefix };
    forward_to(shared, entry, target, uri, caller, request).await
}

const BAD_REWRITE: Refusal =
    (StatusCode::INTERNAL_SERVER_ERROR, "the route rewrites to something that is no URI\n");

/// Who asks, and by which name.
struct Caller {
    peer: IpAddr,
    host: HeaderValue,
    prefix: Option<String>,
}

async fn forward_to(
    shared: &Shared,
    entry: &Entry,
    target: &Target,
    uri: Uri,
    caller: Caller,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let filters = &entry.rule.filters;
    let protocol = forward::upgrade(request.headers());
    let client: Option<OnUpgrade> = protocol.is_some().then(|| hyper::upgrade::on(&mut request));
    *request.uri_mut() = uri;
    *request.version_mut() = if target.h2c { Version::HTTP_2 } else { Version::HTTP_11 };
    let headers = request.headers_mut();
    forward::end_to_end(headers);
    forward::tell(headers, caller.peer, &caller.host, caller.prefix.as_deref());
    if shared.strip_cookies {
        cookies::strip_request(headers);
    }
    change_headers(&filters.request, headers);
    if let Some(host) = &filters.rewrite_host {
        headers.insert(HOST, host.clone());
    }
    if target.h2c {
        headers.remove(HOST);
    } else if let Some(protocol) = protocol {
        forward::set_upgrade(headers, protocol);
    }

    let sent = shared.upstream.send(target.h2c, request);
    let sent = match entry.rule.timeout {
        Some(limit) => timeout(limit, sent)
            .await
            .map_err(|_| (StatusCode::GATEWAY_TIMEOUT, "the backend did not answer in time\n"))?,
        None => sent.await,
    };
    let mut response = sent.map_err(|error| {
        tracing::debug!(backend = target.host, port = target.port, %error, "a backend failed");
        (StatusCode::SERVICE_UNAVAILABLE, "no backend is ready\n")
    })?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        if let Some(client) = client {
            let protocol = forward::upgrade(response.headers());
            let backend = hyper::upgrade::on(&mut response);
            tokio::spawn(join(client, backend));
            forward::end_to_end(response.headers_mut());
            if let Some(protocol) = protocol {
                forward::set_upgrade(response.headers_mut(), protocol);
            }
        }
    } else {
        forward::end_to_end(response.headers_mut());
    }
    *response.version_mut() = Version::default();
    if shared.strip_cookies {
        cookies::strip_response(response.headers_mut());
    }
    if let Some(prefix) = &caller.prefix {
        keep_prefix(&mut response, prefix);
    }
    change_headers(&filters.response, response.headers_mut());
    Ok(response.map(Either::Left))
}

/// Let both sides of a changed protocol talk until one ends.
async fn join(client: OnUpgrade, backend: OnUpgrade) {
    let (Ok(client), Ok(backend)) = tokio::join!(client, backend) else { return };
    let (mut client, mut backend) = (TokioIo::new(client), TokioIo::new(backend));
    let copied = copy_bidirectional_with_sizes(&mut client, &mut backend, TUNNEL, TUNNEL).await;
    if let Err(error) = copied {
        tracing::debug!(%error, "an upgraded connection broke");
    }
}

fn target_uri(
    entry: &Entry,
    target: &Target,
    path: &str,
    query: Option<&str>,
) -> Result<Uri, Refusal> {
    let path = match &entry.rule.filters.rewrite_path {
        Some(change) => change.apply(path, &entry.path),
        None => path.to_owned(),
    };
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let path: Result<PathAndQuery, _> = format!("{path}{query}").parse();
    let authority: Result<Authority, _> = format!("{}:{}", target.host, target.port).parse();
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority.map_err(|_| BAD_REWRITE)?);
    parts.path_and_query = Some(path.map_err(|_| BAD_REWRITE)?);
    Uri::from_parts(parts).map_err(|_| BAD_REWRITE)
}

/// The host and port a client wrote: HTTP/2 has it in the URI.
fn authority(request: &Request<Incoming>) -> Option<String> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str().to_owned());
    }
    let host = request.headers().get(HOST)?.to_str().ok()?;
    Some(host.to_owned())
}

/// Lower case, without port and final dot.
fn host_of(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// Send a browser to the prefix with a slash, so that relative links work.
fn with_slash(prefix: &str, query: Option<&str>) -> Response<Body> {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let mut response = own(StatusCode::PERMANENT_REDIRECT, "");
    if let Ok(location) = HeaderValue::from_str(&format!("{prefix}/{query}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// Keep a backend's redirects below the prefix that the client used.
fn keep_prefix(response: &mut Response<Incoming>, prefix: &str) {
    let Some(location) = response.headers().get(LOCATION).and_then(|value| value.to_str().ok())
    else {
        return;
    };
    let is_path = location.starts_with('/') && !location.starts_with("//");
    if let (true, Ok(value)) = (is_path, HeaderValue::from_str(&format!("{prefix}{location}"))) {
        response.headers_mut().insert(LOCATION, value);
    }
}

fn own(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Either::Right(Full::from(text)));
    *response.status_mut() = status;
    response
}
