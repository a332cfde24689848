//! A program's streams over the channels of a WebSocket: `exec` and `attach`.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::{SinkExt as _, Stream, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, interval_at, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::channel::{self, Input, STATUS, STDERR, STDOUT, Version};
use crate::apiserver::Session;
use crate::apiserver::status::ApiError;

/// Largest message of a client. They send tens of kilobytes; Python's sends what a caller writes at once as one.
pub(in crate::apiserver) const LARGEST: usize = 16 << 20;
/// Bytes of output in a message.
const CHUNK: usize = 32 << 10;
/// A program that has ended may have left others with its output: what they say later is not waited for.
const QUIET: Duration = Duration::from_millis(200);
/// How often a connection that says nothing is tried.
pub(super) const PING: Duration = Duration::from_secs(30);
/// How long a client has to take its leave.
pub(super) const LEAVE: Duration = Duration::from_secs(5);

/// Why the session is over.
enum Over {
    /// The program has ended with this code, or its streams have.
    Program(i32),
    /// It did not start, or is lost.
    Failed(String),
    /// The client has left.
    Client,
    /// This server is stopping.
    Server,
}

/// Serves a program until it has ended or the client has left.
pub(in crate::apiserver) async fn serve<S>(
    socket: WebSocketStream<S>,
    version: Version,
    session: Result<Session, String>,
    stopping: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut source) = socket.split();
    let over = match session {
        Err(message) => Over::Failed(message),
        Ok(Session { stdin, stdout, stderr, resize, end }) => {
            let output = write(&mut sink, stdout, stderr, end);
            let input = read(&mut source, version, stdin, resize);
            tokio::select! {
                over = output => over,
                () = input => Over::Client,
                () = stopping.cancelled() => Over::Server,
            }
        }
    };
    let (status, code) = match over {
        Over::Client => return,
        Over::Server => (None, CloseCode::Away),
        Over::Program(code) => (Some(ended(code)), CloseCode::Normal),
        Over::Failed(message) => (Some(failed(&message)), CloseCode::Normal),
    };
    let leave = async {
        if let Some(status) = status {
            let status = channel::message(STATUS, status.to_string().as_bytes());
            sink.send(Message::Binary(status)).await?;
        }
        close(&mut sink, &mut source, code).await
    };
    match tokio::time::timeout(LEAVE, leave).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a client left before the end was told"),
        Err(_) => tracing::debug!("a client did not take its leave"),
    }
}

/// Says that this is all, and reads on until the client says so too.
pub(super) async fn close<K, E>(sink: &mut K, source: &mut E, code: CloseCode) -> Result<(), Error>
where
    K: futures::Sink<Message, Error = Error> + Unpin,
    E: Stream<Item = Result<Message, Error>> + Unpin,
{
    sink.send(Message::Close(Some(CloseFrame { code, reason: "".into() }))).await?;
    while let Some(Ok(_)) = source.next().await {}
    Ok(())
}

/// The program's input, until the client leaves.
async fn read<E>(
    source: &mut E,
    version: Version,
    mut stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    resize: Option<Box<dyn Fn(u16, u16) + Send + Sync>>,
) where
    E: Stream<Item = Result<Message, Error>> + Unpin,
{
    while let Some(message) = source.next().await {
        let message = match message {
            Ok(Message::Binary(bytes)) => bytes,
            Ok(Message::Text(text)) => text.into(),
            Ok(Message::Close(_)) => return,
            Ok(_) => continue,
            Err(error) => return tracing::debug!(%error, "a stream broke"),
        };
        match version.read(message) {
            Input::Stdin(bytes) => {
                if let Some(to) = &mut stdin
                    && to.write_all(&bytes).await.is_err()
                {
                    // The program does not read any more: it goes on, and so does its output.
                    stdin = None;
                }
            }
            Input::StdinEnd => stdin = None,
            Input::Resize { columns, rows } => {
                if let Some(resize) = &resize {
                    resize(columns, rows);
                }
            }
            Input::Unknown => {}
        }
    }
}

/// One of the program's outputs.
struct Output {
    channel: u8,
    reader: Option<Box<dyn AsyncRead + Send + Unpin>>,
    buffer: BytesMut,
}

impl Output {
    fn new(channel: u8, reader: Option<Box<dyn AsyncRead + Send + Unpin>>) -> Self {
        Self { channel, reader, buffer: BytesMut::new() }
    }

    /// The next message; `None` at the end, and never before that if there is nothing to read.
    async fn next(&mut self) -> Option<Bytes> {
        let reader = self.reader.as_mut()?;
        if self.buffer.is_empty() {
            self.buffer.reserve(CHUNK + 1);
            self.buffer.put_u8(self.channel);
        }
        match reader.read_buf(&mut (&mut self.buffer).limit(CHUNK)).await {
            Ok(count) if count > 0 => Some(self.buffer.split().freeze()),
            _ => {
                self.reader = None;
                None
            }
        }
    }
}

/// The program's output, until the program or its streams have ended.
async fn write<K>(
    sink: &mut K,
    stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    mut end: Option<BoxFuture<'static, Result<i32, String>>>,
) -> Over
where
    K: futures::Sink<Message, Error = Error> + Unpin,
{
    let silent = stdout.is_none() && stderr.is_none();
    let (mut stdout, mut stderr) = (Output::new(STDOUT, stdout), Output::new(STDERR, stderr));
    let mut exit = None;
    let mut quiet_at = Instant::now();
    let mut ping = interval_at(Instant::now() + PING, PING);
    loop {
        let open = stdout.reader.is_some() || stderr.reader.is_some();
        match (&exit, &end) {
            (Some(_), _) if !open => break,
            // Who only writes stays until they leave.
            (None, None) if !open && !silent => return Over::Program(0),
            _ => {}
        }
        let message = tokio::select! {
            piece = stdout.next(), if stdout.reader.is_some() => piece.map(Message::Binary),
            piece = stderr.next(), if stderr.reader.is_some() => piece.map(Message::Binary),
            how = async { match &mut end {
                Some(end) => end.await,
                None => std::future::pending().await,
            }}, if exit.is_none() => {
                exit = Some(how);
                quiet_at = Instant::now() + QUIET;
                None
            }
            () = sleep_until(quiet_at), if exit.is_some() => break,
            _ = ping.tick() => Some(Message::Ping(Bytes::new())),
        };
        if let Some(message) = message {
            if sink.send(message).await.is_err() {
                return Over::Client;
            }
            quiet_at = Instant::now() + QUIET;
        }
    }
    match exit {
        Some(Ok(code)) => Over::Program(code),
        Some(Err(message)) => Over::Failed(message),
        None => Over::Program(0),
    }
}

/// How a program ended, in the words that clients look for.
fn ended(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

fn failed(message: &str) -> Value {
    let message = format!("error executing command in container: {message}");
    let mut status = ApiError::internal(&message).status();
    status["details"] = json!({"causes": [{"message": message}]});
    status
}
