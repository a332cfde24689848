//! `curtain image`.

use std::{fs::File, io::Read, path::PathBuf};

use clap::Subcommand;
use curtain_provider::Image;

use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{self, table},
};

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

pub(crate) fn run(verb: &Verb, context: &Context) -> Result<Exit, Failure> {
    let access = context.access()?;
    let spec = access.instance().cluster(&context.home);
    let provider = curtain_provider::by_name(&spec.provider)?;
    match verb {
        Verb::Load { archive } => {
            let shown = archive.display();
            let mut reader: Box<dyn Read> = if archive.as_os_str() == "-" {
                Box::new(std::io::stdin().lock())
            } else {
                let file = File::open(archive).map_err(|error| {
                    Failure::new(
                        Exit::BadInput,
                        format!("cannot open {shown}: {error}; give the path of an archive"),
                    )
                })?;
                Box::new(file)
            };
            let images = provider.load_image(&spec, &mut reader).map_err(|error| {
                let failure = Failure::from(error);
                let exit =
                    if failure.exit == Exit::DiskFull { Exit::DiskFull } else { Exit::BadInput };
                Failure::new(exit, format!("{shown}: {failure}; nothing of it was kept"))
            })?;
            print(&images, context, "loaded ");
        }
        Verb::List => print(&provider.images(&spec)?, context, ""),
    }
    Ok(Exit::Ok)
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
