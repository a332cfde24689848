//! `curtain image`.

mod remove;

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use curtain_appliance::{access::Access, images::Uses};
use curtain_provider::{ClusterSpec, Image};
use serde::Serialize;

use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{self, table},
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain image load app.tar
  curtain image list
  curtain image prune --dry-run";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Load a docker-save or OCI archive
    #[command(after_help = "\
Examples:
  curtain image load app.tar
  docker save app:1 | curtain image load -")]
    Load {
        /// The archive, or - for stdin
        archive: PathBuf,
    },
    /// List the images the cluster has, and how many pods use each
    #[command(after_help = "\
Examples:
  curtain image list
  curtain image list -o json")]
    List,
    /// Remove images that no pod uses from the cluster
    #[command(after_help = "\
Examples:
  curtain image remove app:1
  curtain image remove app:1 docker.io/library/app:2")]
    Remove {
        /// Images by name, as `curtain image list` shows them or shorter
        #[arg(required = true, value_name = "REF")]
        references: Vec<String>,
    },
    /// Remove all images that no pod uses; the platform's own stay
    #[command(after_help = "\
Examples:
  curtain image prune --dry-run
  curtain image prune")]
    Prune {
        /// Only tell what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

/// What can be loaded.
const ARCHIVE: &str = "give the path of an archive, as `docker save` writes it";

/// Seconds an archive may take without `--timeout`; one from stdin is as slow as whoever writes it.
const USUAL: u64 = 600;

pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    let access = context.access()?;
    let spec = access.instance().cluster(&context.home);
    match verb {
        Verb::Load { archive } => {
            let images = context.within(USUAL, load(&spec, &archive)).await?;
            told(&images, context);
        }
        Verb::List => listed(&context.within(super::USUAL, list(&access)).await?, context),
        Verb::Remove { references } => remove::remove(&access, &references, context).await?,
        Verb::Prune { dry_run } => remove::prune(&access, dry_run, context).await?,
    }
    Ok(Exit::Ok)
}

/// An image, and how many pods use it; `None` where nobody can say because the API does not answer.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    image: Image,
    pods: Option<usize>,
}

async fn list(access: &Access) -> Result<Vec<Listed>, Failure> {
    let spec = access.cluster();
    let images = curtain_provider::by_name(&spec.provider)?.images(&spec).await?;
    // The images of a paused instance can be looked at, too.
    let uses = Uses::of(access).await.ok();
    let listed =
        |image: Image| Listed { pods: uses.as_ref().map(|all| all.pods(&image).len()), image };
    Ok(images.into_iter().map(listed).collect())
}

/// An archive for reading, or stdin for `-`.
fn open(archive: &Path) -> Result<Box<dyn Read + Send>, Failure> {
    if archive.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdin()));
    }
    let shown = archive.display();
    let file = File::open(archive).map_err(|error| {
        Failure::new(Exit::BadInput, format!("cannot open {shown}: {error}")).next(ARCHIVE)
    })?;
    if file.metadata()?.is_dir() {
        let what = format!("cannot load {shown}: it is a folder");
        return Err(Failure::new(Exit::BadInput, what).next(ARCHIVE));
    }
    Ok(Box::new(file))
}

async fn load(spec: &ClusterSpec, archive: &Path) -> Result<Vec<Image>, Failure> {
    let reader = open(archive)?;
    let shown = archive.display();
    let provider = curtain_provider::by_name(&spec.provider)?;
    provider.load_image(spec, reader, curtain_provider::anything()).await.map_err(|error| {
        let (exit, next) = match error.kind() {
            curtain_provider::Kind::DiskFull => {
                (Exit::DiskFull, "free some space and load it again")
            }
            curtain_provider::Kind::BadInput => {
                (Exit::BadInput, "give a whole archive, as `docker save` or an OCI tool writes it")
            }
            _ => return Failure::from(error),
        };
        Failure::new(exit, format!("cannot load {shown}: {error}; nothing of it was kept"))
            .next(next)
    })
}

fn listed(images: &[Listed], context: &Context) {
    if context.is_json() {
        return output::json(&images);
    }
    let mut rows = vec![["IMAGE", "ID", "SIZE MB", "PODS"].map(str::to_owned).to_vec()];
    rows.extend(images.iter().map(|Listed { image, pods }| {
        let id = image.id.trim_start_matches("sha256:").chars().take(12).collect();
        let pods = pods.map_or_else(|| "-".to_owned(), |pods| pods.to_string());
        vec![image.references.join(","), id, megabytes(image.size), pods]
    }));
    output::line(table(&rows).trim_end());
}

fn told(images: &[Image], context: &Context) {
    if context.is_json() {
        return output::json(&images);
    }
    for image in images {
        let name = match image.references.is_empty() {
            true => image.id.clone(),
            false => image.references.join(", "),
        };
        output::line(&format!("loaded {name}"));
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}
