//! Why a component that runs does not answer: whether its program listens at the port that it was deployed with.
//!
//! Invariant: only what was tried is said. A port is tried from inside the pod, so that "refused" is the program's own
//! answer; a program that takes longer to begin is given the time that there is, unless another port answers in its
//! place.

use std::{fmt::Write as _, time::Duration};

use curtain_deploy::App;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt, api::ListParams};

use super::rollout::{Rollout, last_line, selector, statuses};
use crate::{Error, demo::answering};

/// How long a program may take to listen until it is asked whether it does so elsewhere.
const PATIENCE: Duration = Duration::from_secs(20);
/// A connection that nobody refuses for so long is taken for one that is accepted.
const ACCEPTED: Duration = Duration::from_secs(1);
/// How long asking may take as a whole.
const ASKED: Duration = Duration::from_secs(5);
/// Where programs often listen.
const COMMON: [u16; 7] = [80, 3000, 5000, 8000, 8080, 8888, 9090];

/// Waits until the component answers at `url`, whatever that is: only the gateway must not answer for it.
///
/// # Errors
/// [`Error::Unheard`] where nothing listens at its port and something does at another, at once; and in any case, once
/// `timeout` is over, what is known.
pub(super) async fn answers(
    client: &Client,
    rollout: &Rollout<'_>,
    named: &[u16],
    url: &str,
    timeout: Duration,
) -> Result<(), Error> {
    let good = |status: u16| !matches!(status, 502..=504);
    // Whoever waits is to be told in time.
    let waiting = timeout.saturating_sub(ASKED);
    let patience = PATIENCE.min(waiting);
    let late = match answering(url, patience, good).await {
        Err(late @ Error::Timeout { .. }) => late,
        answered => return answered,
    };
    let look = || Look::at(client, rollout, named);
    let told = |look: Look| look.told(rollout.app, named, url);
    let left = waiting.saturating_sub(patience);
    if left.is_zero() {
        return Err(look().await.map_or(late, told));
    }
    if let Some(look) = look().await.filter(|look| look.refused && !look.open.is_empty()) {
        return Err(told(look));
    }
    match answering(url, left, good).await {
        Err(late @ Error::Timeout { .. }) => Err(look().await.map_or(late, told)),
        answered => answered,
    }
}

/// A pod of the component, looked at.
struct Look {
    pod: String,
    namespace: String,
    restarts: i32,
    /// Whether connections to its port are refused.
    refused: bool,
    /// Other ports where something listens.
    open: Vec<u16>,
    /// The last line that it wrote, if whoever waits may see it.
    last: Option<String>,
}

impl Look {
    /// Looks at a pod that answers for what was deployed; `None` if there is none, or it cannot be looked into.
    async fn at(client: &Client, rollout: &Rollout<'_>, named: &[u16]) -> Option<Self> {
        let Rollout { app, logs, .. } = rollout;
        let look = async {
            let how = ListParams::default().labels(&selector(app));
            let all = Api::<Pod>::all(client.clone()).list(&how).await.ok()?.items;
            let pod = all.into_iter().find(|pod| rollout.is_answering(pod))?;
            let namespace = pod.namespace()?;
            let mut ports = vec![app.port];
            ports.extend(named.iter().chain(&COMMON).filter(|port| **port != app.port));
            ports.sort_unstable();
            ports.dedup();
            let open = open(client, &namespace, &pod.name_any(), &ports, app.port).await?;
            let last = if *logs { last_line(client, &pod).await } else { None };
            Some(Self {
                pod: pod.name_any(),
                namespace,
                restarts: statuses(&pod).map(|status| status.restart_count).sum(),
                refused: !open.contains(&app.port),
                open: open.into_iter().filter(|port| *port != app.port).collect(),
                last,
            })
        };
        tokio::time::timeout(ASKED, look).await.ok().flatten()
    }

    /// What is known.
    fn told(&self, app: &App, named: &[u16], url: &str) -> Error {
        let App { name, port, .. } = app;
        let restarts = match self.restarts {
            0 => "has not restarted".to_owned(),
            1 => "restarted once".to_owned(),
            many => format!("restarted {many} times"),
        };
        let mut why = format!("its pod {} runs and its container {restarts}", self.pod);
        let other = self.open.first().or_else(|| named.iter().find(|named| *named != port));
        let next = match (self.refused, other) {
            (true, other) => {
                let _ = write!(why, ", but connections to port {port} are refused");
                if !self.open.is_empty() {
                    let _ = write!(why, "; something listens at port {}", list(&self.open));
                }
                if !named.is_empty() {
                    let _ = write!(why, "; the image names port {}", list(named));
                }
                match other {
                    Some(other) => format!("the same command with --port {other} deploys it there"),
                    None => "deploy it with the --port where its program listens".to_owned(),
                }
            }
            (false, _) => {
                let _ = write!(
                    why,
                    ", and something listens at port {port} inside of it, but {url} answers 502, 503 or 504"
                );
                "a program that listens at 127.0.0.1 alone is not reached, and must listen at 0.0.0.0"
                    .to_owned()
            }
        };
        let Self { pod, namespace, .. } = self;
        let logs = format!(
            "`kubectl -n {namespace} logs {pod}`, by the kubeconfig that `curtain kubeconfig` names, shows what it says"
        );
        let last = self.last.as_ref().map_or_else(String::new, |last| format!("\n  {last}"));
        let what = format!("component {name}");
        Error::Unheard { what, why, next: format!("{next}; {logs}{last}") }
    }
}

/// Those of `ports` of the pod where connections are accepted; `None` if it is not known of the one that is wanted.
async fn open(
    client: &Client,
    namespace: &str,
    pod: &str,
    ports: &[u16],
    wanted: u16,
) -> Option<Vec<u16>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut forward = pods.portforward(pod, ports).await.ok()?;
    // Held until all are judged: one that is let go ends its connection.
    let _streams: Vec<_> = ports.iter().filter_map(|port| forward.take_stream(*port)).collect();
    let judged = ports.iter().filter_map(|port| {
        let error = forward.take_error(*port)?;
        Some(async move { (*port, accepts(error).await) })
    });
    let judged = futures::future::join_all(judged.collect::<Vec<_>>()).await;
    forward.abort();
    accepting(&judged, wanted)
}

/// Whether a connection is accepted, by the error that `refusal` comes to; `None` if forwarding itself ended without
/// one.
async fn accepts(refusal: impl Future<Output = Option<String>>) -> Option<bool> {
    match tokio::time::timeout(ACCEPTED, refusal).await {
        Ok(Some(_)) => Some(false),
        Ok(None) => None,
        Err(_) => Some(true),
    }
}

/// The ports that accept connections, if it is known of the one that is wanted.
fn accepting(judged: &[(u16, Option<bool>)], wanted: u16) -> Option<Vec<u16>> {
    judged.iter().find(|(port, accepts)| *port == wanted && accepts.is_some())?;
    let open = judged.iter().filter(|(_, accepts)| *accepts == Some(true));
    Some(open.map(|(port, _)| *port).collect())
}

fn list(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn told(refused: bool, open: &[u16], named: &[u16]) -> String {
        let app = App {
            name: "my".to_owned(),
            namespace: "default".to_owned(),
            project: "default".to_owned(),
            image: "my:dev".to_owned(),
            id: None,
            port: 9999,
        };
        let look = Look {
            pod: "my-1".to_owned(),
            namespace: "dp".to_owned(),
            restarts: 0,
            refused,
            open: open.to_vec(),
            last: Some("its last line: listening on :3000".to_owned()),
        };
        let error = look.told(&app, named, "http://u");
        assert_eq!(error.kind(), Kind::Timeout);
        error.to_string()
    }

    #[test]
    fn a_port_where_nothing_listens_is_told_with_those_that_could_be_meant() {
        let said = told(true, &[3000], &[8080]);
        for words in [
            "component my does not answer",
            "pod my-1 runs and its container has not restarted",
            "connections to port 9999 are refused",
            "something listens at port 3000",
            "the image names port 8080",
            "its last line: listening on :3000",
            "--port 3000",
            "`kubectl -n dp logs my-1`, by the kubeconfig that `curtain kubeconfig`",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
        let said = told(true, &[], &[8080]);
        assert!(said.contains("--port 8080") && !said.contains("something listens"), "{said}");
        assert!(told(true, &[], &[]).contains("the --port where its program listens"));
    }

    #[test]
    fn a_program_that_listens_to_its_own_pod_alone_is_told_so() {
        let said = told(false, &[], &[9999]);
        assert!(said.contains("0.0.0.0") && !said.contains("refused"), "{said}");
    }
    #[tokio::test]
    async fn forwarding_that_fails_as_a_whole_says_nothing_of_ports() {
        let refused = accepts(async { Some("refused".to_owned()) }).await;
        let failed = accepts(async { None }).await;
        let accepted = accepts(std::future::pending()).await;
        assert_eq!((refused, failed, accepted), (Some(false), None, Some(true)));
        for (judged, open) in [
            ([(80, failed), (90, failed)], None),
            ([(80, failed), (90, refused)], None),
            ([(80, refused), (90, failed)], Some(vec![])),
            ([(80, refused), (90, accepted)], Some(vec![90])),
        ] {
            assert_eq!(accepting(&judged, 80), open);
        }
    }
}
