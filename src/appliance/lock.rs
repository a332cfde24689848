//! One command at a time on an instance.

use std::{
    io,
    time::{Duration, Instant},
};

use curtain_machine::lock;

use crate::{
    Error, Home,
    home::{claim, claim_root},
};

/// Holds an instance until dropped. The kernel lets go of it when the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: lock::Lock,
}

/// How often a lock is tried while another command holds it.
const RETRY: Duration = Duration::from_millis(25);
/// How long another command may hold the folder of all instances. While it does, it may wait for a file of the user's,
/// which is given up on sooner: so whoever holds the folder fails before those who wait for it.
const MOMENT: Duration = Duration::from_secs(3 * crate::clients::edit::MOMENT.as_secs());

impl Lock {
    /// Takes the lock of `home`, making its folder if it is missing, and waits at most `patience` for another command.
    pub(crate) async fn take(home: &Home, patience: Duration) -> Result<Self, Error> {
        let started = Instant::now();
        loop {
            claim_root(home.root())?;
            let Some(guard) = guard(home).await? else {
                // Another instance that went took the folder of all with it.
                wait(home, started, patience).await?;
                continue;
            };
            claim(home.path())?;
            if let Some(lock) = Self::attempt(home)? {
                return Ok(lock);
            }
            drop(guard);
            wait(home, started, patience).await?;
        }
    }

    /// Takes the lock of `home` if its folder exists.
    pub(crate) async fn existing(home: &Home, patience: Duration) -> Result<Option<Self>, Error> {
        let started = Instant::now();
        loop {
            let Some(guard) = guard(home).await? else { return Ok(None) };
            if !home.path().is_dir() {
                return Ok(None);
            }
            if let Some(lock) = Self::attempt(home)? {
                return Ok(Some(lock));
            }
            drop(guard);
            wait(home, started, patience).await?;
        }
    }

    /// Tries once, under the [`guard`]: the file that is locked is the one that is there.
    fn attempt(home: &Home) -> Result<Option<Self>, Error> {
        let path = home.lock();
        let locked = lock::Lock::file(&path);
        let locked = locked.map_err(|source| Error::file("lock", &path, source))?;
        Ok(locked.map(|file| Self { _file: file }))
    }
}

/// Held while an instance's folder is made or removed, while its ports are chosen, and while an entry in a file of the
/// user's is made or taken back: two commands must not do that at once, not even for two instances. `None` if the folder
/// of all instances does not exist. It leaves no file.
pub(crate) async fn guard(home: &Home) -> Result<Option<lock::Lock>, Error> {
    guard_within(home, MOMENT).await
}

async fn guard_within(home: &Home, patience: Duration) -> Result<Option<lock::Lock>, Error> {
    let root = home.root();
    let started = Instant::now();
    loop {
        match lock::Lock::folder(root) {
            // Whoever held it may have removed the folder, and somebody else made it again.
            Ok(Some(lock)) if lock.is_of(root) => return Ok(Some(lock)),
            Ok(Some(_)) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::file("lock", root, source)),
            Ok(None) if started.elapsed() >= patience => {
                return Err(Error::FolderBusy { folder: root.to_owned(), waited: patience });
            }
            Ok(None) => tokio::time::sleep(RETRY).await,
        }
    }
}

async fn wait(home: &Home, started: Instant, patience: Duration) -> Result<(), Error> {
    if started.elapsed() >= patience {
        return Err(Error::Busy { instance: home.name().to_string(), waited: patience });
    }
    tokio::time::sleep(RETRY).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Homes, steps::home::vanish};

    fn home(dir: &Path, name: &str) -> Home {
        Homes::new(dir.join("data")).instance(&name.parse().unwrap())
    }

    #[tokio::test]
    async fn the_second_waits_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path(), "x");
        let first = Lock::take(&home, Duration::ZERO).await.unwrap();
        let busy = Lock::take(&home, Duration::ZERO).await.unwrap_err();
        assert!(matches!(busy, Error::Busy { .. }), "{busy}");
        assert!(matches!(Lock::existing(&home, Duration::ZERO).await, Err(Error::Busy { .. })));
        drop(first);
        Lock::take(&home, Duration::ZERO).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_waited_while_the_instance_went_makes_it_anew_or_finds_none() {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path(), "x");
        let first = Lock::take(&home, Duration::ZERO).await.unwrap();
        let goes = async {
            tokio::task::yield_now().await;
            vanish(&home).await.unwrap();
            drop(first);
        };
        let patience = Duration::from_secs(10);
        let (removes, ()) = tokio::join!(Lock::existing(&home, patience), goes);
        assert!(removes.unwrap().is_none());
        assert!(!dir.path().join("data").exists(), "a `down` makes nothing");

        let first = Lock::take(&home, Duration::ZERO).await.unwrap();
        let goes = async {
            tokio::task::yield_now().await;
            vanish(&home).await.unwrap();
            drop(first);
        };
        let (makes, ()) = tokio::join!(Lock::take(&home, patience), goes);
        let _second = makes.unwrap();
        // On Windows no file stands for the lock.
        assert!(home.path().exists() && (cfg!(windows) || home.lock().exists()));
    }

    #[tokio::test]
    async fn whoever_waits_for_the_folder_of_all_says_that() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (home(dir.path(), "one"), home(dir.path(), "two"));
        let _lock = Lock::take(&one, Duration::ZERO).await.unwrap();
        let _guard = guard(&one).await.unwrap();
        let busy = guard_within(&two, Duration::ZERO).await.unwrap_err();
        assert!(
            matches!(&busy, Error::FolderBusy { folder, .. } if folder == two.root()),
            "{busy}"
        );
        assert!(!busy.to_string().contains("\"two\""), "no instance is to blame: {busy}");
    }

    #[tokio::test]
    async fn the_last_of_two_instances_takes_the_folder_of_all_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (home(dir.path(), "one"), home(dir.path(), "two"));
        let locks = [&one, &two].map(|home| Lock::take(home, Duration::ZERO));
        let locks = futures::future::join_all(locks).await;
        assert!(locks.iter().all(Result::is_ok));
        vanish(&one).await.unwrap();
        assert!(two.path().exists());
        vanish(&two).await.unwrap();
        assert!(!dir.path().join("data").exists());
    }
}
