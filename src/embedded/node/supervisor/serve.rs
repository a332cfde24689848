//! The supervisor's loop.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{Backlog, listen};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::children;
use super::protocol::{ListenerRole, ToNode, ToSupervisor, VERSION};
use super::record::{self, ProcessRecord};
use crate::node::cgroup::Tree;
use crate::node::confine;
use crate::node::lifecycle;
use crate::node::rootless;
use crate::node::sandbox::Limits;
use crate::node::shim::{Request, ToShim};
use crate::node::wire::{Channel, Received};
use crate::{ClusterConfig, Error};

const BACKLOG: i32 = 1024;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A node that ran this long starts with the first pause again.
const STABLE: Duration = Duration::from_secs(30);
/// How long a new node may take to read one message of the hand-over.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(5);
/// Images that are stored at the same time: more than a node pulls, since one that it has given up ends a little later.
const MOST_STORES: usize = 6;
/// Time for the node to end, then for the pods.
const NODE_GRACE: Duration = Duration::from_secs(5);
const POD_GRACE: Duration = Duration::from_secs(5);

/// Runs a cluster until SIGTERM or SIGINT: then the node is stopped, then the pods, gracefully.
///
/// Must be called before the process has a second thread. An ordinary user's cluster is in namespaces of its own.
///
/// # Errors
/// [`Error::Listen`] when an address is taken, [`Error::AlreadyRunning`] when another supervisor has the cluster.
pub fn supervise(config: &Path) -> Result<(), Error> {
    // Away from the terminal and the session of who started us; fails only for a group leader, which is fine.
    let _ = nix::unistd::setsid();
    let config = ClusterConfig::read(config)?;
    let own = record::own()?;
    if rootless::is_ordinary_user() {
        // The process that the cluster is known by stays outside, and ends with what is inside.
        return rootless::supervised(move || supervise_as(config, &own));
    }
    supervise_as(config, &own)
}

/// Runs a cluster, as root of whatever namespace this is, that is known by the process `known`.
fn supervise_as(config: ClusterConfig, known: &ProcessRecord) -> Result<(), Error> {
    let _lock = lock(&config)?;
    let group = Tree::of(&config)?.map(|tree| tree.group("system"));
    if let Some(group) = &group {
        // A former supervisor is dead. Its node and shims are, too, unless one was made to live on, or soon: until then the
        // node has the listeners that it was handed.
        lifecycle::end_group(&config, group)?;
    }
    let listeners = listeners(&config)?;
    if let Some(group) = &group {
        group.create(&Limits::default()).map_err(Error::system("make the control group"))?;
        group.join().map_err(Error::system("join the control group"))?;
    }
    // Files of logs and containers have the modes they are made with, whoever started the cluster.
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    confine::prepare(&config)?;
    let signals = signals()?;
    record::write(&config, known)?;
    Supervisor {
        config,
        listeners,
        signals,
        shims: BTreeMap::new(),
        stores: BTreeSet::new(),
        node: Node::Absent { since: Instant::now(), pause: Duration::ZERO },
        stopping: None,
    }
    .run()
}

/// Holds the lock for the life of the process; its file is never removed, which would let two have it.
fn lock(config: &ClusterConfig) -> Result<Flock<std::fs::File>, Error> {
    let path = config.run_dir().join("supervisor.lock");
    let file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|source| Error::File { action: "open", path, source })?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => Error::AlreadyRunning {
            home: config.home.clone(),
            pid: record::read(config).map_or(0, |record| record.pid),
        },
        errno => Error::errno("lock the cluster's directory")(errno),
    })
}

struct HostListener {
    role: ListenerRole,
    address: SocketAddr,
    socket: TcpListener,
}

fn listeners(config: &ClusterConfig) -> Result<Vec<HostListener>, Error> {
    let doors = config.front_doors.iter().enumerate();
    let wanted = std::iter::once((ListenerRole::Api, config.api_listen))
        .chain(doors.map(|(index, door)| (ListenerRole::FrontDoor { index }, door.listen)));
    wanted
        .map(|(role, address)| {
            let fail = |source| Error::Listen { address, source };
            let socket = TcpListener::bind(address).map_err(fail)?;
            socket.set_nonblocking(true).map_err(fail)?;
            // Listening again only makes the queue longer.
            let backlog = Backlog::new(BACKLOG).map_err(|errno| fail(errno.into()))?;
            listen(&socket, backlog).map_err(|errno| fail(errno.into()))?;
            Ok(HostListener { role, address, socket })
        })
        .collect()
}

fn signals() -> Result<SignalFd, Error> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD] {
        set.add(signal);
    }
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None).map_err(Error::errno("block signals"))?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(Error::errno("receive signals"))
}

struct Shim {
    pid: i32,
    channel: Channel,
}

enum Node {
    Running {
        pid: i32,
        channel: Channel,
        since: Instant,
        pause: Duration,
    },
    /// Started again when `pause` is over.
    Absent {
        since: Instant,
        pause: Duration,
    },
}

/// What is left to do until the supervisor ends, and until when it may take.
enum Stopping {
    Node { until: Instant },
    Pods { until: Instant },
}

struct Supervisor {
    config: ClusterConfig,
    listeners: Vec<HostListener>,
    signals: SignalFd,
    /// By pod uid.
    shims: BTreeMap<String, Shim>,
    /// Processes that store images.
    stores: BTreeSet<i32>,
    node: Node,
    stopping: Option<Stopping>,
}

impl Supervisor {
    fn run(mut self) -> Result<(), Error> {
        loop {
            self.keep_node();
            if self.advance_stop() {
                return Ok(());
            }
            self.wait()?;
            self.read_signals()?;
            self.read_node();
        }
    }

    fn wait(&self) -> Result<(), Error> {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if let Node::Running { channel, .. } = &self.node {
            fds.push(PollFd::new(channel.as_fd(), PollFlags::POLLIN));
        }
        let deadline = match (&self.stopping, &self.node) {
            (Some(Stopping::Node { until } | Stopping::Pods { until }), _) => Some(*until),
            (None, Node::Absent { since, pause }) => Some(*since + *pause),
            (None, Node::Running { .. }) => None,
        };
        let timeout = match deadline {
            None => PollTimeout::NONE,
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now());
                PollTimeout::try_from(left.as_millis() as u64 + 1).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Error::errno("wait for node and shims")(errno)),
        }
    }

    /// Starts the node if there is none and its pause is over.
    fn keep_node(&mut self) {
        let Node::Absent { since, pause } = self.node else {
            return;
        };
        if self.stopping.is_some() || since.elapsed() < pause {
            return;
        }
        let next_pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        let started = children::start_node(&self.config).and_then(|(mut child, channel)| {
            if let Err(error) = self.hand_over(&channel) {
                // It has not been told all: another is started.
                let _ = child.kill();
                return Err(error);
            }
            Ok((child.id(), channel))
        });
        self.node = match started {
            Ok((pid, channel)) => {
                Node::Running { pid: pid as i32, channel, since: Instant::now(), pause: next_pause }
            }
            Err(error) => {
                tracing::error!(%error, binary = %self.config.binary.display(), "cannot start the node");
                Node::Absent { since: Instant::now(), pause: next_pause }
            }
        };
    }

    /// Everything that the node goes on with. There may be more than a socket's buffer holds: a new node reads before
    /// it does anything else, so it is waited for.
    fn hand_over(&self, channel: &Channel) -> std::io::Result<()> {
        let send = |message: &ToNode, fds: &[BorrowedFd<'_>]| {
            channel.send_within(message, fds, HAND_OVER_LIMIT)
        };
        send(&ToNode::Hello { version: VERSION }, &[])?;
        for listener in &self.listeners {
            let message = ToNode::Listener { role: listener.role, address: listener.address };
            send(&message, &[listener.socket.as_fd()])?;
        }
        for (pod, shim) in &self.shims {
            let message = ToNode::Shim { pod: pod.clone(), pid: shim.pid };
            send(&message, &[shim.channel.as_fd()])?;
        }
        send(&ToNode::Ready, &[])
    }

    fn read_signals(&mut self) -> Result<(), Error> {
        loop {
            let signal = self.signals.read_signal().map_err(Error::errno("read signals"))?;
            match signal.map(|info| info.ssi_signo as i32) {
                None => return Ok(()),
                Some(libc::SIGCHLD) => self.collect_children(),
                Some(_) => self.begin_stop(),
            }
        }
    }

    fn collect_children(&mut self) {
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(status) => status,
            };
            let Some(pid) = status.pid().map(Pid::as_raw) else {
                continue;
            };
            self.child_ended(pid, status);
        }
    }

    fn child_ended(&mut self, ended: i32, status: WaitStatus) {
        match &self.node {
            Node::Running { pid, since, pause, .. } if *pid == ended => {
                tracing::warn!(?status, "the node has ended");
                let pause = if since.elapsed() >= STABLE { FIRST_PAUSE } else { *pause };
                self.node = Node::Absent { since: Instant::now(), pause };
                return;
            }
            _ => {}
        }
        let pod = self.shims.iter().find(|(_, shim)| shim.pid == ended);
        if let Some(pod) = pod.map(|(pod, _)| pod.clone()) {
            // The node knows from the socket to it.
            self.shims.remove(&pod);
        }
        self.stores.remove(&ended);
    }

    fn read_node(&mut self) {
        loop {
            let Node::Running { channel, .. } = &self.node else {
                return;
            };
            match channel.receive::<ToSupervisor>() {
                Ok(Received::Message(ToSupervisor::Start { id, pod }, _)) => {
                    self.start_shim(id, pod)
                }
                Ok(Received::Message(ToSupervisor::Store, sockets)) => self.start_store(sockets),
                Ok(Received::Nothing) => return,
                Ok(Received::Closed) => {
                    // Its end is reported by SIGCHLD; a node that closes its socket and lives on is of no use.
                    self.signal_node(Signal::SIGKILL);
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "the node's message was not understood");
                    self.signal_node(Signal::SIGKILL);
                    return;
                }
            }
        }
    }

    fn start_shim(&mut self, id: u64, pod: String) {
        let result = if self.stopping.is_some() {
            Err("the cluster is stopping".to_owned())
        } else {
            // Who asks has none: one that is still there ends late, or never came to be known.
            if let Some(former) = self.shims.remove(&pod) {
                let _ = kill(Pid::from_raw(former.pid), Signal::SIGKILL);
            }
            children::start_shim(&self.config)
                .map(|(child, channel)| {
                    let pid = child.id() as i32;
                    self.shims.insert(pod.clone(), Shim { pid, channel });
                    pid
                })
                .map_err(|error| error.to_string())
        };
        let message = ToNode::Started { id, result };
        let socket = self.shims.get(&pod).and_then(|shim| shim.channel.duplicate().ok());
        let sockets: Vec<BorrowedFd<'_>> = match &message {
            ToNode::Started { result: Ok(_), .. } => socket.iter().map(OwnedFd::as_fd).collect(),
            _ => Vec::new(),
        };
        self.tell_node(&message, &sockets);
    }

    /// Nobody waits for its end but the node, at the other end of its socket. A socket that is closed is an answer.
    fn start_store(&mut self, sockets: Vec<OwnedFd>) {
        let Some(socket) = sockets.into_iter().next().filter(|_| self.stopping.is_none()) else {
            return;
        };
        if self.stores.len() >= MOST_STORES {
            tracing::error!(running = MOST_STORES, "an image is not stored: too many are already");
            return;
        }
        match children::start_store(&self.config, &socket) {
            Ok(child) => drop(self.stores.insert(child.id() as i32)),
            Err(error) => tracing::error!(%error, "cannot start what stores an image"),
        }
    }

    /// A node that does not read its socket is told everything again when it is replaced.
    fn tell_node(&self, message: &ToNode, fds: &[BorrowedFd<'_>]) {
        if let Node::Running { channel, .. } = &self.node
            && let Err(error) = channel.send(message, fds)
        {
            tracing::error!(%error, "the node does not listen; replacing it");
            self.signal_node(Signal::SIGKILL);
        }
    }

    fn signal_node(&self, signal: Signal) {
        if let Node::Running { pid, .. } = self.node {
            // Our own child that was not collected yet: the id is still its own.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    fn begin_stop(&mut self) {
        if self.stopping.is_none() {
            self.signal_node(Signal::SIGTERM);
            self.stopping = Some(Stopping::Node { until: Instant::now() + NODE_GRACE });
        }
    }

    /// Whether there is nothing left to stop.
    fn advance_stop(&mut self) -> bool {
        let now = Instant::now();
        match (&self.stopping, &self.node) {
            (None, _) => false,
            (Some(Stopping::Node { until }), Node::Running { .. }) => {
                if now >= *until {
                    self.signal_node(Signal::SIGKILL);
                    let until = now + NODE_GRACE;
                    self.stopping = Some(Stopping::Node { until });
                }
                false
            }
            (Some(Stopping::Node { .. }), Node::Absent { .. }) => {
                for shim in self.shims.values() {
                    let request = Request::Shutdown { grace_ms: POD_GRACE.as_millis() as u64 };
                    let _ = shim.channel.send(&ToShim { id: 0, request }, &[]);
                }
                let until = now + POD_GRACE + POD_GRACE;
                self.stopping = Some(Stopping::Pods { until });
                self.shims.is_empty()
            }
            // Past its time we end all the same: what is left dies with us.
            (Some(Stopping::Pods { until }), _) => self.shims.is_empty() || now >= *until,
        }
    }
}
