//! Takes requests over HTTP/1.1 and HTTP/2, hands them to the service and records what became of them.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use curtain_otlp::trace::SpanKind;
use curtain_role::Shutdown;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;

use super::super::upstreams;
use super::{
    Call, Context, Failure, Frame, Level, Reply, Route, Service,
    failure::code,
    metrics,
    open::OPEN,
    rpc::{Raw, parts},
    span::Span,
};

/// The longest body that is read.
const LONGEST: usize = 64 * 1024;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// A service within its frame.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) frame: Arc<Frame>,
    pub(crate) service: Arc<dyn Service>,
}

/// Serves until `shutdown`; with an `acceptor` over TLS.
pub(crate) async fn serve(
    served: Served,
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    shutdown: Shutdown,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.wait() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: let others give some back.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (served, acceptor) = (served.clone(), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => served.converse(stream).await,
                Some(acceptor) => {
                    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => served.converse(stream).await,
                        Ok(Err(error)) => {
                            let message = format!("a TLS handshake failed: {error}");
                            served.frame.log.write(Level::Warn, None, &message, &json!({}));
                        }
                        Err(_) => {}
                    }
                }
            }
        });
    }
}

impl Served {
    async fn converse(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request| {
            let served = self.clone();
            async move { Ok::<_, Infallible>(served.respond(request).await) }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new());
        // A client that hangs up early is no error of ours.
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
            return self.rpc(request).await;
        }
        let reply = match request.uri().path() {
            "/healthz" => Reply::json(&json!({ "status": "ok" })),
            OPEN => self.frame.open(upstreams(self.frame.name)).await,
            "/metrics" => Reply::text(self.frame.metrics.text(metrics::resident())),
            _ => self.http(request).await,
        };
        let mut response = Response::new(Body::new(Full::new(reply.body)));
        *response.status_mut() = reply.status;
        response.headers_mut().extend(reply.headers);
        response
    }

    async fn http(&self, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let method = if head.method == http::Method::HEAD { "GET" } else { head.method.as_str() };
        let routes = self.service.routes().iter().filter(|route| !route.is_rpc);
        let known: Vec<_> = routes
            .filter_map(|route| Some((*route, route.id(head.uri.path())?.to_owned())))
            .collect();
        let Some((route, id)) = known.iter().find(|(route, _)| route.method == method).cloned()
        else {
            return Reply::failure(&match known.is_empty() {
                true => Failure::missing("nothing is here"),
                false => Failure::new(StatusCode::METHOD_NOT_ALLOWED, "not with this method"),
            });
        };
        let body = match Limited::new(body, LONGEST).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => {
                let failure = Failure::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string());
                return Reply::failure(&failure);
            }
        };
        let (call, outcome) = self.answer(route, id, head.headers, body).await;
        outcome.unwrap_or_else(|failure| {
            let page = self.service.page(&call, &failure);
            page.unwrap_or_else(|| Reply::failure(&failure)).status(failure.status)
        })
    }

    async fn rpc(&self, request: Request<Incoming>) -> Response<Body> {
        let headers = request.headers().clone();
        let path = request.uri().path().to_owned();
        let service = tower::service_fn(|message: tonic::Request<Bytes>| {
            let (served, headers, path) = (self.clone(), headers.clone(), path.clone());
            async move {
                let mut routes = served.service.routes().iter();
                let route = routes.find(|route| route.is_rpc && route.pattern == path);
                let Some(route) = route else {
                    return Err(tonic::Status::unimplemented(format!("{path} is not here")));
                };
                let body = message.into_inner();
                let (_, outcome) = served.answer(*route, String::new(), headers, body).await;
                match outcome {
                    Ok(reply) => Ok(tonic::Response::new(reply.body)),
                    Err(failure) => Err(failure.to_rpc()),
                }
            }
        });
        let mut server = tonic::server::Grpc::new(Raw).max_decoding_message_size(LONGEST);
        server.unary(service, request).await
    }

    /// Lets the service answer, and tells everybody how that went.
    async fn answer(
        &self,
        route: Route,
        id: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> (Call, Result<Reply, Failure>) {
        let frame = &self.frame;
        let parent = Context::read(&headers);
        let context = frame.sampler.start(parent);
        let name = match route.is_rpc {
            true => route.pattern[1..].to_owned(),
            false => format!("{} {}", route.method, route.pattern),
        };
        let mut span = Span::begin(context, parent, SpanKind::Server, name.clone());
        if route.is_rpc {
            let (service, method) = parts(route.pattern);
            span.set("rpc.system", "grpc");
            span.set("rpc.service", service);
            span.set("rpc.method", method);
        } else {
            span.set("http.request.method", route.method);
            span.set("http.route", route.pattern);
            span.set("url.path", route.pattern.replace("{id}", &id));
            span.set("url.scheme", "http");
        }
        let call = Call { frame: Arc::clone(frame), context, route, id, headers, body };
        let outcome = async {
            // Read for each request: what is wrong with it then shows where it is used, and the service stays up.
            frame.limit()?;
            frame.faults.before().await?;
            self.service.answer(&call).await
        }
        .await;
        let status = outcome.as_ref().map_or_else(|failure| failure.status, |reply| reply.status);
        match route.is_rpc {
            true => span.set("rpc.grpc.status_code", i64::from(code(status) as i32)),
            false => span.set("http.response.status_code", status.as_u16()),
        }
        let took = span.took();
        frame.metrics.request(route.pattern, route.method, status.as_u16(), took);
        self.tell(&call, &name, outcome.as_ref().err(), status, took);
        // A client's own mistakes are no errors of the server.
        frame.end(span, outcome.as_ref().err().filter(|failure| failure.status.is_server_error()));
        (call, outcome)
    }

    fn tell(
        &self,
        call: &Call,
        name: &str,
        failure: Option<&Failure>,
        status: StatusCode,
        took: Duration,
    ) {
        let level = match failure {
            None if !self.frame.is_entry => return,
            None => Level::Info,
            Some(failure) if failure.status.is_client_error() => Level::Warn,
            Some(_) => Level::Error,
        };
        let mut more = json!({
            "route": call.route.pattern,
            "status": status.as_u16(),
            "micros": u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        });
        let message = match failure {
            None => format!("{name} {}", status.as_u16()),
            Some(failure) => {
                more["error"] = json!(failure.message);
                format!("{name} {}: {}", status.as_u16(), failure.message)
            }
        };
        call.log(level, &message, &more);
    }
}
