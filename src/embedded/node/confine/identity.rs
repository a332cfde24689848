//! The node's user.

use nix::unistd::geteuid;
use sha2::{Digest as _, Sha256};

use crate::ClusterConfig;

/// Ids that systems leave to services without a name in their user list, and that user namespaces of the usual size
/// have.
const FIRST: u32 = 61_184;
const LAST: u32 = 65_519;

/// A user and group that nobody else is. They have no name, and nothing on the machine has to be changed for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Identity {
    /// The node's identity, the same for the life of an instance and most likely another for each; `None` where the
    /// caller is not root or cannot become somebody else.
    pub(crate) fn of(config: &ClusterConfig) -> Option<Self> {
        let id = id(config);
        let mapped = |file: &str| is_mapped(&std::fs::read_to_string(file).unwrap_or_default(), id);
        let possible =
            geteuid().is_root() && mapped("/proc/self/uid_map") && mapped("/proc/self/gid_map");
        possible.then_some(Self { uid: id, gid: id })
    }
}

fn id(config: &ClusterConfig) -> u32 {
    let digest = Sha256::digest(config.home.as_os_str().as_encoded_bytes());
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    FIRST + number % (LAST - FIRST + 1)
}

/// Whether a user namespace has an id: lines of first id inside, first id outside, count.
fn is_mapped(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        let (Some(first), Some(count)) = (first, count) else {
            return false;
        };
        (first..first + count).contains(&u64::from(id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_exists_where_the_namespace_maps_it() {
        assert!(is_mapped("         0          0 4294967295\n", 65_000));
        assert!(is_mapped("0 1000 1\n1 100000 65536\n", 65_000));
        assert!(!is_mapped("0 1000 1\n", 65_000));
        assert!(!is_mapped("", 65_000));
    }
}
