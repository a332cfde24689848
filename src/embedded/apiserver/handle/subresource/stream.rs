//! `pods/exec`, `pods/attach` and `pods/portforward`: everything that can be wrong is found before the connection
//! changes to WebSocket, so that it is told as a `Status`.

use std::sync::Arc;

use serde_json::Value;

use super::super::Context;
use super::log;
use crate::apiserver::kinds::{Subresource, ValueExt};
use crate::apiserver::node::{PodRef, StreamOptions};
use crate::apiserver::reply::Reply;
use crate::apiserver::status::ApiError;
use crate::apiserver::stream::{self, Connect, MOST_PORTS, Offer, Version};
use crate::apiserver::{Api, NodeBackend, route};

const VERBS: &[&str] = &["create", "get"];

/// Runs a program in a container.
pub(in crate::apiserver) const EXEC: Subresource = Subresource {
    name: "exec",
    verbs: VERBS,
    speaks: Some(("", "v1", "PodExecOptions")),
    answer: |api, context, _| Box::pin(join(api, context)),
};

/// Joins a container's own program.
pub(in crate::apiserver) const ATTACH: Subresource = Subresource {
    name: "attach",
    verbs: VERBS,
    speaks: Some(("", "v1", "PodAttachOptions")),
    answer: |api, context, _| Box::pin(join(api, context)),
};

/// Connects to what listens in a pod.
pub(in crate::apiserver) const PORT_FORWARD: Subresource = Subresource {
    name: "portforward",
    verbs: VERBS,
    speaks: Some(("", "v1", "PodPortForwardOptions")),
    answer: |api, context, _| Box::pin(forward(api, context)),
};

const CHANNELS: [(&str, Version); 2] =
    [("v5.channel.k8s.io", Version::V5), ("v4.channel.k8s.io", Version::V4)];
const FORWARDS: [(&str, Forward); 2] =
    [("SPDY/3.1+portforward.k8s.io", Forward::Spdy), ("v4.channel.k8s.io", Forward::Channels)];

/// How ports are forwarded.
#[derive(Clone, Copy)]
enum Forward {
    /// By a pair of channels for each port.
    Channels,
    /// By a session that opens connections as they come.
    Spdy,
}

/// The pod, and the node that it is on.
fn find(api: &Api, context: &Context) -> Result<(Value, PodRef, Arc<dyn NodeBackend>), ApiError> {
    // A WebSocket begins with GET, but who may only look must not run programs.
    route::authorize_create(api, context)?;
    let object = context.latest(api)?;
    let pod = PodRef {
        namespace: object.key.namespace.to_string(),
        name: object.key.name.to_string(),
        uid: object.uid().to_owned(),
    };
    let value = object.value();
    let on = value.text(&["spec", "nodeName"]);
    if on.is_empty() {
        let why = format!("pod {} does not have a host assigned", pod.name);
        return Err(ApiError::bad_request(why));
    }
    let node = api.node().filter(|node| node.name() == on).ok_or_else(|| {
        let why = format!("the node {on:?} is not running: its pods cannot be reached");
        ApiError::plain(503, "ServiceUnavailable", why)
    })?;
    Ok((value, pod, node))
}

fn offer(context: &Context) -> Result<&Offer, ApiError> {
    context.upgrade.as_ref().ok_or_else(|| stream::refuse_without(&context.method))
}

async fn join(api: &Arc<Api>, context: &Context) -> Result<Reply, ApiError> {
    let (value, pod, node) = find(api, context)?;
    let query = &context.query;
    let options = StreamOptions {
        container: log::container(context, &value)?,
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        // A terminal has one output.
        stderr: query.flag("stderr") && !query.flag("tty"),
        terminal: query.flag("tty"),
    };
    if !(options.stdin || options.stdout || options.stderr) {
        return Err(ApiError::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    let command = match context.path.subresource.as_str() {
        "exec" => Some(query.all("command").map(str::to_owned).collect::<Vec<_>>()),
        _ => None,
    };
    if command.as_ref().is_some_and(Vec::is_empty) {
        return Err(ApiError::bad_request(
            "you must specify at least one command for the container",
        ));
    }
    if !node.runs(&pod, &options.container) {
        let why = format!("container not found ({:?})", options.container);
        return Err(ApiError::bad_request(why));
    }
    let (reply, accepted, version) = offer(context)?.accept(&CHANNELS)?;
    let stopping = api.stopping.clone();
    api.streams.spawn(async move {
        let socket = match accepted.socket(stream::LARGEST_INPUT).await {
            Ok(socket) => socket,
            Err(error) => return tracing::debug!(%error, "a client left before its stream began"),
        };
        let session = match command {
            Some(command) => node.exec(pod, options, command).await,
            None => node.attach(pod, options).await,
        };
        stream::serve_session(socket, version, session, stopping).await;
    });
    Ok(reply)
}

async fn forward(api: &Arc<Api>, context: &Context) -> Result<Reply, ApiError> {
    let (value, pod, node) = find(api, context)?;
    let phase = value.text(&["status", "phase"]);
    if phase != "Running" {
        let why =
            format!("unable to forward port because pod is not running. Current status={phase}");
        return Err(ApiError::bad_request(why));
    }
    let (reply, accepted, how) = offer(context)?.accept(&FORWARDS)?;
    let ports = match how {
        Forward::Channels => ports(context)?,
        Forward::Spdy => Vec::new(),
    };
    let stopping = api.stopping.clone();
    api.streams.spawn(async move {
        let socket = match accepted.socket(stream::LARGEST_FORWARD).await {
            Ok(socket) => socket,
            Err(error) => return tracing::debug!(%error, "a client left before its stream began"),
        };
        let target = pod.clone();
        let connect: Box<Connect> = Box::new(move |port| {
            let (node, pod) = (node.clone(), target.clone());
            Box::pin(async move { node.connect(pod, port).await })
        });
        match how {
            Forward::Channels => stream::serve_ports(socket, pod, ports, &connect, stopping).await,
            Forward::Spdy => stream::serve_spdy(socket, pod, &connect, stopping).await,
        }
    });
    Ok(reply)
}

/// The ports of the query: `ports=1&ports=2`, or `ports=1,2`.
fn ports(context: &Context) -> Result<Vec<u16>, ApiError> {
    let texts = context.query.all("ports").flat_map(|text| text.split(','));
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        Ok(_) => Err(ApiError::bad_request(format!("port {text:?} must be > 0"))),
        Err(error) => {
            Err(ApiError::bad_request(format!("unable to parse {text:?} as a port: {error}")))
        }
    };
    let ports = texts.map(port).collect::<Result<Vec<u16>, _>>()?;
    match ports.len() {
        0 => Err(ApiError::bad_request("query parameter \"ports\" is required")),
        1..=MOST_PORTS => Ok(ports),
        count => Err(ApiError::bad_request(format!(
            "{count} ports are too many for one request: {MOST_PORTS} is the most"
        ))),
    }
}
