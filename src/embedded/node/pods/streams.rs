//! `pods/exec`, `attach` and `portforward`: joining containers, and connecting to what listens in pods.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use futures::future::FutureExt as _;
use tokio::net::TcpStream;

use super::context::{Context, Entry};
use crate::apiserver::{PodRef, Session, StreamOptions};
use crate::node::link::{Joined, ShimLink};
use crate::node::shim::Streams;

/// Joins pods for the API server.
pub(super) struct Joiner {
    ctx: Arc<Context>,
}

impl Joiner {
    pub(super) fn new(ctx: Arc<Context>) -> Self {
        Self { ctx }
    }

    /// The shim of a pod whose container runs.
    fn find(&self, pod: &PodRef, container: &str) -> Option<ShimLink> {
        let entry = self.ctx.board.get(&pod.uid)?;
        let runs = entry.containers.get(container).is_some_and(|attempt| attempt.running);
        entry.sandbox.filter(|_| runs).map(|(link, _)| link)
    }

    pub(super) fn runs(&self, pod: &PodRef, container: &str) -> bool {
        self.find(pod, container).is_some()
    }

    pub(super) async fn exec(
        &self,
        pod: PodRef,
        options: StreamOptions,
        command: Vec<String>,
    ) -> Result<Session, String> {
        let link = self.find(&pod, &options.container).ok_or_else(|| gone(&options))?;
        let (joined, running) = link
            .stream(&options.container, command, streams(&options))
            .await
            .map_err(|error| error.to_string())?;
        let end = running.end().map(|end| match end {
            Ok(exit) => Ok(exit.code),
            Err(error) => Err(error.to_string()),
        });
        Ok(Session { end: Some(end.boxed()), ..session(joined) })
    }

    pub(super) async fn attach(
        &self,
        pod: PodRef,
        options: StreamOptions,
    ) -> Result<Session, String> {
        let link = self.find(&pod, &options.container).ok_or_else(|| gone(&options))?;
        let joined = link.attach(&options.container, streams(&options)).await;
        joined.map(session).map_err(|error| error.to_string())
    }

    /// Connects as a program of the pod would to `localhost`; where nothing listens there, to the pod's address.
    pub(super) async fn connect(&self, pod: PodRef, port: u16) -> io::Result<TcpStream> {
        let sandbox = self.ctx.board.get(&pod.uid).and_then(|Entry { sandbox, .. }| sandbox);
        let Some((_, ip)) = sandbox else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the pod does not run"));
        };
        let stream = match ip {
            Some(ip) => match self.ctx.network.dial_loopback(ip, port).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    self.ctx.network.dial(ip, port).await
                }
                result => result,
            },
            None => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await,
        }?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

fn gone(options: &StreamOptions) -> String {
    format!("container not found ({:?})", options.container)
}

fn streams(options: &StreamOptions) -> Streams {
    let StreamOptions { stdin, stdout, stderr, terminal, .. } = *options;
    Streams { stdin, stdout, stderr, terminal }
}

fn session(joined: Joined) -> Session {
    let Joined { stdin, stdout, stderr, terminal } = joined;
    Session {
        stdin: stdin.map(|stdin| Box::new(stdin) as _),
        stdout: stdout.map(|stdout| Box::new(stdout) as _),
        stderr: stderr.map(|stderr| Box::new(stderr) as _),
        resize: terminal.map(|terminal| {
            Box::new(move |columns, rows| {
                if let Err(error) = terminal.resize(columns, rows) {
                    tracing::debug!(%error, "a terminal was not resized");
                }
            }) as _
        }),
        end: None,
    }
}
