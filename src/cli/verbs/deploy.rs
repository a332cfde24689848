//! `curtain deploy`.

use curtain_appliance::{
    access::ADMINISTRATOR,
    deploy::{Deploy, Origin, USUAL, deploy},
};

use crate::{context::Context, environment, exit::Exit, failure::Failure, output};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain deploy --image my:dev --port 8080
  docker save my:dev | curtain deploy --image - --component my";

/// How to go on with one that ended early, or back.
pub(crate) const ONWARDS: &str = "the same command again goes on; `curtain component list` shows whether there is a \
     component by now, and `curtain component delete NAME` removes it";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image: the path of an archive, - for stdin, or a name that the cluster, the local Docker Engine or a registry
    /// has
    #[arg(long, value_name = "IMAGE")]
    image: String,
    /// Where the program listens [default: the port that the image names, else 8080]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The component [default: the last part of the image's name]
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    /// The project it belongs to
    #[arg(long, value_name = "NAME", default_value = "default")]
    project: String,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let access = context.access()?;
    let origin = match args.image.as_str() {
        "-" => Origin::Archive(Box::new(std::io::stdin())),
        image => Origin::of(image)?,
    };
    let around = environment::surroundings();
    let asked = Deploy {
        who: ADMINISTRATOR,
        origin,
        name: args.component,
        port: args.port,
        project: &args.project,
        around: &around,
    };
    let limit = context.inner(USUAL);
    let deployed = async { Ok(deploy(&access, asked, limit).await?) };
    let deployed = context.within(USUAL, deployed).await?;
    if context.is_json() {
        output::json(&deployed);
    } else {
        let at = match deployed.from {
            "engine" => "from the local Docker Engine",
            "archive" => "from the archive",
            "cluster" => "which the cluster had",
            _ => "from its registry",
        };
        output::note(&format!(
            "component {} in project {}: {} {at}, port {}",
            deployed.component, deployed.project, deployed.image, deployed.port
        ));
        output::line(&deployed.url);
    }
    Ok(Exit::Ok)
}
