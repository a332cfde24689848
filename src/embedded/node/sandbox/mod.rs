//! A container's sandbox: new namespaces, a root file system of its own, as little privilege as it asked for.
//!
//! [`spawn()`] forks with `clone3`; the child ([`child`]) joins its cgroup, mounts, pivots, drops privileges and
//! executes. Every step that fails is reported through a close-on-exec pipe, so `spawn` returns either a running
//! program or the step that failed; there is no half-started container.
//!
//! Invariants: the caller is single-threaded (the child allocates after the fork); every mount is made in the
//! child's own mount namespace; paths inside an image or a volume are resolved inside it, whatever links they hold;
//! the child dies with its parent.

mod calls;
mod capabilities;
mod child;
mod devices;
mod exec;
mod identity;
mod join;
mod mounts;
mod profile;
mod rootfs;
mod seccomp;
mod spawn;
mod spec;
mod stdio;
pub(crate) mod sys;
mod user;

pub use capabilities::NAMES as CAPABILITIES;
pub(crate) use capabilities::drop_all as drop_bounding_set;
pub(crate) use exec::{ExecSpec, exec};
pub(crate) use mounts::locked_flags;
pub(crate) use profile::Profile;
pub(crate) use rootfs::LAYER;
pub(crate) use seccomp::filter_service;
pub(crate) use spawn::{Process, spawn};
pub(crate) use spec::{
    Capabilities, ContainerSpec, Limits, LogSpec, Mount, MountSource, Processes, RootFs, UserSpec,
};
pub(crate) use stdio::{Ends, Stdio};
