//! What a group has used.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::detect::Controller;
use super::group::Group;

/// Version 1 says "no limit" with the largest multiple of a page.
const UNLIMITED: u64 = 1 << 62;
/// The clock that `/proc/<pid>/stat` counts in; the same on every Linux that programs are built for.
const TICK_NS: u64 = 10_000_000;

/// What a group and the groups below it have used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time since the group was made, in nanoseconds.
    pub(crate) cpu: Option<u64>,
    /// Memory at present.
    pub(crate) memory: Option<Memory>,
}

/// Bytes, and counts of page faults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) usage: u64,
    /// Without what could be dropped at once.
    pub(crate) working_set: u64,
    pub(crate) rss: u64,
    pub(crate) limit: Option<u64>,
    pub(crate) page_faults: u64,
    pub(crate) major_page_faults: u64,
}

impl Group {
    /// What it has used; where its machine does not account for it, the sum over the processes that are in it now.
    pub(crate) fn usage(&self) -> Usage {
        let dirs = self.dirs();
        let with = |controller| {
            let has = |(_, all): &&(PathBuf, Vec<Controller>)| all.contains(&controller);
            dirs.iter().find(has).map(|(dir, _)| dir.as_path())
        };
        let (cpu, memory) = match dirs.as_slice() {
            [(dir, controllers)] if controllers.is_empty() => (cpu_v2(dir), memory_v2(dir)),
            _ => (
                with(Controller::CpuAcct).and_then(|dir| number(&dir.join("cpuacct.usage"))),
                with(Controller::Memory).and_then(memory_v1),
            ),
        };
        if cpu.is_some() && memory.is_some() {
            return Usage { cpu, memory };
        }
        let processes = Sum::of(&self.processes());
        Usage {
            cpu: cpu.or(processes.as_ref().map(|sum| sum.cpu)),
            memory: memory.or(processes.map(|sum| Memory {
                usage: sum.rss,
                working_set: sum.rss,
                rss: sum.rss,
                ..Memory::default()
            })),
        }
    }
}

fn memory_v1(dir: &Path) -> Option<Memory> {
    let usage = number(&dir.join("memory.usage_in_bytes"))?;
    let stat = Stat::read(&dir.join("memory.stat"))?;
    Some(Memory {
        usage,
        working_set: usage.saturating_sub(stat.get("total_inactive_file")),
        rss: stat.get("total_rss"),
        limit: number(&dir.join("memory.limit_in_bytes")).filter(|limit| *limit < UNLIMITED),
        page_faults: stat.get("total_pgfault"),
        major_page_faults: stat.get("total_pgmajfault"),
    })
}

fn cpu_v2(dir: &Path) -> Option<u64> {
    Some(Stat::read(&dir.join("cpu.stat"))?.get("usage_usec") * 1000)
}

fn memory_v2(dir: &Path) -> Option<Memory> {
    let usage = number(&dir.join("memory.current"))?;
    let stat = Stat::read(&dir.join("memory.stat"))?;
    Some(Memory {
        usage,
        working_set: usage.saturating_sub(stat.get("inactive_file")),
        rss: stat.get("anon"),
        // "max" is no number.
        limit: number(&dir.join("memory.max")),
        page_faults: stat.get("pgfault"),
        major_page_faults: stat.get("pgmajfault"),
    })
}

/// Lines of a name and a number.
struct Stat(String);

impl Stat {
    fn read(path: &Path) -> Option<Self> {
        fs::read_to_string(path).ok().map(Self)
    }

    fn get(&self, name: &str) -> u64 {
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        self.0.lines().find_map(value).unwrap_or(0)
    }
}

/// What processes have used together.
struct Sum {
    cpu: u64,
    rss: u64,
}

impl Sum {
    fn of<'a>(processes: impl IntoIterator<Item = &'a i32>) -> Option<Self> {
        processes
            .into_iter()
            .filter_map(|pid| Self::one(*pid))
            .reduce(|all, one| Self { cpu: all.cpu + one.cpu, rss: all.rss + one.rss })
    }

    fn one(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses, and may have some of its own; the third field follows it.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let field = |nth: usize| fields.get(nth - 3).and_then(|field| field.parse::<u64>().ok());
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = rss.and_then(|rss| rss.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Some(Self { cpu: (field(14)? + field(15)?) * TICK_NS, rss: kib.unwrap_or(0) * 1024 })
    }
}

fn number<T: FromStr>(path: &Path) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn version_1() {
        let dir = files(&[
            ("memory.usage_in_bytes", "1000\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            (
                "memory.stat",
                "inactive_file 1\ntotal_inactive_file 300\ntotal_rss 500\ntotal_rss_huge 9\n\
                 total_pgfault 7\ntotal_pgmajfault 2\n",
            ),
        ]);
        let expected = Memory {
            usage: 1000,
            working_set: 700,
            rss: 500,
            limit: None,
            page_faults: 7,
            major_page_faults: 2,
        };
        assert_eq!(memory_v1(dir.path()), Some(expected.clone()));
        fs::write(dir.path().join("memory.limit_in_bytes"), "4096").unwrap();
        assert_eq!(memory_v1(dir.path()), Some(Memory { limit: Some(4096), ..expected }));
    }

    #[test]
    fn version_2() {
        let dir = files(&[
            ("memory.current", "1000\n"),
            ("memory.max", "max\n"),
            ("memory.stat", "anon 500\ninactive_file 1200\npgfault 7\npgmajfault 2\n"),
            ("cpu.stat", "usage_usec 12\nuser_usec 5\n"),
        ]);
        let memory = memory_v2(dir.path()).unwrap();
        assert_eq!((memory.working_set, memory.rss, memory.limit), (0, 500, None));
        assert_eq!(cpu_v2(dir.path()), Some(12_000));
        fs::write(dir.path().join("memory.max"), "4096").unwrap();
        assert_eq!(memory_v2(dir.path()).unwrap().limit, Some(4096));
        assert_eq!((cpu_v2(Path::new("/nowhere")), memory_v2(Path::new("/nowhere"))), (None, None));
    }

    #[test]
    fn processes_are_summed_up() {
        let own = i32::try_from(std::process::id()).unwrap();
        let sum = Sum::of(&[own, own, i32::MAX]).unwrap();
        assert!(sum.rss > 1 << 20 && sum.rss.is_multiple_of(1024), "{}", sum.rss);
        assert!(Sum::of(&[i32::MAX]).is_none());
    }
}
