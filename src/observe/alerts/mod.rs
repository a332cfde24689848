//! Alerts: rules evaluated over what the observer keeps, what came of them, and who is told.
//!
//! * [`engine`] follows the ObservabilityAlertRules and has each of them looked at in its interval; [`measure`] finds
//!   the number, [`judge`] decides what it means.
//! * [`notify`] tells the channels, with retries, and keeps what it could not deliver.
//! * [`signal`] answers queries.
//!
//! Invariants: a rule has at most one alert at a time for its component, which the database itself sees to. An alert,
//! its incident and what is to be delivered are written in one transaction, so a crash neither loses nor doubles one.

mod answer;
mod delivery;
mod duration;
mod engine;
mod entry;
mod incident;
mod judge;
mod measure;
mod notify;
mod query;
mod refusal;
mod reports;
mod rest;
mod retention;
mod rule;
mod schema;
mod signal;
mod status;
mod title;
mod tools;

use std::time::Duration;

use http::Uri;

pub(crate) use measure::Telemetry;
pub(crate) use signal::Alerts;

use crate::database::{self, Kind, Layout};

/// How alerts are handled.
#[derive(Clone, Debug)]
pub struct Options {
    /// A rule that fired waits this long before it fires again, unless its condition is changed.
    pub suppression: Duration,
    /// Where alerts go whose rule wants an agent to look for the cause; nowhere when absent.
    pub rca: Option<Uri>,
    /// Where that agent's reports are; they are not told with incidents when absent.
    pub reports: Option<Uri>,
}

impl Default for Options {
    /// A minute, and no agent.
    fn default() -> Self {
        Options { suppression: Duration::from_secs(60), rca: None, reports: None }
    }
}

/// The tables of alerts.
#[derive(Debug)]
pub(crate) enum Tables {}

impl Kind for Tables {
    const LAYOUT: Layout = schema::LAYOUT;
}

/// The database of alerts. Cloning shares it.
pub(crate) type Store = database::Store<Tables>;

#[cfg(test)]
mod live_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
