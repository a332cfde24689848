//! A refusal that helps: what is missing, and how a person can grant it.

use curtain_role::Instance;
use serde_json::Value;

use super::{Decision, Hierarchy, Question, grant::Grant};
use crate::identity::Caller;

/// Why a caller may not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// `agent claude-1`.
    caller: String,
    /// The `sub` that a grant would name.
    subject: String,
    /// The missing action.
    pub action: String,
    /// Where it is missing.
    pub at: Hierarchy,
    /// The binding that forbids it, if one does.
    forbidden_by: Option<String>,
    /// The binding whose condition did not hold, if that was the reason.
    unmet: Option<String>,
    /// `<namespace>/<environment>`, when it is about one.
    environment: Option<String>,
    instance: Instance,
}

impl Denial {
    /// Why `decision`, which is no yes, answers `question` for `caller` in `instance`.
    pub fn new(
        caller: &Caller,
        question: Question<'_>,
        decision: &Decision,
        instance: &Instance,
    ) -> Self {
        let (forbidden_by, unmet) = match decision {
            Decision::Forbidden { binding } => (Some(binding.clone()), None),
            Decision::Missing { unmet } => (None, unmet.clone()),
            Decision::Allowed { .. } => (None, None),
        };
        Self {
            caller: caller.to_string(),
            subject: caller.subject.clone(),
            action: question.action.to_owned(),
            at: question.at.clone(),
            forbidden_by,
            unmet,
            environment: question.attributes.environment.clone(),
            instance: instance.clone(),
        }
    }

    /// Whether a binding forbids it outright.
    pub fn is_explicit(&self) -> bool {
        self.forbidden_by.is_some()
    }

    /// What is missing, in one sentence.
    pub fn reason(&self) -> String {
        let Self { caller, action, at, .. } = self;
        let place = match &self.environment {
            Some(environment) => format!("{at}, environment {environment}"),
            None => at.to_string(),
        };
        if let Some(binding) = &self.forbidden_by {
            format!("{binding} forbids \"{action}\" on {place} to {caller}")
        } else if let Some(binding) = &self.unmet {
            format!(
                "{caller} has \"{action}\" only under a condition of {binding}, which {place} does not meet"
            )
        } else {
            format!("missing permission \"{action}\" on {place} for {caller}")
        }
    }

    /// What a person can do about it: a command that grants exactly the missing action, exactly there.
    pub fn remedy(&self) -> String {
        let who = "A person who may administer access can";
        match (&self.forbidden_by, &self.unmet) {
            (Some(binding), _) => format!("{who} change {binding}."),
            // A condition of the grant's own keeps it to the environment; of what else a condition may look at, it
            // has none, and would be wider than what was refused.
            (None, Some(binding)) if self.environment.is_some() => {
                let command = self.command();
                format!("{who} widen the condition of {binding}, or allow it: {command}")
            }
            (None, Some(binding)) => format!("{who} widen the condition of {binding}."),
            (None, None) => format!("{who} allow it: {}", self.command()),
        }
    }

    fn command(&self) -> String {
        // One document after the other: kubectl validates a list only by OpenAPI v2.
        // Names come from the request: none may end the shell's quotes.
        let grant = self.grant().map(|document| document.to_string()).join(" ");
        let grant = grant.replace('\'', "\\u0027");
        let kubeconfig = self.instance.command("kubeconfig");
        format!("echo '{grant}' | kubectl --kubeconfig \"$({kubeconfig})\" apply -f -")
    }

    /// A role with the one action and a binding of it to the caller, in the one environment if it is about one.
    fn grant(&self) -> [Value; 2] {
        let Self { subject, action, at, .. } = self;
        Grant { subject, action, at, environment: self.environment.as_deref() }.documents()
    }
}

/// Reason and remedy.
impl std::fmt::Display for Denial {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}. {}", self.reason(), self.remedy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        authz::{Attributes, Condition, Effect, Pattern, Policy},
        identity::SubjectKind,
    };

    fn denied(action: &str, at: Hierarchy, decision: Decision) -> Denial {
        denied_about(action, at, &Attributes::default(), decision)
    }

    fn denied_about(
        action: &str,
        at: Hierarchy,
        attributes: &Attributes,
        decision: Decision,
    ) -> Denial {
        let caller = Caller {
            subject: "claude-1".into(),
            kind: SubjectKind::Agent,
            groups: vec!["agents".into()],
            display_name: "Claude".into(),
            expires: 0,
        };
        let question = Question { action, at: &at, attributes };
        Denial::new(&caller, question, &decision, &Instance::default())
    }

    #[test]
    fn says_what_is_missing_and_how_to_grant_exactly_that() {
        let at = Hierarchy::namespace("default").project("shop").component("web");
        let denial = denied("component:create", at, Decision::Missing { unmet: None });
        insta::assert_snapshot!(denial, @r#"missing permission "component:create" on component shop/web in namespace default for agent claude-1. A person who may administer access can allow it: echo '{"apiVersion":"openchoreo.dev/v1alpha1","kind":"AuthzRole","metadata":{"name":"claude-1-component-create","namespace":"default"},"spec":{"actions":["component:create"]}} {"apiVersion":"openchoreo.dev/v1alpha1","kind":"AuthzRoleBinding","metadata":{"name":"claude-1-component-create.project-shop","namespace":"default"},"spec":{"entitlement":{"claim":"sub","value":"claude-1"},"roleMappings":[{"roleRef":{"kind":"AuthzRole","name":"claude-1-component-create"},"scope":{"project":"shop"}}]}}' | kubectl --kubeconfig "$(curtain kubeconfig)" apply -f -"#);
    }

    #[test]
    fn a_grant_for_another_place_leaves_the_first_one_alone() {
        let binding = |project: &str| {
            let at = Hierarchy::namespace("default").project(project).component("web");
            let denial = denied("workload:create", at, Decision::Missing { unmet: None });
            denial.grant()[1]["metadata"]["name"].as_str().expect("name").to_owned()
        };
        assert_eq!(binding("shop"), "claude-1-workload-create.project-shop.component-web");
        assert_eq!(binding("bank"), "claude-1-workload-create.project-bank.component-web");
    }

    /// Whether what `grant` binds applies in `environment`.
    fn grants(grant: &Value, action: &str, environment: &str) -> bool {
        let mapping = &grant["spec"]["roleMappings"][0];
        let conditions = mapping["conditions"].as_array().cloned().unwrap_or_default();
        let conditions = conditions.iter().map(|one| {
            let actions: Vec<String> =
                serde_json::from_value(one["actions"].clone()).expect("list");
            Condition::new(&actions, one["expression"].as_str().expect("expression"))
        });
        let policy = Policy {
            binding: "".into(),
            effect: Effect::Allow,
            scope: Hierarchy::cluster(),
            actions: [Pattern::All].into(),
            conditions: conditions.collect(),
        };
        policy.applies(action, &Attributes::environment("default", environment))
    }

    #[test]
    fn a_refusal_in_one_environment_suggests_a_grant_for_that_one() {
        let at = Hierarchy::namespace("default").project("shop").component("web");
        let action = "releasebinding:update";
        let refused = |environment: &str, unmet: Option<String>| {
            let attributes = Attributes::environment("default", environment);
            denied_about(action, at.clone(), &attributes, Decision::Missing { unmet })
        };
        let [role, first] = refused("development", None).grant();
        assert!(grants(&first, action, "development"), "{first}");
        assert!(!grants(&first, action, "production") && !grants(&first, action, ""), "{first}");

        // The first grant is now a binding whose condition does not hold: the second one stands beside it.
        let denial = refused("production", Some("AuthzRoleBinding default/first".to_owned()));
        let remedy = denial.remedy();
        let start = "A person who may administer access can widen the condition of AuthzRoleBinding default/first, \
                     or allow it: echo '";
        assert!(remedy.starts_with(start), "{remedy}");
        let printed = remedy.split('\'').nth(1).expect("a command");
        let printed: Vec<Value> = serde_json::Deserializer::from_str(printed)
            .into_iter()
            .collect::<Result<_, _>>()
            .expect("JSON");
        assert_eq!(printed[0], role);
        assert!(grants(&printed[1], action, "production"), "{remedy}");
        assert!(!grants(&printed[1], action, "development"), "{remedy}");
        let name = |binding: &Value| binding["metadata"]["name"].as_str().map(str::to_owned);
        let expected =
            "claude-1-releasebinding-update.project-shop.component-web.environment-development";
        assert_eq!(name(&first).as_deref(), Some(expected));
        assert_ne!(name(&first), name(&printed[1]));

        let hostile = r#"x" || true || "'\"#;
        let [_, grant] = refused(hostile, None).grant();
        assert!(grants(&grant, action, hostile) && !grants(&grant, action, "x"), "{grant}");
    }

    #[test]
    fn a_condition_on_something_else_is_widened_by_hand() {
        let unmet = Decision::Missing { unmet: Some("AuthzRoleBinding default/only-web".into()) };
        let denial = denied("component:create", Hierarchy::namespace("default"), unmet);
        let remedy = "A person who may administer access can widen the condition of AuthzRoleBinding default/only-web.";
        assert_eq!(denial.remedy(), remedy);
    }

    #[test]
    fn without_a_project_the_grant_is_for_the_namespace() {
        let at = Hierarchy::namespace("default").component("web");
        let grant = denied("workload:create", at, Decision::Missing { unmet: None }).grant();
        assert!(grant[1]["spec"]["roleMappings"][0].get("scope").is_none(), "{grant:?}");
    }

    #[test]
    fn a_name_from_the_request_cannot_leave_the_quotes() {
        let at = Hierarchy::namespace("x'; touch /tmp/owned; '");
        let remedy = denied("project:view", at, Decision::Missing { unmet: None }).remedy();
        assert_eq!(remedy.matches('\'').count(), 2, "{remedy}");
    }

    #[test]
    fn the_command_acts_on_the_instance_that_refused() {
        let at = Hierarchy::namespace("default");
        let mut denial = denied("project:create", at, Decision::Missing { unmet: None });
        denial.instance = Instance::new("ci");
        let remedy = denial.remedy();
        assert!(remedy.contains(r#"--kubeconfig "$(curtain kubeconfig --name ci)""#), "{remedy}");
    }

    #[test]
    fn a_cluster_action_needs_a_cluster_role() {
        let denial = denied(
            "clustercomponenttype:view",
            Hierarchy::cluster(),
            Decision::Missing { unmet: None },
        );
        let grant = denial.grant();
        assert_eq!(grant[0]["kind"], "ClusterAuthzRole");
        assert_eq!(grant[1]["spec"]["roleMappings"][0]["roleRef"]["kind"], "ClusterAuthzRole");
        assert!(grant[1]["metadata"].get("namespace").is_none());
    }

    #[test]
    fn a_binding_that_forbids_is_named() {
        let forbidden = Decision::Forbidden { binding: "AuthzRoleBinding default/freeze".into() };
        let denial = denied("releasebinding:update", Hierarchy::namespace("default"), forbidden);
        insta::assert_snapshot!(denial, @r#"AuthzRoleBinding default/freeze forbids "releasebinding:update" on namespace default to agent claude-1. A person who may administer access can change AuthzRoleBinding default/freeze."#);
    }
}
