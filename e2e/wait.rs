//! Waiting with a bound and a name.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// Tries until `attempt` gives a value; panics with `what` and the last error after `limit`.
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    mut attempt: impl FnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) if start.elapsed() > limit => {
                panic!("waited {limit:?} for {what}; at last: {error}")
            }
            Err(_) => sleep(Duration::from_millis(50)),
        }
    }
}
