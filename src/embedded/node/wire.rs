//! Messages with descriptors between supervisor, node and shims.
//!
//! One JSON document per packet of a `SEQPACKET` socket pair, so that a reader which died half-way leaves no half
//! message to its successor. A document that is too large for a packet travels in a memory file that comes along as
//! an additional descriptor.

use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sandbox::sys;

/// Largest document inside a packet.
const INLINE: usize = 16 * 1024;
/// Most descriptors of a packet (the kernel's limit).
const MAX_FDS: usize = 253;
/// Largest document at all. Who sends a larger one is not trusted with the reader's memory.
const LARGEST: u64 = 64 << 20;
const IS_INLINE: u8 = b'J';
const IS_MEMORY_FILE: u8 = b'M';

/// One end of a socket pair.
#[derive(Debug)]
pub(crate) struct Channel {
    fd: OwnedFd,
}

/// What [`Channel::receive`] found.
#[derive(Debug)]
pub(crate) enum Received<T> {
    /// A message and the descriptors that came with it.
    Message(T, Vec<OwnedFd>),
    /// Nothing at the moment.
    Nothing,
    /// The other end is closed.
    Closed,
}

impl Channel {
    /// A connected pair. Both ends are close-on-exec and non-blocking.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        Ok((Self { fd: a }, Self { fd: b }))
    }

    /// An end that this process received.
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// The end that was inherited across `execve` under this number; from now on close-on-exec.
    pub(crate) fn inherited(fd: RawFd) -> io::Result<Self> {
        let fd = sys::own(fd);
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { fd })
    }

    /// A second handle on the same end.
    pub(crate) fn duplicate(&self) -> io::Result<OwnedFd> {
        self.fd.try_clone()
    }

    /// Sends a document; fails with `WouldBlock` when the other end does not read.
    pub(crate) fn send<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let document = serde_json::to_vec(message)?;
        let mut raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let memory;
        let (kind, inline): (u8, &[u8]) = if document.len() <= INLINE {
            (IS_INLINE, &document)
        } else {
            memory = memory_file(&document)?;
            raw.push(memory.as_raw_fd());
            (IS_MEMORY_FILE, &[])
        };
        self.send_packet(kind, inline, &raw)
    }

    fn send_packet(&self, kind: u8, inline: &[u8], fds: &[RawFd]) -> io::Result<()> {
        let rights = [ControlMessage::ScmRights(fds)];
        let rights = if fds.is_empty() { &rights[..0] } else { &rights[..] };
        let parts = [IoSlice::new(std::slice::from_ref(&kind)), IoSlice::new(inline)];
        loop {
            let flags = MsgFlags::MSG_NOSIGNAL;
            match sendmsg::<()>(self.fd.as_raw_fd(), &parts, rights, flags, None) {
                Err(Errno::EINTR) => {}
                result => return result.map(|_| ()).map_err(io::Error::from),
            }
        }
    }

    /// Sends a document; waits as long as `limit` for the other end to read.
    pub(crate) fn send_within<T: Serialize>(
        &self,
        message: &T,
        fds: &[BorrowedFd<'_>],
        limit: Duration,
    ) -> io::Result<()> {
        let until = Instant::now() + limit;
        loop {
            match self.send(message, fds) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let timeout = PollTimeout::try_from(left.as_millis() as u64 + 1);
            let timeout = timeout.unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLOUT)], timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Receives the next document, without waiting.
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> io::Result<Received<T>> {
        let mut buffer = vec![0; INLINE + 1];
        let mut control = cmsg_space!([RawFd; MAX_FDS]);
        let (length, mut fds) = {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
            let message =
                match recvmsg::<()>(self.fd.as_raw_fd(), &mut parts, Some(&mut control), flags) {
                    Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Received::Nothing),
                    Err(Errno::ECONNRESET) => return Ok(Received::Closed),
                    result => result?,
                };
            let mut fds = Vec::new();
            for part in message.cmsgs()? {
                if let ControlMessageOwned::ScmRights(raw) = part {
                    fds.extend(raw.into_iter().map(sys::own));
                }
            }
            (message.bytes, fds)
        };
        let document = match buffer[..length].split_first() {
            None => return Ok(Received::Closed),
            Some((&IS_INLINE, document)) => serde_json::from_slice(document)?,
            Some((&IS_MEMORY_FILE, _)) => {
                let memory = fds.pop().ok_or(io::ErrorKind::InvalidData)?;
                serde_json::from_slice(&read_memory(memory)?)?
            }
            Some(_) => return Err(io::ErrorKind::InvalidData.into()),
        };
        Ok(Received::Message(document, fds))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Only what a file holds is read: devices and pipes may have no end.
fn read_memory(memory: OwnedFd) -> io::Result<Vec<u8>> {
    let mut file = std::fs::File::from(memory);
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a document must come in a file of at most {LARGEST} bytes"),
        ));
    }
    let mut document = Vec::new();
    file.rewind()?;
    // It may grow meanwhile.
    file.take(LARGEST).read_to_end(&mut document)?;
    Ok(document)
}

fn memory_file(document: &[u8]) -> io::Result<OwnedFd> {
    if document.len() as u64 > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("a message of {} bytes is too large: {LARGEST} is the most", document.len()),
        ));
    }
    let fd = memfd_create("message", MFdFlags::MFD_CLOEXEC)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(document)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_documents_arrive_with_their_descriptors() {
        let (a, b) = Channel::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        for size in [10, INLINE * 20] {
            let text = "x".repeat(size);
            a.send(&text, &[file.as_fd()]).unwrap();
            let Received::Message(got, fds) = b.receive::<String>().unwrap() else {
                panic!("a message was sent");
            };
            assert_eq!(got, text);
            assert_eq!(fds.len(), 1);
        }
        assert!(matches!(b.receive::<String>().unwrap(), Received::Nothing));
        drop(a);
        assert!(matches!(b.receive::<String>().unwrap(), Received::Closed));
    }

    #[test]
    fn a_sender_cannot_exhaust_the_readers_memory() {
        let (a, b) = Channel::pair().unwrap();
        let endless = std::fs::File::open("/dev/zero").unwrap();
        let large = tempfile::tempfile().unwrap();
        large.set_len(LARGEST + 1).unwrap();
        for file in [endless, large] {
            a.send_packet(IS_MEMORY_FILE, &[], &[file.as_raw_fd()]).unwrap();
            let error = b.receive::<String>().unwrap_err();
            assert!(error.to_string().contains("at most"), "{error}");
        }
    }

    #[test]
    fn more_than_the_buffer_holds_arrives_at_a_reader_that_reads() {
        const MANY: u32 = 2000;
        let (a, b) = Channel::pair().unwrap();
        let reader = std::thread::spawn(move || {
            let mut expected = 0;
            while expected < MANY {
                match b.receive::<u32>().unwrap() {
                    Received::Message(number, _) => {
                        assert_eq!(number, expected);
                        expected += 1;
                    }
                    Received::Nothing => {
                        let mut ready = [PollFd::new(b.as_fd(), PollFlags::POLLIN)];
                        poll(&mut ready, PollTimeout::NONE).unwrap();
                    }
                    Received::Closed => panic!("closed after {expected}"),
                }
            }
        });
        for number in 0..MANY {
            a.send_within(&number, &[], Duration::from_secs(60)).unwrap();
        }
        reader.join().unwrap();
        let (a, _deaf) = Channel::pair().unwrap();
        while a.send(&0, &[]).is_ok() {}
        let error = a.send_within(&0, &[], Duration::from_millis(10)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_reader_that_is_gone_does_not_block_the_sender() {
        let (a, _b) = Channel::pair().unwrap();
        let error = loop {
            if let Err(error) = a.send(&"event", &[]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
