//! What stays of a failed test: the logs of its instance.

use std::{fs, path::Path};

/// Where failed tests put what they know.
const FOLDER: &str = "CURTAIN_E2E_EVIDENCE";

/// Longest part of a log that is kept, its end.
const LONGEST: usize = 4 << 20;

/// Copies every log below `home` into a folder `name` of `CURTAIN_E2E_EVIDENCE`, if that is set. Says what it cannot copy.
pub(crate) fn keep(home: &Path, name: &str) {
    let Some(folder) = std::env::var_os(FOLDER).filter(|folder| !folder.is_empty()) else { return };
    let folder = Path::new(&folder).join(name);
    if let Err(error) = fs::create_dir_all(&folder).and_then(|()| copy(home, home, &folder)) {
        // A test that fails has an output that is read.
        #[expect(clippy::print_stderr, reason = "a test's own output")]
        {
            eprintln!("no evidence in {}: {error}", folder.display());
        }
    }
}

fn copy(dir: &Path, home: &Path, folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)?.flatten() {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            copy(&path, home, folder)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "log") {
            let bytes = fs::read(&path)?;
            let name = path.strip_prefix(home).unwrap_or(&path).to_string_lossy().replace('/', "_");
            fs::write(folder.join(name), &bytes[bytes.len().saturating_sub(LONGEST)..])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_kept_and_nothing_else() {
        let home = tempfile::tempdir().expect("a home");
        let kept = tempfile::tempdir().expect("a folder");
        let deep = home.path().join("a/b");
        fs::create_dir_all(&deep).expect("folders");
        fs::write(deep.join("node.log"), vec![b'x'; LONGEST + 1]).expect("a log");
        fs::write(deep.join("token"), "secret").expect("a secret");
        copy(home.path(), home.path(), kept.path()).expect("copies");
        let found: Vec<_> = fs::read_dir(kept.path()).expect("read").flatten().collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].file_name(), "a_b_node.log");
        assert_eq!(found[0].metadata().expect("its size").len(), LONGEST as u64);
    }
}
