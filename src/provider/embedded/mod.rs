//! The embedded cluster as a provider.
//!
//! The cluster is one detached process, `curtain node supervise`, started from the kept copy of
//! this program; it forks the node and one shim per pod. This module writes its configuration,
//! starts it and waits for its API; everything else is the cluster's own business.

mod api;
mod checks;
mod keeper;
mod registries;

use std::{
    io::Read,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use curtain_embedded::{
    ClusterConfig, FrontDoor, Reach, Registries,
    node::{images, registry, registry::PullError},
    rootless::{self, ImageStore, Obstacle},
};

use crate::{
    Admit, Boxed, Check, ClusterSpec, Error, Freed, Image, Keeper, Leftover, Provider, Removal,
    Removed, Removing, Stage, Surroundings, WHOLE, Watch, api::answers,
};

/// Makes clusters out of this program and the Linux kernel.
#[derive(Clone, Copy, Debug)]
pub struct Embedded;

const POD_CIDR: &str = "10.244.0.0/16";
const SERVICE_CIDR: &str = "10.96.0.0/16";
/// How long registries are asked before something is made that needs them.
const LOOK_LIMIT: Duration = Duration::from_secs(30);

impl Provider for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(180)
    }

    fn stages(&self, _: &ClusterSpec) -> Vec<Stage> {
        vec![Stage { name: WHOLE, title: "embedded cluster".to_owned(), after: &[] }]
    }

    fn preflight<'a>(&'a self, _: &'a ClusterSpec) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async { namespaces() })
    }

    fn ensure<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        _: &'a str,
        timeout: Duration,
        _: &'a dyn Watch,
    ) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let config = config(spec)?;
            // A supervisor that lost its node restarts it by itself: then there is only to wait.
            if !curtain_embedded::running(&config) {
                crate::ports::free(spec)?;
                let prepared = ClusterConfig { registries: registries::read()?, ..config.clone() };
                blocking(move || {
                    curtain_embedded::init(&prepared).map_err(|source| Error::Embedded {
                        what: "cannot prepare the embedded cluster",
                        source,
                    })?;
                    curtain_embedded::start(&prepared, timeout).map_err(|source| Error::Embedded {
                        what: "cannot start the embedded cluster",
                        source,
                    })
                })
                .await??;
            }
            api::wait(&config, timeout).await
        })
    }

    fn holds<'a>(&'a self, spec: &'a ClusterSpec, _: &'a str) -> Boxed<'a, bool> {
        self.is_up(spec)
    }

    fn is_up<'a>(&'a self, spec: &'a ClusterSpec) -> Boxed<'a, bool> {
        Box::pin(async move { answers(&self.kubeconfig(spec)).await.is_ok() })
    }

    fn kubeconfig(&self, spec: &ClusterSpec) -> PathBuf {
        spec.home.join("admin.kubeconfig")
    }

    fn load_image<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        mut tar: Box<dyn Read + Send>,
        admit: Admit,
    ) -> Boxed<'a, Result<Vec<Image>, Error>> {
        Box::pin(async move {
            let (home, binary) = (spec.home.clone(), spec.binary.clone());
            let load = move || {
                let store = ImageStore { binary: &binary, home: &home };
                store.load_if(&mut tar, |names, there| {
                    let there = there.iter();
                    let there = there.map(|(name, one)| (name.clone(), one.id.clone(), one.size));
                    admit(names, &grouped(there))
                })
            };
            // On a thread of its own, so that reading can be interrupted.
            let loaded = blocking(load).await?.map_err(|error| match error {
                images::ImageError::Refused { why } => Error::NotAdmitted { why },
                other => other.into(),
            })?;
            Ok(grouped(loaded.into_iter().map(|one| (one.reference, one.id, one.size))))
        })
    }

    fn look_up<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        reference: &'a str,
    ) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let reference: images::Reference = reference.parse()?;
            let config = ClusterConfig::read(&config(spec)?.path()).map_err(|source| {
                Error::Embedded { what: "cannot read the cluster's settings", source }
            })?;
            let look = registry::look(&config.registries, &reference);
            let looked = tokio::time::timeout(LOOK_LIMIT, look).await;
            looked
                .unwrap_or_else(|_| Err(late(&reference)))
                .or_else(|error| not_seen(&reference, &error))
        })
    }

    fn images<'a>(&'a self, spec: &'a ClusterSpec) -> Boxed<'a, Result<Vec<Image>, Error>> {
        Box::pin(async move {
            let stored = images::list(&spec.home)?;
            Ok(grouped(stored.into_iter().map(|(reference, one)| (reference, one.id, one.size))))
        })
    }

    fn remove_images<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        references: &'a [String],
        how: Removing,
    ) -> Boxed<'a, Result<Freed, Error>> {
        Box::pin(async move {
            let (home, binary) = (spec.home.clone(), spec.binary.clone());
            let references = references.to_vec();
            let freed = blocking(move || {
                let store = ImageStore { binary: &binary, home: &home };
                match how {
                    Removing::Named => store.remove(&references),
                    Removing::Unused => store.prune(&references, false),
                    Removing::Dry => store.prune(&references, true),
                }
            });
            let images::Freed { references, held, bytes, .. } =
                freed.await?.map_err(|error| match error {
                    images::ImageError::Absent { reference } => Error::NoSuchImage { reference },
                    images::ImageError::Held { reference } => Error::ImageInUse { reference },
                    other => other.into(),
                })?;
            Ok(Freed { removed: references, kept: held, bytes })
        })
    }

    fn pause<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        timeout: Duration,
    ) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let config = config(spec)?;
            blocking(move || curtain_embedded::stop(&config, timeout)).await?.map_err(
                |source| Error::Embedded { what: "cannot stop the embedded cluster", source },
            )?;
            Ok(())
        })
    }

    fn keeper(&self) -> Result<&dyn Keeper, Error> {
        if rootless::is_ordinary_user() {
            return Err(Error::RootsSnapshots);
        }
        Ok(self)
    }

    fn remove<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        _: &'a str,
        how: Removal,
    ) -> Boxed<'a, Result<Removed, Error>> {
        Box::pin(async move {
            let config = config(spec)?;
            let work = blocking(move || curtain_embedded::destroy(&config));
            let removed = tokio::time::timeout(how.timeout, work)
                .await
                .map_err(|_| Error::StillThere { waited: how.timeout })??
                .map_err(|source| Error::Embedded {
                    what: "cannot remove the embedded cluster",
                    source,
                })?;
            let count = removed.processes + removed.control_groups + usize::from(removed.home);
            Ok(Removed { count, kept: Vec::new() })
        })
    }

    fn residue<'a>(&'a self, spec: &'a ClusterSpec) -> Boxed<'a, Result<Vec<Leftover>, Error>> {
        Box::pin(async move {
            let left = curtain_embedded::residue(&config(spec)?).map_err(|source| {
                Error::Embedded { what: "cannot look for what is left", source }
            })?;
            Ok(left.into_iter().map(leftover).collect())
        })
    }

    fn log(&self, spec: &ClusterSpec) -> Option<PathBuf> {
        config(spec).ok().map(|config| api::log(&config))
    }

    fn evidence<'a>(
        &'a self,
        spec: &'a ClusterSpec,
        into: &'a Path,
    ) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let Some(log) = self.log(spec).filter(|log| log.exists()) else { return Ok(()) };
            let to = into.join("supervisor.log");
            let copied = tokio::fs::copy(&log, &to).await;
            copied.map(drop).map_err(|source| Error::File { verb: "copy", path: log, source })
        })
    }

    fn checks<'a>(&'a self, _: &'a Surroundings) -> Boxed<'a, Vec<Check>> {
        Box::pin(async { checks::all() })
    }
}

/// The cluster's own configuration, derived from `spec` alone: the same call after a crash gives
/// the same cluster.
fn config(spec: &ClusterSpec) -> Result<ClusterConfig, Error> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let range = |text: &str| {
        text.parse().map_err(|source| Error::Embedded {
            what: "cannot understand the cluster's address range",
            source,
        })
    };
    Ok(ClusterConfig {
        version: ClusterConfig::VERSION,
        instance: spec.instance.clone(),
        home: spec.home.clone(),
        binary: spec.binary.clone(),
        own_image: spec.image.clone(),
        api_listen: loopback(spec.api_port),
        front_doors: spec
            .doors
            .iter()
            .map(|door| FrontDoor {
                listen: loopback(door.port),
                namespace: door.namespace.clone(),
                service: door.service.clone(),
                port: door.service_port,
            })
            .collect(),
        service_cidr: range(SERVICE_CIDR)?,
        pod_cidr: range(POD_CIDR)?,
        reach: Reach::default(),
        registries: Registries::default(),
        sight: true,
        offline: spec.settings.offline,
    })
}

fn late(reference: &images::Reference) -> PullError {
    let (host, limit) = (reference.registry(), LOOK_LIMIT.as_secs());
    PullError::Unreachable { why: format!("{host} did not answer within {limit} s") }
}

/// What it means that an image was not seen.
fn not_seen(reference: &images::Reference, error: &PullError) -> Result<(), Error> {
    let (image, why) = (reference.to_string(), error.to_string());
    match error {
        // Who may not see it cannot know: the node may have credentials.
        PullError::Denied { .. } => Ok(()),
        PullError::NotFound { .. } | PullError::Platform { .. } | PullError::Unusable { .. } => {
            Err(Error::NotInRegistry { why })
        }
        PullError::Unreachable { .. } | PullError::Offline { .. } | PullError::Answer { .. } => {
            Err(Error::RegistrySilent { image, why })
        }
        _ => Err(Error::RegistryUnclear { image, why }),
    }
}

/// One image per id, with all its references.
fn grouped(stored: impl Iterator<Item = (String, String, u64)>) -> Vec<Image> {
    let mut images: Vec<Image> = Vec::new();
    for (reference, id, size) in stored {
        match images.iter_mut().find(|known| known.id == id) {
            Some(known) => known.references.push(reference),
            None => images.push(Image { references: vec![reference], id, size, own: false }),
        }
    }
    images
}

fn leftover(left: curtain_embedded::Leftover) -> Leftover {
    use curtain_embedded::Leftover as Embedded;
    let (kind, name) = match left {
        Embedded::Process { pid, command } => ("process", format!("{pid} {command}")),
        Embedded::Mount { path } => ("mount", path.display().to_string()),
        Embedded::ControlGroup { path } => ("cgroup", path.display().to_string()),
        Embedded::Files { path } => ("file", path.display().to_string()),
    };
    Leftover { kind: kind.to_owned(), name }
}

/// Checks that nothing keeps the user from making namespaces.
fn namespaces() -> Result<(), Error> {
    match rootless::is_ordinary_user().then(rootless::obstacle).flatten() {
        Some(Obstacle { seen, fix }) => Err(Error::NoNamespaces { seen, fix }),
        None => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Task(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Settings};
    use curtain_embedded::node::network;

    #[test]
    fn only_a_registry_that_says_so_has_no_image() {
        let reference = "reg.example/a:1".parse().unwrap();
        let (host, name, why) = ("reg.example".to_owned(), "a:1".to_owned(), "x".to_owned());
        let seen = |error: PullError| not_seen(&reference, &error);
        let denied = PullError::Denied { host: host.clone(), name: name.clone(), why: why.clone() };
        assert!(seen(denied).is_ok());
        let (wanted, found) = (why.clone(), why.clone());
        for absent in [
            PullError::NotFound { host: host.clone(), name: name.clone() },
            PullError::Platform { name: name.clone(), wanted, found },
            PullError::Unusable { name, why: why.clone() },
        ] {
            let error = seen(absent).unwrap_err();
            assert!(matches!(error, Error::NotInRegistry { .. }), "{error:?}");
        }
        let busy = PullError::Answer { host: host.clone(), why: "says 503".to_owned() };
        for silent in [late(&reference), busy] {
            let error = seen(silent).unwrap_err();
            assert_eq!(error.kind(), Kind::Timeout, "{error:?}");
            let said = error.to_string();
            assert!(said.contains("whether there is an image reg.example/a:1 cannot"), "{said}");
        }
        let refused = seen(PullError::Refused { host, why: "to this machine itself" });
        assert_eq!(refused.unwrap_err().kind(), Kind::Other);
    }

    #[tokio::test]
    async fn a_cluster_that_is_wanted_offline_has_it_in_every_part() {
        let dir = tempfile::tempdir().unwrap();
        for offline in [false, true] {
            let spec = ClusterSpec {
                provider: "embedded".to_owned(),
                instance: "x".to_owned(),
                home: dir.path().join(offline.to_string()),
                binary: "/bin/true".into(),
                image: "curtain:test".to_owned(),
                api_port: 6443,
                doors: Vec::new(),
                settings: Settings { offline, ..Settings::default() },
            };
            let prepared = config(&spec).unwrap();
            prepared.write().unwrap();
            let read = ClusterConfig::read(&prepared.path()).unwrap();
            assert_eq!(read.offline, offline, "of the API server");
            assert_eq!(read.registries.offline, offline, "of pulls");
            assert_eq!(network::Settings::from(&read).offline, offline, "of pods");
            if offline {
                let silent = Embedded.look_up(&spec, "reg.example/a:1").await.unwrap_err();
                assert!(silent.to_string().contains("as the cluster is offline"), "{silent}");
            }
        }
    }

    #[test]
    fn what_keeps_a_user_from_a_cluster_is_told_with_how_to_change_it() {
        let (seen, fix) = ("user.max_user_namespaces is 0".to_owned(), "set it".to_owned());
        let refused = Error::NoNamespaces { seen, fix };
        assert_eq!(refused.kind(), Kind::Unmet);
        let said = refused.to_string();
        assert!(said.contains("user.max_user_namespaces is 0; to change that: set it"), "{said}");
    }
}
