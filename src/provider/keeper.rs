//! Saving the whole state of a cluster as one file, and bringing it back.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{Boxed, ClusterSpec, Error};

/// How much a snapshot holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Folders, files and links.
    pub entries: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes that all of it takes on a disk, about.
    pub room: u64,
    /// Pods.
    pub pods: u64,
    /// Volumes that outlive pods.
    pub volumes: u64,
    /// Images.
    pub images: u64,
}

/// How often it is looked whether somebody asked.
const LOOK: Duration = Duration::from_millis(25);

/// Ends what takes long: when somebody asks for it, or when its time is over.
#[derive(Clone, Debug)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    limit: Duration,
    until: Instant,
}

impl Stop {
    /// Ends it after `limit`, from now on.
    pub fn after(limit: Duration) -> Self {
        Self { asked: Arc::default(), limit, until: Instant::now() + limit }
    }

    /// Ends it as soon as it can be.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// How long it may go on.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Whether it is to end.
    pub fn is_over(&self) -> bool {
        self.asked.load(Ordering::Relaxed) || self.left().is_zero()
    }

    /// Checks that it may go on.
    ///
    /// # Errors
    /// [`Error::Interrupted`] or [`Error::SnapshotLate`].
    pub fn check(&self) -> Result<(), Error> {
        if self.is_over() { Err(self.why()) } else { Ok(()) }
    }

    /// Waits until it is to end, and returns why.
    pub async fn over(&self) -> Error {
        while !self.is_over() {
            tokio::time::sleep(LOOK.min(self.left())).await;
        }
        self.why()
    }

    /// Why it ended.
    pub(crate) fn why(&self) -> Error {
        if self.asked.load(Ordering::Relaxed) {
            Error::Interrupted
        } else {
            Error::SnapshotLate { limit: self.limit }
        }
    }
}

/// What a snapshot begins with, made of how much is in it.
pub type Head = Box<dyn FnOnce(&Contents) -> io::Result<Vec<u8>> + Send>;

/// Whoever has the state of a cluster in its hands. Nothing of the cluster runs while it is saved or exchanged.
pub trait Keeper: Send + Sync {
    /// Ends every process of the cluster at once, without the grace of [`crate::Provider::pause`]: for a state that goes.
    ///
    /// # Errors
    /// Processes that do not end within `timeout`.
    fn halt<'a>(&'a self, spec: &'a ClusterSpec, timeout: Duration)
    -> Boxed<'a, Result<(), Error>>;

    /// Writes the state to `file`, which is at `path`, after what `head` makes of its contents. It is on the disk then.
    ///
    /// # Errors
    /// A disk that is full or fails, `stop`. What was written is of no use then.
    fn save<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        file: (File, &'a Path),
        head: Head,
        stop: &'a Stop,
    ) -> Boxed<'a, Result<Contents, Error>>;

    /// What the snapshot `file` begins with.
    ///
    /// # Errors
    /// A file that cannot be read, or that is no snapshot.
    fn head(&self, file: &Path) -> Result<Vec<u8>, Error>;

    /// Unpacks the snapshot `file` to `into`, a folder beside the cluster's own that is not there yet, and checks that it is
    /// whole and holds `contents`. The cluster may run.
    ///
    /// # Errors
    /// A file that is no whole snapshot, no room, `stop`. What is there of `into` is of no use then.
    fn unpack<'a>(
        &'a self,
        file: &'a Path,
        into: &'a Path,
        contents: &'a Contents,
        stop: &'a Stop,
    ) -> Boxed<'a, Result<(), Error>>;

    /// Lets the state of the cluster and that in the folder `other` take each other's place, in one step.
    ///
    /// # Errors
    /// A file system that cannot do that; everything is as it was then.
    fn exchange(&self, spec: &ClusterSpec, other: &Path) -> Result<(), Error>;

    /// Whether the cluster's state was seen to start, if it is one that was unpacked.
    fn is_proven(&self, spec: &ClusterSpec) -> bool;

    /// It was.
    ///
    /// # Errors
    /// A disk that fails.
    fn prove(&self, spec: &ClusterSpec) -> Result<(), Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_told_as_soon_as_somebody_asks() {
        let stop = Stop::after(Duration::from_secs(60));
        let asks = async {
            tokio::task::yield_now().await;
            stop.ask();
        };
        let (why, ()) = tokio::join!(stop.over(), asks);
        assert!(matches!(why, Error::Interrupted), "{why}");
        assert!(stop.left() > Duration::from_secs(30));
    }

    #[test]
    fn whoever_asks_and_whoever_is_late_is_told_apart() {
        let stop = Stop::after(Duration::from_secs(60));
        assert!(!stop.is_over() && stop.check().is_ok());
        stop.clone().ask();
        assert!(matches!(stop.check(), Err(Error::Interrupted)));
        let stop = Stop::after(Duration::ZERO);
        let late = stop.check().unwrap_err();
        assert_eq!(late.kind(), crate::Kind::Timeout);
        assert!(late.to_string().contains("--timeout"), "{late}");
    }
}
