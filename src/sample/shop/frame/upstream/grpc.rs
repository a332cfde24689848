//! Calls over gRPC, plain or over TLS.

use std::error::Error as _;

use bytes::Bytes;
use curtain_otlp::trace::SpanKind;
use http::{StatusCode, Uri, uri::PathAndQuery};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tonic::{Code, client::Grpc};

use super::{Upstream, within};
use crate::shop::frame::{
    Call, Failure, Frame,
    failure::{code, status},
    rpc::{Raw, parts},
    span::Span,
    trace::{self, Context},
};

impl Upstream {
    /// Asks over gRPC on behalf of `call`.
    pub(crate) async fn rpc<A: Message + Default>(
        &self,
        call: &Call,
        path: &'static str,
        asks: &impl Message,
    ) -> Result<A, Failure> {
        self.known()?;
        let frame = &call.frame;
        let context = call.context.child();
        let mut span =
            Span::begin(context, Some(call.context), SpanKind::Client, path[1..].to_owned());
        let (service, method) = parts(path);
        span.set("rpc.system", "grpc");
        span.set("rpc.service", service);
        span.set("rpc.method", method);
        self.describe(&mut span);
        let message = Bytes::from(asks.encode_to_vec());
        let exchange = async {
            match self.call(call, &context, path, message.clone()).await {
                // Its authority is as old as its process: perhaps there is another by now.
                Err(failure) if self.trust.as_ref().is_some_and(|trust| trust.forget(&failure)) => {
                    self.call(call, &context, path, message).await
                }
                outcome => outcome,
            }
        };
        let outcome = within(frame.limit()?, self, exchange).await;
        let code = outcome.as_ref().map_or_else(|failure| code(failure.status), |_| Code::Ok);
        span.set("rpc.grpc.status_code", i64::from(code as i32));
        frame.end(span, outcome.as_ref().err());
        A::decode(outcome?).map_err(|error| {
            Failure::new(
                StatusCode::BAD_GATEWAY,
                format!("{} answered nonsense: {error}", self.name),
            )
        })
    }

    async fn call(
        &self,
        call: &Call,
        context: &Context,
        path: &'static str,
        message: Bytes,
    ) -> Result<Bytes, Failure> {
        let tcp = self.connect(&call.frame).await?;
        match &self.trust {
            None => self.converse(tcp, "http", context, path, message).await,
            Some(trust) => {
                let tls = trust.wrap(call, tcp, self).await?;
                self.converse(tls, "https", context, path, message).await
            }
        }
    }

    /// A connection of its own for each call: it shows at once when the other side has changed.
    async fn connect(&self, frame: &Frame) -> Result<TcpStream, Failure> {
        let (host, port) = self
            .address
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
            .ok_or_else(|| {
                Failure::unreachable(self.name, &self.address, "it is no host and port")
            })?;
        let found = frame.resolver.lookup(host).await.map_err(|error| self.unreachable(&error))?;
        let mut last = None;
        for address in found {
            match TcpStream::connect((address, port)).await {
                Ok(stream) => {
                    // Many small messages: none waits for the next.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(match last {
            Some(error) => self.unreachable(&error),
            None => Failure::unreachable(self.name, &self.address, "the name has no address"),
        })
    }

    async fn converse(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        scheme: &str,
        context: &Context,
        path: &'static str,
        message: Bytes,
    ) -> Result<Bytes, Failure> {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(|error| self.unreachable(&error))?;
        let connection = tokio::spawn(connection);
        let origin: Uri = format!("{scheme}://{}", self.address)
            .parse()
            .map_err(|error| self.unreachable(&error))?;
        let service = tower::service_fn(move |request| sender.send_request(request));
        let mut grpc = Grpc::with_origin(service, origin);
        let mut request = tonic::Request::new(message);
        if let Ok(value) = context.header().parse() {
            request.metadata_mut().insert(trace::HEADER, value);
        }
        let answer = match grpc.ready().await {
            Ok(()) => grpc.unary(request, PathAndQuery::from_static(path), Raw).await,
            Err(error) => return Err(self.unreachable(&error)),
        };
        connection.abort();
        match answer {
            Ok(answer) => Ok(answer.into_inner()),
            // Not the other side's words: the connection broke.
            Err(broken) if broken.source().is_some() => Err(self.unreachable(&broken)),
            Err(said) => {
                Err(Failure::from_upstream(self.name, status(said.code()), said.message()))
            }
        }
    }
}
