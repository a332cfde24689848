//! Trying again when another writer was faster.

use std::time::Duration;

/// While a release is rolled out, the controllers write often.
const TRIES: u32 = 9;

/// How long to wait before the object is read again and changed once more, after so many tries that another writer
/// overtook; nothing when it is enough. All waits together are some five seconds.
pub fn pause(tries: u32) -> Option<Duration> {
    (tries < TRIES).then(|| Duration::from_millis(10) * 2u32.pow(tries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let all: Vec<Duration> = (1..).map_while(pause).collect();
        assert!(all.is_sorted() && all.len() == 8, "{all:?}");
        assert_eq!(all.iter().sum::<Duration>(), Duration::from_millis(5100));
    }
}
