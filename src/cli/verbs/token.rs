//! `curtain token`.

use crate::{context::Context, exit::Exit, failure::Failure, output};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain token --as developer
  curl -H \"Authorization: Bearer $(curtain token --as developer)\" \\
    http://localhost:8080/api/v1/namespaces";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose token: a user (admin, developer) or an agent
    #[arg(long = "as", value_name = "WHO")]
    who: String,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let token = context.access()?.token(&args.who).await?;
    if context.is_json() {
        output::json(&serde_json::json!({ "token": token, "expiresIn": 3600 }));
    } else {
        output::line(&token);
    }
    Ok(Exit::Ok)
}
