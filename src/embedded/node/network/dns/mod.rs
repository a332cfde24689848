//! The cluster's name server.
//!
//! Names below the cluster's domain are answered from the index and nowhere
//! else; names outside it are handed to the host's resolvers as they came, or
//! refused by a cluster that is offline.

mod answer;
mod forward;
mod name;
mod resolv_conf;

use std::io;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;

use self::answer::Answer;
use super::Shared;

pub use self::resolv_conf::ResolvConf;

/// How long a connection may stay without a query.
const IDLE: Duration = Duration::from_secs(10);

/// How a query came, which bounds the size of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// Answer one query; `None` when it is no query at all.
pub(super) async fn respond(shared: &Shared, query: &[u8], by: Transport) -> Option<Vec<u8>> {
    let message = Message::from_vec(query).ok()?;
    let answer = answer::answer(&shared.settings, &shared.index(), &message)?;
    let response = match answer {
        Answer::Here(response) => response,
        Answer::Elsewhere => {
            match forward::forward(&shared.settings.resolv_conf, query, by).await {
                Ok(answer) => return Some(answer),
                Err(error) => {
                    tracing::debug!(%error, "a name outside the cluster was not resolved");
                    answer::failure(&message, ResponseCode::ServFail)
                }
            }
        }
    };
    let bytes = response.to_vec().ok()?;
    match by {
        Transport::Udp if bytes.len() > usize::from(message.max_payload()) => {
            response.truncate().to_vec().ok()
        }
        _ => Some(bytes),
    }
}

/// Answer the queries of one connection, each after its length, until the
/// client is through or silent for [`IDLE`].
pub(super) async fn serve_stream(shared: &Shared, stream: &TcpStream) -> io::Result<()> {
    let mut stream = Borrowed(stream);
    loop {
        let length = match timeout(IDLE, stream.read_u16()).await {
            Err(_) => return Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(length) => length?,
        };
        let mut query = vec![0; usize::from(length)];
        let read = timeout(IDLE, stream.read_exact(&mut query)).await;
        read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let answer = respond(shared, &query, Transport::Tcp).await;
        let answer = answer.ok_or(io::ErrorKind::InvalidData)?;
        let length = u16::try_from(answer.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        stream.write_all(&framed).await?;
    }
}

/// Reads and writes through a shared reference, so that the caller keeps the
/// connection and can reset it.
struct Borrowed<'a>(&'a TcpStream);

impl tokio::io::AsyncRead for Borrowed<'_> {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        loop {
            std::task::ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(length) => {
                    buffer.advance(length);
                    return std::task::Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return std::task::Poll::Ready(Err(error)),
            }
        }
    }
}

impl Borrowed<'_> {
    async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.0.ready(Interest::WRITABLE).await?;
            match self.0.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
