//! The image of the nodes: used from the Engine where it is, else downloaded.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use bollard::{
    models::CreateImageInfo,
    query_parameters::{
        CreateImageOptions, ListContainersOptions, RemoveImageOptions, TagImageOptions,
    },
};
use futures::StreamExt;

use super::engine::{Engine, is_absent, is_conflict, optional};
use crate::{ClusterSpec, Error, Leftover, Removed, Watch};

/// The image of a current stable Kubernetes, by its digest: what kind 0.33 publishes.
pub(crate) const DEFAULT: &str = "kindest/node:v1.36.4@sha256:\
    099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed";
/// Roughly what it takes to download, for people.
pub(crate) const DOWNLOAD: &str = "about 450 MB";
/// Repository of the tag that marks an image which was downloaded for a cluster.
const MARK: &str = "curtain.local/node-image";
/// How long a registry may take to say whether it has an image.
const REGISTRY: Duration = Duration::from_secs(5);
/// How long a download may stand still.
const STALLED: Duration = Duration::from_secs(60);

/// The image that `spec` wants.
pub(crate) fn wanted(spec: &ClusterSpec) -> &str {
    spec.settings.node_image.as_deref().unwrap_or(DEFAULT)
}

/// The reference by which the Engine finds `image` without asking a registry: with its digest if that is known there,
/// else by its tag, which is all that an image loaded from a file has.
pub(crate) async fn present(engine: &Engine, image: &str) -> Result<Option<String>, Error> {
    let (name, digest) = split(image);
    let exact = digest.map(|digest| format!("{}@{digest}", repository(name)));
    for reference in exact.iter().map(String::as_str).chain([name]) {
        let answer = async { optional(engine.api().inspect_image(reference).await) };
        let found = engine.call(format!("look for the image {reference}"), answer).await?;
        let Some(found) = found else { continue };
        let Some(digest) = digest else { return Ok(Some(reference.to_owned())) };
        let known = found.repo_digests.unwrap_or_default();
        // A tag that has moved on is another image; one without any digest came from a file.
        if known.is_empty() || known.iter().any(|one| one.ends_with(digest)) {
            return Ok(Some(reference.to_owned()));
        }
    }
    Ok(None)
}

/// Checks what tells an image of nodes from others before anything is made of it: it starts its services by an
/// entrypoint of its own.
///
/// # Errors
/// [`Error::NotANodeImage`].
pub(crate) async fn check(engine: &Engine, image: &str) -> Result<(), Error> {
    let looked = engine.api().inspect_image(image);
    let found = engine.call(format!("look at the image {image}"), looked).await?;
    let entrypoint = found.config.and_then(|config| config.entrypoint).unwrap_or_default();
    if entrypoint.is_empty() {
        let why = "it has no entrypoint that would start a node's services".to_owned();
        return Err(Error::NotANodeImage { image: image.to_owned(), why });
    }
    Ok(())
}

/// Whether a registry answers that it has `image`.
///
/// # Errors
/// What kept it from answering.
pub(crate) async fn available(engine: &Engine, image: &str) -> Result<(), Error> {
    let asked = engine.api().inspect_registry_image(image, None);
    engine.within(REGISTRY, format!("ask the registry for {image}"), asked).await.map(drop)
}

/// Downloads the image unless it is there.
pub(crate) async fn ensure(
    engine: &Engine,
    spec: &ClusterSpec,
    timeout: Duration,
    watch: &dyn Watch,
) -> Result<(), Error> {
    let image = wanted(spec);
    if present(engine, image).await?.is_some() {
        return Ok(());
    }
    let started = Instant::now();
    let failed = |why: String| Error::NodeImageMissing { image: image.to_owned(), why };
    let options =
        CreateImageOptions { from_image: Some(image.to_owned()), ..CreateImageOptions::default() };
    let mut answers = Box::pin(engine.api().create_image(Some(options), None, None));
    let layers = Layers::default();
    loop {
        let left = timeout.saturating_sub(started.elapsed());
        match tokio::time::timeout(left.min(STALLED), answers.next()).await {
            Ok(None) => break,
            Ok(Some(Ok(info))) => layers.tell(info, watch),
            Ok(Some(Err(error))) => return Err(failed(error.to_string())),
            Err(_) => {
                let seconds = started.elapsed().as_secs();
                return Err(failed(format!(
                    "the download did not go on ({seconds} s after it began); `--timeout` gives it longer"
                )));
            }
        }
    }
    let Some(reference) = present(engine, image).await? else {
        return Err(failed("the download ended without it".to_owned()));
    };
    let (_, digest) = split(image);
    let tag = digest.and_then(|it| it.strip_prefix("sha256:")).map_or("latest", |hex| &hex[..12]);
    let options = TagImageOptions { repo: Some(MARK.to_owned()), tag: Some(tag.to_owned()) };
    let marking = engine.api().tag_image(&reference, Some(options));
    engine.call(format!("mark the image {reference}"), marking).await
}

/// Removes every image that was downloaded for a cluster and that no container uses, if `wanted`; says which stay.
pub(crate) async fn remove(engine: &Engine, wanted: bool) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    for (mark, others, size) in downloaded(engine).await? {
        let shown = others.first().unwrap_or(&mark).clone();
        if !wanted {
            let name = format!("{shown} ({} MB)", size / 1_000_000);
            removed.kept.push(Leftover { kind: "image".to_owned(), name });
            continue;
        }
        if is_used(engine, &mark).await? {
            let name = format!("{shown}, which a container uses");
            removed.kept.push(Leftover { kind: "image".to_owned(), name });
            continue;
        }
        // Our mark goes last: what is interrupted is found again.
        for reference in others.iter().chain([&mark]) {
            let gone = engine.api().remove_image(reference, None::<RemoveImageOptions>, None);
            match gone.await {
                Ok(_) => {}
                Err(error) if is_absent(&error) || is_conflict(&error) => {}
                Err(error) => return Err(engine.error(format!("remove {reference}"), error)),
            }
        }
        removed.count += 1;
    }
    Ok(removed)
}

/// The marks, with the other references and the size of their images.
async fn downloaded(engine: &Engine) -> Result<Vec<(String, Vec<String>, i64)>, Error> {
    let filters = HashMap::from([("reference".to_owned(), vec![format!("{MARK}:*")])]);
    let options = bollard::query_parameters::ListImagesOptions {
        filters: Some(filters),
        ..Default::default()
    };
    let found = engine.call("list the images", engine.api().list_images(Some(options))).await?;
    let mut marks = Vec::new();
    for image in found {
        let all = async { optional(engine.api().inspect_image(&image.id).await) };
        let Some(whole) = engine.call("look at an image", all).await? else { continue };
        let (marked, mut others): (Vec<_>, Vec<_>) =
            whole.repo_tags.unwrap_or_default().into_iter().partition(|tag| tag.starts_with(MARK));
        // A download by digest alone has no tag.
        let digests = whole.repo_digests.unwrap_or_default();
        others.extend(digests.into_iter().filter(|digest| !digest.starts_with(MARK)));
        marks.extend(marked.into_iter().map(|mark| (mark, others.clone(), image.size)));
    }
    Ok(marks)
}

async fn is_used(engine: &Engine, image: &str) -> Result<bool, Error> {
    let filters = HashMap::from([("ancestor".to_owned(), vec![image.to_owned()])]);
    let options = ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
    let found = engine
        .call("list the containers of an image", engine.api().list_containers(Some(options)))
        .await?;
    Ok(!found.is_empty())
}

/// What layers are at, summed up for whoever watches.
#[derive(Default)]
struct Layers(Mutex<HashMap<String, (u64, u64)>>);

impl Layers {
    fn tell(&self, info: CreateImageInfo, watch: &dyn Watch) {
        let (Some(layer), Some(status)) = (info.id, info.status) else { return };
        let detail = info.progress_detail.unwrap_or_default();
        let number = |value: Option<i64>| value.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
        let mut known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (done, total) = match status.as_str() {
            "Downloading" => (number(detail.current), number(detail.total)),
            "Download complete" | "Pull complete" | "Already exists" => {
                let total = known.get(&layer).map_or(0, |one| one.1);
                (total, total)
            }
            _ => return,
        };
        known.insert(layer.clone(), (done, total));
        let sum = |part: fn(&(u64, u64)) -> u64| known.values().map(part).sum::<u64>();
        watch.part(&layer, done, total);
        let (done, total) = (sum(|one| one.0), sum(|one| one.1));
        watch.detail(format!("{} of {} MB", done / 1_000_000, total / 1_000_000));
    }
}

/// A reference and its digest.
fn split(image: &str) -> (&str, Option<&str>) {
    match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    }
}

/// A reference without its tag.
fn repository(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        let (name, digest) = split(DEFAULT);
        assert_eq!(name, "kindest/node:v1.36.4");
        assert_eq!(digest.map(str::len), Some("sha256:".len() + 64));
        assert_eq!(repository(name), "kindest/node");
        assert_eq!(repository("localhost:5000/node"), "localhost:5000/node");
        assert_eq!(split("node").1, None);
    }
}
