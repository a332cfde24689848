//! Storing what the node has pulled: a process of root's, started by the supervisor for one image.
//!
//! It reads an archive from its socket, which is the node's other end, and answers with an [`Outcome`]. Nothing that comes
//! is trusted: it is an archive like any other. When the node does not wait any more, the process ends wherever it is, as
//! if it was killed: it would hold the lock that the next attempt needs.

use std::io::Write as _;
use std::os::fd::{AsFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{Signal, raise};
use serde::{Deserialize, Serialize};

use super::{Reference, store};
use crate::node::sandbox::sys;
use crate::{ClusterConfig, Error};

/// How long the node, which has the whole image, may send nothing of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of an image.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::node) enum Outcome {
    /// It is stored, with so many bytes of layers.
    Stored { size: u64 },
    /// It is not, and nothing of it was kept.
    Failed { why: String },
}

/// Stores the image that comes on the inherited socket `control_fd`, and answers there.
///
/// # Errors
/// A settings file that cannot be read, and a node that does not wait for the answer.
pub fn store_image(config: &Path, control_fd: RawFd) -> Result<(), Error> {
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(Error::errno("tie the process to its supervisor"))?;
    let config = ClusterConfig::read(config)?;
    let mut socket = UnixStream::from(sys::own(control_fd));
    // The store is locked meanwhile.
    socket
        .set_read_timeout(Some(PATIENCE))
        .map_err(Error::system("limit the wait for the node"))?;
    let node = socket.try_clone().map_err(Error::system("look after the node"))?;
    std::thread::Builder::new()
        .name("node".to_owned())
        .spawn(move || end_with(&node))
        .map_err(Error::system("look after the node"))?;
    let own = config.own_image.parse::<Reference>().map(|own| own.to_string());
    let stored = store::store(&config.home, &mut socket, true, |names, there| match own {
        Ok(own) if names.contains(&own) => Err("the platform's own image has this name".to_owned()),
        _ if names.len() != 1 => Err(format!("one name was expected, not {}", names.len())),
        _ if names.iter().any(|name| there.get(name).is_some_and(|image| !image.pulled)) => {
            Err("an image of this name was loaded into this machine meanwhile".to_owned())
        }
        _ => Ok(()),
    });
    let outcome = match stored {
        Ok(stored) => Outcome::Stored { size: stored.first().map_or(0, |image| image.size) },
        Err(error) => Outcome::Failed { why: error.to_string() },
    };
    let answer = serde_json::to_vec(&outcome)
        .map_err(|source| Error::Format { path: config.path(), source })?;
    socket.write_all(&answer).map_err(Error::system("answer the node"))
}

/// Ends this process once nobody is at the other end.
fn end_with(node: &UnixStream) {
    while !left(node, PollTimeout::NONE) {}
    // What is in staging is removed by the next process that has the lock.
    let _ = raise(Signal::SIGKILL);
}

/// Whether the other end is closed, or gets to be within a time. One that only sends no more is not.
fn left(node: &UnixStream, limit: PollTimeout) -> bool {
    // Of a closed end one is always told.
    let mut fds = [PollFd::new(node.as_fd(), PollFlags::empty())];
    let gone = |flags: PollFlags| flags.intersects(PollFlags::POLLHUP | PollFlags::POLLERR);
    poll(&mut fds, limit).is_ok_and(|_| fds[0].revents().is_some_and(gone))
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;

    use super::*;

    #[test]
    fn a_node_that_has_sent_everything_is_not_one_that_has_left() {
        let (node, ours) = UnixStream::pair().unwrap();
        (&node).write_all(b"archive").unwrap();
        node.shutdown(Shutdown::Write).unwrap();
        assert!(!left(&ours, PollTimeout::ZERO));
        drop(node);
        assert!(left(&ours, PollTimeout::from(10_000_u16)));
    }
}
