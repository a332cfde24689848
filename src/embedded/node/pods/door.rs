//! What the API server asks of this node: logs, streams, and the pages of `nodes/proxy`.
//!
//! | page | what |
//! |---|---|
//! | `healthz` | `ok` |
//! | `stats/summary` | the kubelet's Summary: processors, memory, disk and network of node, pods and containers |
//! | `metrics/traffic` | counters of connections and requests, in Prometheus' text format |
//! | `flows?since=CURSOR` | the latest connections, and the open ones, as JSON |
//!
//! The last two are described in `network::sight`, and are not there where it is off. Everything else is a 404, as a
//! kubelet answers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::net::TcpStream;

use super::context::Context;
use super::logs::Logs;
use super::stats::Stats;
use super::streams::Joiner;
use crate::apiserver::{
    LogError, LogOptions, NodeBackend, Page, PageError, PageRequest, PodRef, Sample, Session,
    StreamOptions,
};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves the API server.
pub(crate) struct Door {
    ctx: Arc<Context>,
    name: String,
    logs: Logs,
    stats: Stats,
    joiner: Joiner,
}

impl Door {
    pub(super) fn new(ctx: Arc<Context>) -> Self {
        let name = ctx.config.node_name();
        Self {
            name,
            logs: Logs::new(ctx.clone()),
            stats: Stats::new(ctx.clone()),
            joiner: Joiner::new(ctx.clone()),
            ctx,
        }
    }
}

impl NodeBackend for Door {
    fn name(&self) -> &str {
        &self.name
    }

    fn logs(
        &self,
        pod: PodRef,
        options: LogOptions,
    ) -> BoxFuture<'_, Result<BoxStream<'static, io::Result<Bytes>>, LogError>> {
        self.logs.open(pod, options)
    }

    fn runs(&self, pod: &PodRef, container: &str) -> bool {
        self.joiner.runs(pod, container)
    }

    fn exec(
        &self,
        pod: PodRef,
        options: StreamOptions,
        command: Vec<String>,
    ) -> BoxFuture<'_, Result<Session, String>> {
        Box::pin(self.joiner.exec(pod, options, command))
    }

    fn attach(
        &self,
        pod: PodRef,
        options: StreamOptions,
    ) -> BoxFuture<'_, Result<Session, String>> {
        Box::pin(self.joiner.attach(pod, options))
    }

    fn connect(&self, pod: PodRef, port: u16) -> BoxFuture<'_, io::Result<TcpStream>> {
        Box::pin(self.joiner.connect(pod, port))
    }

    fn dial(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<TcpStream>> {
        Box::pin(self.ctx.network.reach(address))
    }

    fn node_sample(&self) -> BoxFuture<'_, Option<Sample>> {
        Box::pin(self.stats.node_sample())
    }

    fn pod_samples<'a>(&'a self, pods: &'a [PodRef]) -> BoxFuture<'a, Vec<Vec<(String, Sample)>>> {
        Box::pin(self.stats.pod_samples(pods))
    }

    fn page(&self, request: PageRequest) -> BoxFuture<'_, Result<Page, PageError>> {
        Box::pin(async move {
            let network = &self.ctx.network;
            match request.path.as_str() {
                "healthz" => Ok(page(TEXT, [Bytes::from_static(b"ok")])),
                "stats/summary" => {
                    let summary = self.stats.summary().await;
                    Ok(page(JSON, [Bytes::from(summary.to_string())]))
                }
                "metrics/traffic" => {
                    let metrics = network.metrics().ok_or(PageError::NotFound)?;
                    Ok(page(PROMETHEUS, metrics))
                }
                "flows" => {
                    let flows = network.flows(cursor(&request)?).ok_or(PageError::NotFound)?;
                    Ok(page(JSON, flows))
                }
                _ => Err(PageError::NotFound),
            }
        })
    }
}

fn page<P>(content_type: &'static str, pieces: P) -> Page
where
    P: IntoIterator<Item = Bytes>,
    P::IntoIter: Send + 'static,
{
    Page { content_type, body: stream::iter(pieces).boxed() }
}

fn cursor(request: &PageRequest) -> Result<u64, PageError> {
    let since = request.parameter("since").filter(|since| !since.is_empty()).unwrap_or("0");
    since.parse().map_err(|_| {
        let why = format!("since={since:?} is not a cursor: use the one that an answer came with");
        PageError::BadRequest(why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_a_number() {
        let asked = |value: &str| {
            let query = vec![("since".to_owned(), value.to_owned())];
            cursor(&PageRequest { path: "flows".into(), query })
        };
        assert_eq!(cursor(&PageRequest::default()), Ok(0));
        assert_eq!(asked("17"), Ok(17));
        assert_eq!(asked(""), Ok(0));
        assert!(asked("-1").unwrap_err().to_string().contains("is not a cursor"));
    }
}
