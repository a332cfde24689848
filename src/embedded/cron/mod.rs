//! Cron schedules, as CronJobs write them: `MINUTE HOUR DAY MONTH WEEKDAY`, `@daily` and the like, `@every 1h30m`.
//!
//! Errors are worded as the parser of real servers words them, because clients see them. Times that a change of the
//! clock leaves out never come; those that it repeats come twice.

mod parse;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// Looked for the next time so far ahead: some dates, such as February 29th, are rare.
const HORIZON: i64 = 5 * 366;

/// When something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Bit n stands for the number n.
    Fields { minutes: u64, hours: u64, days: u64, months: u64, weekdays: u64, either: bool },
    /// Seconds.
    Every(i64),
}

impl Schedule {
    /// Reads a schedule; `Err` says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        parse::schedule(text).map(Schedule)
    }

    /// The first time after `after` at which it is due by the clock of `zone`.
    pub(crate) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if let Kind::Every(seconds) = self.0 {
            return Timestamp::from_second(after.as_second().checked_add(seconds)?).ok();
        }
        let shown = zone.to_datetime(after);
        let last = shown.date().checked_add(HORIZON.days()).ok()?;
        let mut from = minute(shown)?.checked_add(1.minute()).ok()?;
        let mut offset = zone.to_offset(after);
        // Between two changes the clock goes on evenly.
        for change in zone.following(after) {
            let until = offset.to_datetime(change.timestamp());
            let due = self.shown(from, last.min(until.date())).filter(|due| *due < until);
            if due.is_some() || until.date() > last {
                return offset.to_timestamp(due?).ok();
            }
            offset = change.offset();
            let begin = offset.to_datetime(change.timestamp());
            from = minute(begin)?;
            if from < begin {
                from = from.checked_add(1.minute()).ok()?;
            }
        }
        offset.to_timestamp(self.shown(from, last)?).ok()
    }

    /// The last time after `after` and not after `until` at which it was due.
    pub(crate) fn latest(
        &self,
        after: Timestamp,
        until: Timestamp,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        if let Kind::Every(seconds) = self.0 {
            let times = (until.as_second() - after.as_second()) / seconds;
            let latest = Timestamp::from_second(after.as_second() + times * seconds).ok();
            return latest.filter(|_| times > 0);
        }
        let due = |after: i64| {
            self.next(Timestamp::from_second(after).ok()?, zone).filter(|due| *due <= until)
        };
        // Later starting points find later times, until they find none any more.
        let (mut finds, mut fails) = (after.as_second(), until.as_second());
        due(finds)?;
        while fails - finds > 1 {
            let middle = finds + (fails - finds) / 2;
            if due(middle).is_some() {
                finds = middle;
            } else {
                fails = middle;
            }
        }
        due(finds)
    }

    /// What a clock that is never changed shows when it is due first, from `from` to the end of the day `last`.
    fn shown(&self, from: DateTime, last: Date) -> Option<DateTime> {
        let Kind::Fields { minutes, hours, .. } = &self.0 else { return None };
        let first = |bits: u64, from: i8| {
            let left = bits & (u64::MAX << from);
            (left != 0).then(|| left.trailing_zeros() as i8)
        };
        let (mut date, mut hour, mut minute) = (from.date(), from.hour(), from.minute());
        while date <= last {
            if self.is_on(date) {
                let in_this_hour = first(*minutes, minute).filter(|_| hours & (1 << hour) != 0);
                let time = match in_this_hour {
                    Some(minute) => Some((hour, minute)),
                    None => first(*hours, hour + 1).zip(first(*minutes, 0)),
                };
                if let Some((hour, minute)) = time {
                    return Some(date.at(hour, minute, 0, 0));
                }
            }
            date = date.checked_add(1.day()).ok()?;
            (hour, minute) = (0, 0);
        }
        None
    }

    fn is_on(&self, date: Date) -> bool {
        let Kind::Fields { days, months, weekdays, either, .. } = &self.0 else { return false };
        let day = days & (1 << date.day()) != 0;
        let weekday = weekdays & (1 << date.weekday().to_sunday_zero_offset()) != 0;
        // When both are limited, one of them is enough.
        let on = if *either { day || weekday } else { day && weekday };
        months & (1 << date.month()) != 0 && on
    }
}

/// The beginning of the minute.
fn minute(time: DateTime) -> Option<DateTime> {
    time.with().second(0).subsec_nanosecond(0).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str, zone: &str) -> Vec<String> {
        let (schedule, zone) = (Schedule::parse(schedule).unwrap(), TimeZone::get(zone).unwrap());
        let mut at: Timestamp = after.parse().unwrap();
        let mut all = Vec::new();
        for _ in 0..3 {
            let Some(due) = schedule.next(at, &zone) else { break };
            at = due;
            all.push(at.to_string());
        }
        all
    }

    #[test]
    fn the_next_time_is_found() {
        for (schedule, after, expected) in [
            (
                "*/20 * * * *",
                "2026-01-01T00:05:10Z",
                ["2026-01-01T00:20:00Z", "2026-01-01T00:40:00Z", "2026-01-01T01:00:00Z"],
            ),
            (
                "@daily",
                "2026-02-27T00:00:00Z",
                ["2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"],
            ),
            (
                "0 9 * * MON-FRI",
                "2026-01-02T09:00:00Z",
                ["2026-01-05T09:00:00Z", "2026-01-06T09:00:00Z", "2026-01-07T09:00:00Z"],
            ),
            // Both days limited: either is enough.
            (
                "0 0 13 * FRI",
                "2026-02-06T00:00:00Z",
                ["2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z", "2026-02-27T00:00:00Z"],
            ),
            (
                "0 0 29 2 *",
                "2026-01-01T00:00:00Z",
                ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z", "2036-02-29T00:00:00Z"],
            ),
            (
                "@every 90m",
                "2026-01-01T00:00:00.5Z",
                ["2026-01-01T01:30:00Z", "2026-01-01T03:00:00Z", "2026-01-01T04:30:00Z"],
            ),
        ] {
            assert_eq!(next(schedule, after, "UTC"), expected, "{schedule}");
        }
        assert!(next("0 0 31 2 *", "2026-01-01T00:00:00Z", "UTC").is_empty());
    }

    #[test]
    fn the_latest_time_is_found_however_many_there_were() {
        let latest = |schedule: &str, after: &str, until: &str| {
            let schedule = Schedule::parse(schedule).unwrap();
            let (after, until) = (after.parse().unwrap(), until.parse().unwrap());
            schedule.latest(after, until, &TimeZone::UTC).map(|at| at.to_string())
        };
        for (schedule, until, expected) in [
            ("*/20 * * * *", "2026-01-01T00:19:59Z", None),
            ("*/20 * * * *", "2026-01-01T00:20:00Z", Some("2026-01-01T00:20:00Z")),
            ("*/20 * * * *", "2026-07-09T03:39:59Z", Some("2026-07-09T03:20:00Z")),
            ("0 9 * * MON", "2026-02-01T00:00:00Z", Some("2026-01-26T09:00:00Z")),
            ("@every 90m", "2026-01-01T01:29:59Z", None),
            ("@every 90m", "2026-01-01T04:00:00Z", Some("2026-01-01T03:00:00Z")),
        ] {
            let found = latest(schedule, "2026-01-01T00:00:00Z", until);
            assert_eq!(found.as_deref(), expected, "{schedule} until {until}");
        }
    }

    #[test]
    fn clocks_that_change_leave_out_and_repeat() {
        // 02:30 does not exist in Berlin on March 29th 2026, and comes twice on October 25th.
        assert_eq!(
            next("30 2 * * *", "2026-03-28T02:00:00Z", "Europe/Berlin")[..2],
            ["2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]
        );
        assert_eq!(
            next("30 2 * * *", "2026-10-24T01:00:00Z", "Europe/Berlin")[..2],
            ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]
        );
    }

    #[test]
    fn clocks_are_put_back_by_other_amounts_and_at_other_times() {
        // By half an hour, by two hours, and over midnight.
        assert_eq!(
            next("*/20 1 * * *", "2026-04-04T14:25:00Z", "Australia/Lord_Howe"),
            ["2026-04-04T14:40:00Z", "2026-04-04T15:10:00Z", "2026-04-05T14:30:00Z"]
        );
        assert_eq!(
            next("10 1,2 * * *", "2026-10-24T23:50:00Z", "Antarctica/Troll"),
            ["2026-10-25T00:10:00Z", "2026-10-25T01:10:00Z", "2026-10-25T02:10:00Z"]
        );
        assert_eq!(
            next("10 23 * * *", "2026-10-24T20:50:00Z", "Asia/Beirut"),
            ["2026-10-24T21:10:00Z", "2026-10-25T21:10:00Z", "2026-10-26T21:10:00Z"]
        );
    }

    #[test]
    fn times_that_never_come_are_none() {
        let every = Schedule(Kind::Every(i64::MAX));
        assert_eq!(every.next(Timestamp::UNIX_EPOCH + 1.second(), &TimeZone::UTC), None);
        let daily = Schedule::parse("@daily").unwrap();
        assert_eq!(daily.next(Timestamp::MAX, &TimeZone::UTC), None);
    }

    #[test]
    fn zones_are_known_where_there_are_no_files() {
        assert!(jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").is_ok());
    }
}
