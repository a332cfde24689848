//! Copying between two connections, both ways, until both sides are done.

use std::cell::RefCell;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;

use super::sight::{Flow, Side};

const BUFFER: usize = 16 * 1024;
/// Buffers that a thread keeps for the next connection with data.
const KEPT: usize = 8;

/// Copy both ways. One side's end is passed on as a half-close, and the other
/// direction goes on. `flow` is shown what passes before it is passed on: a request is known by the time of its answer.
///
/// # Errors
/// The first failure of either side; both connections should then be [`reset`].
pub(super) async fn relay(a: &TcpStream, b: &TcpStream, flow: Option<&Flow>) -> io::Result<()> {
    let seen = |side| flow.map(|flow| (flow, side));
    tokio::try_join!(pump(a, b, seen(Side::Client)), pump(b, a, seen(Side::Server)))?;
    Ok(())
}

/// Make closing `stream` a reset: the peer learns that this was not an orderly end.
pub(super) fn reset(stream: &impl AsFd) {
    let now = libc::linger { l_onoff: 1, l_linger: 0 };
    // The socket closes in any case; without the option, with a FIN.
    let _ = setsockopt(&stream.as_fd(), sockopt::Linger, &now);
}

/// Resets a connection unless it is [`done`](Self::done) before.
pub(super) struct ResetUnlessDone<'a>(Option<&'a TcpStream>);

impl<'a> ResetUnlessDone<'a> {
    pub(super) fn new(stream: &'a TcpStream) -> Self {
        Self(Some(stream))
    }

    /// It has ended in order.
    pub(super) fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for ResetUnlessDone<'_> {
    fn drop(&mut self) {
        if let Some(stream) = self.0 {
            reset(stream);
        }
    }
}

/// A connection that waits holds no buffer: one is taken when data is there.
async fn pump(from: &TcpStream, to: &TcpStream, seen: Option<(&Flow, Side)>) -> io::Result<()> {
    loop {
        from.readable().await?;
        let mut buffer = Buffer::take();
        loop {
            match from.try_read(&mut buffer) {
                Ok(0) => return finish(to),
                Ok(length) => {
                    if let Some((flow, side)) = seen {
                        flow.passed(side, &buffer[..length]);
                    }
                    write_all(to, &buffer[..length]).await?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            consume_budget().await;
        }
    }
}

async fn write_all(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => to.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn finish(to: &TcpStream) -> io::Result<()> {
    match shutdown(to.as_raw_fd(), Shutdown::Write) {
        // The other side has gone already: its own direction reports how.
        Ok(()) | Err(nix::Error::ENOTCONN) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

thread_local! {
    static SPARE: RefCell<Vec<Box<[u8; BUFFER]>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer on loan from the thread's small stock.
struct Buffer(Option<Box<[u8; BUFFER]>>);

impl Buffer {
    fn take() -> Self {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        Self(Some(spare.unwrap_or_else(|| Box::new([0; BUFFER]))))
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().map_or(&[], |bytes| bytes)
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().map_or(&mut [], |bytes| bytes)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(bytes) = self.0.take() else { return };
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < KEPT {
                spare.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_half_close_leaves_the_other_direction_open() {
        let (mut client, near) = pair().await;
        let (far, mut server) = pair().await;
        let relay = tokio::spawn(async move { relay(&near, &far, None).await });

        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "question");

        let answer = vec![7; 3 * BUFFER + 1];
        server.write_all(&answer).await.unwrap();
        drop(server);
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, answer);
        relay.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_reset_travels_through() {
        let (mut client, near) = pair().await;
        let (far, server) = pair().await;
        reset(&server);
        drop(server);
        let error = relay(&near, &far, None).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        reset(&near);
        drop(near);
        let error = client.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
