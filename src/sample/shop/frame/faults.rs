//! Trouble on purpose that no wrong setting makes by itself: switched on by variables, the same every time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use curtain_role::Shutdown;

use super::{Failure, Settings};

/// Every so many requests one fails.
pub const ERROR_EVERY: &str = "FAULT_ERROR_EVERY";
/// Milliseconds before each answer.
pub const LATENCY: &str = "FAULT_LATENCY_MS";
/// Kilobytes that are kept every tenth of a second.
pub const LEAK: &str = "FAULT_LEAK_KB";
/// Milliseconds after which the service ends with an error.
pub const CRASH: &str = "FAULT_CRASH_AFTER_MS";

/// How often a leak grows.
const PACE: Duration = Duration::from_millis(100);

/// The faults that are switched on.
#[derive(Debug, Default)]
pub(super) struct Faults {
    every: u64,
    latency: Duration,
    leak: u64,
    crash: Option<Duration>,
    asked: AtomicU64,
}

impl Faults {
    pub(super) fn new(settings: &Settings) -> Result<Self, Failure> {
        let crash = settings.number(CRASH, 0)?;
        Ok(Self {
            every: settings.number(ERROR_EVERY, 0)?,
            latency: Duration::from_millis(settings.number(LATENCY, 0)?),
            leak: settings.number(LEAK, 0)?,
            crash: (crash > 0).then(|| Duration::from_millis(crash)),
            asked: AtomicU64::new(0),
        })
    }

    /// What happens before a request is answered.
    pub(super) async fn before(&self) -> Result<(), Failure> {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        match self.every {
            0 => Ok(()),
            every if asked.is_multiple_of(every) => Err(Failure::own(format!(
                "request {asked} fails as every {every}. does: {ERROR_EVERY} is set"
            ))),
            _ => Ok(()),
        }
    }

    /// What happens whether or not anybody asks; the reason once the service must end.
    pub(super) async fn meanwhile(&self, shutdown: &Shutdown) -> Option<String> {
        let crash = async {
            match self.crash {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = crash => Some(format!("giving up after {:?}: {CRASH} is set", self.crash.unwrap_or_default())),
            () = self.grow() => None,
            () = shutdown.wait() => None,
        }
    }

    /// Keeps more and more.
    async fn grow(&self) {
        if self.leak == 0 {
            return std::future::pending().await;
        }
        let bytes = usize::try_from(self.leak.saturating_mul(1024)).unwrap_or(usize::MAX);
        let mut kept: Vec<Vec<u8>> = Vec::new();
        loop {
            // Written, or the kernel would not give it.
            kept.push(vec![1; bytes]);
            tokio::time::sleep(PACE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(name: &str, value: &str) -> Faults {
        Faults::new(&[(name, value)].into_iter().collect()).unwrap()
    }

    #[tokio::test]
    async fn every_third_request_fails() {
        let faults = faults(ERROR_EVERY, "3");
        let mut outcomes = Vec::new();
        for _ in 0..6 {
            outcomes.push(faults.before().await.is_ok());
        }
        assert_eq!(outcomes, [true, true, false, true, true, false]);
    }

    #[tokio::test]
    async fn answers_come_late() {
        let begun = tokio::time::Instant::now();
        faults(LATENCY, "15").before().await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(15));
    }

    #[tokio::test]
    async fn a_crash_gives_its_reason() {
        let reason = faults(CRASH, "5").meanwhile(&Shutdown::default()).await.unwrap();
        assert!(reason.contains(CRASH), "{reason}");
        let shutdown = Shutdown::default();
        shutdown.trigger();
        assert_eq!(Faults::default().meanwhile(&shutdown).await, None);
    }
}
