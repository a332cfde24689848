//! Stopping an instance without losing anything of it: its objects, volumes, images and ports stay.
//!
//! That it was stopped on purpose is written down, so that nobody takes it for a failure. Bringing it up again ends it.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use curtain_provider::{ClusterSpec, Provider};
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Home, Homes, Instance,
    home::{remove, write_atomic},
    status::{existing, held},
};

/// Version of `pause.json` this build writes.
const VERSION: u32 = 1;

/// A paused instance, as `pause -o json` prints it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Paused {
    /// The instance's name.
    pub instance: String,
    /// Since when it is paused.
    pub since: Timestamp,
    /// How many processes of it were ended on this machine.
    pub ended: usize,
}

#[derive(Serialize, Deserialize)]
struct Mark {
    version: u32,
    since: Timestamp,
}

/// How often it is looked whether all processes have ended.
const POLL: Duration = Duration::from_millis(10);

/// Stops every process of the instance in `home` and keeps its state. One that is paused stays so.
///
/// # Errors
/// [`Error::NotFound`] for an instance that does not exist; processes that are still there after `timeout`.
pub async fn pause(homes: &Homes, home: &Home, timeout: Duration) -> Result<Paused, Error> {
    let started = Instant::now();
    let _lock = held(homes, home, timeout).await?;
    let instance = existing(homes, home)?;
    let left = timeout.saturating_sub(started.elapsed());
    let (since, ended) = stop(home, &instance, left).await?;
    Ok(Paused { instance: instance.name.to_string(), since, ended })
}

/// As [`pause`], for whoever holds the instance; returns since when it is paused, and how many processes were ended.
pub(crate) async fn stop(
    home: &Home,
    instance: &Instance,
    timeout: Duration,
) -> Result<(Timestamp, usize), Error> {
    let started = Instant::now();
    let spec = instance.cluster(home);
    let provider = curtain_provider::by_name(&instance.provider)?;
    let before = processes(&*provider, &spec).await?;
    // Written first: from here on whoever finds nobody at home knows why.
    let since = mark(home)?;
    let left = || timeout.saturating_sub(started.elapsed());
    let stopped = async {
        provider.pause(&spec, left()).await?;
        while processes(&*provider, &spec).await? > 0 {
            if left().is_zero() {
                let what = format!("ending all processes of instance {:?}", home.name().as_str());
                return Err(Error::Timeout { what, waited: timeout });
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    };
    if let Err(error) = stopped.await {
        // Half of it may run: that is nothing to leave it at.
        end(home)?;
        return Err(error);
    }
    Ok((since, before))
}

/// How many processes there are of a cluster on this machine.
pub(crate) async fn processes(provider: &dyn Provider, spec: &ClusterSpec) -> Result<usize, Error> {
    Ok(provider.residue(spec).await?.iter().filter(|left| left.kind == "process").count())
}

/// Records that the instance is paused, if it is not yet, and returns since when.
pub(crate) fn mark(home: &Home) -> Result<Timestamp, Error> {
    if let Some(since) = since(home)? {
        return Ok(since);
    }
    let now = Timestamp::now();
    let since = now.round(Unit::Second).unwrap_or(now);
    let bytes = serde_json::to_vec_pretty(&Mark { version: VERSION, since })
        .map_err(|error| Error::file("write", home.pause(), io::Error::other(error)))?;
    write_atomic(&home.pause(), &bytes)?;
    Ok(since)
}

/// Since when the instance in `home` is paused; `None` if nobody paused it.
///
/// # Errors
/// A file that cannot be read or understood.
pub(crate) fn since(home: &Home) -> Result<Option<Timestamp>, Error> {
    let path = home.pause();
    match fs::read(&path) {
        Ok(bytes) => {
            let mark: Mark = serde_json::from_slice(&bytes)
                .map_err(|error| Error::Stored { path, why: error.to_string() })?;
            Ok(Some(mark.since))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::file("read", path, source)),
    }
}

/// Checks that nobody paused the instance in `home`: a command that needs it to answer would wait in vain.
///
/// # Errors
/// [`Error::Paused`], or what [`since`] fails with.
pub(crate) fn awake(home: &Home) -> Result<(), Error> {
    match since(home)? {
        Some(since) => Err(Error::Paused { instance: home.name().to_string(), since }),
        None => Ok(()),
    }
}

/// Records that the instance is not paused any more.
///
/// # Errors
/// A file that cannot be removed.
pub(crate) fn end(home: &Home) -> Result<(), Error> {
    remove(&home.pause()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_keeps_its_beginning_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let home = Homes::new(dir.path()).instance(&"x".parse().unwrap());
        crate::home::create_private(home.path()).unwrap();
        assert_eq!(since(&home).unwrap(), None);
        let first = mark(&home).unwrap();
        assert_eq!(mark(&home).unwrap(), first);
        assert_eq!(since(&home).unwrap(), Some(first));
        let error = awake(&home).unwrap_err();
        assert!(error.to_string().contains("`curtain resume`"), "{error}");
        end(&home).unwrap();
        end(&home).unwrap();
        assert_eq!(since(&home).unwrap(), None);
        awake(&home).unwrap();
        fs::write(home.pause(), "{}").unwrap();
        assert!(matches!(since(&home), Err(Error::Stored { .. })));
    }

    #[tokio::test]
    async fn only_an_instance_can_be_paused() {
        let dir = tempfile::tempdir().unwrap();
        let homes = Homes::new(dir.path().join("data"));
        let home = homes.instance(&"x".parse().unwrap());
        let error = pause(&homes, &home, Duration::ZERO).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        assert!(!dir.path().join("data").exists());
    }
}
