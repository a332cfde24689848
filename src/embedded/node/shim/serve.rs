//! The shim's loop: one `poll` over the node's socket, the containers' output and their ends.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;

use super::container::{self, Container, has_ended};
use super::logs::LogWriter;
use super::measure::{Measured, Measurement};
use super::pause;
use super::pod::{self, KeptSockets};
use super::protocol::{Event, PodSetup, PodState, Reply, Request, ToNode, ToShim, Versioned};
use super::volumes::VolumeSpec;
use super::{remains, volumes};
use crate::node::cgroup::Tree;
use crate::node::images;
use crate::node::network::sandbox as network;
use crate::node::sandbox::{self, ContainerSpec, Processes, sys};
use crate::node::wire::{Channel, Received};
use crate::{ClusterConfig, Error, files};

/// Runs a pod's shim on the socket inherited as `control_fd`, until it is told to shut down or its supervisor ends.
///
/// Must be called before the process has a second thread.
pub fn run_shim(control_fd: RawFd) -> Result<(), Error> {
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(Error::errno("tie the shim to its supervisor"))?;
    // If it ended before that, the other end of the socket is closed, which the loop sees first.
    let channel =
        Channel::inherited(control_fd).map_err(Error::system("take over the shim's socket"))?;
    Shim {
        channel,
        setup: None,
        tree: None,
        sockets: None,
        first: None,
        containers: BTreeMap::new(),
        programs: BTreeMap::new(),
        hooks: 0,
        measurement: None,
        ending: false,
    }
    .run()
}

pub(super) struct Shim {
    channel: Channel,
    setup: Option<PodSetup>,
    tree: Option<Tree>,
    sockets: Option<KeptSockets>,
    /// The first of the pod's processes, if they are together.
    first: Option<OwnedFd>,
    pub(super) containers: BTreeMap<String, Container>,
    /// Programs beside a container's own, by the id of the request that started them, or of the hook they are.
    pub(super) programs: BTreeMap<u64, Program>,
    /// How many hooks were started.
    pub(super) hooks: u64,
    measurement: Option<Measurement>,
    /// Told to shut down.
    ending: bool,
}

pub(super) struct Program {
    pub(super) pidfd: OwnedFd,
    pub(super) started_at: Timestamp,
    pub(super) kill_at: Option<Instant>,
}

impl Shim {
    fn run(mut self) -> Result<(), Error> {
        while !self.ended() {
            self.wait()?;
            for container in self.containers.values_mut() {
                container.copy_output(false);
            }
            self.reap();
            if self.first.as_ref().is_some_and(|first| has_ended(first.as_fd())) {
                // No process can be started beside it any more; the pod gets another shim.
                tracing::warn!(
                    "the first of the pod's processes has ended, and all others with it"
                );
                return Ok(());
            }
            self.enforce_deadlines();
            self.go_on_measuring();
            loop {
                match self.channel.receive::<ToShim>() {
                    Ok(Received::Message(message, fds)) => self.answer(message, fds),
                    Ok(Received::Nothing) => break,
                    // Supervisor and node are both gone: nobody could ever reach this pod again.
                    Ok(Received::Closed) => return Ok(()),
                    Err(error) => {
                        tracing::warn!(%error, "message not understood");
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn wait(&self) -> Result<(), Error> {
        let running = || self.containers.values().filter(|one| one.exit.is_none());
        let fds = std::iter::once(self.channel.as_fd())
            .chain(running().flat_map(|one| one.pipes().chain([one.pidfd()])))
            .chain(self.programs.values().map(|program| program.pidfd.as_fd()))
            .chain(self.first.iter().map(AsFd::as_fd));
        let fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        // A container that has ended may still be read by who was attached to it.
        let copies = || self.containers.values().map(|one| &one.copies);
        let mut fds: Vec<PollFd<'_>> =
            fds.chain(copies().flat_map(|copies| copies.waits_for())).collect();
        let deadline = running()
            .flat_map(|one| [one.kill_at, one.stopping.and_then(|hook| hook.wakes_at())])
            .chain(self.programs.values().map(|program| program.kill_at))
            .chain(copies().map(|copies| copies.deadline()))
            .chain(self.measurement.iter().map(|measurement| Some(measurement.next_at)))
            .flatten()
            .min();
        match poll(&mut fds, timeout(deadline)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(Error::errno("wait for the pod's containers")(error)),
        }
    }

    fn reap(&mut self) {
        let mut events = Vec::new();
        for (name, container) in &mut self.containers {
            if let Some(exit) = container.reap() {
                events.push(Event::Ended {
                    name: name.clone(),
                    attempt: container.spec.attempt,
                    exit,
                });
            }
        }
        let mut ended = Vec::new();
        self.programs.retain(|id, program| {
            match container::wait(program.pidfd.as_fd(), program.started_at) {
                Some(exit) => {
                    ended.push((*id, exit));
                    false
                }
                None => true,
            }
        });
        for (id, exit) in ended {
            if !self.hook_ended(id, exit.code) {
                events.push(Event::ExecEnded { id, exit });
            }
        }
        events.into_iter().for_each(|event| self.report(event));
    }

    pub(super) fn report(&self, event: Event) {
        self.tell(&ToNode::Event { event }, &[]);
    }

    fn enforce_deadlines(&mut self) {
        let now = Instant::now();
        self.enforce_stops(now);
        for program in self.programs.values_mut() {
            if program.kill_at.is_some_and(|at| at <= now) {
                let _ = sys::pidfd_signal(program.pidfd.as_fd(), libc::SIGKILL);
                program.kill_at = Some(now + Duration::from_secs(1));
            }
        }
    }

    fn go_on_measuring(&mut self) {
        let measured = self.measurement.as_mut().and_then(|one| one.advance(Instant::now()));
        if let Some(Measured { usage, incomplete }) = measured
            && let Some(Measurement { id, .. }) = self.measurement.take()
        {
            let result = Ok(Reply::Measured { usage, incomplete: Some(incomplete) });
            self.tell(&ToNode::Reply { id, result }, &[]);
        }
    }

    /// Never blocks: what the node does not read, it asks for again.
    fn tell(&self, message: &ToNode, fds: &[BorrowedFd<'_>]) {
        if let Err(error) = self.channel.send(message, fds) {
            tracing::debug!(%error, "the node does not listen");
        }
    }

    fn answer(&mut self, ToShim { id, request }: ToShim, fds: Vec<OwnedFd>) {
        let (mut dial, mut ends) = (Vec::new(), Vec::new());
        let result = match request {
            Request::Setup(setup) => self.set_up(setup),
            Request::Sockets { dial: count } => match &self.sockets {
                Some(_) => dial_sockets(count, &mut dial).map(|()| Reply::Sockets),
                None => Err("the pod has no network of its own".to_owned()),
            },
            Request::Dial { count } => match dial_sockets(count, &mut dial) {
                Ok(()) => {
                    let fds: Vec<_> = dial.iter().map(AsFd::as_fd).collect();
                    let result = Ok(Reply::Sockets);
                    self.tell(&ToNode::Reply { id, result }, &fds);
                    return;
                }
                Err(error) => Err(error),
            },
            Request::Volume(volume) => self.volume(&volume),
            Request::Start(spec) => self.start(*spec),
            Request::Stop { name, signal, grace_ms, hook, hook_over } => {
                // Over is only what goes on: the container may be another by now.
                if hook_over && !self.take_waiting(&name) {
                    Ok(Reply::Done)
                } else {
                    self.stop(&name, signal, Duration::from_millis(grace_ms), hook)
                }
            }
            Request::Exec { container, exec, timeout_ms } => {
                let limit = Duration::from_millis(timeout_ms);
                self.exec(id, &container, &exec, limit, fds)
            }
            Request::Stream { container, exec, streams } => {
                self.stream(id, &container, &exec, streams, fds, &mut ends)
            }
            Request::Attach { container, streams } => {
                self.attach(&container, streams, fds, &mut ends)
            }
            Request::Measure { paths } => {
                if self.measurement.is_none() {
                    self.measurement = Some(Measurement::new(id, paths, Instant::now()));
                    return;
                }
                Err("another measurement goes on: ask again when that has ended".to_owned())
            }
            Request::State => {
                Versioned::of(&self.state()).map(Reply::State).map_err(|error| error.to_string())
            }
            Request::Shutdown { grace_ms } => {
                self.shut_down(grace_ms);
                Ok(Reply::Done)
            }
            Request::Remove(remains) => remains::remove(&remains).map(|()| Reply::Done),
        };
        let fds: Vec<BorrowedFd<'_>> = match (&result, &self.sockets) {
            (Ok(Reply::Sockets), Some(kept)) => {
                kept.fds().chain(dial.iter().map(AsFd::as_fd)).collect()
            }
            _ => ends.iter().map(AsFd::as_fd).collect(),
        };
        self.tell(&ToNode::Reply { id, result }, &fds);
    }

    fn set_up(&mut self, setup: PodSetup) -> Result<Reply, String> {
        if self.setup.is_some() {
            return Err("the pod is set up already".to_owned());
        }
        let config = ClusterConfig::read(&setup.config).map_err(|error| error.to_string())?;
        self.tree = Tree::of(&config).map_err(|error| error.to_string())?;
        self.sockets = pod::enter(&setup)?;
        if setup.shared_processes {
            self.first = Some(pause::start(&setup, &config, self.tree.as_ref())?);
        }
        self.setup = Some(setup);
        Ok(Reply::Done)
    }

    fn volume(&self, volume: &VolumeSpec) -> Result<Reply, String> {
        if self.setup.is_none() {
            return Err("the pod is not set up".to_owned());
        }
        volumes::make(volume).map(|()| Reply::Done)
    }

    fn start(&mut self, mut spec: ContainerSpec) -> Result<Reply, String> {
        if self.setup.is_none() {
            return Err("the pod is not set up".to_owned());
        }
        if self.containers.get(&spec.name).is_some_and(|one| one.exit.is_none()) {
            return Err(format!("container {} runs already", spec.name));
        }
        if let Some(profile) = &mut spec.profile {
            profile.read()?;
        }
        // What cannot be removed goes with the pod.
        spec.obsolete.iter().for_each(|path| drop(files::remove_tree(path)));
        if let Some(file) = &spec.message_file {
            make_message_file(&spec, file)
                .map_err(|error| format!("cannot make {}: {error}", file.display()))?;
        }
        let group = self.tree.as_ref().map(|tree| tree.group(&spec.cgroup));
        let log = LogWriter::open(spec.log.clone())
            .map_err(|error| format!("cannot open the log {}: {error}", spec.log.path.display()))?;
        let beside = match &spec.processes {
            Processes::Own => None,
            Processes::Pod => {
                Some(self.first.as_ref().ok_or("the pod's processes are not together")?.as_fd())
            }
            Processes::Of(name) => Some(self.running(name)?.pidfd()),
        };
        let layers = hold_layers(&spec)?;
        let started = sandbox::spawn(&spec, group.as_ref(), beside).map_err(|failure| {
            if let Some(group) = &group {
                let _ = group.remove();
            }
            failure.to_string()
        })?;
        let name = spec.name.clone();
        let container =
            Container::new(spec, group, started, log, layers).map_err(|error| error.to_string())?;
        let reply = Reply::Started { pid: container.pid(), at: container.started_at.to_string() };
        self.containers.insert(name, container);
        Ok(reply)
    }

    fn state(&self) -> PodState {
        PodState {
            setup: self.setup.clone(),
            containers: self.containers.values().map(Container::state).collect(),
            streams: true,
            measures: true,
        }
    }

    fn shut_down(&mut self, grace_ms: u64) {
        self.ending = true;
        let names: Vec<String> = self.containers.keys().cloned().collect();
        for name in names {
            let _ = self.stop(&name, libc::SIGTERM, Duration::from_millis(grace_ms), None);
        }
    }

    fn ended(&self) -> bool {
        self.ending && self.containers.values().all(|one| one.exit.is_some())
    }
}

/// Keeps what a container runs from on this machine while it runs.
fn hold_layers(spec: &ContainerSpec) -> Result<Vec<std::fs::File>, String> {
    let held = spec.layers().into_iter().map(|(store, layers)| images::hold(store, layers));
    Ok(held.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// An empty file that every user of the container may write.
fn make_message_file(spec: &ContainerSpec, file: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(&spec.dir)?;
    std::fs::write(file, "")?;
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o666))
}

fn dial_sockets(count: usize, into: &mut Vec<OwnedFd>) -> Result<(), String> {
    let count = count.min(network::MAX_FDS - 3);
    *into = network::dial_sockets(count).map_err(|error| error.to_string())?;
    Ok(())
}

fn timeout(deadline: Option<Instant>) -> PollTimeout {
    match deadline {
        None => PollTimeout::NONE,
        Some(at) => {
            let left = at.saturating_duration_since(Instant::now());
            // Rounded up: a timeout that ends early would spin.
            PollTimeout::try_from(left.as_millis() as u64 + 1).unwrap_or(PollTimeout::MAX)
        }
    }
}
