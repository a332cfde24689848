//! Paths in a snapshot: of the archive's entries, and what of a home is no part of it. Pure.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::{FOLDER, UNPROVEN};

/// The path of an entry relative to the cluster's home, empty for the home itself; why not, if it is not below it or not
/// plain.
pub(super) fn inside(raw: &[u8]) -> Result<PathBuf, String> {
    let shown = || format!("it has an entry {:?}", String::from_utf8_lossy(raw));
    let plain = raw.strip_suffix(b"/").unwrap_or(raw);
    if plain.contains(&0) {
        return Err(format!("{}, which is no path", shown()));
    }
    let mut parts = plain.split(|byte| *byte == b'/');
    if parts.next() != Some(FOLDER.as_bytes()) {
        return Err(format!("{}, which is not below {FOLDER}", shown()));
    }
    let mut path = PathBuf::new();
    for part in parts {
        if part.is_empty() || part == b"." || part == b".." {
            return Err(format!("{}, which may lead elsewhere", shown()));
        }
        path.push(OsStr::from_bytes(part));
    }
    Ok(path)
}

/// What the entry of `path`, relative to the cluster's home, is called.
pub(super) fn entry(path: &Path) -> PathBuf {
    // An empty path would leave a slash.
    path.components().fold(PathBuf::from(FOLDER), |entry, part| entry.join(part))
}

/// Whether `path`, relative to the cluster's home, is made anew at each start or of no use after one.
pub(super) fn left_out(path: &Path) -> bool {
    let names: Vec<&str> = path
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str().unwrap_or_default(),
            _ => "",
        })
        .collect();
    matches!(
        names.as_slice(),
        ["run" | "config.json" | "admin.kubeconfig" | UNPROVEN]
            | ["images", "pulls"]
            | ["pods", _, "containers"]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_below_the_folder_are_inside() {
        assert_eq!(inside(b"cluster/").unwrap(), Path::new(""));
        assert_eq!(inside(b"cluster").unwrap(), Path::new(""));
        assert_eq!(inside(b"cluster/data/x\xff").unwrap().as_os_str().as_bytes(), b"data/x\xff");
        for bad in [
            &b""[..],
            b"/",
            b"other/x",
            b"clusters/x",
            b"/cluster/x",
            b"./cluster/x",
            b"cluster/../x",
            b"cluster/a/../../x",
            b"cluster/..",
            b"cluster//etc",
            b"cluster/./x",
            b"cluster/x//",
            b"cluster/a\0b",
            b"../cluster/x",
        ] {
            assert!(inside(bad).is_err(), "{:?}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn an_entry_is_read_as_it_was_named() {
        assert_eq!(entry(Path::new("")), Path::new("cluster"));
        for path in ["", "data", "pods/1/volumes"] {
            let named = entry(Path::new(path));
            assert_eq!(inside(named.as_os_str().as_bytes()).unwrap(), Path::new(path));
        }
    }

    #[test]
    fn what_is_made_anew_is_left_out_and_nothing_else() {
        for out in [
            "run",
            "config.json",
            "admin.kubeconfig",
            "images/pulls",
            "pods/1-2/containers",
            UNPROVEN,
        ] {
            assert!(left_out(Path::new(out)), "{out}");
        }
        for kept in [
            "",
            "data",
            "pki/ca.key",
            "volumes/run",
            "volumes/pvc-1/config.json",
            "pods/1-2",
            "pods/1-2/volumes/containers",
            "images/layers",
            "images/index.json",
            "logs/run",
        ] {
            assert!(!left_out(Path::new(kept)), "{kept}");
        }
    }
}
