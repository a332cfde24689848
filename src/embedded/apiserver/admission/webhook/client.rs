//! One call: a connection, TLS, a request, its answer.

use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::hook::Hook;
use super::target;
use crate::apiserver::Api;
use crate::apiserver::request::body::MAX_BODY;

/// Sends the body and reads what comes back. Whoever calls bounds the time.
pub(super) async fn call(api: &Api, hook: &Hook, body: Vec<u8>) -> Result<Vec<u8>, String> {
    let url = hook.url();
    let answer = post(api, hook, &url, body).await;
    answer.map_err(|why| format!("failed to call webhook: Post {url:?}: {why}"))
}

async fn post(api: &Api, hook: &Hook, url: &str, body: Vec<u8>) -> Result<Vec<u8>, String> {
    let uri: Uri = url.parse().map_err(|why| format!("this is no URL: {why}"))?;
    let (stream, host) = target::connect(api, &hook.place).await?;
    let name = ServerName::try_from(host).map_err(|why| why.to_string())?;
    let connector = TlsConnector::from(hook.tls()?);
    let stream = connector.connect(name, stream).await.map_err(|why| format!("tls: {why}"))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|why| why.to_string())?;
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header("host", authority)
        .header("content-type", "application/json")
        .header("accept", "application/json, */*")
        .header("user-agent", "kube-apiserver-admission")
        .body(Full::new(bytes::Bytes::from(body)))
        .map_err(|why| why.to_string())?;
    let answered = async {
        let reply = sender.send_request(request).await.map_err(|why| why.to_string())?;
        let status = reply.status();
        let body = Limited::new(reply.into_body(), MAX_BODY).collect().await;
        let body = body.map_err(|why| format!("reading the answer failed: {why}"))?.to_bytes();
        if status.is_success() {
            return Ok(body.to_vec());
        }
        let said: String = String::from_utf8_lossy(&body).chars().take(200).collect();
        Err(format!("the server answered {status}: {said}"))
    };
    tokio::pin!(answered, connection);
    let mut over = false;
    loop {
        tokio::select! {
            answer = &mut answered => return answer,
            ended = &mut connection, if !over => {
                over = true;
                if let Err(error) = ended {
                    tracing::debug!(%error, "the connection to a webhook ended early");
                }
            }
        }
    }
}
