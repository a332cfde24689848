//! What keeps an ordinary user from having a cluster here, and how that is changed. Decided from what the kernel shows.

use std::fs;

const LIMIT: &str = "/proc/sys/user/max_user_namespaces";
const DEBIAN: &str = "/proc/sys/kernel/unprivileged_userns_clone";
const UBUNTU: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
/// The first that mounts layers for users.
const KERNEL: (u32, u32) = (5, 11);
/// The kernel's own directories for file systems to be mounted on, empty otherwise: such a mount hides nothing.
const EMPTY: [&str; 3] = ["/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd", "/proc/openprom"];

/// Lets the programs that are called curtain make user namespaces, on a system where AppArmor keeps others from it.
const PROFILE: &str = "abi <abi/4.0>,\ninclude <tunables/global>\n\
     profile curtain /**/curtain flags=(unconfined) {\n  userns,\n}\n";

/// Why an ordinary user cannot have a cluster, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What is in the way.
    pub seen: String,
    /// How it is removed.
    pub fix: String,
}

/// What is in the way of the calling process, if anything that can be seen.
pub fn obstacle() -> Option<Obstacle> {
    let read = |file: &str| fs::read_to_string(file).ok();
    Machine {
        release: read("/proc/sys/kernel/osrelease").unwrap_or_default(),
        limit: read(LIMIT),
        debian: read(DEBIAN),
        ubuntu: read(UBUNTU),
        label: read("/proc/self/attr/apparmor/current").or_else(|| read("/proc/self/attr/current")),
        mounts: read("/proc/self/mountinfo").unwrap_or_default(),
    }
    .obstacle()
}

/// The content of the files that decide.
#[derive(Debug, Clone, Default)]
struct Machine {
    release: String,
    limit: Option<String>,
    debian: Option<String>,
    ubuntu: Option<String>,
    label: Option<String>,
    mounts: String,
}

impl Machine {
    fn obstacle(&self) -> Option<Obstacle> {
        let is = |file: &Option<String>, value: &str| {
            file.as_deref().is_some_and(|text| text.trim() == value)
        };
        let root = "or run curtain as root";
        let found = |seen: String, fix: String| Some(Obstacle { seen, fix });
        if self.limit.is_none() {
            return found(
                "the kernel has no user namespaces, which an ordinary user's cluster runs in"
                    .to_owned(),
                "run curtain as root, or use a kernel with CONFIG_USER_NS".to_owned(),
            );
        }
        if is(&self.limit, "0") {
            return found(
                "user namespaces are turned off: user.max_user_namespaces is 0".to_owned(),
                format!("`sudo sysctl -w user.max_user_namespaces=15000`, {root}"),
            );
        }
        if is(&self.debian, "0") {
            return found(
                "user namespaces are root's alone: kernel.unprivileged_userns_clone is 0"
                    .to_owned(),
                format!("`sudo sysctl -w kernel.unprivileged_userns_clone=1`, {root}"),
            );
        }
        // Who has a profile of their own is let do what that says.
        let confined = self.label.as_deref().is_some_and(|label| label.trim() != "unconfined");
        if is(&self.ubuntu, "1") && !confined {
            return found(
                "AppArmor keeps programs without a profile from user namespaces: \
                 kernel.apparmor_restrict_unprivileged_userns is 1"
                    .to_owned(),
                format!(
                    "write this to /etc/apparmor.d/curtain and load it with \
                     `sudo apparmor_parser -r /etc/apparmor.d/curtain`, {root}:\n{PROFILE}"
                ),
            );
        }
        if version(&self.release) < KERNEL {
            let (major, minor) = KERNEL;
            return found(
                format!("Linux {} mounts layers of images for root alone", self.release.trim()),
                format!("use Linux {major}.{minor} or later, {root}"),
            );
        }
        if let Some(hidden) = hidden(&self.mounts) {
            return found(
                format!(
                    "{hidden} is hidden, as it is in containers, and then the kernel lets nobody but root \
                     mount /proc, which every pod needs"
                ),
                "run curtain outside of the container, start the container with nothing of /proc hidden \
                 (`--security-opt systempaths=unconfined`), or run curtain as root in a privileged one"
                    .to_owned(),
            );
        }
        None
    }
}

fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.trim().split(['.', '-']).map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// A part of `/proc` that something is mounted on.
fn hidden(mounts: &str) -> Option<&str> {
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    places.into_iter().find(|place| place.starts_with("/proc/") && !EMPTY.contains(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Machine {
        Machine {
            release: "6.8.0-45-generic\n".to_owned(),
            limit: Some("63456\n".to_owned()),
            mounts: "22 27 0:21 / /proc rw - proc proc rw\n\
                     40 22 0:33 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw\n"
                .to_owned(),
            ..Machine::default()
        }
    }

    #[track_caller]
    fn said(machine: &Machine) -> String {
        let Obstacle { seen, fix } = machine.obstacle().expect("an obstacle");
        format!("{seen}; {fix}")
    }

    #[test]
    fn a_usual_machine_has_none() {
        assert_eq!(usual().obstacle(), None);
        let open = Machine { debian: Some("1".into()), ubuntu: Some("0".into()), ..usual() };
        assert_eq!(open.obstacle(), None);
        // An NFS server's, and firmware's of some machines.
        let mut served = usual();
        served.mounts += "42 22 0:35 / /proc/fs/nfsd rw - nfsd nfsd rw\n\
                          43 22 0:36 / /proc/openprom rw - openpromfs openprom rw\n";
        assert_eq!(served.obstacle(), None);
    }

    #[test]
    fn what_is_turned_off_is_named_with_how_to_turn_it_on() {
        let text = said(&Machine { limit: Some("0\n".into()), ..usual() });
        assert!(text.contains("sysctl -w user.max_user_namespaces=15000"), "{text}");
        let text = said(&Machine { debian: Some("0\n".into()), ..usual() });
        assert!(text.contains("sysctl -w kernel.unprivileged_userns_clone=1"), "{text}");
        let text = said(&Machine { limit: None, ..usual() });
        assert!(text.contains("no user namespaces") && text.contains("as root"), "{text}");
    }

    #[test]
    fn app_armor_wants_a_profile_unless_there_is_one() {
        let restricted = Machine { ubuntu: Some("1\n".into()), ..usual() };
        let restricted = Machine { label: Some("unconfined\n".into()), ..restricted };
        let text = said(&restricted);
        assert!(text.contains("kernel.apparmor_restrict_unprivileged_userns"), "{text}");
        assert!(text.contains("profile curtain /**/curtain flags=(unconfined) {\n  userns,\n}"));
        let allowed = Machine { label: Some("curtain (unconfined)\n".into()), ..restricted };
        assert_eq!(allowed.obstacle(), None);
    }

    #[test]
    fn old_kernels_and_containers_are_named() {
        let text = said(&Machine { release: "5.10.0-30-amd64".into(), ..usual() });
        assert!(text.contains("Linux 5.10.0-30-amd64") && text.contains("5.11"), "{text}");
        for hidden in ["/proc/kcore", "/proc/fs", "/proc/fs/nfsd2"] {
            let mut container = usual();
            container.mounts += &format!("41 22 0:34 / {hidden} rw - tmpfs tmpfs rw\n");
            let text = said(&container);
            assert!(text.starts_with(&format!("{hidden} is hidden")), "{text}");
        }
    }
}
