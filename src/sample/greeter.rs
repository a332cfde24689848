//! `GET /` tells where it runs, `/greeter/greet?name=` greets, `/healthz` is ok. Each request is one line of JSON.

use bytes::Bytes;
use curtain_role::Shutdown;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::net::TcpListener;

/// What the greeter runs with.
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The word before the name; `Hello` when empty.
    pub greeting: String,
    /// Name of the pod or machine, shown on `/`.
    pub host: String,
    /// Receives a line per request.
    pub log: Box<dyn Write + Send>,
}

/// Why the greeter did not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}: {source}; choose another port with --port")]
pub struct Error {
    addr: SocketAddr,
    source: std::io::Error,
}

struct Greeter {
    greeting: String,
    host: String,
    log: Mutex<Box<dyn Write + Send>>,
}

/// Serves until `shutdown`.
///
/// # Errors
/// When the address cannot be used.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let addr = config.listen;
    let listener = TcpListener::bind(addr).await.map_err(|source| Error { addr, source })?;
    serve(listener, config, shutdown).await;
    Ok(())
}

async fn serve(listener: TcpListener, config: Config, shutdown: Shutdown) {
    let greeting = if config.greeting.is_empty() { "Hello".to_owned() } else { config.greeting };
    let greeter = Arc::new(Greeter { greeting, host: config.host, log: Mutex::new(config.log) });
    greeter.write(
        &json!({ "level": "info", "message": "listening", "address": config.listen.to_string() }),
    );
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.wait() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: let others give some back.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        };
        let greeter = Arc::clone(&greeter);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = greeter.answer(&request);
                async move { Ok::<_, Infallible>(answer) }
            });
            // A client that hangs up early is no error of ours.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Greeter {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let start = Instant::now();
        let path = request.uri().path();
        let (status, body) = match (request.method(), path) {
            (&Method::GET | &Method::HEAD, "/healthz") => {
                (StatusCode::OK, json!({ "status": "ok" }))
            }
            // Relative to where it was found: a gateway may serve this under a path of its own.
            (&Method::GET | &Method::HEAD, "/") => (
                StatusCode::OK,
                json!({ "message": self.greet(None), "host": self.host, "try": "greeter/greet?name=you" }),
            ),
            (&Method::GET | &Method::HEAD, "/greeter/greet") => {
                let name = name(request.uri().query().unwrap_or_default());
                (
                    StatusCode::OK,
                    json!({ "message": self.greet(name.as_deref()), "host": self.host }),
                )
            }
            (&Method::GET | &Method::HEAD, _) => {
                (StatusCode::NOT_FOUND, json!({ "error": "nothing is here" }))
            }
            _ => (StatusCode::METHOD_NOT_ALLOWED, json!({ "error": "only GET is understood" })),
        };
        // Probes would drown everything else.
        if path != "/healthz" {
            self.write(&json!({
                "time": jiff::Timestamp::now().to_string(),
                "level": if status.is_success() { "info" } else { "warn" },
                "message": format!("{} {path} {}", request.method(), status.as_u16()),
                "method": request.method().as_str(),
                "path": path,
                "status": status.as_u16(),
                "micros": u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
            }));
        }
        let mut response = Response::new(Full::from(format!("{body}\n")));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        response
    }

    fn greet(&self, name: Option<&str>) -> String {
        format!("{}, {}!", self.greeting, name.unwrap_or("Stranger"))
    }

    fn write(&self, line: &Value) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that cannot be written must not stop the service.
        let _ = writeln!(log, "{line}").and_then(|()| log.flush());
    }
}

/// The value of `name` in a query, decoded; `None` when absent or empty.
fn name(query: &str) -> Option<String> {
    let raw = query.split('&').find_map(|pair| pair.strip_prefix("name="))?;
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[test]
    fn names_are_decoded() {
        assert_eq!(name("a=b&name=Ada+L%C3%B6ve"), Some("Ada Löve".into()));
        for nothing in ["", "name=", "other=x", "name=%", "name=%zz", "name=%ff"] {
            assert_eq!(name(nothing), None, "{nothing}");
        }
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn greets_and_logs() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = listener.local_addr().unwrap();
        let lines = Lines::default();
        let config = Config {
            listen,
            greeting: "Ahoy".into(),
            host: "pod-1".into(),
            log: Box::new(lines.clone()),
        };
        let shutdown = Shutdown::default();
        let server = tokio::spawn(serve(listener, config, shutdown.clone()));
        let client = curtain_role::http_client();
        let get = |path: &str| {
            let answer = client.get(format!("http://{listen}{path}").parse().unwrap());
            async move {
                let answer = answer.await.unwrap();
                let status = answer.status().as_u16();
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                (status, serde_json::from_slice::<Value>(&body).unwrap())
            }
        };
        let (status, body) = get("/greeter/greet?name=Ada").await;
        assert_eq!(
            (status, &body["message"], &body["host"]),
            (200, &json!("Ahoy, Ada!"), &json!("pod-1"))
        );
        assert_eq!(get("/").await.1["message"], "Ahoy, Stranger!");
        assert_eq!(get("/healthz").await.0, 200);
        assert_eq!(get("/nowhere").await.0, 404);
        shutdown.trigger();
        server.await.unwrap();
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let logged: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let seen: Vec<&str> = logged.iter().filter_map(|line| line["path"].as_str()).collect();
        assert_eq!(seen, ["/greeter/greet", "/", "/nowhere"]);
    }
}
