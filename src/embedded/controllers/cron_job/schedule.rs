//! When a CronJob is due.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::CronJob;

use crate::cron::Schedule;

/// More times than this that nobody kept are worth a word.
const MANY: usize = 100;

/// What the clock says about a CronJob.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// The last time that has come and has not been kept.
    pub(super) at: Option<Timestamp>,
    /// Very many times have not been kept.
    pub(super) many: bool,
    /// Until the next time; `None` when there is none.
    pub(super) next: Option<Duration>,
}

/// What is wrong with what a CronJob says about its time: reason and message of an Event.
pub(super) type Wrong = (&'static str, String);

/// Reads the schedule and the time zone, which is UTC where none is named: that of a control plane in a container.
pub(super) fn read(job: &CronJob) -> Result<(Schedule, TimeZone), Wrong> {
    let spec = &job.spec;
    let zone = match &spec.time_zone {
        None => TimeZone::UTC,
        Some(name) => TimeZone::get(name).map_err(|error| {
            ("UnknownTimeZone", format!("invalid timeZone: {name:?} : {error}"))
        })?,
    };
    let schedule = Schedule::parse(&spec.schedule).map_err(|error| {
        ("UnparseableSchedule", format!("unparseable schedule: {:?} : {error}", spec.schedule))
    })?;
    Ok((schedule, zone))
}

/// What is due now.
pub(super) fn due(job: &CronJob, schedule: &Schedule, zone: &TimeZone, now: Timestamp) -> Due {
    let kept = job.status.as_ref().and_then(|status| status.last_schedule_time.as_ref());
    let since = kept.or(job.metadata.creation_timestamp.as_ref()).map_or(now, |time| time.0);
    // Who comes later than the deadline has missed it for good.
    let from = match job.spec.starting_deadline_seconds {
        Some(seconds) => Timestamp::from_second(now.as_second().saturating_sub(seconds))
            .map_or(since, |deadline| since.max(deadline)),
        None => since,
    };
    let next = schedule.next(now.max(since), zone);
    let at = schedule.latest(from, now, zone);
    let missed = std::iter::successors(schedule.next(from, zone), |at| schedule.next(*at, zone))
        .take(MANY + 1)
        .take_while(|at| *at <= now)
        .count();
    let wait = |next: Timestamp| Duration::try_from(next.duration_since(now)).unwrap_or_default();
    Due { at, many: missed > MANY, next: next.map(wait) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-01-05T{time}Z").parse().expect("a time")
    }

    fn job(spec: Value, last: Option<&str>) -> CronJob {
        let mut job = json!({"metadata":{"name":"tick","creationTimestamp":at("00:00:30").to_string()},
            "status":{"lastScheduleTime":last.map(|last| at(last).to_string())},
            "spec":{"schedule":"*/10 * * * *","timeZone":"Etc/UTC","jobTemplate":{"spec":{"template":{}}}}});
        let spec = spec.as_object().cloned().expect("an object");
        job["spec"].as_object_mut().expect("an object").extend(spec);
        serde_json::from_value(job).expect("a CronJob")
    }

    #[test]
    fn the_last_time_that_was_not_kept_is_due() {
        for (spec, last, now, expected, wait) in [
            (json!({}), None, "00:05:00", None, 300),
            (json!({}), None, "00:10:00", Some("00:10:00"), 600),
            (json!({}), None, "00:39:00", Some("00:30:00"), 60),
            (json!({}), Some("00:30:00"), "00:39:00", None, 60),
            (json!({"startingDeadlineSeconds":60}), None, "00:39:00", None, 60),
            (json!({"startingDeadlineSeconds":600}), None, "00:39:00", Some("00:30:00"), 60),
            (
                json!({"schedule":"0 1 * * *","timeZone":"Europe/Berlin"}),
                None,
                "00:01:00",
                None,
                86340,
            ),
        ] {
            let job = job(spec, last);
            let (schedule, zone) = read(&job).expect("well-formed");
            let found = due(&job, &schedule, &zone, at(now));
            let wanted =
                Due { at: expected.map(at), many: false, next: Some(Duration::from_secs(wait)) };
            assert_eq!(found, wanted, "{now} after {last:?}");
        }
    }

    #[test]
    fn very_many_missed_times_are_noticed() {
        let job = job(json!({"schedule":"* * * * *"}), None);
        let (schedule, zone) = read(&job).expect("well-formed");
        assert!(!due(&job, &schedule, &zone, at("01:40:00")).many);
        let found = due(&job, &schedule, &zone, at("01:42:10"));
        assert_eq!((found.many, found.at), (true, Some(at("01:42:00"))));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |spec: Value| read(&job(spec, None)).expect_err("wrong").0;
        assert_eq!(wrong(json!({"timeZone":"Mars/Olympus"})), "UnknownTimeZone");
        assert_eq!(wrong(json!({"schedule":"often"})), "UnparseableSchedule");
    }
}
