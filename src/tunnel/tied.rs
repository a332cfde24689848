//! A stream that breaks when its owner lets go.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// Keeps the other half alive; dropping it breaks the stream at once.
pub(crate) struct Owner {
    _alive: oneshot::Sender<Infallible>,
}

/// `stream`, tied to an [`Owner`]. HTTP/2 hands its connection to a task of
/// its own, so dropping what the caller holds would not end it.
pub(crate) struct Tied<S> {
    stream: S,
    /// `None` once the owner is gone.
    alive: Option<oneshot::Receiver<Infallible>>,
}

pub(crate) fn tie<S>(stream: S) -> (Tied<S>, Owner) {
    let (owner, alive) = oneshot::channel();
    (Tied { stream, alive: Some(alive) }, Owner { _alive: owner })
}

impl<S> Tied<S> {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if let Some(alive) = &mut self.alive
            && Pin::new(alive).poll(context).is_ready()
        {
            self.alive = None;
        }
        match self.alive {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tied<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tied<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_waiting_reader_learns_that_the_owner_is_gone() {
        let (near, _far) = tokio::io::duplex(8);
        let (mut tied, owner) = tie(near);
        let reader = tokio::spawn(async move { tied.read_u8().await });
        tokio::task::yield_now().await;
        drop(owner);
        let error = reader.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}
