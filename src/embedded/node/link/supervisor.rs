//! Taking over from the supervisor, and asking it for shims.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use crate::Error;
use crate::node::sandbox::sys;
use crate::node::supervisor::{ListenerRole, ToNode, ToSupervisor, VERSION};
use crate::node::wire::{Channel, Received};

/// The supervisor sends everything before it waits for anything else.
const HAND_OVER_LIMIT_MS: u16 = 10_000;
const START_LIMIT: Duration = Duration::from_secs(10);

/// What a node finds when it starts.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// The API server's listener.
    pub(crate) api: Option<(SocketAddr, OwnedFd)>,
    /// Front doors by their index in the settings.
    pub(crate) front_doors: Vec<(usize, OwnedFd)>,
    /// Pods that run, by uid, with the sockets to their shims.
    pub(crate) shims: Vec<(String, OwnedFd)>,
}

impl Inherited {
    /// Receives the hand-over on the socket inherited as `control_fd`. Blocks; for use before the runtime starts.
    pub(crate) fn receive(control_fd: RawFd) -> Result<(Self, Channel), Error> {
        let channel = Channel::inherited(control_fd)
            .map_err(Error::system("take over the socket of the supervisor"))?;
        let mut inherited = Self::default();
        loop {
            let mut ready = [PollFd::new(channel.as_fd(), PollFlags::POLLIN)];
            let count = poll(&mut ready, PollTimeout::from(HAND_OVER_LIMIT_MS))
                .map_err(Error::errno("wait for the supervisor"))?;
            if count == 0 {
                return Err(broken("nothing came within 10 s".to_owned()));
            }
            let received =
                channel.receive::<ToNode>().map_err(Error::system("read from the supervisor"))?;
            let (message, fds) = match received {
                Received::Message(message, fds) => (message, fds),
                Received::Nothing => continue,
                Received::Closed => return Err(broken("it has ended".to_owned())),
            };
            let mut fds = fds.into_iter();
            match (message, fds.next()) {
                (ToNode::Hello { version: VERSION }, _) => {}
                (ToNode::Hello { version }, _) => {
                    return Err(broken(format!(
                        "it speaks version {version}, this build {VERSION}"
                    )));
                }
                (ToNode::Listener { role, address }, Some(fd)) => match role {
                    ListenerRole::Api => inherited.api = Some((address, fd)),
                    ListenerRole::FrontDoor { index } => inherited.front_doors.push((index, fd)),
                },
                (ToNode::Shim { pod, .. }, Some(fd)) => inherited.shims.push((pod, fd)),
                (ToNode::Ready, _) => return Ok((inherited, channel)),
                (other, _) => return Err(broken(format!("{other:?} during the hand-over"))),
            }
        }
    }
}

fn broken(message: String) -> Error {
    Error::Protocol { peer: "supervisor", message }
}

type Starting = HashMap<u64, oneshot::Sender<Result<OwnedFd, String>>>;

/// The connection to the supervisor. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SupervisorLink {
    channel: Arc<AsyncFd<Channel>>,
    /// Who waits, by the id of the request: an answer that comes late is not taken for that to a later one.
    starting: Arc<Mutex<Starting>>,
    next_id: Arc<AtomicU64>,
}

/// A place among those who wait. It is given up with the request, however that ends.
struct Place<'a> {
    link: &'a SupervisorLink,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.link.starting().remove(&self.id);
    }
}

impl SupervisorLink {
    /// Reads the socket in the background; needs a runtime.
    pub(crate) fn new(channel: Channel) -> io::Result<Self> {
        let link = Self {
            channel: Arc::new(sys::async_fd(channel, Interest::READABLE | Interest::WRITABLE)?),
            starting: Arc::default(),
            next_id: Arc::default(),
        };
        tokio::spawn(link.clone().read());
        Ok(link)
    }

    /// Starts a shim for a pod; the socket to it.
    pub(crate) async fn start_shim(&self, pod: &str) -> Result<OwnedFd, String> {
        let (sender, receiver) = oneshot::channel();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.starting().insert(id, sender);
        let _place = Place { link: self, id };
        self.send(&ToSupervisor::Start { id, pod: pod.to_owned() }, &[]).await?;
        match tokio::time::timeout(START_LIMIT, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("the supervisor is gone".to_owned()),
            Err(_) => Err(format!(
                "the supervisor did not start a shim within {} s",
                START_LIMIT.as_secs()
            )),
        }
    }

    /// Has a process started that stores an image; the socket on which it waits for it.
    pub(crate) async fn store_image(&self) -> Result<UnixStream, String> {
        let failed = |error: io::Error| format!("cannot make a socket: {error}");
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        self.send(&ToSupervisor::Store, &[theirs.as_fd()]).await?;
        Ok(ours)
    }

    async fn send(&self, message: &ToSupervisor, fds: &[BorrowedFd<'_>]) -> Result<(), String> {
        loop {
            let mut guard = self.channel.writable().await.map_err(|error| error.to_string())?;
            if let Ok(result) = guard.try_io(|inner| inner.get_ref().send(message, fds)) {
                return result.map_err(|error| format!("cannot reach the supervisor: {error}"));
            }
        }
    }

    fn starting(&self) -> MutexGuard<'_, Starting> {
        self.starting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(self) {
        loop {
            let Ok(mut guard) = self.channel.readable().await else {
                break;
            };
            match self.channel.get_ref().receive::<ToNode>() {
                Ok(Received::Message(ToNode::Started { id, result }, fds)) => {
                    let result = result.and_then(|_| {
                        fds.into_iter()
                            .next()
                            .ok_or_else(|| "no socket came with the shim".to_owned())
                    });
                    if let Some(sender) = self.starting().remove(&id) {
                        let _ = sender.send(result);
                    }
                }
                Ok(Received::Message(other, _)) => {
                    tracing::warn!(?other, "the supervisor said something unexpected");
                }
                Ok(Received::Nothing) => guard.clear_ready(),
                Ok(Received::Closed) => break,
                Err(error) => tracing::warn!(%error, "the supervisor was not understood"),
            }
        }
        self.starting().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next request at the supervisor's end; there must be one.
    async fn asked(supervisor: &AsyncFd<Channel>) -> (u64, String) {
        let next = async {
            loop {
                let mut guard = supervisor.readable().await.unwrap();
                match supervisor.get_ref().receive::<ToSupervisor>().unwrap() {
                    Received::Message(ToSupervisor::Start { id, pod }, _) => return (id, pod),
                    Received::Message(other, _) => panic!("{other:?}"),
                    Received::Nothing => guard.clear_ready(),
                    Received::Closed => panic!("the link is gone"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), next).await.expect("no request came")
    }

    #[tokio::test]
    async fn an_answer_that_comes_late_is_nobodys() {
        let (node, supervisor) = Channel::pair().unwrap();
        let supervisor = sys::async_fd(supervisor, Interest::READABLE).unwrap();
        let link = SupervisorLink::new(node).unwrap();
        let first = tokio::select! {
            started = link.start_shim("a") => panic!("{started:?}"),
            asked = asked(&supervisor) => asked,
        };
        assert_eq!(first, (0, "a".to_owned()));
        assert!(link.starting().is_empty(), "who was given up on does not wait");

        let answers = async {
            let second = asked(&supervisor).await;
            assert_eq!(second, (1, "b".to_owned()));
            let (socket, _other) = UnixStream::pair().unwrap();
            let late = ToNode::Started { id: 0, result: Ok(1) };
            supervisor.get_ref().send(&late, &[socket.as_fd()]).unwrap();
            let own = ToNode::Started { id: 1, result: Err("no space".to_owned()) };
            supervisor.get_ref().send(&own, &[]).unwrap();
        };
        let (started, ()) = tokio::join!(link.start_shim("b"), answers);
        assert_eq!(started.unwrap_err(), "no space");
        assert!(link.starting().is_empty());

        drop(supervisor);
        assert!(link.start_shim("c").await.is_err(), "the supervisor is gone");
        assert!(link.starting().is_empty());
    }
}
