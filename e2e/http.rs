//! Single HTTP requests, as a shell would make them.

use std::time::Duration;

use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// What came with it.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
}

/// Asks `url` (plain HTTP; `localhost` and names below it are 127.0.0.1), for 30 seconds at most.
pub fn get(url: &str) -> Result<Answer, String> {
    send(Method::GET, url, None)
}

/// Posts a form as a browser with `cookie` does.
pub fn post_form(url: &str, cookie: &str, form: &str) -> Result<Answer, String> {
    let kind = "application/x-www-form-urlencoded";
    let headers = [("content-type", kind), ("cookie", cookie)];
    send_with(Method::POST, url, &headers, form.to_owned())
}

/// Posts JSON and takes a JSON answer, whatever its status.
pub(crate) fn post(url: &str, body: &Value) -> Result<Value, String> {
    let answer = send(Method::POST, url, Some(body.to_string()))?;
    serde_json::from_str(&answer.body).map_err(|error| format!("{error}: {}", answer.body))
}

/// Takes a JSON answer of `url`, asked with a token; only a success is one.
pub fn get_as(token: &str, url: &str) -> Result<Value, String> {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    json(url, send_with(Method::GET, url, &headers, String::new())?)
}

/// Posts JSON with a token and takes a JSON answer; only a success is one.
pub fn post_as(token: &str, url: &str, body: &Value) -> Result<Value, String> {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    json(url, send_with(Method::POST, url, &headers, body.to_string())?)
}

/// Puts JSON with a token, and takes whatever is answered.
pub fn put_as(token: &str, url: &str, body: &Value) -> Result<Answer, String> {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    send_with(Method::PUT, url, &headers, body.to_string())
}

fn json(url: &str, answer: Answer) -> Result<Value, String> {
    if !(200..300).contains(&answer.status) {
        return Err(format!("{url} answered {}: {}", answer.status, answer.body));
    }
    serde_json::from_str(&answer.body).map_err(|error| format!("{url}: {error}: {}", answer.body))
}

/// Sends a DELETE.
pub(crate) fn delete(url: &str) -> Result<Answer, String> {
    send(Method::DELETE, url, None)
}

fn send(method: Method, url: &str, body: Option<String>) -> Result<Answer, String> {
    let headers: &[_] = if body.is_some() { &[("content-type", "application/json")] } else { &[] };
    send_with(method, url, headers, body.unwrap_or_default())
}

pub(crate) fn send_with(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Result<Answer, String> {
    let line = format!("{method} {url}");
    let uri: Uri = url.parse().map_err(|error| format!("{line}: {error}"))?;
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::from(body)).map_err(|error| format!("{line}: {error}"))?;
    let runtime = curtain_role::runtime().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let ask = async {
            let client = curtain_role::http_client();
            let response = client.request(request).await.map_err(|error| format!("{error:?}"))?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?;
            let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        tokio::time::timeout(Duration::from_secs(30), ask)
            .await
            .unwrap_or_else(|_| Err("no answer within 30 s".into()))
            .map_err(|error: String| format!("{line}: {error}"))
    })
}
