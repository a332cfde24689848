//! Instances of the platform on this machine: bringing one up, taking it down, and everything between.
//!
//! Invariants:
//! - every effect on the machine is a step {do, undo, probe} that the instance's ledger records
//!   before it happens, so that `up` after a crash resumes and `down` after a crash undoes;
//! - one command at a time works on an instance; every wait is bounded;
//! - nothing here prints, exits, or reads the environment: folders and options come from the caller.
//!
//! Entry points: [`Homes`], [`up()`], [`down()`], [`pause()`], [`reap()`], [`instances()`], [`status()`], [`doctor()`], [`collect()`],
//! [`snapshot`], [`clients`], [`access`].

pub mod access;
mod agents;
mod carried;
pub mod clients;
pub mod component;
pub mod components;
pub mod demo;
pub mod deploy;
pub mod doctor;
mod down;
mod effect;
mod error;
mod evidence;
mod fault;
mod home;
mod http;
mod identity;
pub mod images;
mod instance;
mod instances;
mod lease;
mod ledger;
mod lock;
mod mcp;
pub mod memory;
mod name;
mod owner;
mod pause;
mod plan;
pub mod progress;
mod reap;
pub mod snapshot;
mod status;
mod steps;
mod support;
mod up;
mod world;

pub use agents::{add_agent, remove_agent};
pub use doctor::doctor;
pub use down::{Down, TakeDown, down};
pub use error::{Back, Error, Kind};
pub use fault::FaultPlan;
pub use home::{Home, Homes};
pub use identity::{Identity, find};
pub use instance::{Endpoints, Instance, NodePorts, Ports};
pub use instances::{Listed, State, instances};
pub use lease::{Over, Stay, is_own};
pub use mcp::{Install, Unwired, agent, install, uninstall};
pub use name::{DEFAULT, InstanceName};
pub use pause::{Paused, pause};
pub use reap::{Reaped, reap};
pub use status::{Deployment, Plane, Status, status};
pub use support::{Collector, Evidence, collect};
pub use up::{Before, Facts, Up, plan_names, up};
