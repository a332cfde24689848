//! Logs of a pod of a binding.

use futures::{AsyncBufReadExt as _, Stream, StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::LogParams};
use serde::Serialize;

use super::{Ask, Error, Live, bounded, plane_error};

/// The most that is read of one container's log, in bytes.
const MOST_BYTES: i64 = 1024 * 1024;
/// A longer line is cut, in bytes.
const LONGEST_LINE: usize = 16 * 1024;

/// Which part of a pod's logs.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogQuery<'a> {
    /// The pod.
    pub pod: &'a str,
    /// One container; all when absent.
    pub container: Option<&'a str>,
    /// Not older than this.
    pub since_seconds: Option<i64>,
    /// Only the last lines of each container.
    pub tail_lines: Option<i64>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// When it was written, RFC 3339.
    pub timestamp: String,
    /// The line.
    pub log: String,
    /// The container that wrote it.
    pub container: String,
}

/// A pod of a binding, found and allowed.
struct Found {
    pods: Api<Pod>,
    containers: Vec<String>,
}

impl Live {
    /// The lines, in the order of their times.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`] for a pod that is not one of the binding, [`Error::BadRequest`] for a
    /// container that the pod does not have, [`Error::PlaneUnavailable`].
    pub async fn logs(
        &self,
        ask: Ask<'_>,
        namespace: &str,
        binding: &str,
        query: LogQuery<'_>,
    ) -> Result<Vec<LogLine>, Error> {
        let found = self.pod(ask, namespace, binding, query).await?;
        let mut lines = Vec::new();
        for container in &found.containers {
            let params = params(query, container, false);
            let text =
                bounded(async { found.pods.logs(query.pod, &params).await.map_err(plane_error) });
            lines.extend(text.await?.lines().filter_map(|text| line(text, container)));
        }
        lines.sort_by(|a, b| a.timestamp.cmp(&b.timestamp));
        Ok(lines)
    }

    /// The lines as they are written, until the containers end.
    ///
    /// # Errors
    /// As [`Self::logs`].
    pub async fn follow(
        &self,
        ask: Ask<'_>,
        namespace: &str,
        binding: &str,
        query: LogQuery<'_>,
    ) -> Result<impl Stream<Item = LogLine> + Send + use<>, Error> {
        let found = self.pod(ask, namespace, binding, query).await?;
        let mut all = Vec::new();
        for container in found.containers {
            let params = params(query, &container, true);
            let reader = bounded(async {
                found.pods.log_stream(query.pod, &params).await.map_err(plane_error)
            });
            let lines = reader.await?.lines().filter_map(move |text| {
                std::future::ready(text.ok().and_then(|text| line(&text, &container)))
            });
            all.push(lines.boxed());
        }
        Ok(stream::select_all(all))
    }

    async fn pod(
        &self,
        ask: Ask<'_>,
        namespace: &str,
        binding: &str,
        query: LogQuery<'_>,
    ) -> Result<Found, Error> {
        let binding = self.binding(ask, namespace, binding, Some("logs:view")).await?;
        let mut pods = Vec::new();
        for branch in self.branches(namespace, &binding).await? {
            let is_it = |node: &&super::Node| node.kind == "Pod" && node.name == query.pod;
            let Some(node) = branch.nodes.iter().find(is_it) else {
                let of_branch = branch.nodes.iter().filter(|node| node.kind == "Pod");
                pods.extend(of_branch.map(|node| node.name.clone()));
                continue;
            };
            let mut containers: Vec<String> = node.object["spec"]["containers"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|container| container["name"].as_str().map(str::to_owned))
                .collect();
            if let Some(wanted) = query.container {
                if !containers.iter().any(|name| name == wanted) {
                    let names = containers.join(", ");
                    let error = format!("Container not found in pod: {wanted:?}; it has {names}");
                    return Err(Error::BadRequest(error));
                }
                containers.retain(|name| name == wanted);
            }
            let pods = Api::namespaced(branch.client.clone(), &node.namespace);
            return Ok(Found { pods, containers });
        }
        let others = if pods.is_empty() { "none".to_owned() } else { pods.join(", ") };
        Err(Error::NotFound {
            kind: "Pod",
            name: format!("{}; the pods of the release binding are: {others}", query.pod),
        })
    }
}

fn params(query: LogQuery<'_>, container: &str, follow: bool) -> LogParams {
    LogParams {
        container: Some(container.to_owned()),
        follow,
        timestamps: true,
        since_seconds: query.since_seconds,
        tail_lines: query.tail_lines,
        limit_bytes: (!follow).then_some(MOST_BYTES),
        ..LogParams::default()
    }
}

/// A line as the kubelet gives it: time, blank, text. One without a time is dropped.
fn line(text: &str, container: &str) -> Option<LogLine> {
    let (timestamp, log) = text.split_once(' ').unwrap_or((text, ""));
    timestamp.parse::<jiff::Timestamp>().ok()?;
    let end = log.floor_char_boundary(LONGEST_LINE.min(log.len()));
    Some(LogLine {
        timestamp: timestamp.to_owned(),
        log: log[..end].to_owned(),
        container: container.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_time_or_is_none() {
        let read = line("2026-11-22T13:00:00.123456789Z hello world", "main").expect("line");
        assert_eq!((read.log.as_str(), read.container.as_str()), ("hello world", "main"));
        assert_eq!(line("2026-11-22T13:00:00Z", "main").map(|line| line.log).as_deref(), Some(""));
        assert_eq!(line("hello world", "main"), None);
    }

    #[test]
    fn a_very_long_line_is_cut() {
        let text = format!("2026-11-22T13:00:00Z {}", "ä".repeat(LONGEST_LINE));
        assert!(line(&text, "main").expect("line").log.len() <= LONGEST_LINE);
    }
}
