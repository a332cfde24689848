//! `curtain plan`: the steps of `up`, for the tests that walk through them.

use crate::{
    context::{self, Context},
    exit::Exit,
    failure::Failure,
    output,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the cluster would come from
    #[arg(long, default_value = "embedded", value_name = "PROVIDER")]
    provider: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let kubeconfig = context::kubeconfig()?;
    let names = curtain_appliance::plan_names(&context.home, &args.provider, &kubeconfig)?;
    if context.is_json() {
        output::json(&names);
    } else {
        output::line(&names.join("\n"));
    }
    Ok(Exit::Ok)
}
