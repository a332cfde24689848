//! `curtain agent list`.

use curtain_appliance::access::Access;
use curtain_control::authz::Granted;
use http::Method;
use serde::Deserialize;
use serde_json::Value;

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

/// The agents, as the API lists them.
async fn all(access: &Access) -> Result<Value, Failure> {
    let mut answer = access.api("list the agents", Method::GET, "/agents", None).await?;
    Ok(answer["items"].take())
}

fn read(items: Value) -> Result<Vec<Shown>, Failure> {
    serde_json::from_value(items)
        .map_err(|error| Failure::new(Exit::Failed, format!("the API's answer: {error}")))
}

/// What `agent` may, and what of that was granted to it.
pub(in crate::verbs) async fn may(access: &Access, agent: &str) -> (String, Vec<Granted>) {
    let shown = async { read(all(access).await?) };
    match shown.await {
        Ok(shown) => {
            let grants = shown.into_iter().find(|one| one.name == agent);
            let grants = grants.map(|one| one.grants).unwrap_or_default();
            (told(&grants), grants)
        }
        // It was made all the same.
        Err(error) => (format!("may read; what else it may is not known: {error}"), Vec::new()),
    }
}

fn told(grants: &[Granted]) -> String {
    if grants.is_empty() {
        return "may read everything but secrets, and change nothing".to_owned();
    }
    let each = grants.iter().map(|grant| {
        let [_, what, place, ..] = row("", grant);
        let left =
            grant.remaining_seconds.map(|left| format!(" for another {}", output::span(left)));
        format!("{what} in {place}{}", left.unwrap_or_default())
    });
    format!("may read, and by what was granted to it: {}", each.collect::<Vec<_>>().join("; "))
}

pub(super) async fn show(context: &Context) -> Result<Exit, Failure> {
    let items = all(&context.access()?).await?;
    if context.is_json() {
        output::json(&items);
        return Ok(Exit::Ok);
    }
    let shown = read(items)?;
    if shown.is_empty() {
        output::line("There are no agents.");
        context.note("`curtain agent add NAME` makes one, `curtain mcp install CLIENT` wires one.");
        return Ok(Exit::Ok);
    }
    let mut rows =
        vec![["AGENT", "MAY", "WHERE", "LEFT", "GRANTED BY"].map(str::to_owned).to_vec()];
    for agent in shown {
        rows.push(reads(&agent.name).to_vec());
        for grant in &agent.grants {
            rows.push(row(&agent.name, grant).to_vec());
        }
    }
    output::line(table(&rows).trim_end());
    Ok(Exit::Ok)
}

/// What every agent may, with and without grants.
fn reads(agent: &str) -> [String; 5] {
    [agent, "read", "everywhere but secrets", "for good", "-"].map(str::to_owned)
}

fn row(agent: &str, grant: &Granted) -> [String; 5] {
    let denies = if grant.denies { "not " } else { "" };
    let place = match (grant.namespace.as_str(), grant.place.as_str()) {
        ("", "") => "everywhere".to_owned(),
        ("", place) => place.to_owned(),
        (namespace, "") => format!("namespace {namespace}"),
        (namespace, place) => format!("namespace {namespace}, {place}"),
    };
    [
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

    fn grant(role: &str, place: &str, left: Option<i64>) -> Granted {
        Granted {
            binding: format!("claude-1-{role}"),
            namespace: "default".into(),
            roles: vec![role.into()],
            place: place.into(),
            denies: false,
            expires_at: left.map(|_| "2026-01-01T00:00:00Z".into()),
            remaining_seconds: left,
            granted_by: Some("admin@openchoreo.dev".into()),
        }
    }

    #[test]
    fn a_grant_is_one_line_of_the_table() {
        assert_eq!(
            row("claude-1", &grant("scale", "environment development", Some(90))),
            [
                "claude-1",
                "scale",
                "namespace default, environment development",
                "1m 30s",
                "admin@openchoreo.dev"
            ]
        );
    }

    #[test]
    fn what_an_agent_may_is_told_with_what_was_granted_to_it() {
        assert_eq!(told(&[]), "may read everything but secrets, and change nothing");
        let grants =
            [grant("scale", "environment development", Some(90)), grant("restart", "", None)];
        assert_eq!(
            told(&grants),
            "may read, and by what was granted to it: scale in namespace default, environment development for another \
             1m 30s; restart in namespace default"
        );
    }
}
