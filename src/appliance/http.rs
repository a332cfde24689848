//! A small HTTP client for an instance's own front doors on 127.0.0.1.

use std::{net::Ipv4Addr, time::Duration};

use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Error;

/// Sends `request` and reads the whole answer. `localhost` and names below it are 127.0.0.1 without
/// asking a resolver.
///
/// # Errors
/// [`Error::Unreachable`], also after `timeout`.
pub(crate) async fn send(
    request: Request<String>,
    timeout: Duration,
) -> Result<Response<Bytes>, Error> {
    let what = request.uri().to_string();
    let unreachable = |why: String| Error::Unreachable { what: what.clone(), why };
    match tokio::time::timeout(timeout, exchange(request)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(unreachable(error.to_string())),
        Err(_) => Err(unreachable(format!("no answer within {:.0} s", timeout.as_secs_f32()))),
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(request: Request<String>) -> Result<Response<Bytes>, Failure> {
    let uri = request.uri().clone();
    let host = uri.host().ok_or("the URL has no host")?;
    let port = uri.port_u16().unwrap_or(80);
    let local = host == "127.0.0.1" || host == "localhost" || host.ends_with(".localhost");
    if !local {
        return Err(format!("{host} is not on this machine").into());
    }
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let (mut parts, body) = request.into_parts();
    if let Some(authority) = uri.authority() {
        parts.headers.insert(header::HOST, authority.as_str().parse()?);
    }
    parts.uri = uri.path_and_query().map_or("/", |path| path.as_str()).parse::<Uri>()?;
    let request = Request::from_parts(parts, Full::new(Bytes::from(body)));
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok(Response::from_parts(parts, body))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[tokio::test]
    async fn a_name_below_localhost_is_this_machine_and_the_host_header_keeps_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = vec![0; 2_000];
            let count = stream.read(&mut head).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").unwrap();
            String::from_utf8_lossy(&head[..count]).into_owned()
        });
        let request =
            Request::get(format!("http://dev.localhost:{port}/a?b=c")).body(String::new()).unwrap();
        let response = send(request, Duration::from_secs(5)).await.unwrap();
        assert_eq!(response.body(), "hi");
        let head = server.join().unwrap();
        assert!(head.starts_with("GET /a?b=c HTTP/1.1"), "{head}");
        assert!(head.to_lowercase().contains(&format!("host: dev.localhost:{port}")), "{head}");
    }

    #[tokio::test]
    async fn another_machine_is_not_asked() {
        let request = Request::get("http://example.com/").body(String::new()).unwrap();
        let error = send(request, Duration::from_secs(5)).await.unwrap_err().to_string();
        assert!(error.contains("not on this machine"), "{error}");
    }
}
