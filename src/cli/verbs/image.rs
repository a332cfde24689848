//! `curtain image`.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use curtain_provider::{ClusterSpec, Image};

use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{self, table},
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain image load app.tar";

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
    /// List the images the cluster has
    #[command(after_help = "\
Examples:
  curtain image list
  curtain image list -o json")]
    List,
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
            print(&images, context, "loaded ");
        }
        Verb::List => {
            let provider = curtain_provider::by_name(&spec.provider)?;
            let images = async { Ok(provider.images(&spec).await?) };
            print(&context.within(super::USUAL, images).await?, context, "");
        }
    }
    Ok(Exit::Ok)
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

fn print(images: &[Image], context: &Context, verb: &str) {
    if context.is_json() {
        output::json(&images);
    } else if verb.is_empty() {
        let mut rows = vec![["IMAGE", "ID", "SIZE MB"].map(str::to_owned).to_vec()];
        rows.extend(images.iter().map(|image| {
            let id = image.id.trim_start_matches("sha256:").chars().take(12).collect();
            vec![image.references.join(","), id, format!("{:.1}", image.size as f64 / 1e6)]
        }));
        output::line(table(&rows).trim_end());
    } else {
        for image in images {
            let name = if image.references.is_empty() {
                image.id.clone()
            } else {
                image.references.join(", ")
            };
            output::line(&format!("{verb}{name}"));
        }
    }
}
