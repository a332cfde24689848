//! `curtain agent list`.

use curtain_control::authz::Granted;
use http::Method;
use serde::Deserialize;

use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{self, table},
};

/// An agent as the API shows it.
#[derive(Deserialize)]
struct Shown {
    name: String,
    grants: Vec<Granted>,
}

pub(super) async fn show(context: &Context) -> Result<Exit, Failure> {
    let access = context.access()?;
    let answer = access.api("list the agents", Method::GET, "/agents", None).await?;
    if context.is_json() {
        output::json(&answer["items"]);
        return Ok(Exit::Ok);
    }
    let shown: Vec<Shown> = serde_json::from_value(answer["items"].clone())
        .map_err(|error| Failure::new(Exit::Failed, format!("the API's answer: {error}")))?;
    if shown.is_empty() {
        output::line("There are no agents.");
        context.note("`curtain agent add NAME` makes one, `curtain mcp install CLIENT` wires one.");
        return Ok(Exit::Ok);
    }
    let mut rows =
        vec![["AGENT", "MAY", "WHERE", "LEFT", "GRANTED BY"].map(str::to_owned).to_vec()];
    for agent in shown {
        if agent.grants.is_empty() {
            rows.push(vec![agent.name, "read".to_owned()]);
            continue;
        }
        for grant in &agent.grants {
            rows.push(row(&agent.name, grant));
        }
    }
    output::line(table(&rows).trim_end());
    Ok(Exit::Ok)
}

fn row(agent: &str, grant: &Granted) -> Vec<String> {
    let denies = if grant.denies { "not " } else { "" };
    let place = match (grant.namespace.as_str(), grant.place.as_str()) {
        ("", "") => "everywhere".to_owned(),
        ("", place) => place.to_owned(),
        (namespace, "") => format!("namespace {namespace}"),
        (namespace, place) => format!("namespace {namespace}, {place}"),
    };
    vec![
        agent.to_owned(),
        format!("{denies}{}", grant.roles.join(",")),
        place,
        grant.remaining_seconds.map_or("for good".to_owned(), output::span),
        grant.granted_by.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_one_line_of_the_table() {
        let grant = Granted {
            binding: "claude-1-scale".into(),
            namespace: "default".into(),
            roles: vec!["scale".into()],
            place: "environment development".into(),
            denies: false,
            expires_at: Some("2026-01-01T00:00:00Z".into()),
            remaining_seconds: Some(90),
            granted_by: Some("admin@openchoreo.dev".into()),
        };
        assert_eq!(
            row("claude-1", &grant),
            [
                "claude-1",
                "scale",
                "namespace default, environment development",
                "1m 30s",
                "admin@openchoreo.dev"
            ]
        );
    }
}
