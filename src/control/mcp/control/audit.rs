//! Who did what, for an agent that looks into it.

use serde_json::{Value, json};

use super::{Arguments, Ask, ControlPlane, Error};
use crate::{
    audit::{Numbered, Outcome, Query, moment},
    authz::{Attributes, Hierarchy, Question},
    mcp::economy::{MOST, TYPICAL, fit},
};

/// Records that are looked at for one answer when the client does not say.
const USUAL: usize = 50;

impl ControlPlane {
    pub(super) async fn query_audit(
        &self,
        ask: Ask<'_>,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let namespace = arguments.optional("namespace_name");
        let at = namespace.map_or_else(Hierarchy::cluster, Hierarchy::namespace);
        let attributes = Attributes::default();
        let question = Question { action: "audit:view", at: &at, attributes: &attributes };
        self.objects.authorizer().authorize(ask.caller, ask.via, question, "")?;

        let text = |name: &str| arguments.optional(name).map(str::to_owned);
        let bad = |what: &str| Error::BadRequest(what.to_owned());
        let now = self.audit.now();
        let since = arguments.optional("since").map(|since| {
            moment(since, now).ok_or_else(|| bad("since is a time by RFC 3339, or such as 15m"))
        });
        let before = arguments.optional("cursor").map(|cursor| {
            cursor.parse().map_err(|_| bad("cursor is what the last answer had as next_cursor"))
        });
        let limit = arguments.integer("limit").and_then(|limit| usize::try_from(limit).ok());
        let query = Query {
            actor: text("actor"),
            action: text("action"),
            result: match arguments.text("result") {
                "allowed" => Some(Outcome::Allowed),
                "denied" => Some(Outcome::Denied),
                "failed" => Some(Outcome::Failed),
                _ => None,
            },
            namespace: text("namespace_name"),
            changes: arguments.flag("changes_only") == Some(true),
            since: since.transpose()?,
            before: before.transpose()?,
            limit: limit.unwrap_or(USUAL).clamp(1, 1000),
            ..Query::default()
        };
        let found = self.audit.find(query).await?;
        if let Some(namespace) = arguments.optional("namespace_name")
            && found.records.is_empty()
        {
            self.objects.check_namespace_is_there(ask, namespace).await?;
        }
        let mut rows: Vec<_> = found.records.iter().map(|one| (one.number, line(one))).collect();
        let budget = if limit.is_some() { MOST } else { TYPICAL };
        let cut = fit(&mut rows, budget, |(_, line)| line.len() + 3);
        let last = rows.last().map(|(number, _)| number.to_string());
        let lines: Vec<_> = rows.into_iter().map(|(_, line)| line).collect();
        let mut answer = json!({ "records": lines });
        if let Some(last) = last.filter(|_| cut > 0 || found.more) {
            answer["next_cursor"] = json!(last);
            answer["hint"] = json!(
                "there are older ones: call again with cursor, or narrow by actor, action or since"
            );
        }
        Ok(answer)
    }
}

/// One record in one line: time, who, result, what, on what, where, what that changed, who let them, and why it was not done.
fn line(one: &Numbered) -> String {
    let record = &one.record;
    let time = record.time.strftime("%Y-%m-%dT%H:%M:%SZ");
    let result = json!(record.result);
    let result = result.as_str().unwrap_or_default();
    let what = if record.action.is_empty() { &record.call } else { &record.action };
    let mut line = format!("{time} {} {result} {what}", record.actor);
    for part in [&record.object, &record.environment, &record.note, &record.change] {
        if !part.is_empty() {
            line.push(' ');
            line.push_str(part);
        }
    }
    if !record.granted_by.is_empty() {
        line.push_str(&format!(" (granted by {})", record.granted_by));
    }
    if !record.reason.is_empty() {
        line.push_str(&format!(" ({})", record.reason));
    }
    line
}
