//! `curtain plan`: the steps of `up`, for the tests that walk through them.

use crate::{
    context::{self, Context},
    exit::Exit,
    failure::Failure,
    output,
};

pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    let names = curtain_appliance::plan_names(&context.home, &context::kubeconfig()?)?;
    if context.is_json() {
        output::json(&names);
    } else {
        output::line(&names.join("\n"));
    }
    Ok(Exit::Ok)
}
