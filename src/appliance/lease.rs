//! How long an instance may stay: as long as the command that made it for itself, until a time, or for ever.
//!
//! An instance without a lease stays until `down`. The file is there before anything else is recorded for an instance,
//! and goes after everything else: what a killed command leaves can always be told from what somebody keeps.

use std::{fs, io, time::Duration};

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use serde::{Deserialize, Serialize};

use crate::{Error, Home, home::write_atomic, owner::Owner};

/// Version of `lease.json` this build writes.
const VERSION: u32 = 1;

/// For how long an instance is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stay {
    /// Only as long as this process lives.
    pub with_this_process: bool,
    /// At most this long from now.
    pub at_most: Option<Duration>,
}

/// When an instance may be removed by whoever comes along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lease {
    version: u32,
    /// Whose it is: it goes with that process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<Owner>,
    /// When its time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
}

/// Why an instance may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The command that made it for itself ended without taking it down.
    Orphaned {
        /// Id of the process.
        pid: i32,
    },
    /// Its time is over.
    Expired {
        /// Since when.
        at: Timestamp,
    },
}

impl Lease {
    /// The lease of the instance in `home`; `None` if it stays until `down`.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub(crate) fn read(home: &Home) -> Result<Option<Self>, Error> {
        let path = home.lease();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::file("read", path, source)),
        };
        let lease: Self = serde_json::from_slice(&bytes)
            .map_err(|error| Error::Stored { path: path.clone(), why: error.to_string() })?;
        if lease.version > VERSION {
            let why = format!(
                "it has version {}, and this build knows versions up to {VERSION}",
                lease.version
            );
            return Err(Error::Stored { path, why });
        }
        Ok(Some(lease))
    }

    /// Records that the instance of `home` is wanted for `stay`. What `stay` does not speak of is left as it is.
    ///
    /// # Errors
    /// A lease that cannot be read or written, or an end beyond the calendar.
    pub(crate) fn keep(home: &Home, stay: Stay, now: Timestamp) -> Result<(), Error> {
        if stay == Stay::default() {
            return Ok(());
        }
        let before = Self::read(home)?;
        let owner = match stay.with_this_process {
            true => Some(Owner::this()?),
            false => before.as_ref().and_then(|before| before.owner.clone()),
        };
        let expires = match stay.at_most {
            Some(time) => Some(end(now, time)?),
            None => before.and_then(|before| before.expires),
        };
        let lease = Self { version: VERSION, owner, expires };
        let bytes = serde_json::to_vec_pretty(&lease)
            .map_err(|error| Error::file("write", home.lease(), io::Error::other(error)))?;
        write_atomic(&home.lease(), &bytes)
    }

    /// Why the instance may be removed at `now`, if it may.
    pub(crate) fn over(&self, now: Timestamp) -> Option<Over> {
        if let Some(owner) = &self.owner
            && !owner.lives()
        {
            return Some(Over::Orphaned { pid: owner.pid });
        }
        // A command that has an instance for itself takes it down itself, whatever the time.
        let at = self.expires.filter(|at| self.owner.is_none() && *at <= now)?;
        Some(Over::Expired { at })
    }
}

/// Whether the instance of `home` was made by this process for itself.
pub fn is_own(home: &Home) -> bool {
    let owner = Lease::read(home).ok().flatten().and_then(|lease| lease.owner);
    owner.is_some_and(|owner| Owner::this().is_ok_and(|this| this == owner))
}

/// The end of `time` from `now`, in whole seconds.
fn end(now: Timestamp, time: Duration) -> Result<Timestamp, Error> {
    let whole = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil);
    let end = SignedDuration::try_from(time)
        .and_then(|time| now.checked_add(time))
        .and_then(|end| end.round(whole));
    end.map_err(|_| Error::TooLong { time })
}

/// When the time of the instance in `home` is over, as far as is known.
pub(crate) fn expires(home: &Home) -> Option<Timestamp> {
    Lease::read(home).ok().flatten()?.expires
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(dir: &std::path::Path) -> Home {
        let home = crate::Homes::new(dir).instance(&"x".parse().unwrap());
        crate::home::create_private(home.path()).unwrap();
        home
    }

    #[test]
    fn a_time_is_renewed_by_another_and_left_by_none() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let now: Timestamp = "2026-05-04T03:02:01.5Z".parse().unwrap();
        let hours = |hours: u64| Stay {
            at_most: Some(Duration::from_secs(hours * 3_600)),
            ..Stay::default()
        };
        Lease::keep(&home, Stay::default(), now).unwrap();
        assert_eq!(Lease::read(&home).unwrap(), None);
        Lease::keep(&home, hours(2), now).unwrap();
        assert_eq!(expires(&home).unwrap().to_string(), "2026-05-04T05:02:02Z");
        Lease::keep(&home, Stay::default(), now).unwrap();
        assert_eq!(expires(&home).unwrap().to_string(), "2026-05-04T05:02:02Z");
        Lease::keep(&home, hours(1), now).unwrap();
        let at = expires(&home).unwrap();
        assert_eq!(at.to_string(), "2026-05-04T04:02:02Z");

        let lease = Lease::read(&home).unwrap().unwrap();
        assert_eq!(lease.over(now), None);
        assert_eq!(lease.over(at), Some(Over::Expired { at }));
        let centuries = hours(24 * 366 * 20_000);
        assert!(Lease::keep(&home, centuries, now).unwrap_err().to_string().contains("too long"));
    }

    #[test]
    fn an_instance_goes_with_its_owner_and_with_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        let now = Timestamp::now();
        let stay = Stay { with_this_process: true, at_most: Some(Duration::from_secs(1)) };
        Lease::keep(&home, stay, now).unwrap();
        let lease = Lease::read(&home).unwrap().unwrap();
        let later = now + SignedDuration::from_hours(1);
        assert_eq!(lease.over(later), None, "its owner takes it down");
        let text = fs::read_to_string(home.lease()).unwrap();
        let owner = lease.owner.as_ref().unwrap();
        let gone = text.replace(&format!("\"pid\": {}", owner.pid), "\"pid\": 2147483646");
        fs::write(home.lease(), &gone).unwrap();
        let lease = Lease::read(&home).unwrap().unwrap();
        assert_eq!(lease.over(now), Some(Over::Orphaned { pid: 2_147_483_646 }));

        // An `up` on it changes nothing about that.
        Lease::keep(&home, Stay { at_most: Some(Duration::from_secs(9)), ..Stay::default() }, now)
            .unwrap();
        assert!(Lease::read(&home).unwrap().unwrap().owner.is_some());
        fs::write(home.lease(), gone.replace("\"version\": 1", "\"version\": 9")).unwrap();
        assert!(Lease::read(&home).unwrap_err().to_string().contains("version 9"));
    }
}
