//! Conditions of a binding: CEL over what a request is about.

use std::sync::LazyLock;

use curtain_cel::{Env, Program, Vars};
use serde::{Deserialize, Serialize};

use super::{Effect, Pattern, Policy};

static ENV: LazyLock<Env> = LazyLock::new(Env::kubernetes);

/// The name of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// `<namespace>/<environment>`.
    Environment,
    /// `<namespace>/<name>`, or `<name>` of a cluster component type.
    ComponentType,
    /// `<namespace>/<name>`, or `<name>` of a cluster resource type.
    ResourceType,
    /// `<namespace>/<name>`, or `<name>` of a cluster workflow.
    Workflow,
}

impl Attribute {
    /// As an expression names it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Environment => "resource.environment",
            Self::ComponentType => "resource.componentType",
            Self::ResourceType => "resource.resourceType",
            Self::Workflow => "resource.workflow",
        }
    }

    /// What its values look like.
    pub fn description(self) -> &'static str {
        match self {
            Self::Environment => "Environment of the request, as namespace/name",
            Self::ComponentType => "Component type, as namespace/name or name when cluster-scoped",
            Self::ResourceType => "Resource type, as namespace/name or name when cluster-scoped",
            Self::Workflow => "Workflow, as namespace/name or name when cluster-scoped",
        }
    }
}

/// What conditions can look at, as `resource`. An attribute that a request does not have is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Attributes {
    /// See [`Attribute::Environment`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// See [`Attribute::ComponentType`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component_type: Option<String>,
    /// See [`Attribute::ResourceType`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// See [`Attribute::Workflow`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
}

impl Attributes {
    /// Only the environment `<namespace>/<name>`; nothing for an empty name.
    pub fn environment(namespace: &str, name: &str) -> Self {
        let environment = (!name.is_empty()).then(|| format!("{namespace}/{name}"));
        Self { environment, ..Self::default() }
    }
}

/// An expression and the actions it is about, compiled when the binding was read.
#[derive(Debug)]
pub struct Condition {
    actions: Vec<Pattern>,
    expression: String,
    program: Result<Program, String>,
}

impl Condition {
    /// Compiles `expression`. One that does not compile stays, and never helps the caller.
    pub fn new(actions: &[String], expression: &str) -> Self {
        let program = Program::compile(&ENV, expression).map_err(|error| error.to_string());
        if let Err(error) = &program {
            tracing::warn!(expression, error, "a binding's condition does not compile");
        }
        Self {
            actions: actions.iter().map(|action| Pattern::parse(action)).collect(),
            expression: expression.to_owned(),
            program,
        }
    }

    fn covers(&self, action: &str) -> bool {
        self.actions.iter().any(|pattern| pattern.covers(action))
    }

    /// Whether it holds; `None` when that cannot be said.
    fn holds(&self, resource: &serde_json::Value) -> Option<bool> {
        let program = self.program.as_ref().ok()?;
        program.eval_bool(&Vars::new().with("resource", resource)).ok()
    }
}

impl Policy {
    /// Whether the conditions that speak of `action` let the policy apply: none of them does, or one holds.
    ///
    /// One that cannot be evaluated decides against the caller, even beside one that holds.
    pub(super) fn applies(&self, action: &str, attributes: &Attributes) -> bool {
        let mut covering = self.conditions.iter().filter(|one| one.covers(action)).peekable();
        if covering.peek().is_none() {
            return true;
        }
        let resource = serde_json::to_value(attributes).unwrap_or_default();
        let mut any = false;
        for condition in covering {
            match condition.holds(&resource) {
                Some(holds) => any |= holds,
                None => return self.effect == Effect::Deny,
            }
        }
        any
    }

    /// The conditions that speak of `action`.
    pub(super) fn expressions_for(&self, action: &str) -> Vec<String> {
        let covering = self.conditions.iter().filter(|one| one.covers(action));
        covering.map(|condition| condition.expression.clone()).collect()
    }
}
