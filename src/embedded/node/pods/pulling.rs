//! When an image is pulled, how long a failed pull rests, and how a kubelet says all this. Pure.

use std::time::{Duration, Instant};

use super::build::Source;
use crate::span::span;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);

/// What is to be done about a container's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Start from the one that is there.
    Use,
    /// Ask the registry.
    Pull,
    /// It is not there, and nobody may be asked.
    Lack,
}

/// What a pull policy means for an image that is there or not. `fresh`: it was pulled for this very start.
///
/// What somebody loaded into this machine is not asked for in a registry, which may have something else by that name.
pub(super) fn step(policy: Option<&str>, found: Option<&Source>, fresh: bool) -> Step {
    match (policy, found) {
        (Some("Always"), Some(Source::Stored(image))) if image.pulled && !fresh => Step::Pull,
        (_, Some(_)) => Step::Use,
        (Some("Never"), None) => Step::Lack,
        (_, None) => Step::Pull,
    }
}

/// The pulls of one container's image.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    /// The image, as the pod calls it.
    pub(super) image: String,
    pub(super) running: bool,
    /// The start that it was pulled for last.
    pub(super) done_for: Option<u32>,
    /// Why the last one failed, and when there may be another.
    pub(super) failed: Option<(String, Instant)>,
    pause: Duration,
}

impl Pulls {
    pub(super) fn of(image: &str) -> Self {
        Self { image: image.to_owned(), ..Self::default() }
    }

    pub(super) fn succeeded(&mut self, attempt: u32) {
        *self = Self { done_for: Some(attempt), ..Self::of(&self.image) };
    }

    pub(super) fn fail(&mut self, why: &str, now: Instant) {
        self.running = false;
        self.pause = (self.pause * 2).clamp(FIRST, LONGEST);
        self.failed = Some((why.to_owned(), now + self.pause));
    }

    /// Why there is no other attempt yet, and until when.
    pub(super) fn resting(&self, now: Instant) -> Option<(&str, Instant)> {
        let (why, until) = self.failed.as_ref()?;
        (*until > now).then_some((why, *until))
    }
}

/// What is said of an image that was pulled.
pub(super) fn succeeded(image: &str, took: Duration, with_wait: Duration, size: u64) -> String {
    let (took, with_wait) = (span(took), span(with_wait));
    format!(
        "Successfully pulled image {image:?} in {took} ({with_wait} including waiting). Image size: {size} bytes."
    )
}

/// What is said of an image that is there.
pub(super) fn present(image: &str, policy: Option<&str>, found: &Source) -> String {
    match found {
        Source::Stored(stored) if policy == Some("Always") && !stored.pulled => {
            format!(
                "Container image {image:?} was loaded into this machine: no registry is asked for it"
            )
        }
        _ => format!("Container image {image:?} already present on machine"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::images::{Image, ImageConfig};

    fn stored(pulled: bool) -> Source {
        Source::Stored(Box::new(Image {
            id: String::new(),
            layers: Vec::new(),
            config: ImageConfig::default(),
            size: 0,
            pulled,
        }))
    }

    #[test]
    fn policies_mean_what_they_say() {
        let (loaded, pulled) = (stored(false), stored(true));
        for (policy, found, fresh, expected) in [
            (Some("Always"), None, false, Step::Pull),
            (Some("Always"), Some(&pulled), false, Step::Pull),
            (Some("Always"), Some(&pulled), true, Step::Use),
            (Some("Always"), Some(&loaded), false, Step::Use),
            (Some("Always"), Some(&Source::Own), false, Step::Use),
            (Some("IfNotPresent"), None, false, Step::Pull),
            (Some("IfNotPresent"), Some(&pulled), false, Step::Use),
            (Some("Never"), None, false, Step::Lack),
            (Some("Never"), Some(&pulled), false, Step::Use),
            (None, None, false, Step::Pull),
        ] {
            assert_eq!(step(policy, found, fresh), expected, "{policy:?} {found:?} {fresh}");
        }
        assert!(present("a", Some("Always"), &loaded).contains("loaded"));
        assert!(present("a", Some("Always"), &pulled).contains("already present"));
    }

    #[test]
    fn failed_pulls_rest_longer_each_time_until_one_succeeds() {
        let mut pulls = Pulls::of("a");
        let now = Instant::now();
        let mut rests = Vec::new();
        for _ in 0..7 {
            pulls.fail("no", now);
            rests.push(pulls.resting(now).unwrap().1.duration_since(now).as_secs());
        }
        assert_eq!(rests, [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(pulls.resting(now + LONGEST), None);
        pulls.succeeded(3);
        assert_eq!((pulls.resting(now), pulls.done_for), (None, Some(3)));
        pulls.fail("no", now);
        assert_eq!(pulls.resting(now), Some(("no", now + FIRST)));
    }
}
