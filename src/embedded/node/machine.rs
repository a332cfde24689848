//! What the node tells and uses of its machine, and can find only before it is confined: then links lead nowhere, and
//! control groups are out of sight.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the host names its resolvers; on many machines a link to a file that a service keeps elsewhere.
const RESOLVERS: &str = "/etc/resolv.conf";

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Processors, or as many as the control group's quota comes to.
    pub(crate) cpus: u64,
    /// Bytes.
    pub(crate) memory: u64,
    /// Name of the operating system.
    pub(crate) os: String,
    /// The file, not a link, that names the host's resolvers.
    pub(crate) resolvers: PathBuf,
}

impl Machine {
    pub(crate) fn read() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = meminfo
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Self {
            cpus,
            memory: kib.unwrap_or(0) * 1024,
            os: os_name(&fs::read_to_string("/etc/os-release").unwrap_or_default()),
            resolvers: fs::canonicalize(RESOLVERS).unwrap_or_else(|_| RESOLVERS.into()),
        }
    }

    /// Says, once, that names outside of the cluster cannot be looked up, if so.
    pub(crate) fn check_resolvers(&self) {
        if let Err(error) = fs::File::open(&self.resolvers) {
            tracing::warn!(
                %error,
                file = %self.resolvers.display(),
                "the file with the machine's resolvers cannot be read, so pods find no names outside of the cluster: \
                 make /etc/resolv.conf a file that everybody may read"
            );
        }
    }

    /// The directory to be shown to the node because it is in neither of `shown`.
    pub(crate) fn resolvers_elsewhere(&self, shown: &[&str]) -> Option<&Path> {
        let dir = self.resolvers.parent()?;
        let known = shown.iter().any(|shown| dir.starts_with(shown));
        (!known && dir != Path::new("/") && dir.exists()).then_some(dir)
    }
}

fn os_name(release: &str) -> String {
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("Linux").trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_resolvers_that_are_elsewhere_are_shown() {
        let at = |path: &str| {
            let machine = Machine { resolvers: path.into(), ..Machine::read() };
            machine.resolvers_elsewhere(&["/etc", "/proc"]).map(Path::to_owned)
        };
        assert_eq!(at("/etc/resolv.conf"), None);
        assert_eq!(at("/resolv.conf"), None);
        assert_eq!(at("/nonexistent/resolv.conf"), None);
        assert_eq!(at("/usr/resolv.conf"), Some("/usr".into()));
    }

    #[test]
    fn the_system_has_a_name() {
        assert_eq!(os_name("ID=x\nPRETTY_NAME=\"X 1 (y)\"\n"), "X 1 (y)");
        assert_eq!(os_name(""), "Linux");
    }
}
