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
/// Beginning of the tag that marks an image which was downloaded for a cluster; its repository follows.
const MARK: &str = "curtain.local/node-image/";
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
    let (repository, version) = parts(image);
    let options = CreateImageOptions {
        from_image: Some(repository.to_owned()),
        tag: Some(version.to_owned()),
        ..CreateImageOptions::default()
    };
    let mut answers = Box::pin(engine.api().create_image(Some(options), None, None));
    let layers = Layers::default();
    loop {
        let left = timeout.saturating_sub(started.elapsed());
        // Unpacking may say nothing for long.
        let patience = if layers.are_complete() { left } else { left.min(STALLED) };
        match tokio::time::timeout(patience, answers.next()).await {
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
    let looked = engine.api().inspect_image(&reference);
    let found = engine.call(format!("look at the image {reference}"), looked).await?;
    let id = found.id.unwrap_or_default();
    let id = id.trim_start_matches("sha256:").get(..12).unwrap_or("unknown").to_owned();
    let options = TagImageOptions { repo: Some(mark(repository)), tag: Some(id) };
    let marking = engine.api().tag_image(&reference, Some(options));
    engine.call(format!("mark the image {reference}"), marking).await
}

/// Removes every image that was downloaded for a cluster and that no container uses, if `wanted`; says which stay. Names
/// that somebody else gave such an image are theirs.
pub(crate) async fn remove(engine: &Engine, wanted: bool) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    for image in downloaded(engine).await? {
        let (ours, theirs): (Vec<_>, Vec<_>) = image
            .names
            .iter()
            .partition(|name| mark(repository(split(name).0)) == image.repository);
        let shown = ours.first().copied().unwrap_or(&image.mark);
        let mut keep = |name: String| {
            removed.kept.push(Leftover { kind: "image".to_owned(), name });
        };
        if !wanted {
            keep(format!("{shown} ({} MB)", image.size / 1_000_000));
            continue;
        }
        if is_used(engine, &image.mark).await? {
            keep(format!("{shown}, which a container uses"));
            continue;
        }
        for name in theirs {
            keep(format!("{name}, a name that was given to the node image"));
        }
        // Our mark goes last: what is interrupted is found again.
        let mut gone = false;
        for reference in ours.into_iter().chain([&image.mark]) {
            let answer = engine.api().remove_image(reference, None::<RemoveImageOptions>, None);
            match answer.await {
                Ok(_) => gone = true,
                Err(error) if is_absent(&error) => {}
                // A container was made of it just now.
                Err(error) if is_conflict(&error) => gone = false,
                Err(error) => return Err(engine.error(format!("remove {reference}"), error)),
            }
        }
        removed.count += usize::from(gone);
    }
    Ok(removed)
}

/// An image that was downloaded for a cluster.
struct Downloaded {
    /// The tag that marks it.
    mark: String,
    /// The same without its version: what [`mark`] makes of the image's repository.
    repository: String,
    /// Its other tags and digests.
    names: Vec<String>,
    /// Its size in bytes.
    size: i64,
}

async fn downloaded(engine: &Engine) -> Result<Vec<Downloaded>, Error> {
    let options = bollard::query_parameters::ListImagesOptions::default();
    let found = engine.call("list the images", engine.api().list_images(Some(options))).await?;
    let mut marked = Vec::new();
    for image in found {
        let (marks, mut names): (Vec<_>, Vec<_>) =
            image.repo_tags.into_iter().partition(|tag| tag.starts_with(MARK));
        // A download by digest alone has no tag.
        names.extend(image.repo_digests.into_iter().filter(|name| !name.starts_with(MARK)));
        marked.extend(marks.into_iter().map(|mark| Downloaded {
            repository: repository(&mark).to_owned(),
            mark,
            names: names.clone(),
            size: image.size,
        }));
    }
    Ok(marked)
}

/// The repository of the tag that marks images of `repository`.
fn mark(repository: &str) -> String {
    format!("{MARK}{}", repository.replace(':', "-"))
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
    /// Whether all that was announced is downloaded.
    fn are_complete(&self) -> bool {
        let known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        !known.is_empty() && known.values().all(|(done, total)| done >= total)
    }

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

/// What is asked of a registry: a repository, and the digest, the tag, or the usual tag in it.
fn parts(image: &str) -> (&str, &str) {
    let (name, digest) = split(image);
    let repository = repository(name);
    let tag = name.get(repository.len() + 1..).unwrap_or("latest");
    (repository, digest.unwrap_or(tag))
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
        assert_eq!(parts("kindest/node:v1"), ("kindest/node", "v1"));
        assert_eq!(parts("localhost:5000/node"), ("localhost:5000/node", "latest"));
        let digest = digest.unwrap();
        assert_eq!(parts(DEFAULT), ("kindest/node", digest));
        assert_eq!(mark("localhost:5000/node"), "curtain.local/node-image/localhost-5000/node");
    }
}
