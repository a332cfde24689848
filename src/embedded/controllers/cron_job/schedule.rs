//! When a CronJob is due.

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
    /// The next time; `None` when there is none.
    pub(super) next: Option<Timestamp>,
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
    // Times at even intervals count from the first, whenever somebody looks.
    let last = schedule.latest(since, now, zone);
    let at = last.filter(|last| *last > from);
    let next = schedule.next(last.unwrap_or(since), zone);
    let missed = std::iter::successors(schedule.next(from, zone), |at| schedule.next(*at, zone))
        .take(MANY + 1)
        .take_while(|at| *at <= now)
        .count();
    Due { at, many: missed > MANY, next }
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
        let every = |deadline: Option<i64>| json!({"schedule":"@every 90m","startingDeadlineSeconds":deadline});
        for (spec, last, now, expected, next) in [
            (json!({}), None, "00:05:00", None, "00:10:00"),
            (json!({}), None, "00:10:00", Some("00:10:00"), "00:20:00"),
            (json!({}), None, "00:39:00", Some("00:30:00"), "00:40:00"),
            (json!({}), Some("00:30:00"), "00:39:00", None, "00:40:00"),
            (json!({"startingDeadlineSeconds":60}), None, "00:39:00", None, "00:40:00"),
            (
                json!({"startingDeadlineSeconds":600}),
                None,
                "00:39:00",
                Some("00:30:00"),
                "00:40:00",
            ),
            (
                json!({"schedule":"0 9 * * *","timeZone":"Europe/Berlin"}),
                None,
                "00:01:00",
                None,
                "08:00:00",
            ),
            // Whoever looks in between, as after a restart, does not put it off.
            (every(None), None, "01:00:00", None, "01:30:30"),
            (every(None), None, "01:31:00", Some("01:30:30"), "03:00:30"),
            (every(None), Some("01:30:30"), "02:00:00", None, "03:00:30"),
            (every(Some(60)), None, "01:31:00", Some("01:30:30"), "03:00:30"),
            (every(Some(60)), None, "02:00:00", None, "03:00:30"),
        ] {
            let job = job(spec, last);
            let (schedule, zone) = read(&job).expect("well-formed");
            let found = due(&job, &schedule, &zone, at(now));
            let wanted = Due { at: expected.map(at), many: false, next: Some(at(next)) };
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
