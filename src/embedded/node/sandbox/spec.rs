//! What a container is: everything a shim needs to start it, already resolved by the pod agent.
//!
//! It travels over a socket or in a memory file, never on a disk or a command line: its environment may hold secrets.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::profile::Profile;

/// One container, ready to start.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ContainerSpec {
    /// Container name, unique in its pod.
    pub name: String,
    /// How often the container was started before.
    pub attempt: u32,
    /// Private directory of this attempt: writable layer and mount point.
    pub dir: PathBuf,
    /// What `/` is.
    pub root: RootFs,
    /// Whether `/` is read-only.
    pub read_only_root: bool,
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// `NAME=value` pairs.
    pub env: Vec<String>,
    /// Working directory inside the container; made if absent.
    pub cwd: String,
    /// Who the program runs as.
    pub user: UserSpec,
    /// Volumes and generated files, in the order they are mounted.
    pub mounts: Vec<Mount>,
    /// Changes to the usual set of capabilities.
    pub capabilities: Capabilities,
    /// All capabilities, no system call filter, no masked paths.
    pub privileged: bool,
    /// Forbids gaining privileges through set-id programs.
    pub no_new_privileges: bool,
    /// Whether dangerous system calls are refused.
    pub seccomp: bool,
    /// Which system calls are refused instead.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// Limits of the container's cgroup.
    pub limits: Limits,
    /// cgroup path of the container, relative to the instance's.
    pub cgroup: String,
    /// `oom_score_adj`: who dies first when memory is short.
    pub oom_score_adj: i32,
    /// Where output goes.
    pub log: LogSpec,
    /// A file for the program's last words, made anew for every start.
    pub message_file: Option<PathBuf>,
    /// Whether it has a standard input, which waits for who attaches.
    #[serde(default)]
    pub stdin: bool,
    /// Whether the first who attaches to its standard input is the only one, and its end when they leave.
    #[serde(default)]
    pub stdin_once: bool,
    /// Whether its standard streams are a terminal.
    #[serde(default)]
    pub terminal: bool,
    /// Whose processes it sees, and is one of.
    #[serde(default)]
    pub processes: Processes,
    /// What earlier attempts left and nobody needs any more: directories, and logs with their rotated files.
    pub obsolete: Vec<PathBuf>,
}

impl ContainerSpec {
    /// The layers of images that it needs while it runs, each with the directory they are in.
    pub(crate) fn layers(&self) -> Vec<(&Path, &[String])> {
        let root = match &self.root {
            RootFs::Overlay { store, layers } => Some((store.as_path(), layers.as_slice())),
            RootFs::Own { .. } => None,
        };
        let mounted = self.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Image { store, layers, .. } => Some((store.as_path(), layers.as_slice())),
            _ => None,
        });
        root.into_iter().chain(mounted).collect()
    }
}

impl fmt::Debug for ContainerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerSpec")
            .field("name", &self.name)
            .field("attempt", &self.attempt)
            .field("argv", &self.argv.first())
            .finish_non_exhaustive()
    }
}

/// The process namespace of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Processes {
    /// One of its own.
    #[default]
    Own,
    /// The pod's, where all its containers are together.
    Pod,
    /// That of another container.
    Of(String),
}

/// The file system a container starts on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RootFs {
    /// Layers of an image below a writable one. `layers` are names inside `store`, the topmost first.
    Overlay {
        /// Directory of the unpacked layers.
        store: PathBuf,
        /// Names of the layers, topmost first.
        layers: Vec<String>,
    },
    /// The node's own executable at `/curtain` in an otherwise empty root.
    Own {
        /// The executable.
        binary: PathBuf,
        /// Certificate authorities of the host, if it has them.
        authorities: Option<PathBuf>,
    },
}

/// Something mounted into the container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Absolute path in the container; missing parts are made.
    pub target: String,
    /// Whether writes are refused.
    pub read_only: bool,
}

/// What a [`Mount`] shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum MountSource {
    /// A file or directory of the host, or a path below it that cannot leave it.
    Bind {
        /// The host path.
        path: PathBuf,
        /// Path below it.
        sub_path: Option<String>,
    },
    /// The files of an image, or a path below them that cannot leave them; nothing of it is executed.
    Image {
        /// Directory of the unpacked layers.
        store: PathBuf,
        /// Names of the layers, topmost first.
        layers: Vec<String>,
        /// Path in the image.
        sub_path: Option<String>,
    },
    /// Memory.
    Tmpfs {
        /// Most bytes it may hold.
        size: Option<u64>,
    },
}

/// Who a program runs as.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct UserSpec {
    /// The pod's `runAsUser`.
    pub uid: Option<u32>,
    /// The pod's `runAsGroup`.
    pub gid: Option<u32>,
    /// Additional groups: `fsGroup` and `supplementalGroups`.
    pub groups: Vec<u32>,
    /// `USER` of the image (`name`, `uid`, `name:group`, …), used where the pod says nothing.
    pub image: String,
    /// Refuse to start as root.
    pub non_root: bool,
}

/// Changes to the usual set of capabilities; names with or without `CAP_`, or `ALL`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Capabilities {
    /// Added after dropping.
    pub add: Vec<String>,
    /// Dropped.
    pub drop: Vec<String>,
}

/// cgroup limits; absent means unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// Bytes.
    pub memory: Option<u64>,
    /// CPU time in thousandths of a CPU.
    pub cpu_millis: Option<u64>,
    /// Relative weight, 1024 for a whole CPU requested.
    pub cpu_shares: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// Where a container's output goes and how much of it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LogSpec {
    /// The log file; older ones are next to it with `.1`, `.2`, … added.
    pub path: PathBuf,
    /// Size at which the file is rotated.
    pub max_bytes: u64,
    /// How many files are kept, the current one included.
    pub max_files: u32,
}
