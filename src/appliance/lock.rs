//! One command at a time on an instance.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    time::{Duration, Instant},
};

use nix::fcntl::{Flock, FlockArg};

use crate::{Error, Home};

/// Holds an instance until dropped. The kernel lets go of it when the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<File>,
}

/// How often the lock is tried while another command holds it.
const RETRY: Duration = Duration::from_millis(25);

impl Lock {
    /// Takes the lock of `home`, whose folder exists, waiting at most `patience` for another command.
    pub(crate) async fn take(home: &Home, patience: Duration) -> Result<Self, Error> {
        let path = home.lock();
        let started = Instant::now();
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(&path)
                .map_err(|source| Error::file("open", &path, source))?;
            if let Ok(file) = Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                // A `down` that held it may have removed the file meanwhile: then this lock guards nothing.
                let same = file.metadata().ok().zip(path.metadata().ok());
                if same.is_some_and(|(ours, there)| ours.ino() == there.ino()) {
                    return Ok(Self { _file: file });
                }
                crate::home::create_private(home.path())?;
                continue;
            }
            if started.elapsed() >= patience {
                return Err(Error::Busy { instance: home.name().to_string(), waited: patience });
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Homes;

    #[tokio::test]
    async fn the_second_waits_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let home = Homes::new(dir.path()).instance(&"x".parse().unwrap());
        crate::home::create_private(home.path()).unwrap();
        let first = Lock::take(&home, Duration::ZERO).await.unwrap();
        let busy = Lock::take(&home, Duration::ZERO).await.unwrap_err();
        assert!(matches!(busy, Error::Busy { .. }), "{busy}");
        drop(first);
        Lock::take(&home, Duration::ZERO).await.unwrap();
    }

    #[tokio::test]
    async fn a_lock_on_a_removed_file_is_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let home = Homes::new(dir.path()).instance(&"x".parse().unwrap());
        crate::home::create_private(home.path()).unwrap();
        let first = Lock::take(&home, Duration::ZERO).await.unwrap();
        std::fs::remove_dir_all(home.path()).unwrap();
        crate::home::create_private(home.path()).unwrap();
        let _second = Lock::take(&home, Duration::ZERO).await.unwrap();
        assert!(home.lock().exists());
        drop(first);
    }
}
