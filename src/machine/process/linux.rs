//! What `/proc` says.

use std::{fs, io, path::PathBuf};

use nix::errno::Errno;

const BOOT: &str = "/proc/sys/kernel/random/boot_id";
const NAMESPACE: &str = "/proc/self/ns/pid";
const MACHINE: &str = "/etc/machine-id";

/// In clock ticks since the boot.
pub(super) fn started(pid: u32) -> io::Result<Option<u64>> {
    let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        // It may end while it is being read.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.raw_os_error() == Some(Errno::ESRCH as i32) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let (state, start) =
        parse(&stat).ok_or_else(|| io::Error::other("its line of /proc has no start time"))?;
    // One that has ended stays until its parent asks.
    Ok((!matches!(state, 'Z' | 'X')).then_some(start))
}

pub(super) fn boot() -> io::Result<String> {
    fs::read_to_string(BOOT).map(|text| text.trim().to_owned())
}

pub(super) fn namespace() -> io::Result<String> {
    fs::read_link(NAMESPACE).map(|link| link.to_string_lossy().into_owned())
}

pub(super) fn machine() -> Option<String> {
    let text = fs::read_to_string(MACHINE).ok()?;
    let id = text.trim();
    // Its first start may have left a word there that is none.
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_owned())
}

pub(super) fn memory(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Also where the file of this program was replaced meanwhile.
pub(super) fn program() -> io::Result<PathBuf> {
    Ok("/proc/self/exe".into())
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
    fn a_process_that_ended_is_gone_before_its_parent_has_asked() {
        let mut child = Command::new("true").spawn().unwrap();
        let since = std::time::Instant::now();
        while started(child.id()).unwrap().is_some() {
            assert!(since.elapsed().as_secs() < 10, "it never ended");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        child.wait().unwrap();
        assert_eq!(started(child.id()).unwrap(), None);
    }

    #[test]
    fn this_process_needs_memory() {
        assert!(memory(std::process::id()).unwrap() > 0);
    }
}
