//! What node and shim say to each other, as JSON documents; see [`crate::node::wire`].
//!
//! Nodes of a later build may meet shims of an earlier one only if [`VERSION`] is unchanged, so additions must be
//! optional fields. One that an earlier shim must not ignore, such as what a container is held to, takes another version.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::measure::DiskUsage;
use super::volumes::{MemoryVolume, VolumeSpec};
use crate::node::sandbox::{ContainerSpec, ExecSpec};

/// Version of this protocol.
pub(crate) const VERSION: u32 = 3;

/// Node → shim. The answer carries the same `id`; the node starts at a random number, so that answers to its
/// predecessor are recognised.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ToShim {
    pub(crate) id: u64,
    pub(crate) request: Request,
}

/// What a node asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub(crate) enum Request {
    /// Make the pod's namespaces. Once.
    Setup(PodSetup),
    /// Hand over the pod's sockets: listener, UDP, raw, then `dial` fresh ones. Fails for a pod on the host's network.
    Sockets { dial: usize },
    /// Hand over `count` more sockets for connections into the pod.
    Dial { count: usize },
    /// Make a volume, or bring it up to date. Answered by [`Reply::Done`] once it is whole.
    Volume(VolumeSpec),
    /// Start a container.
    Start(Box<ContainerSpec>),
    /// Ask a container to end: first do what `hook` says, then send `signal`; SIGKILL after the grace period, in which
    /// the hook is included. `hook_over` ends a hook that only lets time pass: what it was for has been done.
    Stop {
        name: String,
        signal: i32,
        grace_ms: u64,
        hook: Option<StopHook>,
        #[serde(default)]
        hook_over: bool,
    },
    /// Run a program in a container, for at most `timeout_ms`. The answer comes when it has started; its end is an
    /// [`Event::ExecEnded`]. With two descriptors its output goes there, else it is discarded.
    Exec { container: String, exec: ExecSpec, timeout_ms: u64 },
    /// Run a program in a container for as long as it wants, with the descriptors that `streams` announces. Answered
    /// like [`Request::Exec`]; a terminal's controlling side comes along. Only for a shim whose state says `streams`.
    Stream { container: String, exec: ExecSpec, streams: Streams },
    /// Copy a container's output to the descriptors that come along, and hand over its standard input and terminal.
    /// Only for a shim whose state says `streams`.
    Attach { container: String, streams: Streams },
    /// How much of the disk these directories take, each for itself. The answer may take a minute; another measurement
    /// is refused meanwhile. Only for a shim whose state says `measures`.
    Measure { paths: Vec<PathBuf> },
    /// What there is.
    State,
    /// Ask all containers to end, kill what is left after the grace period, then end.
    Shutdown { grace_ms: u64 },
    /// Remove what a pod has left: for a shim that was started for nothing else.
    Remove(Remains),
}

/// What somebody wants of a program: which descriptors come along, in this order. With a terminal none does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Streams {
    /// Its standard input. Of a container it is handed over, and no descriptor comes along.
    pub(crate) stdin: bool,
    /// Its standard output.
    pub(crate) stdout: bool,
    /// Its standard error.
    pub(crate) stderr: bool,
    /// A terminal instead of all three.
    pub(crate) terminal: bool,
}

/// What is done before a container is asked to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum StopHook {
    /// A program is run in the container.
    Exec(Vec<String>),
    /// Time passes.
    Sleep(u64),
}

impl StopHook {
    /// All of the grace period passes: who asks has something to do in it, and tells when it is done.
    pub(crate) const ENDLESS: Self = Self::Sleep(u64::MAX);
}

/// What a pod or a volume has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remains {
    /// The settings file of the cluster.
    pub(crate) config: PathBuf,
    /// Files and directories.
    pub(crate) paths: Vec<PathBuf>,
    /// Control group of a pod, relative to the instance's.
    pub(crate) cgroup: Option<String>,
    /// Images that are to go, by full reference, with the layers that nothing needs.
    #[serde(default)]
    pub(crate) images: Option<Vec<String>>,
}

/// What the namespaces of a pod are made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PodSetup {
    /// Address of the pod; none for a pod on the host's network.
    pub(crate) ip: Option<Ipv4Addr>,
    /// Host name.
    pub(crate) hostname: String,
    /// Where containers' groups are made: the settings file of the cluster.
    pub(crate) config: PathBuf,
    /// Everything of the pod but its logs; made if absent.
    pub(crate) dir: PathBuf,
    /// Files that all containers see, in `etc` of that directory: name and text.
    pub(crate) files: Vec<(String, String)>,
    /// Whether the containers of the pod may see each other's processes.
    #[serde(default)]
    pub(crate) shared_processes: bool,
    /// Volumes in memory, shared by the containers of the pod.
    pub(crate) memory_volumes: Vec<MemoryVolume>,
}

/// Shim → node.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub(crate) enum ToNode {
    /// The answer to a request.
    Reply { id: u64, result: Result<Reply, String> },
    /// Something happened.
    Event { event: Event },
}

/// Answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub(crate) enum Reply {
    /// Done.
    Done,
    /// Done; descriptors come along.
    Sockets,
    /// The container or program runs.
    Started { pid: i32, at: String },
    /// Somebody has joined the container; what it has of these comes along, in this order.
    Attached { stdin: bool, terminal: bool },
    /// What was to be measured takes this, in the order of the request; more than this if it is incomplete, which shims of
    /// earlier builds do not say.
    Measured {
        usage: Vec<DiskUsage>,
        #[serde(default)]
        incomplete: Option<bool>,
    },
    /// What there is.
    State(Versioned),
}

/// What a shim reports by itself. Hints only: they get lost while no node listens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub(crate) enum Event {
    /// A container has ended.
    Ended { name: String, attempt: u32, exit: Exit },
    /// A program that was run in a container has ended.
    ExecEnded { id: u64, exit: Exit },
    /// What is done before a container is asked to end did not work; it was asked all the same.
    HookFailed { name: String, message: String },
}

/// A [`PodState`] of a shim that may speak another version: its form is known only once its version is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Versioned {
    /// [`VERSION`] of the shim.
    pub(crate) version: u32,
    #[serde(flatten)]
    state: serde_json::Value,
}

impl Versioned {
    pub(super) fn of(state: &PodState) -> serde_json::Result<Self> {
        Ok(Self { version: VERSION, state: serde_json::to_value(state)? })
    }

    /// For a shim of our version.
    pub(crate) fn read(self) -> serde_json::Result<PodState> {
        serde_json::from_value(self.state)
    }
}

/// A shim's whole state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PodState {
    /// What it was set up with, if it was.
    pub(crate) setup: Option<PodSetup>,
    /// The latest attempt of every container.
    pub(crate) containers: Vec<ContainerState>,
    /// Whether it knows [`Request::Stream`] and [`Request::Attach`]; shims of the first builds do not.
    #[serde(default)]
    pub(crate) streams: bool,
    /// Whether it knows [`Request::Measure`].
    #[serde(default)]
    pub(crate) measures: bool,
}

/// One container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ContainerState {
    pub(crate) name: String,
    pub(crate) attempt: u32,
    pub(crate) pid: i32,
    /// RFC 3339.
    pub(crate) started_at: String,
    /// Absent while it runs.
    pub(crate) exit: Option<Exit>,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    /// Exit code; 128 + signal if it was killed.
    pub(crate) code: i32,
    /// The signal that killed it.
    pub(crate) signal: Option<i32>,
    /// Whether the kernel killed a process of the container for lack of memory.
    pub(crate) oom_killed: bool,
    /// RFC 3339.
    pub(crate) started_at: String,
    /// RFC 3339.
    pub(crate) finished_at: String,
    /// What the program left in its [`ContainerSpec::message_file`], if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_documents_keep_their_tags() {
        let exit = Exit {
            code: 0,
            signal: None,
            oom_killed: false,
            started_at: String::new(),
            finished_at: String::new(),
            message: None,
        };
        let event = Event::ExecEnded { id: 7, exit };
        let text = serde_json::to_string(&ToNode::Event { event }).unwrap();
        let back = serde_json::from_str(&text).unwrap();
        assert!(matches!(back, ToNode::Event { event: Event::ExecEnded { id: 7, .. } }));
        let other = json!({"type": "reply", "id": 1, "result": {"Ok":
            {"type": "state", "version": VERSION + 1, "setup": "another form"}}});
        let back = serde_json::from_value(other).unwrap();
        let ToNode::Reply { result: Ok(Reply::State(found)), .. } = back else {
            panic!("{back:?}");
        };
        assert_eq!(found.version, VERSION + 1, "told before the rest has to make sense");
        let state = PodState { setup: None, containers: Vec::new(), streams: true, measures: true };
        let state = Versioned::of(&state).unwrap();
        assert!(state.clone().read().unwrap().setup.is_none());
        let mut earlier = serde_json::to_value(&state).unwrap();
        for news in ["streams", "measures"] {
            earlier.as_object_mut().unwrap().remove(news);
        }
        let earlier: Versioned = serde_json::from_value(earlier).unwrap();
        let earlier = earlier.read().unwrap();
        assert!(
            !earlier.streams && !earlier.measures,
            "a shim of an earlier build is known as one"
        );
        let result = Ok(Reply::Sockets);
        let text = serde_json::to_string(&ToNode::Reply { id: 1, result }).unwrap();
        assert!(matches!(
            serde_json::from_str(&text).unwrap(),
            ToNode::Reply { id: 1, result: Ok(Reply::Sockets) }
        ));
    }
}
