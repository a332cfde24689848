//! `curtain image remove` and `prune`.

use curtain_appliance::{
    access::Access,
    images::{Uses, same},
};
use curtain_provider::{Freed, Image, Removing};
use serde::Serialize;

use super::{USUAL, megabytes};
use crate::{context::Context, exit::Exit, failure::Failure, output};

/// How many pods an error names.
const NAMED: usize = 3;

/// Removes the images called `references`, or none of them.
pub(super) async fn remove(
    access: &Access,
    references: &[String],
    context: &Context,
) -> Result<(), Failure> {
    let removed = context.within(USUAL, async {
        let spec = access.cluster();
        let provider = curtain_provider::by_name(&spec.provider)?;
        let images = provider.images(&spec).await?;
        let uses = Uses::of(access).await?;
        let names = names(&images, references, &spec.image, |image, name| {
            let pods = uses.pods_losing(image, name);
            pods.into_iter().map(str::to_owned).collect()
        })?;
        Ok(provider.remove_images(&spec, &names, Removing::Named).await?)
    });
    print(&removed.await?, false, context);
    Ok(())
}

/// Removes what no pod uses.
pub(super) async fn prune(access: &Access, dry: bool, context: &Context) -> Result<(), Failure> {
    let removed = context.within(USUAL, async {
        let spec = access.cluster();
        let provider = curtain_provider::by_name(&spec.provider)?;
        let images = provider.images(&spec).await?;
        // Pods that are made from here on find what is there, or have it pulled.
        let uses = Uses::of(access).await?;
        let names = unused(&images, &spec.image, |image| !uses.pods(image).is_empty());
        let how = if dry { Removing::Dry } else { Removing::Unused };
        Ok(provider.remove_images(&spec, &names, how).await?)
    });
    print(&removed.await?, dry, context);
    Ok(())
}

/// The full names of `references`, each of which is there and not used by `pods`.
fn names(
    images: &[Image],
    references: &[String],
    platform: &str,
    pods: impl Fn(&Image, &[&str]) -> Vec<String>,
) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let wanted = |full: &str| references.iter().any(|one| same(one, full));
    for reference in references {
        let there = |image: &&Image| image.references.iter().any(|full| same(full, reference));
        let Some(image) = images.iter().find(there) else {
            let message = format!("cannot remove {reference}: the cluster has no such image");
            let next = "`curtain image list` shows those it has";
            return Err(Failure::new(Exit::NotFound, message).next(next));
        };
        if image.own || same(reference, platform) {
            let message = format!("cannot remove {reference}: the cluster itself runs from it");
            return Err(Failure::new(Exit::BadInput, message).next("it goes with `curtain down`"));
        }
        let full: Vec<&str> =
            image.references.iter().map(String::as_str).filter(|full| wanted(full)).collect();
        let pods = pods(image, &full);
        if !pods.is_empty() {
            let message = format!("cannot remove {reference}: {} of it", used(&pods));
            let next = "delete them first, or have them run another image";
            return Err(Failure::new(Exit::Failed, message).next(next));
        }
        names.extend(full.into_iter().filter(|full| same(full, reference)).map(str::to_owned));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// The full names of all images that may go.
fn unused(images: &[Image], platform: &str, used: impl Fn(&Image) -> bool) -> Vec<String> {
    let ours = |image: &Image| image.own || image.references.iter().any(|one| same(one, platform));
    let idle = images.iter().filter(|image| !ours(image) && !used(image));
    idle.flat_map(|image| image.references.clone()).collect()
}

/// `pod a/b, pod c/d and 3 more run`.
fn used(pods: &[String]) -> String {
    let named = pods[..pods.len().min(NAMED)].join(", ");
    let (noun, verb) = if pods.len() == 1 { ("pod", "makes use") } else { ("pods", "make use") };
    match pods.len().saturating_sub(NAMED) {
        0 => format!("{noun} {named} {verb}"),
        more => format!("{noun} {named} and {more} more {verb}"),
    }
}

/// What scripts read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    #[serde(flatten)]
    freed: &'a Freed,
    dry_run: bool,
}

fn print(freed: &Freed, dry: bool, context: &Context) {
    if context.is_json() {
        return output::json(&Told { freed, dry_run: dry });
    }
    lines(freed, dry).iter().for_each(|line| output::line(line));
}

fn lines(freed: &Freed, dry: bool) -> Vec<String> {
    let (remove, free) = if dry { ("would remove", "would free") } else { ("removed", "freed") };
    let mut lines: Vec<String> =
        freed.removed.iter().map(|name| format!("{remove} {name}")).collect();
    lines.extend(freed.kept.iter().map(|name| format!("kept {name}: a container runs from it")));
    match (freed.removed.is_empty(), freed.bytes) {
        (true, 0) => lines.push("nothing to remove: pods use every image".to_owned()),
        (_, bytes) => lines.push(format!("{free} {} MB", megabytes(bytes))),
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Vec<Image> {
        let image = |id: &str, references: &[&str], own| Image {
            references: references.iter().map(|one| format!("docker.io/library/{one}")).collect(),
            id: id.to_owned(),
            size: 1_500_000,
            own,
        };
        vec![
            image("1", &["app:1", "app:2"], false),
            image("2", &["web:1"], false),
            image("3", &["pause:1"], true),
            image("4", &["curtain:9"], false),
        ]
    }

    fn named(references: &[&str], used: &[&str]) -> Result<Vec<String>, Failure> {
        let references: Vec<String> = references.iter().map(|one| (*one).to_owned()).collect();
        names(&images(), &references, "docker.io/library/curtain:9", |_, lost| {
            let needs = |pod: &&&str| lost.iter().any(|full| full.ends_with(**pod));
            used.iter().filter(needs).map(|pod| format!("ns/{pod}")).collect()
        })
    }

    #[test]
    fn only_what_is_there_and_idle_and_not_ours_is_removed() {
        let full = ["docker.io/library/app:2", "docker.io/library/web:1"];
        assert_eq!(named(&["web:1", "app:2", "docker.io/web:1"], &["app:1"]).unwrap(), full);
        for (reference, exit, says) in [
            ("none:1", Exit::NotFound, "the cluster has no such image\n  → `curtain image list`"),
            ("pause:1", Exit::BadInput, "the cluster itself runs from it"),
            ("curtain:9", Exit::BadInput, "the cluster itself runs from it"),
            ("web:1", Exit::Failed, "pod ns/web:1 makes use of it\n  → delete"),
        ] {
            let failure = named(&["app:2", reference], &["web:1"]).unwrap_err();
            assert_eq!(failure.exit, exit, "{failure}");
            assert!(failure.to_string().contains(says), "{failure}");
        }
        assert_eq!(unused(&images(), "curtain:9", |image| image.id == "1"), full[1..]);
        let many: Vec<String> = (0..5).map(|number| number.to_string()).collect();
        assert_eq!(used(&many), "pods 0, 1, 2 and 2 more make use");
    }

    #[test]
    fn what_was_freed_is_said() {
        let freed = Freed {
            removed: vec!["app:1".to_owned()],
            kept: vec!["web:1".to_owned()],
            bytes: 1_500_000,
        };
        let kept = "kept web:1: a container runs from it";
        assert_eq!(lines(&freed, true), ["would remove app:1", kept, "would free 1.5 MB"]);
        assert_eq!(lines(&freed, false), ["removed app:1", kept, "freed 1.5 MB"]);
        let nothing = lines(&Freed::default(), false);
        assert_eq!(nothing, ["nothing to remove: pods use every image"]);
    }
}
