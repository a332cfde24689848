//! Deciding from probes whether a container has started, is ready, is alive.
//!
//! A probe that has never succeeded is tried after 20, 40, 80 ms … up to its period, so that readiness is seen at
//! once; only tries that are a whole period apart count as failures, so thresholds mean what they say.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::check::{self, Target};

const FIRST_GAP: Duration = Duration::from_millis(20);

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Startup,
    Readiness,
    Liveness,
    /// Not a probe, but told like one: what is done after the start.
    PostStart,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
            Self::PostStart => "PostStart",
        }
    }
}

/// News from a container's probes.
#[derive(Debug)]
pub(super) struct News {
    pub(super) container: String,
    pub(super) attempt: u32,
    pub(super) kind: Kind,
    pub(super) what: What,
}

/// What a probe found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It has passed, after not having passed.
    Passed,
    /// A try has failed; worth an event.
    Unhealthy(String),
    /// It has failed as often as allowed.
    Failed(String),
}

/// The probes of one running container; dropping it ends them.
pub(super) struct Probing {
    task: AbortHandle,
}

impl Probing {
    pub(super) fn of(task: &tokio::task::JoinHandle<()>) -> Self {
        Self { task: task.abort_handle() }
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts the probes of a container, if it has any.
pub(super) fn start(
    container: &Container,
    attempt: u32,
    target: Target,
    news: &mpsc::UnboundedSender<News>,
) -> Option<Probing> {
    let startup = container.startup_probe.clone();
    let readiness = container.readiness_probe.clone();
    let liveness = container.liveness_probe.clone();
    if startup.is_none() && readiness.is_none() && liveness.is_none() {
        return None;
    }
    let name = container.name.clone();
    let news = news.clone();
    let tell = move |kind, what| {
        let news_item = News { container: name.clone(), attempt, kind, what };
        // The pod's worker is gone: so is this task, in a moment.
        let _ = news.send(news_item);
    };
    let task = tokio::spawn(async move {
        if let Some(probe) = startup {
            // Ends with success; a failure makes the worker restart the container, and end this task.
            watch(&probe, Kind::Startup, &target, &tell).await;
        }
        let readiness = async {
            if let Some(probe) = &readiness {
                watch(probe, Kind::Readiness, &target, &tell).await;
            }
        };
        let liveness = async {
            if let Some(probe) = &liveness {
                watch(probe, Kind::Liveness, &target, &tell).await;
            }
        };
        tokio::join!(readiness, liveness);
    });
    Some(Probing::of(&task))
}

async fn watch(probe: &Probe, kind: Kind, target: &Target, tell: &impl Fn(Kind, What)) {
    let seconds = |value: Option<i32>, default: i32| {
        Duration::from_secs(u64::try_from(value.unwrap_or(default)).unwrap_or(0))
    };
    let limit = seconds(probe.timeout_seconds, 1).max(Duration::from_millis(100));
    let delay = seconds(probe.initial_delay_seconds, 0);
    // One by gRPC tells itself what it waited for.
    let patience = if probe.grpc.is_some() { limit + FIRST_GAP } else { limit };
    tokio::time::sleep(delay).await;
    let mut counter = Counter::new(probe, kind);
    loop {
        let began = Instant::now();
        let result = match tokio::time::timeout(patience, check::check(probe, target, limit)).await
        {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
        };
        for what in counter.count(result, began.into_std()) {
            let passed = what == What::Passed;
            tell(kind, what);
            if passed && kind == Kind::Startup {
                return;
            }
        }
        tokio::time::sleep(counter.gap()).await;
    }
}

/// Turns tries into news. Pure.
struct Counter {
    kind: Kind,
    period: Duration,
    successes_needed: i32,
    failures_allowed: i32,
    successes: i32,
    failures: i32,
    /// What was told last; liveness begins as passed.
    passing: bool,
    ever_passed: bool,
    gap: Duration,
    counted_at: Option<std::time::Instant>,
}

impl Counter {
    fn new(probe: &Probe, kind: Kind) -> Self {
        let period = u64::try_from(probe.period_seconds.unwrap_or(10)).unwrap_or(10).max(1);
        Self {
            kind,
            period: Duration::from_secs(period),
            successes_needed: probe.success_threshold.unwrap_or(1).max(1),
            failures_allowed: probe.failure_threshold.unwrap_or(3).max(1),
            successes: 0,
            failures: 0,
            passing: kind == Kind::Liveness,
            ever_passed: kind == Kind::Liveness,
            gap: FIRST_GAP,
            counted_at: None,
        }
    }

    fn count(&mut self, result: Result<(), String>, at: std::time::Instant) -> Vec<What> {
        match result {
            Ok(()) => {
                self.failures = 0;
                self.successes += 1;
                self.ever_passed = true;
                if self.successes >= self.successes_needed && !self.passing {
                    self.passing = true;
                    return vec![What::Passed];
                }
                Vec::new()
            }
            Err(message) => {
                self.successes = 0;
                if !self.ever_passed {
                    let early = self.counted_at.is_some_and(|before| {
                        // Timers are late rather than early; a little slack keeps every period counted.
                        at.duration_since(before) + FIRST_GAP < self.period
                    });
                    if early {
                        return Vec::new();
                    }
                    self.counted_at = Some(at);
                }
                self.failures += 1;
                let mut news = vec![What::Unhealthy(message.clone())];
                if self.failures >= self.failures_allowed
                    && (self.passing || self.kind == Kind::Startup)
                {
                    self.passing = false;
                    self.failures = 0;
                    news.push(What::Failed(message));
                }
                news
            }
        }
    }

    /// Time until the next try.
    fn gap(&mut self) -> Duration {
        if self.ever_passed {
            return self.period;
        }
        let gap = self.gap.min(self.period);
        self.gap = gap * 2;
        gap
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use super::*;

    fn counter(kind: Kind) -> Counter {
        let probe = json!({"periodSeconds": 1, "failureThreshold": 2});
        Counter::new(&serde_json::from_value(probe).unwrap(), kind)
    }

    fn failed() -> Result<(), String> {
        Err("no".into())
    }

    #[test]
    fn readiness_is_seen_at_once_and_lost_after_the_threshold() {
        let mut counter = counter(Kind::Readiness);
        let now = Instant::now();
        let gaps: Vec<u128> = (0..8).map(|_| counter.gap().as_millis()).collect();
        assert_eq!(gaps, [20, 40, 80, 160, 320, 640, 1000, 1000]);
        assert_eq!(counter.count(failed(), now).len(), 1);
        assert_eq!(counter.count(failed(), now), [], "too early to count");
        assert_eq!(counter.count(Ok(()), now), [What::Passed]);
        assert_eq!(counter.gap(), Duration::from_secs(1));
        assert_eq!(counter.count(failed(), now).len(), 1);
        assert_eq!(counter.count(failed(), now)[1], What::Failed("no".into()));
        assert_eq!(counter.count(Ok(()), now), [What::Passed]);
    }

    #[test]
    fn a_slow_start_is_not_failed_by_quick_tries() {
        let mut counter = counter(Kind::Startup);
        let now = Instant::now();
        for _ in 0..20 {
            counter.count(failed(), now);
        }
        assert_eq!(counter.failures, 1);
        let news = counter.count(failed(), now + Duration::from_secs(1));
        assert_eq!(news[1], What::Failed("no".into()));
    }

    #[test]
    fn liveness_is_believed_until_it_fails() {
        let mut counter = counter(Kind::Liveness);
        let now = Instant::now();
        assert_eq!(counter.count(Ok(()), now), []);
        assert_eq!(counter.count(failed(), now).len(), 1);
        assert_eq!(counter.count(failed(), now).len(), 2);
    }
}
