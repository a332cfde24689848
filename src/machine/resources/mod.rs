//! What the machine has left.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

use std::path::Path;

#[cfg(target_os = "linux")]
use linux as here;
#[cfg(not(target_os = "linux"))]
use other as here;

/// Memory that new processes can have, in bytes; `None` where the system does not say.
pub fn memory() -> Option<u64> {
    here::memory()
}

/// Space on the disk of `path`, which exists, in bytes; `None` where the system does not say.
pub fn disk(path: &Path) -> Option<u64> {
    here::disk(path)
}

/// Version of the kernel; empty where the system does not say.
pub fn kernel() -> String {
    here::kernel()
}

/// A number that the kernel goes by, `fs.inotify.max_user_watches` for example; `None` where there is none of the name.
pub fn setting(name: &str) -> Option<u64> {
    here::setting(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_something_left() {
        assert!(memory().unwrap() > 0 && !kernel().is_empty());
        assert!(disk(&std::env::temp_dir()).unwrap() > 0);
        assert_eq!(setting("kernel.no_such_setting"), None);
    }
}
