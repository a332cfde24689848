//! Just enough netlink: building messages and sending one batch with its
//! acknowledgements.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

/// `NLM_F_REQUEST`.
pub(super) const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`.
pub(super) const ACK: u16 = 0x4;
/// `NLM_F_CREATE`.
pub(super) const CREATE: u16 = 0x400;
/// `NLM_F_REPLACE`.
pub(super) const REPLACE: u16 = 0x100;
/// `NLM_F_APPEND`.
pub(super) const APPEND: u16 = 0x800;

const NLMSG_ERROR: u16 = 2;
const HEADER: usize = 16;
const NESTED: u16 = 0x8000;

/// One or more netlink messages, written back to back.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    sequence: u32,
    acks: u32,
}

impl Batch {
    /// Append a message of type `kind`; `write` fills what follows its header.
    pub(super) fn message(&mut self, kind: u16, flags: u16, write: impl FnOnce(&mut Body)) {
        self.sequence += 1;
        if flags & ACK != 0 {
            self.acks += 1;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&self.sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        let mut body = Body { bytes: std::mem::take(&mut self.bytes) };
        write(&mut body);
        self.bytes = body.bytes;
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        pad(&mut self.bytes);
    }

    /// Send everything to `protocol` and wait for every acknowledgement.
    /// The first refusal of the kernel is the error.
    pub(super) fn send(&self, protocol: SockProtocol) -> io::Result<()> {
        let fd = open(protocol)?;
        sendto(fd.as_raw_fd(), &self.bytes, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        let mut missing = self.acks;
        let mut buffer = vec![0; 32 * 1024];
        while missing > 0 {
            let length = match recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "the kernel did not acknowledge within 5 s",
                    ));
                }
                other => other?,
            };
            missing = missing.saturating_sub(acknowledged(&buffer[..length])?);
        }
        Ok(())
    }
}

/// The part of a message behind its netlink header.
pub(super) struct Body {
    bytes: Vec<u8>,
}

impl Body {
    /// Append a fixed header as it is.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Append one attribute.
    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.bytes.extend_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        pad(&mut self.bytes);
    }

    /// Append a number in network order, as nftables wants all of its numbers.
    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// Append a string with its terminator.
    pub(super) fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes);
    }

    /// Append an attribute that contains attributes.
    pub(super) fn nested(&mut self, kind: u16, write: impl FnOnce(&mut Body)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        write(self);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        pad(&mut self.bytes);
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn open(protocol: SockProtocol) -> io::Result<OwnedFd> {
    let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(5, 0))?;
    Ok(fd)
}

/// Count the acknowledgements in `bytes`; a refusal among them is the error.
fn acknowledged(mut bytes: &[u8]) -> io::Result<u32> {
    let mut count = 0;
    while bytes.len() >= HEADER {
        let length = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
        if length < HEADER || length > bytes.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "truncated netlink answer"));
        }
        if kind == NLMSG_ERROR && length >= HEADER + 4 {
            match i32::from_ne_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]) {
                0 => count += 1,
                code => return Err(io::Error::from_raw_os_error(-code)),
            }
        }
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_exact_and_starts_are_aligned() {
        let mut batch = Batch::default();
        batch.message(7, REQUEST | ACK, |body| {
            body.raw(&[1, 2, 3, 4]);
            body.nested(1, |body| body.text(2, "abcd"));
        });
        batch.message(8, REQUEST, |body| body.number(3, 5));
        // header 16 + raw 4 + nested header 4 + attribute header 4 + "abcd\0" padded to 8
        assert_eq!(batch.bytes.len(), 36 + 24);
        assert_eq!(batch.bytes[0..4], 36u32.to_ne_bytes());
        assert_eq!(batch.bytes[20..22], 16u16.to_ne_bytes());
        assert_eq!(batch.bytes[24..26], 9u16.to_ne_bytes());
        assert_eq!(batch.bytes[36..40], 24u32.to_ne_bytes());
        assert_eq!((batch.sequence, batch.acks), (2, 1));
    }

    #[test]
    fn a_refusal_becomes_its_errno() {
        let mut bytes = vec![0; 36];
        bytes[0..4].copy_from_slice(&36u32.to_ne_bytes());
        bytes[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        assert_eq!(acknowledged(&bytes).unwrap(), 1);
        bytes[16..20].copy_from_slice(&(-libc::EPERM).to_ne_bytes());
        assert_eq!(acknowledged(&bytes).unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert!(acknowledged(&bytes[..20]).is_err());
    }
}
