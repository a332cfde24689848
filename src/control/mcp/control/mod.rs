//! The control plane's tools.
//!
//! Lists, reads and removals are rows of the [table] and nothing else; what is more has a function in the file
//! of its subject. Names, arguments and results are OpenChoreo's; where a result here has more than upstream's, it is
//! an additional member.

mod aim;
mod audit;
mod components;
mod deployment;
mod platform;
mod projects;
mod shapes;
mod table;
mod types;
mod workloads;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{About, Access, Arguments, Call, CallError, Tool, Toolbox};
use crate::{
    audit::{Audit, Record, Trail, trail},
    authz::{GrantKind, Hierarchy, Question, Via},
    identity::SubjectKind,
    live::Live,
    objects::{Ask, Error, Kind, ListQuery, Names, Objects, kind},
};
use shapes::Shape;
use table::{Does, ROWS, Row};

/// Items of a page when the client does not say: a page fits into the budget of a typical result.
const DEFAULT_LIMIT: i64 = 25;

/// What an agent should know first, in less than 512 characters.
const INSTRUCTIONS: &str = "Curtain is an OpenChoreo-compatible developer platform. A project groups components; a \
    component has a type (list_component_types) and one workload (image, env, endpoints). With auto_deploy a new or \
    changed workload is released and deployed to the first environment. Promote by update_release_binding or \
    create_release_binding with a release name. Endpoint URLs are in get_release_binding. Logs: get_resource_tree \
    names the pods for get_resource_logs.";

/// The toolbox over the platform's objects.
#[derive(Debug, Clone)]
pub struct ControlPlane {
    objects: Objects,
    live: Live,
    audit: Audit,
    version: String,
}

/// What a function of a row looks like.
type Handler =
    for<'a> fn(&'a ControlPlane, Ask<'a>, &'a Arguments) -> BoxFuture<'a, Result<Value, Error>>;

impl ControlPlane {
    /// Tools over `objects` and `live`; calls are kept in `audit`.
    pub fn new(objects: Objects, live: Live, audit: Audit, version: String) -> Self {
        Self { objects, live, audit, version }
    }

    async fn list(
        &self,
        ask: Ask<'_>,
        kind_name: &str,
        key: &str,
        shape: &Shape,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let kind = kind(kind_name);
        let query = ListQuery {
            namespace: arguments.text("namespace_name"),
            filter: filter(kind, arguments),
            label_selector: None,
            limit: usize::try_from(arguments.integer("limit").unwrap_or(DEFAULT_LIMIT))
                .unwrap_or(1),
            cursor: arguments.optional("cursor"),
        };
        let page = self.objects.list(ask, kind, query).await?;
        // An empty list reads as if there were such a namespace.
        if page.items.is_empty() && kind.is_namespaced() {
            self.objects.check_namespace_is_there(ask, query.namespace).await?;
        }
        let rows: Vec<Value> = page.items.iter().map(|object| shape.show(object)).collect();
        let mut result = json!({ key: rows });
        if let Some(cursor) = page.next_cursor {
            result["next_cursor"] = json!(cursor);
            result["hint"] =
                json!("there are more: call again with cursor, or name what you look for");
        }
        Ok(result)
    }

    async fn dispatch(
        &self,
        ask: Ask<'_>,
        tool: &'static Tool,
        arguments: &Arguments,
    ) -> Result<Value, Error> {
        let Some(row) = Row::of(tool) else {
            return Err(Error::BadRequest(format!("{} is not a tool of this server", tool.name)));
        };
        let namespace = arguments.text("namespace_name");
        // A misspelt name is told as that before anybody is asked for leave.
        if tool.access == Access::Create
            && let Some((kind, missing)) = self.absent(ask, tool, arguments).await
            && self.objects.may_see(ask, kind, namespace)
        {
            trail::asked(tool.actions[0], "", &arguments.place());
            return Err(missing);
        }
        match row.does {
            Does::List { kind, key, shape } => self.list(ask, kind, key, shape, arguments).await,
            Does::Get { kind: name, argument, shape } => {
                let found =
                    self.objects.get(ask, kind(name), namespace, arguments.text(argument)).await?;
                Ok(shape.show(&found))
            }
            Does::Delete { kind: name, argument } => {
                let object = arguments.text(argument);
                self.objects.delete(ask, kind(name), namespace, object).await?;
                Ok(json!({"name": object, "namespace": namespace, "action": "deleted"}))
            }
            Does::Call { handler, .. } => handler(self, ask, arguments).await,
        }
    }
}

/// What a list of `kind` is narrowed to, if the arguments say.
fn filter<'a>(kind: &Kind, arguments: &'a Arguments) -> Option<&'a str> {
    arguments.optional(match kind.filter? {
        "project" => "project_name",
        _ => "component_name",
    })
}

impl Toolbox for ControlPlane {
    fn about(&self) -> About {
        About { name: "openchoreo-api", version: self.version.clone(), instructions: INSTRUCTIONS }
    }

    fn tools(&self) -> Vec<&'static Tool> {
        ROWS.iter().map(|row| &row.tool).collect()
    }

    /// To an agent also what a person could grant it: only what is listed can be asked for, and a refusal says how.
    async fn lists(&self, call: Call<'_>, action: &'static str) -> bool {
        let caller = call.caller;
        let asks = caller.kind == SubjectKind::Agent && GrantKind::for_action(action).is_some();
        asks || self.objects.authorizer().can_anywhere(caller, action, &Hierarchy::cluster())
    }

    async fn admits(
        &self,
        call: Call<'_>,
        (tool, action): (&'static Tool, &'static str),
        place: &Hierarchy,
        arguments: &Arguments,
    ) -> Result<(), CallError> {
        let (authorizer, caller) = (self.objects.authorizer(), call.caller);
        if authorizer.can_anywhere(caller, action, place) {
            return Ok(());
        }
        // Nothing allows it, here, above or below: the decision is a refusal, and leaves its audit line.
        let ask = Ask { caller, via: Via::Mcp };
        let aim = self.aim(ask, (tool, action), place, arguments).await;
        if let Some((kind, missing)) = aim.absent
            && self.objects.may_see(ask, kind, &place.namespace)
        {
            trail::asked(action, &aim.object, &aim.at);
            let missing = self.objects.with_known(ask, &place.namespace, missing).await;
            return Err(CallError::new(missing));
        }
        let action = aim.forbidden.unwrap_or(action);
        let question = Question { action, at: &aim.at, attributes: &aim.attributes };
        authorizer.authorize(caller, Via::Mcp, question, &aim.object).map_err(|denial| {
            CallError::new(match aim.part {
                Some(part) => denial.of_part(part),
                None => *denial,
            })
        })
    }

    async fn choices(
        &self,
        call: Call<'_>,
        tool: &'static Tool,
        missing: &'static str,
        given: &Arguments,
    ) -> Option<Names> {
        let kind = match missing {
            "namespace_name" => kind("Namespace"),
            "project_name" => kind("Project"),
            "component_name" => kind("Component"),
            "environment" => kind("Environment"),
            "release_name" => kind("ComponentRelease"),
            // What is to be made has a name of its own.
            _ if tool.access == Access::Create => return None,
            _ => Row::of(tool)?.about().filter(|(_, argument)| *argument == missing)?.0,
        };
        let namespace = given.text("namespace_name");
        if kind.is_namespaced() && namespace.is_empty() {
            return None;
        }
        let ask = Ask { caller: call.caller, via: Via::Mcp };
        self.objects.choices(ask, kind, (namespace, filter(kind, given))).await
    }

    async fn keep(
        &self,
        call: Call<'_>,
        (tool, place): (&'static Tool, &Hierarchy),
        trail: &Trail,
        failure: Option<&str>,
    ) {
        if tool.access == Access::Read && call.caller.kind != SubjectKind::Agent {
            return;
        }
        let how = (Via::Mcp, tool.name.to_owned());
        let mut record = Record::of(call.caller, how, trail, failure, self.audit.now());
        // What was refused for its words came to no object, and what is about none leaves nothing.
        if record.action.is_empty() {
            record.action = tool.actions.first().map_or_else(String::new, ToString::to_string);
            record.at = place.path();
        }
        self.audit.keep(record).await;
    }

    async fn call(
        &self,
        call: Call<'_>,
        tool: &'static Tool,
        arguments: Arguments,
    ) -> Result<Value, CallError> {
        let ask = Ask { caller: call.caller, via: Via::Mcp };
        let error = match self.dispatch(ask, tool, &arguments).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let namespace = arguments.text("namespace_name");
        Err(match self.objects.with_known(ask, namespace, error).await {
            Error::Cluster(source) => {
                tracing::error!(tool = tool.name, error = %source, "tool failed");
                CallError(
                    "internal error: the cluster's API server did not answer as expected".into(),
                )
            }
            other => CallError::new(other),
        })
    }
}

#[cfg(test)]
mod tests;
