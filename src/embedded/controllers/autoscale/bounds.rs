//! From how many pods there should be to how many there may be now: the past is remembered, steps are limited.
//!
//! Recommendations are remembered for the longest window, changes for the longest period; after a restart the present
//! number is the first recommendation, so that nothing goes down before it was watched for a whole window.

use std::time::{Duration, Instant};

use k8s_openapi::api::autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscalerBehavior};

/// So long going down waits where nobody says anything.
const WINDOW: i32 = 300;
/// The longest period that a policy may have.
const PERIOD: Duration = Duration::from_secs(1800);
/// The longest time that recommendations may be looked back at.
const LONGEST: Duration = Duration::from_secs(3600);

/// What has been recommended and done.
#[derive(Debug, Default)]
pub(super) struct Memory {
    recommended: Vec<(Instant, i32)>,
    /// When, and by how much the number of pods grew, or shrank if that is negative.
    changes: Vec<(Instant, i32)>,
}

/// Between what the number of pods may be, and what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) min: i32,
    pub(super) max: i32,
    pub(super) current: i32,
}

/// Reason and message of a condition.
pub(super) type Why = (&'static str, &'static str);

/// How many pods there may be now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounded {
    pub(super) replicas: i32,
    /// Why the recommendation was taken, or an earlier one.
    pub(super) able: Why,
    /// Is it less, or more, than is recommended, and why?
    pub(super) limited: (bool, Why),
}

const READY: Why = ("ReadyForNewScale", "recommended size matches current size");
const HELD_DOWN: Why = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);
const HELD_UP: Why = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
);
const WITHIN: Why = ("DesiredWithinRange", "the desired count is within the acceptable range");
const TOO_FAST_UP: Why =
    ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const TOO_FAST_DOWN: Why = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
);
const TOO_MANY: Why =
    ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const TOO_FEW: Why =
    ("TooFewReplicas", "the desired replica count is less than the minimum replica count");

impl Memory {
    /// The present number is the first recommendation.
    pub(super) fn begin(&mut self, current: i32, now: Instant) {
        if self.recommended.is_empty() {
            self.recommended.push((now, current));
        }
    }

    /// The number of pods was changed by `by`.
    pub(super) fn changed(&mut self, by: i32, now: Instant) {
        self.changes.retain(|(at, _)| now.saturating_duration_since(*at) < PERIOD);
        self.changes.push((now, by));
    }

    /// Takes a recommendation in, and says what of it may be done now.
    pub(super) fn bound(
        &mut self,
        desired: i32,
        range: Range,
        behavior: Option<&HorizontalPodAutoscalerBehavior>,
        now: Instant,
    ) -> Bounded {
        let stable = self.stabilized(desired, range.current, behavior, now);
        self.recommended.retain(|(at, _)| now.saturating_duration_since(*at) < LONGEST);
        self.recommended.push((now, desired));
        let able = if stable == desired {
            READY
        } else if behavior.is_some() && desired >= range.current {
            HELD_DOWN
        } else {
            HELD_UP
        };
        let (replicas, why) = match behavior {
            None => usual(stable, range),
            Some(behavior) => self.limited(stable, range, behavior, now),
        };
        Bounded { replicas, able, limited: (replicas != stable, why) }
    }

    /// The recommendation, or one of the recent ones that is nearer to what there is.
    fn stabilized(
        &self,
        desired: i32,
        current: i32,
        behavior: Option<&HorizontalPodAutoscalerBehavior>,
        now: Instant,
    ) -> i32 {
        let window = |rules: Option<&HPAScalingRules>, usual: i32| {
            let seconds = rules.and_then(|rules| rules.stabilization_window_seconds);
            Duration::from_secs(u64::try_from(seconds.unwrap_or(usual)).unwrap_or(0))
        };
        let recent = |window: Duration| {
            let recent = move |at: Instant| now.saturating_duration_since(at) < window;
            self.recommended.iter().filter(move |(at, _)| recent(*at)).map(|(_, number)| *number)
        };
        let up = window(behavior.and_then(|it| it.scale_up.as_ref()), 0);
        let down = window(behavior.and_then(|it| it.scale_down.as_ref()), WINDOW);
        let highest = recent(down).fold(desired, i32::max);
        if behavior.is_none() {
            return highest;
        }
        let lowest = recent(up).fold(desired, i32::min);
        current.max(lowest).min(highest)
    }

    /// As fast as the policies let it.
    fn limited(
        &self,
        desired: i32,
        range: Range,
        behavior: &HorizontalPodAutoscalerBehavior,
        now: Instant,
    ) -> (i32, Why) {
        let Range { min, max, current } = range;
        if desired > current {
            let limit = match &behavior.scale_up {
                Some(rules) => self.limit(rules, current, true, now).max(current),
                None => i32::MAX,
            };
            let (most, why) = if max > limit { (limit, TOO_FAST_UP) } else { (max, TOO_MANY) };
            if desired > most {
                return (most, why);
            }
        } else if desired < current {
            let limit = match &behavior.scale_down {
                Some(rules) => self.limit(rules, current, false, now).min(current),
                None => i32::MIN,
            };
            let (least, why) = if min < limit { (limit, TOO_FAST_DOWN) } else { (min, TOO_FEW) };
            if desired < least {
                return (least, why);
            }
        }
        (desired, WITHIN)
    }

    /// The furthest number that the policies of a direction allow.
    fn limit(&self, rules: &HPAScalingRules, current: i32, up: bool, now: Instant) -> i32 {
        let select = rules.select_policy.as_deref().unwrap_or("Max");
        if select == "Disabled" {
            return current;
        }
        let allowed = rules.policies.iter().flatten().map(|policy| {
            let period = Duration::from_secs(u64::try_from(policy.period_seconds).unwrap_or(0));
            let recent = |at: Instant| now.saturating_duration_since(at) < period;
            let done = self.changes.iter().filter(|(at, _)| recent(*at)).map(|(_, by)| by);
            // Where the period began.
            let start = i64::from(current) - done.map(|by| i64::from(*by)).sum::<i64>();
            let value = i64::from(policy.value);
            let number = match (policy.type_.as_str(), up) {
                ("Pods", true) => start + value,
                ("Pods", false) => start - value,
                (_, true) => (start * (100 + value) + 99).div_euclid(100),
                (_, false) => (start * (100 - value)) / 100,
            };
            i32::try_from(number.clamp(0, i64::from(i32::MAX))).unwrap_or(i32::MAX)
        });
        // `Max` is the policy of the largest change.
        let furthest = if (select == "Min") == up { allowed.min() } else { allowed.max() };
        furthest.unwrap_or(current)
    }
}

/// Without rules: at most twice as many at a time, or four.
fn usual(desired: i32, Range { min, max, current }: Range) -> (i32, Why) {
    let limit = current.saturating_mul(2).max(4);
    let (most, why) = if max > limit { (limit, TOO_FAST_UP) } else { (max, TOO_MANY) };
    match desired {
        few if few < min => (min, TOO_FEW),
        many if many > most => (most, why),
        within => (within, WITHIN),
    }
}

#[cfg(test)]
mod tests;
