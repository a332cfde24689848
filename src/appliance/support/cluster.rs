//! What the cluster's provider and its API say.

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};

use curtain_provider::{ClusterSpec, Provider};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::ListParams};

use super::{folder::Folder, known::Known, logs, objects};
use crate::{Error, Home, Instance, effect::Effect, ledger::Ledger, world::kube_client};

/// How long the API may take to give the Secrets, whose values must be known to be masked.
const SECRETS: Duration = Duration::from_secs(10);
/// How long the provider may take.
const PROVIDER: Duration = Duration::from_secs(30);
/// The end of a file that is taken, in bytes.
const TAIL: u64 = 4 << 20;

/// Adds what is known of the cluster, and to `known` the credentials that it holds.
pub(super) async fn collect(folder: &mut Folder, known: &mut Known, home: &Home) {
    let Some((provider, spec)) = cluster(folder, home) else { return };
    match provider.log(&spec) {
        Some(log) => match tail(&log) {
            Ok(bytes) => folder.add("cluster.log", bytes),
            Err(error) => folder.missing("cluster.log", format!("{}: {error}", log.display())),
        },
        None => folder.missing("cluster.log", "this provider has none on this machine"),
    }
    nodes(folder, &*provider, &spec).await;
    if let Some(client) = client(folder, &*provider, &spec).await {
        let secrets: Api<Secret> = Api::all(client.clone());
        let everything = ListParams::default();
        let found =
            folder.wait("values of Secrets, to mask them", SECRETS, secrets.list(&everything));
        found.await.iter().flatten().for_each(|secret| known.add_secret(secret));
        objects::collect(folder, &client).await;
        logs::collect(folder, &client).await;
    }
}

/// Adds what the provider knows about the nodes. It writes files, which are read and go at once.
async fn nodes(folder: &mut Folder, provider: &dyn Provider, spec: &ClusterSpec) {
    let what = "nodes";
    let into = match tempfile::tempdir() {
        Ok(into) => into,
        Err(error) => return folder.missing(what, error),
    };
    folder.wait(what, PROVIDER, provider.evidence(spec, into.path())).await;
    let mut folders = vec![into.path().to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type());
            let name = path.strip_prefix(into.path()).unwrap_or(&path).display().to_string();
            match kind {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() => match tail(&path) {
                    Ok(bytes) => folder.add(format!("{what}/{name}"), bytes),
                    Err(error) => folder.missing(&format!("{what}/{name}"), error),
                },
                _ => {}
            }
        }
    }
}

/// The cluster as it was recorded when it was made, or else as the instance wants it.
fn cluster(folder: &mut Folder, home: &Home) -> Option<(Box<dyn Provider>, ClusterSpec)> {
    let recorded = Ledger::look(&home.ledger()).ok().and_then(|entries| {
        entries.into_iter().find_map(|entry| match entry.effect {
            Effect::Cluster(step) => Some(step.spec),
            _ => None,
        })
    });
    let wanted = || Some(Instance::read(home).ok().flatten()?.cluster(home));
    let Some(spec) = recorded.or_else(wanted) else {
        folder.missing("everything of the cluster", "no cluster was ever asked for");
        return None;
    };
    match curtain_provider::by_name(&spec.provider) {
        Ok(provider) => Some((provider, spec)),
        Err(error) => {
            folder.missing("everything of the cluster", error);
            None
        }
    }
}

async fn client(
    folder: &mut Folder,
    provider: &dyn Provider,
    spec: &ClusterSpec,
) -> Option<Client> {
    let what = "objects, events and logs of containers";
    if !provider.is_up(spec).await {
        folder.missing(what, "the cluster's API does not answer");
        return None;
    }
    let kubeconfig = provider.kubeconfig(spec);
    folder.wait::<_, Error>(what, SECRETS, kube_client(&kubeconfig)).await
}

/// The end of the file at `path`.
pub(super) fn tail(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(bytes)
}
