//! Images on the nodes: given to containerd, which every node has for itself.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use curtain_machine::files::{create_folder, create_folders};
use futures::future::try_join_all;
use serde::Deserialize;

use super::{archive, engine::Engine, names, platform_image};
use crate::{Admit, ClusterSpec, Error, Image, Watch};

/// Where containerd's configuration names the snapshotter, by version of the configuration.
const SNAPSHOTTER: [&[&str]; 2] = [
    &["plugins", "io.containerd.cri.v1.images", "snapshotter"],
    &["plugins", "io.containerd.grpc.v1.cri", "containerd", "snapshotter"],
];

/// Gives the platform's image to every node.
pub(crate) async fn ensure_platform(
    engine: &Engine,
    spec: &ClusterSpec,
    watch: &dyn Watch,
) -> Result<(), Error> {
    if holds_platform(engine, spec).await {
        return Ok(());
    }
    watch.detail("packing".to_owned());
    let (binary, reference) = (spec.binary.clone(), spec.image.clone());
    let spool =
        Spool::new(spec, move |file| platform_image::write(&binary, &reference, file)).await?;
    watch.detail("importing".to_owned());
    import_everywhere(engine, spec, &spool).await
}

/// Whether every node has the platform's image.
pub(crate) async fn holds_platform(engine: &Engine, spec: &ClusterSpec) -> bool {
    for node in names::nodes(spec) {
        let filter = format!("name=={}", spec.image);
        let list = ["ctr", "--namespace=k8s.io", "images", "list", "--quiet", &filter];
        match engine.run(&node.name, &list).await {
            Ok(found) if found.lines().any(|line| line.trim() == spec.image) => {}
            _ => return false,
        }
    }
    true
}

/// Gives the images of a docker-save or OCI archive to every node.
pub(crate) async fn load(
    engine: &Engine,
    spec: &ClusterSpec,
    mut tar: Box<dyn Read + Send>,
    admit: Admit,
) -> Result<Vec<Image>, Error> {
    let spool = Spool::new(spec, move |file| io::copy(&mut tar, file).map(drop)).await?;
    let path = spool.path.clone();
    let loaded = super::blocking(move || archive::references(&path))
        .await?
        .map_err(|why| Error::Archive { why })?;
    // The nodes get the very file that the names were read from.
    admit(&loaded, &list(engine, spec).await?).map_err(|why| Error::NotAdmitted { why })?;
    import_everywhere(engine, spec, &spool).await?;
    let named = |image: &Image| image.references.iter().any(|one| loaded.contains(one));
    Ok(list(engine, spec).await?.into_iter().filter(named).collect())
}

#[derive(Deserialize)]
struct Listed {
    images: Vec<One>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One {
    id: String,
    #[serde(default)]
    repo_tags: Vec<String>,
    #[serde(default)]
    size: String,
    /// Whether the node needs it for every pod.
    #[serde(default)]
    pinned: bool,
}

/// What the images of the node image itself are called: some are needed now and then only, and no registry may be there.
const NODES_OWN: [&str; 2] = ["docker.io/kindest/", "registry.k8s.io/pause:"];

/// The images that the control plane has; the others have the same.
pub(crate) async fn list(engine: &Engine, spec: &ClusterSpec) -> Result<Vec<Image>, Error> {
    of_node(engine, spec, &names::control_plane(spec)).await
}

/// The images that a node has.
pub(super) async fn of_node(
    engine: &Engine,
    spec: &ClusterSpec,
    node: &str,
) -> Result<Vec<Image>, Error> {
    let text = engine.run(node, &["crictl", "images", "--output=json"]).await?;
    let listed: Listed = serde_json::from_str(&text).map_err(|error| Error::NodeFile {
        node: node.to_owned(),
        path: "crictl images",
        why: error.to_string(),
    })?;
    let own = |name: &String| {
        *name == spec.image || NODES_OWN.iter().any(|prefix| name.starts_with(prefix))
    };
    let image = |one: One| Image {
        own: one.pinned || one.repo_tags.iter().any(own),
        references: one.repo_tags,
        id: one.id,
        size: one.size.parse().unwrap_or(0),
    };
    Ok(listed.images.into_iter().map(image).collect())
}

async fn import_everywhere(
    engine: &Engine,
    spec: &ClusterSpec,
    spool: &Spool,
) -> Result<(), Error> {
    let nodes = names::nodes(spec);
    try_join_all(nodes.iter().map(|node| import(engine, &node.name, &spool.path))).await.map(drop)
}

async fn import(engine: &Engine, node: &str, archive: &Path) -> Result<(), Error> {
    let dump = engine.run(node, &["containerd", "config", "dump"]).await?;
    let snapshotter = snapshotter(&dump).ok_or_else(|| Error::NodeFile {
        node: node.to_owned(),
        path: "containerd config dump",
        why: "it names no snapshotter".to_owned(),
    })?;
    let argv = import_command(&snapshotter);
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let mut file = tokio::fs::File::open(archive).await.map_err(|source| Error::File {
        verb: "read",
        path: archive.to_owned(),
        source,
    })?;
    let output = engine.exec(node, &argv, Some(&mut file), &|_| {}).await?;
    output.success(node, &argv).map(drop)
}

/// An archive of one architecture is taken as a whole; every image is kept by its name and its digest.
fn import_command(snapshotter: &str) -> Vec<String> {
    let snapshotter = format!("--snapshotter={snapshotter}");
    [
        "ctr",
        "--namespace=k8s.io",
        "images",
        "import",
        "--all-platforms",
        "--digests",
        &snapshotter,
        "-",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// What the node's containers lie on, from what `containerd config dump` prints.
fn snapshotter(dump: &str) -> Option<String> {
    let config: toml_edit::DocumentMut = dump.parse().ok()?;
    SNAPSHOTTER.iter().find_map(|path| {
        let mut item = config.as_item();
        for key in *path {
            item = item.get(key)?;
        }
        item.as_str().map(str::to_owned)
    })
}

/// An archive on the disk, in the cluster's own folder, for as long as it is needed.
struct Spool {
    path: PathBuf,
}

impl Spool {
    async fn new(
        spec: &ClusterSpec,
        write: impl FnOnce(&mut File) -> io::Result<()> + Send + 'static,
    ) -> Result<Self, Error> {
        let home = spec.home.clone();
        let failed = |path: PathBuf| move |source| Error::File { verb: "write", path, source };
        let spool = home.join("images");
        super::blocking(move || {
            let make = || -> io::Result<PathBuf> {
                create_folders(&home, create_folder).map_err(|(_, error)| error)?;
                let mut file =
                    tempfile::Builder::new().prefix("images-").suffix(".tar").tempfile_in(&home)?;
                write(file.as_file_mut())?;
                let (_, path) = file.keep().map_err(|error| error.error)?;
                Ok(path)
            };
            make()
        })
        .await?
        .map(|path| Self { path })
        .map_err(failed(spool))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What cannot be removed goes with the cluster's folder.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snapshotter_is_read_from_every_version_of_the_configuration() {
        let two = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd]\nsnapshotter = \"fuse-overlayfs\"\n";
        let three =
            "version = 3\n[plugins.'io.containerd.cri.v1.images']\nsnapshotter = 'overlayfs'\n";
        assert_eq!(snapshotter(two).as_deref(), Some("fuse-overlayfs"));
        assert_eq!(snapshotter(three).as_deref(), Some("overlayfs"));
        assert_eq!(snapshotter("version = 3\n"), None);
    }

    #[test]
    fn containerd_is_given_the_archive_on_its_stdin() {
        insta::assert_snapshot!(import_command("overlayfs").join(" "));
    }
}
