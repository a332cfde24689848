//! Taking images from the nodes again.
//!
//! containerd keeps a name of its own for an image beside those it was given, so that taking those away frees nothing: of an
//! image that loses its last name, everything is removed. It does so under running containers, too, which keep what they
//! run from: whether there are some is asked before.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{engine::Engine, images, names};
use crate::{ClusterSpec, Error, Freed, Image, Removing};

#[derive(Deserialize)]
struct Running {
    containers: Vec<Container>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    #[serde(default)]
    image_ref: String,
    #[serde(default)]
    image: Spec,
}

#[derive(Default, Deserialize)]
struct Spec {
    #[serde(default)]
    image: String,
}

/// Removes images from every node, as [`crate::Provider::remove_images`] says.
pub(super) async fn remove(
    engine: &Engine,
    spec: &ClusterSpec,
    references: &[String],
    how: Removing,
) -> Result<Freed, Error> {
    let unwanted: BTreeSet<&str> = references.iter().map(String::as_str).collect();
    let mut nodes = Vec::new();
    for node in names::nodes(spec) {
        let there = images::of_node(engine, spec, &node.name).await?;
        nodes.push((running(engine, &node.name).await?, there, node.name));
    }
    let found = nodes.iter().map(|(running, there, _)| (running, there.as_slice()));
    let plan = Plan::make(&unwanted, found);
    if how == Removing::Named {
        if let Some(reference) = unwanted.iter().find(|name| !plan.knows(name)) {
            return Err(Error::NoSuchImage { reference: (*reference).to_owned() });
        }
        if let Some(reference) = plan.kept.first() {
            return Err(Error::ImageInUse { reference: reference.clone() });
        }
    }
    if how != Removing::Dry {
        for (_, there, node) in &nodes {
            for command in plan.commands(there) {
                let words: Vec<&str> = command.iter().map(String::as_str).collect();
                engine.run(node, &words).await?;
            }
        }
    }
    Ok(Freed {
        bytes: plan.bytes.values().sum(),
        removed: plan.removed.into_iter().collect(),
        kept: plan.kept.into_iter().collect(),
    })
}

/// The images that containers of a node run from, by what containerd calls them.
async fn running(engine: &Engine, node: &str) -> Result<BTreeSet<String>, Error> {
    let text = engine.run(node, &["crictl", "ps", "--output=json"]).await?;
    let listed: Running = serde_json::from_str(&text).map_err(|error| Error::NodeFile {
        node: node.to_owned(),
        path: "crictl ps",
        why: error.to_string(),
    })?;
    let containers = listed.containers.into_iter();
    Ok(containers.flat_map(|one| [one.image_ref, one.image.image]).collect())
}

/// What goes, of all nodes together.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    removed: BTreeSet<String>,
    kept: BTreeSet<String>,
    /// By the id of an image that goes whole.
    bytes: BTreeMap<String, u64>,
}

impl Plan {
    fn make<'a>(
        unwanted: &BTreeSet<&str>,
        nodes: impl Iterator<Item = (&'a BTreeSet<String>, &'a [Image])> + Clone,
    ) -> Self {
        let mut plan = Self::default();
        for (running, image) in
            nodes.clone().flat_map(|(run, all)| all.iter().map(move |one| (run, one)))
        {
            let named = |name: &&String| unwanted.contains(name.as_str());
            let runs = running.contains(&image.id)
                || image.references.iter().any(|name| running.contains(name));
            let all = image.references.iter().all(|name| unwanted.contains(name.as_str()));
            // One that has another name is there for its containers under that.
            let stays = image.own || (runs && all);
            let into = if stays { &mut plan.kept } else { &mut plan.removed };
            into.extend(image.references.iter().filter(named).cloned());
        }
        // What one node needs, all keep.
        let kept = plan.kept.clone();
        plan.removed.retain(|name| !kept.contains(name));
        for image in nodes.flat_map(|(_, all)| all) {
            if plan.is_whole(image) {
                plan.bytes.insert(image.id.clone(), image.size);
            }
        }
        plan
    }

    fn knows(&self, name: &str) -> bool {
        self.removed.contains(name) || self.kept.contains(name)
    }

    /// Whether an image loses every name it has.
    fn is_whole(&self, image: &Image) -> bool {
        !image.references.is_empty()
            && image.references.iter().all(|name| self.removed.contains(name))
    }

    /// What to run in a node that has the images `there`.
    fn commands(&self, there: &[Image]) -> Vec<Vec<String>> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let mut commands = Vec::new();
        for image in there {
            if self.is_whole(image) {
                commands.push(words(&["crictl", "rmi", &image.id]));
                continue;
            }
            for name in image.references.iter().filter(|name| self.removed.contains(*name)) {
                commands.push(words(&["ctr", "--namespace=k8s.io", "images", "rm", name]));
            }
        }
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, references: &[&str], own: bool) -> Image {
        let references = references.iter().map(|name| (*name).to_owned()).collect();
        Image { references, id: id.to_owned(), size: 10, own }
    }

    #[test]
    fn what_runs_on_one_node_is_kept_on_all_and_a_name_goes_without_its_image() {
        let all = [
            image("sha256:1", &["a:1", "a:2"], false),
            image("sha256:2", &["b:1"], false),
            image("sha256:3", &["c:1"], false),
            image("sha256:4", &["pause:1"], true),
        ];
        let (idle, busy) = (BTreeSet::new(), BTreeSet::from(["sha256:2".to_owned()]));
        let nodes = [(&idle, &all[..]), (&busy, &all[..])];
        let unwanted = BTreeSet::from(["a:1", "b:1", "c:1", "pause:1", "none:1"]);
        let plan = Plan::make(&unwanted, nodes.into_iter());
        assert_eq!(plan.removed, ["a:1", "c:1"].map(str::to_owned).into());
        assert_eq!(plan.kept, ["b:1", "pause:1"].map(str::to_owned).into());
        assert_eq!(plan.bytes.into_iter().collect::<Vec<_>>(), [("sha256:3".to_owned(), 10)]);
        let plan = Plan::make(&unwanted, nodes.into_iter());
        assert!(plan.knows("b:1") && !plan.knows("none:1"));
        let commands: Vec<String> =
            plan.commands(&all).iter().map(|words| words.join(" ")).collect();
        assert_eq!(commands, ["ctr --namespace=k8s.io images rm a:1", "crictl rmi sha256:3"]);
        // The last name takes the image along.
        let plan = Plan::make(&BTreeSet::from(["a:1", "a:2"]), nodes.into_iter());
        assert_eq!(plan.commands(&all), [["crictl", "rmi", "sha256:1"]]);
    }
}
