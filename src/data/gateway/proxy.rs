//! One request: matched, changed, sent to a backend, and its answer back.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use bytes::Bytes;
use curtain_role::Instance;
use http::header::{CONTENT_TYPE, HOST, LOCATION, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::time::timeout;

use super::cors::Cors;
use super::filter::change_headers;
use super::pathform::{self, PathForm};
use super::router::{Asked, Entry, Port, Target};
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

type Refusal = (StatusCode, Cow<'static, str>);

fn refusal(status: StatusCode, text: &'static str) -> Refusal {
    (status, text.into())
}

async fn route(
    shared: &Shared,
    port: u16,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let router = shared.router();
    let closing = || refusal(StatusCode::NOT_FOUND, "this port is closing\n");
    let port = router.ports.get(&port).ok_or_else(closing)?;
    let broken = || refusal(StatusCode::BAD_REQUEST, "a request needs one Host header\n");
    let authority = authority(&request).ok_or_else(broken)?;
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
    let entry = port.find(&asked).ok_or_else(|| not_found(port, &asked, &shared.instance))?;
    let rule = &entry.rule;
    let authority_value = HeaderValue::from_str(&authority).map_err(|_| broken())?;

    let preflight = |cors: &Cors| cors.preflight(request.method(), request.headers());
    if let Some(headers) = rule.filters.cors.as_ref().and_then(preflight) {
        let mut response = own(StatusCode::NO_CONTENT, "");
        *response.headers_mut() = headers;
        return Ok(response);
    }
    if let Some(redirect) = &rule.filters.redirect {
        let asked = (authority.as_str(), prefix.as_deref().unwrap_or_default(), path, asked.query);
        let location = redirect.location(asked, &entry.path);
        let mut response = own(redirect.status, "");
        let location = HeaderValue::from_str(&location);
        response.headers_mut().insert(LOCATION, location.map_err(|_| bad_rewrite())?);
        change_headers(&rule.filters.response, response.headers_mut());
        return Ok(response);
    }
    let backend = rule.backend(TURN.fetch_add(1, Ordering::Relaxed));
    let target = backend.and_then(|backend| backend.target.as_ref());
    let no_backend = || {
        let text = "the route has no backend that exists; its ResolvedRefs condition says why\n";
        refusal(StatusCode::INTERNAL_SERVER_ERROR, text)
    };
    let target = target.ok_or_else(no_backend)?;
    let uri = target_uri(entry, target, path, asked.query)?;
    let caller = Caller { peer, host: authority_value, prefix };
    let (method, started) = (request.method().clone(), Instant::now());
    let answered = forward_to(shared, entry, target, uri, caller, request).await;
    let status = answered.as_ref().map_or_else(|(status, _)| *status, Response::status);
    shared.counts.add((target, &entry.path, &method), status, started.elapsed());
    answered
}

/// Tells an unknown host, however it was named, from a known one whose routes do not fit.
fn not_found(port: &Port, asked: &Asked<'_>, instance: &Instance) -> Refusal {
    let host = asked.host;
    let label = asked.path.strip_prefix("/@").and_then(|rest| rest.split('/').next());
    let text = match label {
        _ if port.serves(host) => {
            format!("no route of the host `{host}` fits this path, method and headers\n")
        }
        Some(label) => format!("no route has a host `{label}.…`; {}\n", lists_hosts(instance)),
        None => format!("no route has the host `{host}`; {}\n", lists_hosts(instance)),
    };
    (StatusCode::NOT_FOUND, text.into())
}

/// Where to look for a host that exists.
fn lists_hosts(instance: &Instance) -> String {
    let kubeconfig = instance.command("kubeconfig");
    format!("`kubectl --kubeconfig \"$({kubeconfig})\" get httproutes -A` lists the hosts")
}

/// Nobody accepts connections: which of the two it is cannot be told from here.
fn unreachable(port: u16) -> Refusal {
    let text = format!(
        "no backend accepts connections at port {port}: none is ready, or its program listens elsewhere\n"
    );
    (StatusCode::SERVICE_UNAVAILABLE, text.into())
}

fn bad_rewrite() -> Refusal {
    let text = "the route rewrites to something that is no URI\n";
    refusal(StatusCode::INTERNAL_SERVER_ERROR, text)
}

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
    let origin = request.headers().get(ORIGIN).cloned();
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
        Some(limit) => {
            let late =
                |_| refusal(StatusCode::GATEWAY_TIMEOUT, "the backend did not answer in time\n");
            timeout(limit, sent).await.map_err(late)?
        }
        None => sent.await,
    };
    let mut response = sent.map_err(|error| {
        tracing::debug!(backend = target.host, port = target.port, %error, "a backend failed");
        match error.is_connect() {
            true => unreachable(target.port),
            false => refusal(StatusCode::BAD_GATEWAY, "the backend broke off before it answered\n"),
        }
    })?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let unasked = "the backend changed to a protocol that nobody asked for\n";
        let client = client.ok_or_else(|| refusal(StatusCode::BAD_GATEWAY, unasked))?;
        let protocol = forward::upgrade(response.headers());
        let backend = hyper::upgrade::on(&mut response);
        tokio::spawn(join(client, backend));
        forward::end_to_end(response.headers_mut());
        if let Some(protocol) = protocol {
            forward::set_upgrade(response.headers_mut(), protocol);
        }
    } else {
        forward::end_to_end(response.headers_mut());
    }
    *response.version_mut() = Version::default();
    if shared.strip_cookies {
        cookies::strip_response(response.headers_mut());
    }
    if let Some(prefix) = &caller.prefix {
        keep_prefix(&mut response, &caller.host, prefix);
    }
    if let Some(cors) = &filters.cors {
        cors.tell(origin.as_ref(), response.headers_mut());
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
    parts.authority = Some(authority.map_err(|_| bad_rewrite())?);
    parts.path_and_query = Some(path.map_err(|_| bad_rewrite())?);
    Uri::from_parts(parts).map_err(|_| bad_rewrite())
}

/// The host and port a client wrote: HTTP/2 has it in the URI. `None` without one, with several,
/// or with one that is none.
fn authority(request: &Request<Incoming>) -> Option<String> {
    let mut headers = request.headers().get_all(HOST).iter();
    let header = headers.next();
    if headers.next().is_some() {
        return None;
    }
    let authority = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => header?.to_str().ok()?,
    };
    // Credentials are no part of a host, and would pass for one in logs and redirects.
    (!authority.contains('@')).then(|| authority.to_owned())
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
fn keep_prefix(response: &mut Response<Incoming>, host: &HeaderValue, prefix: &str) {
    let Some(Ok(location)) = response.headers().get(LOCATION).map(HeaderValue::to_str) else {
        return;
    };
    let moved = below(location, host.to_str().unwrap_or_default(), prefix);
    if let Some(value) = moved.and_then(|moved| HeaderValue::from_str(&moved).ok()) {
        response.headers_mut().insert(LOCATION, value);
    }
}

/// `location` below `prefix`, if it is a path or names the host that the backend was asked for. `None` for what leads
/// elsewhere, and for what a backend that heeds `X-Forwarded-Prefix` put there itself.
fn below(location: &str, host: &str, prefix: &str) -> Option<String> {
    let origin = format!("http://{host}");
    let (origin, path) = match location.strip_prefix(&origin) {
        Some(path) => (origin.as_str(), path),
        None => ("", location),
    };
    let is_path = path.starts_with('/') && !path.starts_with("//");
    let is_there = path
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
    (is_path && !is_there).then(|| format!("{origin}{prefix}{path}"))
}

/// An answer of the gateway's own. It may repeat what the client wrote, so no browser may take it
/// for a page.
fn own(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Response<Body> {
    let text = match text.into() {
        Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
        Cow::Owned(text) => Bytes::from(text),
    };
    let mut response = Response::new(Either::Right(Full::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn redirects_stay_below_the_prefix_and_get_it_once() {
        let moved = |location| below(location, "localhost:19080", "/@dev");
        assert_eq!(moved("/x?y").as_deref(), Some("/@dev/x?y"));
        assert_eq!(moved("/@development").as_deref(), Some("/@dev/@development"));
        assert_eq!(
            moved("http://localhost:19080/x").as_deref(),
            Some("http://localhost:19080/@dev/x")
        );
        for elsewhere in ["x", "//other/x", "http://other/x", "http://localhost:190801/x"] {
            assert_eq!(moved(elsewhere), None, "{elsewhere}");
        }
        for there in ["/@dev", "/@dev/x", "/@dev?y", "http://localhost:19080/@dev/x"] {
            assert_eq!(moved(there), None, "{there}");
        }
    }
}
