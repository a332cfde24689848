//! Which process owns an instance, told apart from any later one that has the same id.

use std::{fs, io};

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::Error;

/// A process of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Owner {
    /// Its id.
    pub(crate) pid: i32,
    /// When it started, in clock ticks since the machine did: an id is given out again, the two together are not.
    start: u64,
    /// The boot that both count from.
    boot: String,
    /// The process namespace that the id belongs to.
    namespace: String,
    /// The machine whose boot it is, where it has an id: homes may lie on a file system that several machines share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machine: Option<String>,
}

const BOOT: &str = "/proc/sys/kernel/random/boot_id";
const NAMESPACE: &str = "/proc/self/ns/pid";
const MACHINE: &str = "/etc/machine-id";

impl Owner {
    /// This process.
    ///
    /// # Errors
    /// A `/proc` that does not show it.
    pub(crate) fn this() -> Result<Self, Error> {
        let pid = Pid::this().as_raw();
        let path = stat_path(pid);
        let stat =
            fs::read_to_string(&path).map_err(|source| Error::file("read", &path, source))?;
        let start = parse(&stat).map(|(_, start)| start).ok_or_else(|| {
            Error::file("understand", &path, io::Error::other("it has no start time"))
        })?;
        let boot = boot().map_err(|source| Error::file("read", BOOT, source))?;
        let namespace = namespace().map_err(|source| Error::file("read", NAMESPACE, source))?;
        Ok(Self { pid, start, boot, namespace, machine: machine() })
    }

    /// Whether the process may still be there: what cannot be known counts as alive.
    pub(crate) fn lives(&self) -> bool {
        // Another machine has another boot, and that says nothing about its processes.
        if self.machine.is_some() && self.machine != machine() {
            return true;
        }
        let (Ok(boot), Ok(namespace)) = (boot(), namespace()) else { return true };
        if boot != self.boot {
            return false;
        }
        // From another namespace its id says nothing.
        if namespace != self.namespace {
            return true;
        }
        match fs::read_to_string(stat_path(self.pid)) {
            Ok(stat) => parse(&stat)
                .is_none_or(|(state, start)| start == self.start && !matches!(state, 'Z' | 'X')),
            // It may end while it is being read.
            Err(error) => {
                error.kind() != io::ErrorKind::NotFound
                    && error.raw_os_error() != Some(nix::errno::Errno::ESRCH as i32)
            }
        }
    }
}

fn stat_path(pid: i32) -> String {
    format!("/proc/{pid}/stat")
}

fn boot() -> io::Result<String> {
    fs::read_to_string(BOOT).map(|text| text.trim().to_owned())
}

/// The machine's id; `None` where it has none.
fn machine() -> Option<String> {
    let text = fs::read_to_string(MACHINE).ok()?;
    let id = text.trim();
    // Its first start may have left a word there that is none.
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_owned())
}

fn namespace() -> io::Result<String> {
    fs::read_link(NAMESPACE).map(|link| link.to_string_lossy().into_owned())
}

/// State and start time in a line of `/proc/PID/stat`. The name before them may hold spaces and parentheses.
fn parse(stat: &str) -> Option<(char, u64)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    // The state is the third field of the line, the start time the twenty-second.
    let start = fields.nth(18)?.trim().parse().ok()?;
    Some((state, start))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_process_is_called() {
        let line = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1000 10\n";
        assert_eq!(parse(line), Some(('S', 4242)));
        assert_eq!(parse("7 (a) S 1"), None);
    }

    #[test]
    fn this_process_lives_and_one_of_the_same_id_is_another() {
        let this = Owner::this().unwrap();
        assert!(this.lives());
        assert!(!Owner { start: this.start + 1, ..this.clone() }.lives(), "the id was reused");
        assert!(
            !Owner { boot: "before".to_owned(), ..this.clone() }.lives(),
            "the machine restarted"
        );
        let other = Owner {
            machine: Some("0".repeat(32)),
            boot: "before".to_owned(),
            start: 0,
            ..this.clone()
        };
        assert!(other.lives(), "another machine's process cannot be seen from here");
        let elsewhere = Owner { namespace: "pid:[1]".to_owned(), start: 0, ..this };
        assert!(elsewhere.lives(), "what cannot be known counts as alive");
    }

    #[test]
    fn an_owner_that_was_recorded_without_its_machine_is_one_of_this() {
        let recorded = r#"{"pid":1,"start":0,"boot":"before","namespace":"pid:[1]"}"#;
        let owner: Owner = serde_json::from_str(recorded).unwrap();
        assert_eq!(owner.machine, None);
        assert!(!owner.lives(), "the machine restarted");
        let this = Owner::this().unwrap();
        let again: Owner = serde_json::from_str(&serde_json::to_string(&this).unwrap()).unwrap();
        assert_eq!(again, this);
    }

    #[test]
    fn a_process_that_ended_is_gone_before_its_parent_has_asked() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let stat = fs::read_to_string(stat_path(pid)).unwrap();
        let start = parse(&stat).unwrap().1;
        let owner = Owner { pid, start, ..Owner::this().unwrap() };
        let started = std::time::Instant::now();
        while owner.lives() {
            assert!(started.elapsed().as_secs() < 10, "it never ended");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        child.wait().unwrap();
        assert!(!owner.lives());
    }
}
