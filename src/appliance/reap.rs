//! Removing what nobody wants any more: instances whose owner was killed, and those whose time is over.
//!
//! Any command may do it in passing: it takes no longer than it is given, leaves alone what another command works on,
//! and removes nothing without a lease that says so.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::{
    Down, Error, FaultPlan, Home, Homes, InstanceName, Kind, TakeDown,
    down::take,
    lease::{Lease, Over},
    lock::Lock,
    progress::Silent,
};

/// An instance that was to be removed.
#[derive(Debug)]
pub struct Reaped {
    /// Its name.
    pub instance: String,
    /// Why it was to go; unknown if that could not be read.
    pub why: Option<Over>,
    /// What removing it came to.
    pub outcome: Result<Down, Error>,
}

/// Removes every instance whose lease is over, other than `spared`, for at most `limit`.
pub async fn reap(
    homes: &Homes,
    spared: Option<&InstanceName>,
    limit: Duration,
    faults: &FaultPlan,
) -> Vec<Reaped> {
    let started = Instant::now();
    let mut reaped = Vec::new();
    // A folder that cannot be read is for the command itself to speak of.
    let leased = homes.leased().unwrap_or_default();
    for home in leased.iter().filter(|home| Some(home.name()) != spared) {
        let instance = home.name().to_string();
        let why = match over(home) {
            Ok(Some(why)) => Some(why),
            Ok(None) => continue,
            Err(error) => {
                reaped.push(Reaped { instance, why: None, outcome: Err(error) });
                continue;
            }
        };
        let left = limit.saturating_sub(started.elapsed());
        let outcome = tokio::time::timeout(left, one(home, left, faults)).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let what = format!("removing instance {instance:?}");
            Err(Error::Timeout { what, waited: left })
        });
        match outcome {
            Ok(Some(down)) => reaped.push(Reaped { instance, why, outcome: Ok(down) }),
            // Somebody wants it again, removed it, or is about to.
            Ok(None) => {}
            Err(error) if error.kind() == Kind::Busy => {}
            Err(error) => reaped.push(Reaped { instance, why, outcome: Err(error) }),
        }
    }
    reaped
}

fn over(home: &Home) -> Result<Option<Over>, Error> {
    Ok(Lease::read(home)?.and_then(|lease| lease.over(Timestamp::now())))
}

/// Removes the instance of `home` if its lease is still over once nobody else can change that.
async fn one(home: &Home, left: Duration, faults: &FaultPlan) -> Result<Option<Down>, Error> {
    let Some(_lock) = Lock::existing(home, Duration::ZERO).await? else { return Ok(None) };
    if over(home)?.is_none() {
        return Ok(None);
    }
    let how = TakeDown { timeout: left, images: false, faults: faults.clone() };
    take(home, &how, &Silent).await.map(Some)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::{home::claim, lease::Stay};

    const LIMIT: Duration = Duration::from_secs(10);

    fn made(homes: &Homes, name: &str, stay: Stay) -> Home {
        let home = homes.instance(&name.parse().unwrap());
        claim(home.path()).unwrap();
        fs::write(home.ledger(), "{\"ledger\":1}\n").unwrap();
        Lease::keep(&home, stay, Timestamp::now()).unwrap();
        home
    }

    fn expired(homes: &Homes, name: &str) -> Home {
        let home = made(homes, name, Stay { at_most: Some(LIMIT), ..Stay::default() });
        let past = "{\"version\":1,\"expires\":\"2020-01-01T00:00:00Z\"}";
        fs::write(home.lease(), past).unwrap();
        home
    }

    fn homes(dir: &Path) -> Homes {
        Homes::new(dir.join("data"))
    }

    #[tokio::test]
    async fn only_what_is_over_goes_and_what_is_spared_stays() {
        let dir = tempfile::tempdir().unwrap();
        let homes = homes(dir.path());
        let kept = made(&homes, "kept", Stay::default());
        let ours = made(&homes, "ours", Stay { with_this_process: true, at_most: None });
        let later = made(&homes, "later", Stay { at_most: Some(LIMIT), ..Stay::default() });
        let (first, second) = (expired(&homes, "first"), expired(&homes, "second"));
        let reaped = reap(&homes, Some(second.name()), LIMIT, &FaultPlan::default()).await;
        assert_eq!(reaped.len(), 1, "{reaped:?}");
        assert_eq!(reaped[0].instance, "first");
        assert!(matches!(reaped[0].why, Some(Over::Expired { .. })));
        assert!(reaped[0].outcome.as_ref().unwrap().leftovers.is_empty());
        assert!(!first.path().exists());
        for home in [kept, ours, later, second] {
            assert!(home.ledger().exists(), "{}", home.name());
        }
    }

    #[tokio::test]
    async fn what_another_command_works_on_is_left_to_it_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let homes = homes(dir.path());
        let home = expired(&homes, "busy");
        let lock = Lock::existing(&home, Duration::ZERO).await.unwrap();
        let started = Instant::now();
        assert!(reap(&homes, None, LIMIT, &FaultPlan::default()).await.is_empty());
        assert!(started.elapsed() < LIMIT && home.ledger().exists());
        drop(lock);
        let none = FaultPlan::default();
        let one = || reap(&homes, None, LIMIT, &none);
        let (first, second) = tokio::join!(one(), one());
        assert_eq!(first.len() + second.len(), 1, "two at once: {first:?} {second:?}");
        assert!(!dir.path().join("data").exists());
    }

    #[tokio::test]
    async fn whatever_a_killed_removal_left_is_found_by_the_next_and_what_cannot_be_read_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let homes = homes(dir.path());
        // The record of effects went, and then the process was killed.
        let half = expired(&homes, "half");
        fs::remove_file(half.ledger()).unwrap();
        let odd = made(&homes, "odd", Stay { at_most: Some(LIMIT), ..Stay::default() });
        fs::write(odd.lease(), "{\"version\":9}").unwrap();
        let reaped = reap(&homes, None, LIMIT, &FaultPlan::default()).await;
        let names: Vec<_> = reaped.iter().map(|one| one.instance.as_str()).collect();
        assert_eq!(names, ["half", "odd"]);
        assert!(!half.path().exists() && odd.ledger().exists());
        let why = reaped[1].outcome.as_ref().unwrap_err().to_string();
        assert!(why.contains("lease.json"), "{why}");
    }

    #[tokio::test]
    async fn a_removal_that_fails_is_said_and_the_next_one_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let homes = homes(dir.path());
        let home = expired(&homes, "stuck");
        let faults: FaultPlan = "home:before-undo:fail".parse().unwrap();
        let reaped = reap(&homes, None, LIMIT, &faults).await;
        assert_eq!(reaped[0].outcome.as_ref().unwrap().leftovers.len(), 1, "{reaped:?}");
        assert!(home.lease().exists(), "the next command tries again");
        reap(&homes, None, LIMIT, &FaultPlan::default()).await;
        assert!(!home.path().exists());
    }
}
