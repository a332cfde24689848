//! The state of the embedded cluster is its home: all of it is this program's to save.

use std::{fs::File, path::Path, time::Duration};

use curtain_embedded::snapshot::{self, SnapshotError};

use super::{Embedded, blocking, config};
use crate::{Boxed, ClusterSpec, Contents, Error, Keeper, Stop, keeper::Head};

impl Keeper for Embedded {
    fn halt<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        timeout: Duration,
    ) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let config = config(spec)?;
            let ended =
                tokio::time::timeout(timeout, blocking(move || curtain_embedded::halt(&config)));
            let ended = ended.await.map_err(|_| Error::NotStopped { waited: timeout })??;
            ended.map(drop).map_err(|source| Error::Embedded {
                what: "cannot stop the embedded cluster",
                source,
            })
        })
    }

    fn save<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        (file, path): (File, &'a Path),
        head: Head,
        stop: &'a Stop,
    ) -> Boxed<'a, Result<Contents, Error>> {
        Box::pin(async move {
            let (home, path, until) = (spec.home.clone(), path.to_owned(), stop.clone());
            let write = move || {
                let head = |found: &snapshot::Contents| head(&told(found));
                snapshot::write(&home, (file, &path), head, &|| until.is_over())
            };
            let written = blocking(write).await?.map_err(|error| why(error, stop))?;
            Ok(told(&written))
        })
    }

    fn head(&self, file: &Path) -> Result<Vec<u8>, Error> {
        Ok(snapshot::head(file)?)
    }

    fn unpack<'a>(
        &'a self,
        file: &'a Path,
        into: &'a Path,
        contents: &'a Contents,
        stop: &'a Stop,
    ) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let (file, into, until) = (file.to_owned(), into.to_owned(), stop.clone());
            let expected = expected(contents);
            let unpack = move || snapshot::unpack(&file, &into, &expected, &|| until.is_over());
            blocking(unpack).await?.map_err(|error| why(error, stop))
        })
    }

    fn exchange(&self, spec: &ClusterSpec, other: &Path) -> Result<(), Error> {
        Ok(snapshot::exchange(&spec.home, other)?)
    }

    fn is_proven(&self, spec: &ClusterSpec) -> bool {
        snapshot::is_proven(&spec.home)
    }

    fn prove(&self, spec: &ClusterSpec) -> Result<(), Error> {
        Ok(snapshot::prove(&spec.home)?)
    }
}

fn why(error: SnapshotError, stop: &Stop) -> Error {
    match error {
        SnapshotError::Stopped => stop.why(),
        error => error.into(),
    }
}

fn told(found: &snapshot::Contents) -> Contents {
    let snapshot::Contents { entries, bytes, room, pods, volumes, images } = *found;
    Contents { entries, bytes, room, pods, volumes, images }
}

fn expected(contents: &Contents) -> snapshot::Contents {
    let Contents { entries, bytes, room, pods, volumes, images } = *contents;
    snapshot::Contents { entries, bytes, room, pods, volumes, images }
}
