//! Several MCP servers as one, over stdin and stdout.
//!
//! A client that starts a program knows no URL and holds no token; the bridge has both, and keeps the token fresh. It
//! passes messages on as they are, so every protocol revision that the servers speak works through it: the servers
//! keep no sessions, and what a revision asks for in HTTP headers is in the messages. Only four things are its own:
//! tool lists of all servers are joined, calls go to the server that listed the tool, `ping` is answered here, and so are
//! calls of the bridge's own tools ([`OwnTool`]).
//!
//! Entry point: [`run`]. One line is one message; a line that is none is answered by a JSON-RPC error.

mod message;
mod own;
mod session;
mod upstream;

use std::{io, sync::Arc};

use curtain_role::Instance;
use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    sync::mpsc,
};

use crate::identity::{Secret, client::TokenClient};

pub(super) use message::headers;
pub use own::OwnTool;
use session::Session;
pub(super) use upstream::Sender;

/// The longest message that is read, in bytes.
const LONGEST_LINE: usize = 4 * 1024 * 1024;
/// Answers waiting to be written.
const WAITING: usize = 64;

/// A server behind the bridge. The first one given introduces all of them.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// For messages about it, such as `control plane`.
    pub name: String,
    /// The URL of its `/mcp`, plain HTTP; `localhost` and names below are 127.0.0.1.
    pub url: http::Uri,
}

/// Where tokens come from.
pub trait TokenSource: Send + Sync {
    /// A token that is good for a while.
    ///
    /// The error is one sentence for the model and the person.
    fn token(&self) -> BoxFuture<'_, Result<Secret, String>>;

    /// A server refused the last one.
    fn forget(&self) -> BoxFuture<'_, ()>;
}

impl TokenSource for TokenClient {
    fn token(&self) -> BoxFuture<'_, Result<Secret, String>> {
        Box::pin(async { TokenClient::token(self).await.map_err(|error| error.to_string()) })
    }

    fn forget(&self) -> BoxFuture<'_, ()> {
        Box::pin(TokenClient::forget(self))
    }
}

/// Why the bridge ended before its input did.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// There is nothing behind it.
    #[error("the bridge needs at least one MCP server")]
    NoUpstream,
    /// The client's messages cannot be read.
    #[error("cannot read messages from the client: {0}")]
    Read(#[source] io::Error),
    /// The client does not take answers.
    #[error("cannot write messages to the client: {0}")]
    Write(#[source] io::Error),
}

/// What a client reaches.
pub struct Behind {
    /// The servers.
    pub upstreams: Vec<Upstream>,
    /// Tools beside theirs; of two with the same name, this one counts.
    pub own: Vec<Arc<dyn OwnTool>>,
    /// The instance that the servers are of.
    pub instance: Instance,
}

/// Serves the client on `input` and `output` until `input` ends. Servers are asked with tokens of `tokens`.
///
/// # Errors
/// [`BridgeError`]. Trouble with a server is no such error: the client hears of it in the answer.
pub async fn run(
    behind: Behind,
    tokens: Arc<dyn TokenSource>,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
) -> Result<(), BridgeError> {
    if behind.upstreams.is_empty() {
        return Err(BridgeError::NoUpstream);
    }
    let (answers, written) = mpsc::channel(WAITING);
    let mut session = Session::new(behind, tokens, answers);
    let writing = write(written, output);
    let reading = async {
        let mut input = BufReader::new(input);
        while let Some(line) = read_line(&mut input).await.map_err(BridgeError::Read)? {
            session.receive(&line).await;
        }
        // What is under way may still answer; dropping the session ends the writer.
        session.finish().await;
        Ok(())
    };
    // A client that takes no answers any more is gone, whether it closed its side of the input or not.
    tokio::try_join!(reading, writing).map(drop)
}

async fn write(
    mut answers: mpsc::Receiver<String>,
    mut output: impl AsyncWrite + Unpin,
) -> Result<(), BridgeError> {
    while let Some(mut line) = answers.recv().await {
        line.push('\n');
        output.write_all(line.as_bytes()).await.map_err(BridgeError::Write)?;
        output.flush().await.map_err(BridgeError::Write)?;
    }
    Ok(())
}

/// The next line, without more than a bounded part of it in memory; `None` at the end.
async fn read_line(input: &mut BufReader<impl AsyncRead + Unpin>) -> io::Result<Option<Vec<u8>>> {
    use tokio::io::AsyncBufReadExt as _;
    let mut line = Vec::new();
    let mut limited = input.take(LONGEST_LINE as u64 + 1);
    if limited.read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    if line.len() > LONGEST_LINE {
        let text = format!("a message is longer than {LONGEST_LINE} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests;
