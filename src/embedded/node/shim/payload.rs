//! Directories of files that change all at once, as kubelets lay them out.
//!
//! `name → ..data/name`, `..data → ..<version>`: replacing the one link `..data` replaces every file.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Component, Path};

use super::ownership;
use super::volumes::{Payload, PayloadFile};

const DATA: &str = "..data";

/// Makes `dir` hold exactly `payload`. Nothing is touched if it does already. `group` becomes the group of the files,
/// which it may then read.
pub(super) fn write(dir: &Path, payload: &Payload, group: Option<u32>) -> io::Result<()> {
    for path in payload.keys() {
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || path.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the path {path:?} leads out of the volume"),
            ));
        }
    }
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, PermissionsExt::from_mode(0o755))?;
    let data = dir.join(DATA);
    if is_current(&data, payload) {
        return Ok(());
    }
    let version = format!("..{}", jiff::Timestamp::now().as_nanosecond());
    let fresh = dir.join(&version);
    if let Err(error) = fill(&fresh, payload, group) {
        // Without room for all of it, the attempt must not take room either.
        let _ = fs::remove_dir_all(&fresh);
        return Err(error);
    }

    let old = fs::read_link(&data).ok();
    let next = dir.join("..data_tmp");
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(&version, &next)?;
    fs::rename(&next, &data)?;

    let mut tops: Vec<&str> = payload.keys().filter_map(|path| path.split('/').next()).collect();
    tops.dedup();
    for top in &tops {
        match symlink(format!("{DATA}/{top}"), dir.join(top)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    for entry in fs::read_dir(dir)?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("..") && !tops.contains(&name.as_ref()) {
            fs::remove_file(entry.path())?;
        }
    }
    if let Some(old) = old {
        fs::remove_dir_all(dir.join(old))?;
    }
    Ok(())
}

fn fill(fresh: &Path, payload: &Payload, group: Option<u32>) -> io::Result<()> {
    fs::create_dir(fresh)?;
    fs::set_permissions(fresh, PermissionsExt::from_mode(0o755))?;
    for (path, file) in payload {
        let target = fresh.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&target, &file.bytes)?;
        let mode = if group.is_some() { file.mode | 0o040 } else { file.mode };
        if group.is_some() {
            chown(&target, None, ownership::there(group))?;
        }
        fs::set_permissions(&target, PermissionsExt::from_mode(mode))?;
    }
    Ok(())
}

/// Whether the files under `data` are those of the payload.
fn is_current(data: &Path, payload: &Payload) -> bool {
    let same = |(path, file): (&String, &PayloadFile)| {
        fs::read(data.join(path)).is_ok_and(|bytes| bytes == file.bytes)
    };
    data.exists() && count(data) == payload.len() && payload.iter().all(same)
}

fn count(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) { count(&entry.path()) } else { 1 }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(files: &[(&str, &str)]) -> Payload {
        let file = |text: &str| PayloadFile { bytes: text.into(), mode: 0o644 };
        files.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect()
    }

    #[test]
    fn a_change_replaces_all_files_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str| fs::read_to_string(dir.path().join(name));
        write(dir.path(), &payload(&[("a", "1"), ("b/c", "2")]), None).unwrap();
        assert_eq!((read("a").unwrap(), read("b/c").unwrap()), ("1".into(), "2".into()));
        let before = fs::read_link(dir.path().join(DATA)).unwrap();
        write(dir.path(), &payload(&[("a", "1"), ("b/c", "2")]), None).unwrap();
        assert_eq!(fs::read_link(dir.path().join(DATA)).unwrap(), before, "no change, no write");
        write(dir.path(), &payload(&[("a", "3")]), None).unwrap();
        assert_eq!(read("a").unwrap(), "3");
        assert!(read("b/c").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn no_file_is_written_outside() {
        let dir = tempfile::tempdir().unwrap();
        for bad in ["../x", "/x", "a/../../x", ""] {
            assert!(write(dir.path(), &payload(&[(bad, "1")]), None).is_err(), "{bad:?}");
        }
    }
}
