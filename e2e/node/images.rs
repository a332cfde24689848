//! `ctr`, `crictl` for images and `containerd config dump`, on the embedded cluster's image store.

use std::{collections::BTreeMap, io, path::Path};

use curtain_embedded::images as store;
use serde_json::{Value, json};

use crate::{Outcome, cluster::HOME, fault};

const SNAPSHOTTER: &str = "overlayfs";
const FLAGS: [&str; 3] = ["--all-platforms", "--digests", "--local"];

pub(crate) fn ctr(words: &[&str]) -> Outcome {
    // Images of other namespaces are invisible to Kubernetes.
    let (["--namespace=k8s.io", rest @ ..]
    | ["--namespace", "k8s.io", rest @ ..]
    | ["-n", "k8s.io", rest @ ..]) = words
    else {
        return Err(format!(
            "ctr: the images of Kubernetes are in the namespace k8s.io: {words:?}"
        ));
    };
    match rest {
        ["images" | "image" | "i", "import", flags @ .., "-"] => import(flags),
        ["images" | "image" | "i", "ls" | "list", rest @ ..] => list(rest),
        ["images" | "image" | "i", "rm" | "remove" | "delete", name] => remove(&[name.to_string()]),
        _ => Err(format!("ctr: unknown command {rest:?}")),
    }
}

fn import(flags: &[&str]) -> Outcome {
    for flag in flags {
        match flag.strip_prefix("--snapshotter=") {
            Some(SNAPSHOTTER) => {}
            Some(other) => return Err(format!("ctr: snapshotter not loaded: {other}")),
            None if FLAGS.contains(flag) => {}
            None => return Err(format!("flag provided but not defined: {flag}")),
        }
    }
    fault::at("import")?;
    let stdin = io::stdin().lock();
    for image in store::load(Path::new(HOME), stdin).map_err(|error| format!("ctr: {error}"))? {
        println!("unpacking {} ({})...done", image.reference, image.id);
    }
    Ok(())
}

fn list(words: &[&str]) -> Outcome {
    let quiet = words.iter().any(|word| matches!(*word, "-q" | "--quiet"));
    // Of the filters there are, the one for a whole name.
    let names: Vec<_> = words.iter().filter_map(|word| word.strip_prefix("name==")).collect();
    for (reference, image) in stored()? {
        if !names.is_empty() && !names.contains(&reference.as_str()) {
            continue;
        }
        if quiet {
            println!("{reference}");
        } else {
            println!("{reference} {} {}", image.id, image.size);
        }
    }
    Ok(())
}

pub(crate) fn crictl(words: &[&str]) -> Outcome {
    match words {
        ["-o", "json"] | ["--output", "json"] | ["-o=json"] | ["--output=json"] => {}
        [] => return list(&[]),
        _ => return Err(format!("crictl images: unknown options {words:?}")),
    }
    let mut images: BTreeMap<String, (u64, Vec<String>)> = BTreeMap::new();
    for (reference, image) in stored()? {
        images.entry(image.id).or_insert((image.size, Vec::new())).1.push(reference);
    }
    let images: Vec<Value> = images
        .into_iter()
        .map(|(id, (size, tags))| {
            json!({"id": id, "repoTags": tags, "repoDigests": [], "size": size.to_string(),
                "uid": null, "username": "", "spec": null, "pinned": false})
        })
        .collect();
    println!("{:#}", json!({"images": images}));
    Ok(())
}

/// `crictl ps`. Containers are not known by their images here: that those are in use, the store itself says.
pub(crate) fn running() -> Outcome {
    println!("{:#}", json!({"containers": []}));
    Ok(())
}

/// `crictl rmi`: every name of an image goes.
pub(crate) fn remove_image(id: &str) -> Outcome {
    let names: Vec<String> =
        stored()?.into_iter().filter(|(_, image)| image.id == id).map(|(name, _)| name).collect();
    if names.is_empty() {
        return Err(format!("crictl rmi: no such image {id}"));
    }
    remove(&names)
}

fn remove(names: &[String]) -> Outcome {
    store::remove(Path::new(HOME), names).map_err(|error| error.to_string())?;
    names.iter().for_each(|name| println!("Deleted: {name}"));
    Ok(())
}

/// The part of the configuration from which the snapshotter can be read.
pub(crate) fn containerd_config() -> Outcome {
    println!(
        "version = 3\nroot = '/var/lib/containerd'\nstate = '/run/containerd'\n\n[plugins]\n  \
         [plugins.'io.containerd.cri.v1.images']\n    snapshotter = '{SNAPSHOTTER}'"
    );
    Ok(())
}

fn stored() -> Result<BTreeMap<String, store::Image>, String> {
    store::list(Path::new(HOME)).map_err(|error| error.to_string())
}
