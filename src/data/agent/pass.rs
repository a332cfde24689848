//! Passing a request on to the cluster's API server.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use kube::Client;
use kube::client::Body;
use serde_json::json;

/// Largest request, in bytes; the hub refuses larger ones that say so.
const MAX_BODY: usize = 10 * 1024 * 1024;

type Answer = Response<Either<Body, Full<Bytes>>>;

/// Answer one request from the tunnel. The answer streams; the request is
/// collected first, which no Kubernetes API minds.
pub(super) async fn pass(kube: Client, request: Request<Incoming>) -> Result<Answer, Infallible> {
    Ok(try_pass(kube, request).await.unwrap_or_else(|(status, text)| refuse(status, &text)))
}

async fn try_pass(
    kube: Client,
    request: Request<Incoming>,
) -> Result<Answer, (StatusCode, String)> {
    let (mut parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let path = target.strip_prefix("/k8s").filter(|path| path.starts_with('/'));
    let path = path.ok_or_else(|| {
        (StatusCode::NOT_FOUND, "this agent serves paths below /k8s/ only".to_owned())
    })?;
    parts.uri = path.parse::<Uri>().map_err(|e| (StatusCode::BAD_REQUEST, e.to_string()))?;
    parts.version = http::Version::HTTP_11;
    strip(&mut parts.headers);
    let body = Limited::new(body, MAX_BODY).collect().await;
    let body = body.map_err(|error| (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()))?;
    let request = Request::from_parts(parts, Body::from(body.to_bytes()));
    let response = kube.send(request).await.map_err(|error| {
        (StatusCode::BAD_GATEWAY, format!("the plane's API server cannot be reached: {error}"))
    })?;
    let (mut parts, body) = response.into_parts();
    parts.version = http::Version::HTTP_2;
    for name in ["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"] {
        parts.headers.remove(name);
    }
    Ok(Response::from_parts(parts, Either::Left(body)))
}

/// Drop what would speak for somebody else, and what belongs to the tunnel.
fn strip(headers: &mut HeaderMap) {
    let is_foreign = |name: &&HeaderName| name.as_str().starts_with("impersonate-");
    let foreign: Vec<HeaderName> = headers.keys().filter(is_foreign).cloned().collect();
    for name in foreign.iter().chain(&[AUTHORIZATION, HOST, CONTENT_LENGTH]) {
        headers.remove(name);
    }
}

/// A refusal that Kubernetes clients can read.
fn refuse(status: StatusCode, text: &str) -> Answer {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": text, "code": status.as_u16(),
    });
    let mut response = Response::new(Either::Right(Full::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_elses_identity_passes() {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "impersonate-user", "impersonate-extra-x", "accept"] {
            headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("x"));
        }
        strip(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }
}
