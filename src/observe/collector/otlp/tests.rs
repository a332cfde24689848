//! From an exporter to the store, over both doors.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use ::http::{Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use curtain_otlp::common::KeyValue;
use curtain_otlp::prost::Message;
use curtain_otlp::trace::{
    ExportTraceServiceRequest, ExportTraceServiceResponse, Resource, ResourceSpans, ScopeSpans,
    Span,
};
use curtain_otlp::{GRPC_TRACES, HTTP_TRACES};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::*;
use crate::collector::tests::{Observed, observed};
use crate::traces::wire::TraceId;

/// A collector with one pod, whose address is the loopback one.
struct World {
    observed: Observed,
    grpc: SocketAddr,
    http: SocketAddr,
    shutdown: Shutdown,
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

impl World {
    async fn new() -> World {
        let observed = observed().await;
        let pods = Pods::default();
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "cart-1", "namespace": "dp", "uid": "u", "labels": {
                "openchoreo.dev/namespace": "default", "openchoreo.dev/project": "shop",
                "openchoreo.dev/component": "cart", "openchoreo.dev/environment": "development"}},
            "status": {"phase": "Running", "podIP": "127.0.0.1"}}))
        .expect("a Pod");
        pods.apply(&pod);
        pods.keep(&["u".to_owned()], true);
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = (
            curtain_role::listen(local).await.expect("binds"),
            curtain_role::listen(local).await.expect("binds"),
        );
        let address = |listener: &TcpListener| listener.local_addr().expect("an address");
        let (grpc, http) = (address(&listeners.0), address(&listeners.1));
        let shutdown = Shutdown::default();
        let receiver = Receiver::new(pods, observed.door.clone());
        tokio::spawn(receiver.serve(listeners, shutdown.clone()));
        World { observed, grpc, http, shutdown }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (StatusCode, Bytes) {
        let mut request = Request::post(format!("http://{}{path}", self.http));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.to_vec().into())).expect("a request");
        let answer = curtain_role::http_client().request(request).await.expect("an answer");
        let status = answer.status();
        (status, answer.into_body().collect().await.expect("a body").to_bytes())
    }

    /// A call of gRPC: the response, and how it ended.
    async fn call(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> (Response<Bytes>, String) {
        let stream = tokio::net::TcpStream::connect(self.grpc).await.expect("connects");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .expect("shakes hands");
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!(
                "http://opentelemetry-collector.openchoreo-observability-plane:4317{path}"
            ))
            .header(header::CONTENT_TYPE, "application/grpc");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("a body");
        let ended = body.trailers().or(Some(&head.headers)).and_then(|one| one.get("grpc-status"));
        let ended = ended.map(|one| String::from_utf8_lossy(one.as_bytes()).into_owned());
        (Response::from_parts(head, body.to_bytes()), ended.unwrap_or_default())
    }

    /// Waits until the store has the trace.
    async fn stored(&self, number: u8) {
        let trace = TraceId::from_bytes(&[number; 16]).expect("an id");
        self.observed.until_trace(trace, "cart").await;
    }
}

fn request(number: u8) -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: vec![number; 16],
        span_id: vec![number; 8],
        name: "GET /cart".into(),
        kind: 2,
        start_time_unix_nano: 1_767_225_600_000_000_000,
        end_time_unix_nano: 1_767_225_600_005_000_000,
        ..Span::default()
    };
    let resource = Resource {
        attributes: vec![KeyValue::new("service.name", "cart")],
        dropped_attributes_count: 0,
    };
    let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let group = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope],
        schema_url: String::new(),
    };
    ExportTraceServiceRequest { resource_spans: vec![group] }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).expect("packs");
    packer.finish().expect("packs")
}

fn framed(packed: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    [&[packed], &length[..], message].concat()
}

#[tokio::test]
async fn spans_come_by_http_in_both_forms_packed_or_not() {
    let world = World::new().await;
    let protobuf = ("content-type", "application/x-protobuf");
    let (status, body) = world.post(HTTP_TRACES, &[protobuf], &request(1).encode_to_vec()).await;
    assert_eq!(status, 200, "{body:?}");
    let answer = ExportTraceServiceResponse::decode(body).expect("an answer");
    assert_eq!(answer.partial_success, None);
    let packed = gzip(&request(2).encode_to_vec());
    let (status, _) =
        world.post(HTTP_TRACES, &[protobuf, ("content-encoding", "gzip")], &packed).await;
    assert_eq!(status, 200);
    let span = json!({"traceId": "03".repeat(16), "spanId": "03".repeat(8), "name": "GET", "kind": 2,
        "startTimeUnixNano": "1767225600000000000", "endTimeUnixNano": "1767225600000000001"});
    let text = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).to_string();
    let json_type = ("content-type", "application/json; charset=utf-8");
    let (status, body) = world.post(HTTP_TRACES, &[json_type], text.as_bytes()).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"{}"[..]));
    for number in 1..=3 {
        world.stored(number).await;
    }

    let refused = async |path: &str, headers: &[(&str, &str)], body: &[u8]| {
        world.post(path, headers, body).await.0.as_u16()
    };
    assert_eq!(refused(HTTP_TRACES, &[protobuf], b"\xff\xff").await, 400);
    assert_eq!(refused(HTTP_TRACES, &[json_type], b"{").await, 400);
    assert_eq!(refused(HTTP_TRACES, &[("content-type", "text/plain")], b"").await, 415);
    assert_eq!(refused(HTTP_TRACES, &[protobuf, ("content-encoding", "br")], b"").await, 415);
    assert_eq!(refused("/v1/metrics", &[protobuf], b"").await, 404);
    assert_eq!(refused(HTTP_TRACES, &[protobuf, ("origin", "http://localhost")], b"").await, 403);
    assert_eq!(refused(HTTP_TRACES, &[protobuf, ("host", "evil.example")], b"").await, 403);
    let bomb = gzip(&vec![0; take::LARGEST + 1]);
    assert_eq!(refused(HTTP_TRACES, &[protobuf, ("content-encoding", "gzip")], &bomb).await, 413);
    assert_eq!(refused(HTTP_TRACES, &[protobuf], &vec![0; take::LARGEST + 1]).await, 413);
}

#[tokio::test]
async fn spans_come_by_grpc_and_every_call_ends_with_a_status() {
    let world = World::new().await;
    let plain = framed(0, &request(1).encode_to_vec());
    let (response, ended) = world.call(GRPC_TRACES, &[], plain.clone()).await;
    assert_eq!((response.status(), ended.as_str()), (StatusCode::OK, "0"));
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/grpc");
    assert_eq!(&response.body()[..], [0; 5], "an empty message");
    let packed = framed(1, &gzip(&request(2).encode_to_vec()));
    let (_, ended) = world.call(GRPC_TRACES, &[("grpc-encoding", "gzip")], packed.clone()).await;
    assert_eq!(ended, "0");
    world.stored(1).await;
    world.stored(2).await;

    let metrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    assert_eq!(world.call(metrics, &[], plain.clone()).await.1, "12");
    assert_eq!(world.call(GRPC_TRACES, &[("grpc-encoding", "zstd")], packed).await.1, "12");
    assert_eq!(world.call(GRPC_TRACES, &[], plain[..plain.len() - 1].to_vec()).await.1, "3");
    assert_eq!(world.call(GRPC_TRACES, &[], framed(0, b"\xff\xff")).await.1, "3");
    assert_eq!(world.call(GRPC_TRACES, &[], vec![0; take::LARGEST + 1]).await.1, "8");
    let (response, _) = world.call(GRPC_TRACES, &[("origin", "http://localhost")], plain).await;
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn a_full_queue_sends_exporters_away_until_the_observer_is_back() {
    let mut world = World::new().await;
    world.observed.stop().await;
    let protobuf = [("content-type", "application/x-protobuf")];
    let large = |number: u8| {
        let mut request = request(number);
        let resource = request.resource_spans[0].resource.as_mut().expect("a resource");
        resource.attributes.push(KeyValue::new("unread", "x".repeat(3 << 20)));
        request.encode_to_vec()
    };
    assert_eq!(world.post(HTTP_TRACES, &protobuf, &large(1)).await.0, 200);
    assert_eq!(world.post(HTTP_TRACES, &protobuf, &large(2)).await.0, 200);
    assert_eq!(world.post(HTTP_TRACES, &protobuf, &large(3)).await.0, 429);
    let (_, ended) = world.call(GRPC_TRACES, &[], framed(0, &large(3))).await;
    assert_eq!(ended, "8");
    world.observed.start().await;
    world.stored(2).await;
    // The room is given back as soon as the observer has answered.
    let again = async {
        while world.post(HTTP_TRACES, &protobuf, &large(3)).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again).await.expect("there is room again");
    world.stored(3).await;
}
