//! Names and labels of the series that are understood here. A name that begins with [`APPLICATION`] is a program's own.

/// Processor time in use, in billionths of a core. Like all series up to [`RESTARTS`], one a pod (label [`POD`]).
pub const CPU: &str = "cpu";
/// Requested, in billionths of a core.
pub const CPU_REQUEST: &str = "cpu_request";
/// The limit, in billionths of a core.
pub const CPU_LIMIT: &str = "cpu_limit";
/// The working set in bytes.
pub const MEMORY: &str = "memory";
/// Requested, in bytes.
pub const MEMORY_REQUEST: &str = "memory_request";
/// The limit in bytes.
pub const MEMORY_LIMIT: &str = "memory_limit";
/// Bytes received.
pub const RECEIVED: &str = "net_rx";
/// Bytes sent.
pub const SENT: &str = "net_tx";
/// 1 when the pod is ready, else 0.
pub const READY: &str = "ready";
/// Containers started again.
pub const RESTARTS: &str = "restarts";
/// Requests that the owner was asked, by whom and with what result.
pub const HTTP_IN: &str = "http_in";
/// Requests of the owner to something that is not a component of its project and environment: what else there is
/// stands with the one that was asked.
pub const HTTP_OUT: &str = "http_out";
/// Connections of the owner to others, HTTP or not, by what became of them.
pub const CONNECTIONS: &str = "connections";
/// Connections to the owner of somebody who is no component.
pub const CONNECTIONS_IN: &str = "connections_in";
/// What names of programs' own series begin with.
pub const APPLICATION: &str = "app:";

/// Label: name of the pod.
pub const POD: &str = "pod";
/// Label: what is at the other end, `component`, `gateway` or `external`.
pub const PEER: &str = "peer";
/// Label: name of the component or gateway at the other end, or its host.
pub const PEER_NAME: &str = "peer_name";
/// Labels of a component at the other end.
pub const PEER_NAMESPACE: &str = "peer_namespace";
/// Its project.
pub const PEER_PROJECT: &str = "peer_project";
/// Its environment.
pub const PEER_ENVIRONMENT: &str = "peer_environment";
/// Its uid.
pub const PEER_UID: &str = "peer_uid";
/// Uid of its project.
pub const PEER_PROJECT_UID: &str = "peer_project_uid";
/// Label: the Service that was asked for.
pub const SERVICE: &str = "service";
/// Label: the port that was reached.
pub const PORT: &str = "port";
/// Label: `http1`, `http2`, `grpc`, `tcp`.
pub const PROTOCOL: &str = "protocol";
/// Label: of a request.
pub const METHOD: &str = "method";
/// Label: the path, as far as it is told apart.
pub const ROUTE: &str = "route";
/// Label: HTTP's or gRPC's status, or `none` without an answer.
pub const STATUS: &str = "status";
/// Label: `forwarded`, `denied` or `failed`.
pub const VERDICT: &str = "verdict";
