//! Which ids an ordinary user's cluster has, decided from what the machine says.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, getegid, geteuid};

/// The ids of a range that systems give a user, and as many as a cluster needs: all that services and images use.
const ENOUGH: u32 = 65_536;
/// Where programs of the machine are.
const PLACES: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// Which ids an ordinary user's cluster has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserIds {
    /// The user's own and a range of others.
    Range {
        /// How many.
        count: u32,
    },
    /// The user's own alone, for the reason that is said.
    One {
        /// What is missing for a range.
        why: String,
    },
}

/// How the calling user's namespace gets its ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// By the machine's own programs.
    Range {
        users: Mapping,
        groups: Mapping,
    },
    One {
        why: String,
    },
}

/// Which program maps which ids, beside the user's own that is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) program: PathBuf,
    pub(super) own: u32,
    pub(super) first: u32,
    pub(super) count: u32,
}

impl Mapping {
    /// What comes after the process id on the program's command line: rows of inside, outside, count.
    pub(super) fn words(&self) -> Vec<String> {
        [0, self.own, 1, 1, self.first, self.count].iter().map(u32::to_string).collect()
    }
}

/// What the calling user's cluster would have.
pub fn user_ids() -> UserIds {
    match Plan::of_this_user() {
        Plan::Range { users, groups } => {
            UserIds::Range { count: users.count.min(groups.count) + 1 }
        }
        Plan::One { why } => UserIds::One { why },
    }
}

impl Plan {
    pub(super) fn of_this_user() -> Self {
        let text = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let (uid, gid) = (geteuid(), getegid());
        let name = name_of(uid, &text("/etc/passwd"));
        let one = |program: &str, file: &str, own: u32| {
            mapping(find(program), program, (file, &text(file)), (uid, name.as_deref()), own)
        };
        Self::of(
            one("newuidmap", "/etc/subuid", uid.as_raw()),
            one("newgidmap", "/etc/subgid", gid.as_raw()),
        )
    }

    fn of(users: Result<Mapping, String>, groups: Result<Mapping, String>) -> Self {
        match (users, groups) {
            (Ok(users), Ok(groups)) => Self::Range { users, groups },
            (Err(why), _) | (_, Err(why)) => Self::One { why },
        }
    }
}

fn find(program: &str) -> Option<PathBuf> {
    PLACES.iter().map(|place| Path::new(place).join(program)).find(|path| path.is_file())
}

/// `name:password:uid:…`. The static program has no other way to ask.
fn name_of(uid: Uid, passwd: &str) -> Option<String> {
    let found = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid.as_raw())).then_some(name)
    });
    found.map(str::to_owned)
}

/// The ids that a user has in a file of lines `user:first:count`, the user by name or number.
fn mapping(
    program: Option<PathBuf>,
    called: &str,
    (file, text): (&str, &str),
    (uid, name): (Uid, Option<&str>),
    own: u32,
) -> Result<Mapping, String> {
    let program = program.ok_or_else(|| format!("{called} is not installed"))?;
    let number = uid.to_string();
    let ranges = text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let user = fields.next()?;
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse::<u32>().ok()?);
        (Some(user) == name || user == number).then_some((first, count))
    });
    let user = name.unwrap_or(&number);
    let (first, count) = ranges
        .max_by_key(|(_, count)| *count.min(&ENOUGH))
        .ok_or_else(|| format!("{file} has no range of ids for the user {user}"))?;
    if count < ENOUGH - 1 {
        return Err(format!(
            "{file} has only {count} ids in a row for the user {user}, {ENOUGH} are needed"
        ));
    }
    Ok(Mapping { program, own, first, count: count.min(ENOUGH) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";

    fn of(text: &str) -> Result<Mapping, String> {
        let uid = Uid::from_raw(1000);
        let name = name_of(uid, PASSWD);
        let program = Some("/usr/bin/newuidmap".into());
        mapping(program, "newuidmap", ("/etc/subuid", text), (uid, name.as_deref()), 1000)
    }

    #[test]
    fn a_range_is_the_users_by_name_or_number() {
        let named = of("bob:100000:65536\nann:165536:65536\n").unwrap();
        assert_eq!((named.own, named.first, named.count), (1000, 165_536, 65_536));
        assert_eq!(named.words(), ["0", "1000", "1", "1", "165536", "65536"]);
        assert_eq!(of("1000:200000:70000\n").unwrap().count, 65_536);
    }

    #[test]
    fn what_is_missing_for_a_range_is_said() {
        let why = of("bob:100000:65536\n").unwrap_err();
        assert_eq!(why, "/etc/subuid has no range of ids for the user ann");
        assert!(of("ann:100000:1000\n").unwrap_err().contains("only 1000 ids"));
        assert!(of("ann:x:y\n#\n").unwrap_err().contains("no range"));
        let (nobody, file) = (Uid::from_raw(4242), ("/etc/subuid", ""));
        let why = mapping(None, "newuidmap", file, (nobody, None), 4242).unwrap_err();
        assert_eq!(why, "newuidmap is not installed");
        let why = mapping(Some("/x".into()), "newuidmap", file, (nobody, None), 4242).unwrap_err();
        assert!(why.contains("the user 4242"), "{why}");
    }

    #[test]
    fn both_ranges_or_none() {
        let one = of("ann:165536:65536\n");
        assert!(matches!(Plan::of(one.clone(), one.clone()), Plan::Range { .. }));
        let lacks = Plan::of(one, Err("newgidmap is not installed".to_owned()));
        assert_eq!(lacks, Plan::One { why: "newgidmap is not installed".to_owned() });
    }
}
