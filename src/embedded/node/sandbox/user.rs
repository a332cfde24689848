//! Who a container's program runs as: the pod's wish, else the image's, else root.

use std::path::Path;

use super::spec::UserSpec;

/// Numeric identity of a program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
}

/// Resolves names against `/etc/passwd` and `/etc/group` below `root`.
pub(super) fn resolve(spec: &UserSpec, root: &Path) -> Result<Identity, String> {
    let passwd = std::fs::read_to_string(root.join("etc/passwd")).unwrap_or_default();
    let group = std::fs::read_to_string(root.join("etc/group")).unwrap_or_default();
    resolve_in(spec, &passwd, &group)
}

fn resolve_in(spec: &UserSpec, passwd: &str, group: &str) -> Result<Identity, String> {
    let (image_user, image_group) = match spec.image.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (spec.image.as_str(), None),
    };
    let users: Vec<User<'_>> = passwd.lines().filter_map(User::parse).collect();

    let by_name = users.iter().find(|user| user.name == image_user);
    let uid = match (spec.uid, image_user) {
        (Some(uid), _) => uid,
        (None, "") => 0,
        (None, name) => match (name.parse(), by_name) {
            (_, Some(user)) => user.uid,
            (Ok(uid), None) => uid,
            (Err(_), None) => {
                return Err(format!("the image's user {name:?} is not in its /etc/passwd"));
            }
        },
    };
    let account = users.iter().find(|user| user.uid == uid);
    let gid = match (spec.gid, image_group) {
        (Some(gid), _) => gid,
        // A group of the image goes with the user of the image.
        (None, Some(name)) if spec.uid.is_none() => group_id(name, group)?,
        _ => account.map_or(0, |user| user.gid),
    };
    let mut groups = spec.groups.clone();
    if let Some(user) = account {
        groups.extend(member_of(user.name, group));
    }
    groups.push(gid);
    groups.sort_unstable();
    groups.dedup();
    Ok(Identity { uid, gid, groups, home: account.map_or("/", |user| user.home).to_owned() })
}

struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> User<'a> {
    /// `name:password:uid:gid:comment:home:shell`
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1).filter(|home| !home.is_empty()).unwrap_or("/");
        Some(Self { name, uid, gid, home })
    }
}

fn group_id(name: &str, group: &str) -> Result<u32, String> {
    group
        .lines()
        .filter_map(parse_group)
        .find(|(known, _, _)| *known == name)
        .map(|(_, gid, _)| gid)
        .or_else(|| name.parse().ok())
        .ok_or_else(|| format!("the image's group {name:?} is not in its /etc/group"))
}

fn member_of(user: &str, group: &str) -> Vec<u32> {
    group
        .lines()
        .filter_map(parse_group)
        .filter(|(_, _, members)| members.split(',').any(|member| member == user))
        .map(|(_, gid, _)| gid)
        .collect()
}

/// `name:password:gid:members`
fn parse_group(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let gid = fields.nth(1)?.parse().ok()?;
    Some((name, gid, fields.next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/var/www:/bin/false\n";
    const GROUP: &str = "root:x:0:\nwww:x:34:\nlogs:x:90:web,root\n";

    fn of(uid: Option<u32>, gid: Option<u32>, image: &str) -> Result<Identity, String> {
        let spec =
            UserSpec { uid, gid, groups: vec![2000], image: image.to_owned(), non_root: false };
        resolve_in(&spec, PASSWD, GROUP)
    }

    #[test]
    fn the_pod_wins_over_the_image() {
        let identity = of(Some(1000), None, "web:www").unwrap();
        assert_eq!((identity.uid, identity.gid), (1000, 0));
        assert_eq!(identity.groups, [0, 2000]);
    }

    #[test]
    fn names_come_from_the_image() {
        let identity = of(None, None, "web").unwrap();
        assert_eq!((identity.uid, identity.gid), (33, 34));
        assert_eq!(identity.groups, [34, 90, 2000]);
        assert_eq!(identity.home, "/var/www");
        assert_eq!(of(None, None, "33:logs").unwrap().gid, 90);
        assert_eq!(of(None, None, "7:8").unwrap().gid, 8);
    }

    #[test]
    fn an_unknown_name_is_refused_not_guessed() {
        assert!(of(None, None, "nobody-here").is_err());
        assert!(of(None, None, "web:nogroup").is_err());
    }

    #[test]
    fn nothing_said_is_root() {
        assert_eq!(of(None, None, "").unwrap().uid, 0);
    }
}
