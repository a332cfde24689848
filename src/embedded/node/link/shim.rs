//! Asking a shim.

mod streams;

use std::collections::HashMap;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};

use crate::node::network::sandbox::{DIAL_BATCH, PodSockets};
use crate::node::sandbox::{ContainerSpec, ExecSpec, sys};
use crate::node::shim::{
    Event, Exit, Measured, PodSetup, PodState, Remains, Reply, Request, StopHook, ToNode, ToShim,
    VERSION, VolumeSpec,
};
use crate::node::wire::{Channel, Received};

pub(crate) use streams::Joined;

/// Longest time for an answer. Starting a container is the slowest request; the shim itself gives it a minute.
const ANSWER_LIMIT: Duration = Duration::from_secs(90);

/// Why a shim did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShimError {
    /// It tried and failed.
    #[error("{0}")]
    Refused(String),
    /// It has ended, and the pod's containers with it.
    #[error("the pod's shim has ended")]
    Gone,
    /// It did not answer.
    #[error("the pod's shim did not answer within {} s", ANSWER_LIMIT.as_secs())]
    Silent,
    /// It speaks another version.
    #[error(
        "the pod's shim speaks protocol {found}, this build speaks {VERSION}; delete the pod to start it anew"
    )]
    Version { found: u32 },
    /// The socket failed.
    #[error("cannot reach the pod's shim: {0}")]
    Socket(#[from] io::Error),
}

/// What a shim tells by itself: a container has ended, or the shim with all of them.
#[derive(Debug, Clone)]
pub(crate) enum Ended {
    /// Not an end yet: what comes before the end of this container did not work.
    Hook { name: String, message: String },
    /// One container.
    Container { name: String, attempt: u32, exit: Exit },
    /// The shim.
    Shim,
}

/// What a program run in a container has said, and how it ended.
#[derive(Debug)]
pub(crate) struct ExecOutput {
    /// Standard output and error, in the order written; the first [`ExecOutput::LIMIT`] bytes.
    pub(crate) text: Vec<u8>,
    /// How it ended.
    pub(crate) exit: Exit,
}

impl ExecOutput {
    /// Most output kept.
    pub(crate) const LIMIT: usize = 10 * 1024;
}

/// A connection to a shim. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ShimLink {
    shared: Arc<Shared>,
}

type Answer = (Result<Reply, String>, Vec<OwnedFd>);

struct Shared {
    channel: AsyncFd<Channel>,
    next_id: AtomicU64,
    waiting: Mutex<Waiting>,
    /// Whether the shim is known to know about streams.
    streams: AtomicBool,
    /// Whether it is known to measure.
    measures: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    gone: bool,
    answers: HashMap<u64, oneshot::Sender<Answer>>,
    programs: HashMap<u64, oneshot::Sender<Exit>>,
}

impl ShimLink {
    /// Takes over a socket and reads it in the background; ends of containers arrive at the receiver.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<(Self, mpsc::UnboundedReceiver<Ended>)> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let shared = Arc::new(Shared {
            channel: sys::async_fd(Channel::from_fd(socket), interest)?,
            // Not 0: answers to a node before us must not match.
            next_id: AtomicU64::new(rand::random::<u64>() >> 1),
            waiting: Mutex::default(),
            streams: AtomicBool::new(false),
            measures: AtomicBool::new(false),
        });
        let (ended, receiver) = mpsc::unbounded_channel();
        tokio::spawn(read(Arc::clone(&shared), ended));
        Ok((Self { shared }, receiver))
    }

    /// Whether both are the same connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    async fn call(
        &self,
        request: Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(u64, Reply, Vec<OwnedFd>), ShimError> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        self.call_with_id(id, request, fds).await
    }

    async fn call_with_id(
        &self,
        id: u64,
        request: Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(u64, Reply, Vec<OwnedFd>), ShimError> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.shared.waiting();
            if waiting.gone {
                return Err(ShimError::Gone);
            }
            waiting.answers.insert(id, sender);
        }
        let _forget = Forget { shared: &self.shared, what: Wait::Answer, id };
        let message = ToShim { id, request };
        loop {
            let mut guard = self.shared.channel.writable().await?;
            match guard.try_io(|inner| inner.get_ref().send(&message, fds)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Err(ShimError::Gone);
                }
                Ok(result) => break result?,
                Err(_would_block) => {}
            }
        }
        match tokio::time::timeout(ANSWER_LIMIT, receiver).await {
            Err(_) => Err(ShimError::Silent),
            Ok(Err(_)) => Err(ShimError::Gone),
            Ok(Ok((Ok(reply), fds))) => Ok((id, reply, fds)),
            Ok(Ok((Err(refused), _))) => Err(ShimError::Refused(refused)),
        }
    }

    /// Makes the pod's namespaces.
    pub(crate) async fn set_up(&self, setup: PodSetup) -> Result<(), ShimError> {
        self.call(Request::Setup(setup), &[]).await.map(|_| ())
    }

    /// The pod's sockets.
    pub(crate) async fn sockets(&self) -> Result<PodSockets, ShimError> {
        let (_, _, fds) = self.call(Request::Sockets { dial: DIAL_BATCH }, &[]).await?;
        PodSockets::from_fds(fds).map_err(|error| ShimError::Refused(error.to_string()))
    }

    /// More sockets for connections into the pod.
    pub(crate) async fn dial_sockets(&self, count: usize) -> Result<Vec<OwnedFd>, ShimError> {
        let (_, _, fds) = self.call(Request::Dial { count }, &[]).await?;
        Ok(fds)
    }

    /// Starts a container; when it started, RFC 3339.
    pub(crate) async fn start(&self, spec: ContainerSpec) -> Result<String, ShimError> {
        match self.call(Request::Start(Box::new(spec)), &[]).await? {
            (_, Reply::Started { at, .. }, _) => Ok(at),
            (_, other, _) => Err(unexpected(&other)),
        }
    }

    /// Makes a volume, or brings it up to date.
    pub(crate) async fn volume(&self, volume: VolumeSpec) -> Result<(), ShimError> {
        self.call(Request::Volume(volume), &[]).await.map(|_| ())
    }

    /// Removes what a pod has left; for a shim that was not set up.
    pub(crate) async fn remove(&self, remains: Remains) -> Result<(), ShimError> {
        self.call(Request::Remove(remains), &[]).await.map(|_| ())
    }

    /// Asks a container to end, after the hook if there is one, and kills it after the grace period.
    pub(crate) async fn stop(
        &self,
        name: &str,
        signal: i32,
        grace: Duration,
        hook: Option<StopHook>,
    ) -> Result<(), ShimError> {
        let (name, hook_over) = (name.to_owned(), false);
        let request = Request::Stop { name, signal, grace_ms: millis(grace), hook, hook_over };
        self.call(request, &[]).await.map(|_| ())
    }

    /// What the time was for that was to pass before a container is asked to end has been done. A shim of an earlier
    /// build lets the time pass.
    pub(crate) async fn hook_over(
        &self,
        name: &str,
        signal: i32,
        grace: Duration,
    ) -> Result<(), ShimError> {
        let (name, hook_over) = (name.to_owned(), true);
        let request =
            Request::Stop { name, signal, grace_ms: millis(grace), hook: None, hook_over };
        self.call(request, &[]).await.map(|_| ())
    }

    /// Runs a program in a container and waits for its end; the shim kills it after `limit`.
    pub(crate) async fn exec(
        &self,
        container: &str,
        argv: Vec<String>,
        limit: Duration,
    ) -> Result<ExecOutput, ShimError> {
        let (read_end, write_end) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .map_err(|errno| ShimError::Socket(errno.into()))?;
        let request = Request::Exec {
            container: container.to_owned(),
            exec: ExecSpec { argv },
            timeout_ms: millis(limit),
        };
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, exit) = oneshot::channel();
        self.shared.waiting().programs.insert(id, sender);
        let _forget = Forget { shared: &self.shared, what: Wait::Program, id };
        self.call_with_id(id, request, &[write_end.as_fd(), write_end.as_fd()]).await?;
        drop(write_end);
        let patience = limit + Duration::from_secs(5);
        let output = Arc::new(Mutex::new(Vec::new()));
        let reader = tokio::spawn(collect(read_end, Arc::clone(&output)));
        let exit = match tokio::time::timeout(patience, exit).await {
            Err(_) => return Err(ShimError::Silent),
            Ok(Err(_)) => return Err(ShimError::Gone),
            Ok(Ok(exit)) => exit,
        };
        // What the program left running may hold the pipe open: take what is there by now.
        let _ = tokio::time::timeout(Duration::from_millis(100), reader).await;
        let text = std::mem::take(&mut *output.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(ExecOutput { text, exit })
    }

    /// How much of the disk directories take, in their order. One of an earlier build would not answer, and refuses.
    pub(crate) async fn measure(&self, paths: Vec<PathBuf>) -> Result<Measured, ShimError> {
        if !self.shared.measures.load(Ordering::Relaxed) {
            if !self.state().await?.measures {
                let why = "the pod was started by an earlier build, which does not measure: delete the pod to start it anew";
                return Err(ShimError::Refused(why.to_owned()));
            }
            self.shared.measures.store(true, Ordering::Relaxed);
        }
        match self.call(Request::Measure { paths }, &[]).await? {
            (_, Reply::Measured { usage, incomplete }, _) => {
                Ok(Measured { usage, incomplete: incomplete.unwrap_or(true) })
            }
            (_, other, _) => Err(unexpected(&other)),
        }
    }

    /// What there is, after checking that the shim speaks our version.
    pub(crate) async fn state(&self) -> Result<PodState, ShimError> {
        match self.call(Request::State, &[]).await? {
            (_, Reply::State(state), _) if state.version == VERSION => {
                state.read().map_err(|error| ShimError::Refused(error.to_string()))
            }
            (_, Reply::State(state), _) => Err(ShimError::Version { found: state.version }),
            (_, other, _) => Err(unexpected(&other)),
        }
    }

    /// Ends all containers, then the shim. Its end is reported as [`Ended::Shim`].
    pub(crate) async fn shut_down(&self, grace: Duration) -> Result<(), ShimError> {
        let grace_ms = millis(grace);
        match self.call(Request::Shutdown { grace_ms }, &[]).await {
            Ok(_) | Err(ShimError::Gone) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets who waits when the caller no longer does.
struct Forget<'a> {
    shared: &'a Shared,
    what: Wait,
    id: u64,
}

enum Wait {
    Answer,
    Program,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let mut waiting = self.shared.waiting();
        match self.what {
            Wait::Answer => drop(waiting.answers.remove(&self.id)),
            Wait::Program => drop(waiting.programs.remove(&self.id)),
        }
    }
}

async fn read(shared: Arc<Shared>, ended: mpsc::UnboundedSender<Ended>) {
    loop {
        let Ok(mut guard) = shared.channel.readable().await else {
            break;
        };
        match shared.channel.get_ref().receive::<ToNode>() {
            Ok(Received::Message(ToNode::Reply { id, result }, fds)) => {
                let waiting = shared.waiting().answers.remove(&id);
                if let Some(sender) = waiting {
                    let _ = sender.send((result, fds));
                }
            }
            Ok(Received::Message(ToNode::Event { event: Event::ExecEnded { id, exit } }, _)) => {
                let waiting = shared.waiting().programs.remove(&id);
                if let Some(sender) = waiting {
                    let _ = sender.send(exit);
                }
            }
            Ok(Received::Message(
                ToNode::Event { event: Event::Ended { name, attempt, exit } },
                _,
            )) => {
                let _ = ended.send(Ended::Container { name, attempt, exit });
            }
            Ok(Received::Message(
                ToNode::Event { event: Event::HookFailed { name, message } },
                _,
            )) => {
                let _ = ended.send(Ended::Hook { name, message });
            }
            Ok(Received::Nothing) => guard.clear_ready(),
            Ok(Received::Closed) => break,
            Err(error) => tracing::warn!(%error, "a shim's message was not understood"),
        }
    }
    let mut waiting = shared.waiting();
    waiting.gone = true;
    waiting.answers.clear();
    waiting.programs.clear();
    let _ = ended.send(Ended::Shim);
}

/// Reads a pipe to its end, keeping the beginning.
async fn collect(pipe: OwnedFd, kept: Arc<Mutex<Vec<u8>>>) {
    let Ok(pipe) = sys::async_fd(std::fs::File::from(pipe), Interest::READABLE) else {
        return;
    };
    let mut buffer = [0; 4096];
    loop {
        let Ok(mut guard) = pipe.readable().await else {
            return;
        };
        match guard.try_io(|inner| inner.get_ref().read(&mut buffer)) {
            Ok(Ok(0) | Err(_)) => return,
            Ok(Ok(count)) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = ExecOutput::LIMIT - kept.len();
                kept.extend_from_slice(&buffer[..count.min(room)]);
            }
            Err(_would_block) => {}
        }
    }
}

fn unexpected(reply: &Reply) -> ShimError {
    ShimError::Refused(format!("the shim answered {reply:?}"))
}
