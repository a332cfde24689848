//! `batch`: what runs to its end.

mod cron_job;
mod job;
mod policy;
mod spec;

use super::builtin::{ALL, Line, PLAIN};

pub(super) const KINDS: &[Line] = &[
    Line {
        kind: "CronJob",
        plural: "cronjobs",
        short: &["cj"],
        categories: ALL,
        strategy: cron_job::CRON_JOB,
        columns: cron_job::COLUMNS,
        status: true,
        generation: true,
        ..PLAIN
    },
    Line {
        kind: "Job",
        plural: "jobs",
        categories: ALL,
        strategy: job::JOB,
        columns: job::COLUMNS,
        status: true,
        generation: true,
        ..PLAIN
    },
];
