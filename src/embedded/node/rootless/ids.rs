//! The ids of a user namespace.

use std::fs;

/// More than any range has.
const ALL: u64 = 1 << 32;

/// Which users and groups there are where a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ids {
    users: Vec<Extent>,
    groups: Vec<Extent>,
}

/// Ids in a row, by their numbers inside and outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    inside: u64,
    outside: u64,
    count: u64,
}

impl Ids {
    /// Those of the calling process.
    pub(crate) fn read() -> Self {
        let text = |file: &str| fs::read_to_string(file).unwrap_or_default();
        Self::of(&text("/proc/self/uid_map"), &text("/proc/self/gid_map"))
    }

    /// From the text of both maps: lines of first id inside, first id outside, count.
    pub(crate) fn of(users: &str, groups: &str) -> Self {
        Self { users: extents(users), groups: extents(groups) }
    }

    pub(crate) fn has_user(&self, id: u32) -> bool {
        has(&self.users, id)
    }

    pub(crate) fn has_group(&self, id: u32) -> bool {
        has(&self.groups, id)
    }

    /// Whether these are the machine's own. What they are called there is what they are called here.
    pub(crate) fn are_the_machines(&self) -> bool {
        let all = |extents: &[Extent]| matches!(extents, [Extent { inside: 0, outside: 0, count }] if *count >= ALL - 1);
        all(&self.users) && all(&self.groups)
    }

    /// Whether nobody is here but one user in one group.
    pub(crate) fn are_one(&self) -> bool {
        let one = |extents: &[Extent]| matches!(extents, [Extent { count: 1, .. }]);
        one(&self.users) && one(&self.groups)
    }

    /// The last group of those that begin with 0; none if there is no such row.
    pub(crate) fn last_group(&self) -> u64 {
        let mut end = 0;
        while let Some(next) =
            self.groups.iter().find(|extent| extent.inside == end && extent.count > 0)
        {
            end += next.count;
        }
        end.saturating_sub(1)
    }
}

fn has(extents: &[Extent], id: u32) -> bool {
    extents.iter().any(|one| (one.inside..one.inside + one.count).contains(&u64::from(id)))
}

fn extents(map: &str) -> Vec<Extent> {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u64>().ok());
        let mut next = || numbers.next().flatten();
        Some(Extent { inside: next()?, outside: next()?, count: next()? })
    };
    map.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_exists_where_the_namespace_maps_it() {
        let whole = Ids::of("         0          0 4294967295\n", "0 0 4294967295\n");
        assert!(whole.has_user(65_000) && whole.are_the_machines() && !whole.are_one());
        let some = Ids::of("0 1000 1\n1 100000 65536\n", "0 1000 1\n1 100000 65535\n");
        assert!(some.has_user(65_536) && !some.has_user(65_537) && !some.has_group(65_536));
        assert!(!some.are_the_machines() && !some.are_one());
        assert_eq!(some.last_group(), 65_535);
        let one = Ids::of("0 1000 1\n", "0 1000 1\n");
        assert!(one.has_user(0) && !one.has_user(1) && one.are_one());
        assert_eq!(one.last_group(), 0);
        let none = Ids::of("", "");
        assert!(!none.has_user(0) && !none.has_group(0) && !none.are_one());
    }
}
