//! What the API server asks of the node: the door to `pods/log`, `exec`, `attach`, `portforward` and `nodes/proxy`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Which part of a container's log is wanted, and how. Validated: `container` names one of the pod's containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Container name.
    pub container: String,
    /// Go on until the container ends.
    pub follow: bool,
    /// The instance before the current one.
    pub previous: bool,
    /// Only lines after this time.
    pub since: Option<Timestamp>,
    /// Only so many lines from the end.
    pub tail: Option<u64>,
    /// Each line begins with its RFC 3339 time and a space.
    pub timestamps: bool,
    /// End after so many bytes.
    pub limit_bytes: Option<u64>,
}

/// What somebody who joins a container wants. Validated: `container` names one of the pod's containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamOptions {
    /// Container name.
    pub container: String,
    /// Write to its standard input.
    pub stdin: bool,
    /// Read its standard output.
    pub stdout: bool,
    /// Read its standard error.
    pub stderr: bool,
    /// A terminal instead of three streams; its output is the standard output.
    pub terminal: bool,
}

/// The streams of a program that somebody has joined. Dropping them leaves the program to itself.
#[derive(Default)]
pub struct Session {
    /// Its standard input; dropping it is its end.
    pub stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Its standard output. Any error is the end, as a terminal has it.
    pub stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Its standard error.
    pub stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Tells its terminal how many columns and rows it has.
    pub resize: Option<Box<dyn Fn(u16, u16) + Send + Sync>>,
    /// The exit code of a program that was started for this; none for a container's own, which goes on.
    pub end: Option<BoxFuture<'static, Result<i32, String>>>,
}

/// Why something is not done that would leave the machine.
pub(crate) const OFFLINE: &str = "the instance is offline";

/// Refuses an address that is not this machine's.
pub(crate) fn beyond_reach() -> io::Error {
    io::Error::other(format!("{OFFLINE}: only loopback, the node and its pods are connected to"))
}

/// Whose log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRef {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid: a pod of the same name that came later is another one.
    pub uid: String,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The container has not started, or has no previous instance: the sentence is shown to the user as 400.
    #[error("{0}")]
    NotAvailable(String),
    /// The log cannot be read.
    #[error("reading the log of container {container} failed: {source}")]
    Io {
        /// Container name.
        container: String,
        /// What happened.
        source: io::Error,
    },
}

/// What is read of the node itself: `GET` of what a kubelet would serve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// Without a slash at its ends, such as `stats/summary`.
    pub path: String,
    /// The query's parameters.
    pub query: Vec<(String, String)>,
}

impl PageRequest {
    /// The first value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What the node answers.
pub struct Page {
    /// Type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: BoxStream<'static, Bytes>,
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Nothing is served there.
    #[error("404 page not found")]
    NotFound,
    /// A parameter is wrong: the sentence is shown to the user.
    #[error("{0}")]
    BadRequest(String),
}

/// What something uses: processor time as the average of a window, and memory at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Thousand-millionths of a processor.
    pub nanocores: u64,
    /// Bytes, without what could be dropped at once.
    pub memory: u64,
    /// Length of the window.
    pub window: Duration,
    /// Its end.
    pub ended: Timestamp,
}

fn not_here(pod: &PodRef, options: &StreamOptions) -> String {
    format!("{} does not run in {}", options.container, pod.name)
}

/// The node, as the API server sees it.
pub trait NodeBackend: Send + Sync {
    /// Name of its Node object.
    fn name(&self) -> &str;

    /// Reads a page.
    fn page(&self, request: PageRequest) -> BoxFuture<'_, Result<Page, PageError>>;

    /// What the whole node uses; `None` while that cannot be told.
    fn node_sample(&self) -> BoxFuture<'_, Option<Sample>> {
        Box::pin(async { None })
    }

    /// What the running containers of each of these pods use, by container name; nothing of a pod that cannot be
    /// measured.
    fn pod_samples<'a>(&'a self, pods: &'a [PodRef]) -> BoxFuture<'a, Vec<Vec<(String, Sample)>>> {
        Box::pin(async move { vec![Vec::new(); pods.len()] })
    }

    /// Whether a container runs here, so that it can be joined.
    fn runs(&self, pod: &PodRef, container: &str) -> bool {
        let _ = (pod, container);
        false
    }

    /// Runs a program in a container. An error is shown to the user.
    fn exec(
        &self,
        pod: PodRef,
        options: StreamOptions,
        command: Vec<String>,
    ) -> BoxFuture<'_, Result<Session, String>> {
        let _ = command;
        Box::pin(async move { Err(not_here(&pod, &options)) })
    }

    /// Joins a container's own program. An error is shown to the user.
    fn attach(
        &self,
        pod: PodRef,
        options: StreamOptions,
    ) -> BoxFuture<'_, Result<Session, String>> {
        Box::pin(async move { Err(not_here(&pod, &options)) })
    }

    /// Connects to a port inside a pod.
    fn connect(&self, pod: PodRef, port: u16) -> BoxFuture<'_, io::Result<TcpStream>> {
        let _ = (pod, port);
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }

    /// Connects to an address as a program of the node would, pods among them. Where the instance is offline, it is
    /// [`beyond_reach`] unless it is loopback, a pod's or the node's.
    fn dial(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<TcpStream>> {
        Box::pin(TcpStream::connect(address))
    }

    /// Opens a log. Dropping the stream ends the reading.
    fn logs(
        &self,
        pod: PodRef,
        options: LogOptions,
    ) -> BoxFuture<'_, Result<BoxStream<'static, io::Result<Bytes>>, LogError>>;
}
