//! How slowly an answer may come: few pulls run at the same time, and the others wait for them. Pure.

use std::time::{Duration, Instant};

/// Over this long.
const WINDOW: Duration = Duration::from_secs(60);
/// Least bytes of a window: 4 KiB in a second, which one of nine answers on a slow line has still.
const LEAST: u64 = 60 * (4 << 10);

/// How an answer comes.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Instant,
    bytes: u64,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: now, bytes: 0 }
    }

    /// Counts what came.
    ///
    /// # Errors
    /// What is said of one that is too slow.
    pub(super) fn came(&mut self, bytes: usize, now: Instant) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        let took = now.duration_since(self.begun);
        if took < WINDOW {
            return Ok(());
        }
        if self.bytes < LEAST {
            let (bytes, seconds) = (self.bytes, took.as_secs());
            return Err(format!("only {bytes} bytes came within {seconds} s"));
        }
        *self = Self::new(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_is_given_up_and_a_slow_line_is_not() {
        let begun = Instant::now();
        let comes = |bytes: usize, every: u64, times: u64| {
            let mut pace = Pace::new(begun);
            (1..=times)
                .try_for_each(|count| pace.came(bytes, begun + Duration::from_secs(count * every)))
        };
        assert_eq!(comes(1, 29, 2), Ok(()), "a short answer may be slow");
        assert_eq!(comes(1, 29, 3), Err("only 3 bytes came within 87 s".to_owned()));
        assert_eq!(comes(8 << 10, 1, 3600), Ok(()));
        assert_eq!(comes(256 << 10, 29, 100), Ok(()), "in bursts");
        assert!(comes(3 << 10, 1, 3600).is_err());
        // Fast at first does not count later.
        let mut pace = Pace::new(begun);
        pace.came(1 << 30, begun + WINDOW).unwrap();
        pace.came(1, begun + 2 * WINDOW).unwrap_err();
    }
}
