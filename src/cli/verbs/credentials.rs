//! `curtain credentials`.

use serde_json::json;

use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{self, table},
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain credentials               # users and agents with their secrets
  curtain credentials -o json";

pub(crate) async fn run(context: &Context) -> Result<Exit, Failure> {
    let identities = context.access()?.identities().await?;
    if context.is_json() {
        let shown: Vec<_> = identities
            .iter()
            .map(|one| json!({ "kind": one.kind, "name": one.name, "secret": one.secret, "groups": one.groups }))
            .collect();
        output::json(&shown);
    } else {
        let mut rows = vec![["KIND", "NAME", "GROUPS", "SECRET"].map(str::to_owned).to_vec()];
        rows.extend(
            identities
                .into_iter()
                .map(|one| vec![one.kind, one.name, one.groups.join(","), one.secret]),
        );
        output::line(table(&rows).trim_end());
    }
    Ok(Exit::Ok)
}
