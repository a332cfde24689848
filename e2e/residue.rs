//! What is on the machine that an instance could have left there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A scan of everything that `up` may touch. Two scans are compared by [`Residue::assert_gone_since`].
///
/// The test runs apart (see `apart`), so the scan takes everything there is and asks nobody whose it is.
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
        named_network_namespaces(&mut found);
        control_groups(Path::new("/sys/fs/cgroup"), &mut found);
        sockets(&mut found);
        network(&mut found);
        packet_filter(&mut found);
        files(home, &mut found);
        files(Path::new("/run"), &mut found);
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

/// Every process and every namespace that one is in. One that has ended and waits for its parent holds nothing.
fn processes(found: &mut BTreeSet<String>) {
    for pid in numeric_entries(Path::new("/proc")) {
        let proc = Path::new("/proc").join(&pid);
        let Ok(stat) = fs::read_to_string(proc.join("stat")) else { continue };
        if stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X'])) {
            continue;
        }
        let line = fs::read(proc.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        found.insert(format!("process {pid} {}", line.trim()));
        for entry in fs::read_dir(proc.join("ns")).into_iter().flatten().flatten() {
            // What children would be in says nothing about what exists.
            if !entry.file_name().to_string_lossy().ends_with("_for_children")
                && let Ok(link) = fs::read_link(entry.path())
            {
                found.insert(format!("namespace {}", link.display()));
            }
        }
    }
}

fn mounts(found: &mut BTreeSet<String>) {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    // Root and mount point; a namespace that is kept by a mount shows here, too.
    found.extend(table.lines().filter_map(|line| {
        let fields: Vec<_> = line.split(' ').collect();
        Some(format!("mount {} {}", fields.get(3)?, fields.get(4)?))
    }));
}

fn named_network_namespaces(found: &mut BTreeSet<String>) {
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

/// Listening TCP sockets (state 0A) and UDP sockets of this network namespace.
fn sockets(found: &mut BTreeSet<String>) {
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        let text = fs::read_to_string(format!("/proc/net/{protocol}")).unwrap_or_default();
        found.extend(text.lines().skip(1).filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
            let bound = state == "0A" || protocol.starts_with("udp");
            bound.then(|| format!("{protocol} socket at {local}"))
        }));
    }
}

/// Devices and routes of this network namespace.
fn network(found: &mut BTreeSet<String>) {
    let devices = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let devices = devices.lines().filter_map(|line| line.split_once(':'));
    found.extend(devices.map(|(device, _)| format!("network device {}", device.trim())));
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    found.extend(routes.lines().skip(1).map(|route| format!("route {route}")));
}

fn packet_filter(found: &mut BTreeSet<String>) {
    let output = Command::new("nft")
        .args(["list", "tables"])
        .output()
        .unwrap_or_else(|error| panic!("cannot run nft, which scripts/clients installs: {error}"));
    found.extend(String::from_utf8_lossy(&output.stdout).lines().map(|line| format!("nft {line}")));
}

/// Every path below `dir`, with what a change would show: its mode and its content.
fn files(dir: &Path, found: &mut BTreeSet<String>) {
    use std::os::unix::fs::PermissionsExt as _;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        let mode = meta.permissions().mode();
        if meta.is_dir() {
            found.insert(format!("file {}/ {mode:o}", path.display()));
            files(&path, found);
        } else if meta.is_file() {
            let content = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&content[..content.len().min(4096)]).into_owned();
            found.insert(format!("file {} {mode:o} {} {text}", path.display(), content.len()));
        } else {
            found.insert(format!("file {} {mode:o}", path.display()));
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
