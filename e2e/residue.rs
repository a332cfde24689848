//! What is on the machine that an instance could have left there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A scan of everything that `up` may touch. Two scans are compared by [`Residue::assert_gone_since`].
#[derive(Debug, Clone)]
pub struct Residue {
    home: PathBuf,
    found: BTreeSet<String>,
}

impl Residue {
    /// Scans the machine, and the files below `home`.
    pub fn scan(home: &Path) -> Self {
        let mut found = BTreeSet::new();
        processes(&mut found);
        mounts(&mut found);
        network_namespaces(&mut found);
        control_groups(Path::new("/sys/fs/cgroup"), &mut found);
        listeners(&mut found);
        packet_filter(&mut found);
        files(home, &mut found);
        Self { home: home.to_owned(), found }
    }

    /// Panics with everything that is there now and was not at this scan.
    #[track_caller]
    pub fn assert_gone_since(&self) {
        let now = Self::scan(&self.home);
        let left: Vec<_> = now.found.difference(&self.found).collect();
        let lost: Vec<_> =
            self.found.difference(&now.found).filter(|f| f.starts_with("file ")).collect();
        assert!(left.is_empty() && lost.is_empty(), "left behind: {left:#?}\nlost: {lost:#?}");
    }
}

/// Processes that run a binary called `curtain`, deleted or not, and whatever they started.
fn processes(found: &mut BTreeSet<String>) {
    for pid in numeric_entries(Path::new("/proc")) {
        let proc = Path::new("/proc").join(&pid);
        let exe = fs::read_link(proc.join("exe")).unwrap_or_default();
        let groups = fs::read_to_string(proc.join("cgroup")).unwrap_or_default();
        let name =
            exe.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("curtain") && !name.starts_with("curtain_")
            || groups.contains("curtain")
        {
            found.insert(format!("process {pid} {}", exe.display()));
        }
    }
}

fn mounts(found: &mut BTreeSet<String>) {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    // Mount point and source; the ids change when something else is mounted in between.
    found.extend(table.lines().filter_map(|line| {
        let fields: Vec<_> = line.split(' ').collect();
        Some(format!("mount {} {}", fields.get(3)?, fields.get(4)?))
    }));
}

fn network_namespaces(found: &mut BTreeSet<String>) {
    for pid in numeric_entries(Path::new("/proc")) {
        if let Ok(link) = fs::read_link(format!("/proc/{pid}/ns/net")) {
            found.insert(format!("network namespace {}", link.display()));
        }
    }
    for dir in ["/run/netns", "/var/run/netns"] {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            found.insert(format!("named network namespace {}", entry.path().display()));
        }
    }
}

fn control_groups(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.insert(format!("cgroup {}", entry.path().display()));
            control_groups(&entry.path(), found);
        }
    }
}

/// Listening TCP sockets (state 0A) of this network namespace.
fn listeners(found: &mut BTreeSet<String>) {
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(table).unwrap_or_default();
        found.extend(text.lines().skip(1).filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
            (state == "0A").then(|| format!("listener {local}"))
        }));
    }
}

fn packet_filter(found: &mut BTreeSet<String>) {
    let output = Command::new("nft")
        .args(["list", "tables"])
        .output()
        .unwrap_or_else(|error| panic!("cannot run nft, which scripts/clients installs: {error}"));
    found.extend(String::from_utf8_lossy(&output.stdout).lines().map(|line| format!("nft {line}")));
}

/// Every path below `dir`, with what a change would show: size and modification time.
fn files(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            found.insert(format!("file {}/", path.display()));
            files(&path, found);
        } else {
            let content = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&content[..content.len().min(4096)]).into_owned();
            found.insert(format!("file {} {} {text}", path.display(), content.len()));
        }
    }
}

fn numeric_entries(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten();
    names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}
