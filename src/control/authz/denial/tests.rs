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
    denied_to(SubjectKind::User, Question { action, at: &at, attributes }, &decision)
}

fn denied_to(kind: SubjectKind, question: Question<'_>, decision: &Decision) -> Denial {
    let caller = Caller {
        subject: "claude-1".into(),
        kind,
        groups: vec!["agents".into()],
        display_name: "Claude".into(),
        expires: 0,
    };
    Denial::new(&caller, question, decision, &Instance::default())
}

/// What an agent is told that may not do `action`, in `environment` if that is not empty.
fn told(action: &str, at: &Hierarchy, environment: &str) -> String {
    let attributes = Attributes::environment(&at.namespace, environment);
    let missing = Decision::Missing { unmet: None };
    let question = Question { action, at, attributes: &attributes };
    denied_to(SubjectKind::Agent, question, &missing).to_string()
}

#[test]
fn an_agent_is_told_the_command_that_lets_it() {
    let web = Hierarchy::namespace("default").project("shop").component("web");
    insta::assert_snapshot!(told("releasebinding:create", &web, "staging"), @"denied: releasebinding:create in staging. A person can allow it: curtain agent grant claude-1 deploy --project shop --component web --env staging --for 1h");
    insta::assert_snapshot!(told("component:create", &web, ""), @"denied: component:create on component shop/web in namespace default. A person can allow it: curtain agent grant claude-1 deploy-image --project shop --for 1h");
    insta::assert_snapshot!(told("workload:update", &web, ""), @"denied: workload:update on component shop/web in namespace default. A person can allow it: curtain agent grant claude-1 deploy-image --project shop --component web --for 1h");
    let question = Question {
        action: "releasebinding:update",
        at: &web,
        attributes: &Attributes::environment("default", "development"),
    };
    let unmet = Decision::Missing { unmet: Some("AuthzRoleBinding default/other".into()) };
    let mut denial = denied_to(SubjectKind::Agent, question, &unmet);
    denial.instance = Instance::new("ci");
    let denial = denial.of_part(crate::authz::SCALE);
    insta::assert_snapshot!(denial, @"denied: releasebinding:update in development. A person can allow it: curtain agent grant claude-1 scale --project shop --component web --env development --for 1h --name ci");
}

#[test]
fn what_no_kind_covers_and_what_a_shell_would_read_differently_is_told_in_full() {
    let web = Hierarchy::namespace("default").project("shop").component("web");
    for (action, at, environment) in [
        ("component:update", web.clone(), ""),
        ("releasebinding:update", web.clone().project("x; touch /tmp/owned"), "development"),
        ("releasebinding:update", web.clone(), "$(id)"),
        ("releasebinding:update", web.clone(), "--for"),
    ] {
        let said = told(action, &at, environment);
        assert!(said.starts_with("denied: ") && said.contains("| kubectl"), "{said}");
        assert!(!said.contains("agent grant"), "{said}");
    }
}

#[test]
fn says_what_is_missing_and_how_to_grant_exactly_that() {
    let at = Hierarchy::namespace("default").project("shop").component("web");
    let denial = denied("component:create", at, Decision::Missing { unmet: None });
    insta::assert_snapshot!(denial, @r#"denied: component:create on component shop/web in namespace default: user claude-1 has no permission for it. A person who may administer access can allow it: echo '{"apiVersion":"openchoreo.dev/v1alpha1","kind":"AuthzRole","metadata":{"name":"claude-1-component-create","namespace":"default"},"spec":{"actions":["component:create"]}} {"apiVersion":"openchoreo.dev/v1alpha1","kind":"AuthzRoleBinding","metadata":{"name":"claude-1-component-create.project-shop","namespace":"default"},"spec":{"entitlement":{"claim":"sub","value":"claude-1"},"roleMappings":[{"roleRef":{"kind":"AuthzRole","name":"claude-1-component-create"},"scope":{"project":"shop"}}]}}' | kubectl --kubeconfig "$(curtain kubeconfig)" apply -f -"#);
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
        let actions: Vec<String> = serde_json::from_value(one["actions"].clone()).expect("list");
        Condition::new(&actions, one["expression"].as_str().expect("expression"))
    });
    let policy = Policy {
        binding: "".into(),
        effect: Effect::Allow,
        ends: crate::authz::Ends::Never,
        granted_by: None,
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
    let shop = Hierarchy::namespace("default").project("shop");
    let denial = denied("component:create", shop, unmet);
    let remedy = "A person who may administer access can widen the condition of AuthzRoleBinding default/only-web.";
    assert_eq!(denial.remedy(), remedy);
}

#[test]
fn of_what_is_not_known_to_be_somewhere_no_grant_is_suggested() {
    let namespace = Hierarchy::namespace("default");
    let shop = namespace.clone().project("shop");
    for (action, at, environment) in [
        ("releasebinding:update", namespace.clone(), ""),
        ("releasebinding:update", namespace.clone(), "development"),
        ("releasebinding:update", namespace.clone().component("web"), "development"),
        ("releasebinding:delete", shop.clone(), "development"),
        ("releasebinding:update", shop.clone().component("web"), ""),
        ("workload:update", shop, ""),
        ("component:create", namespace.clone(), ""),
    ] {
        let attributes = Attributes::environment("default", environment);
        let question = Question { action, at: &at, attributes: &attributes };
        for kind in [SubjectKind::Agent, SubjectKind::User] {
            for unmet in [None, Some("AuthzRoleBinding default/other".to_owned())] {
                let denial = denied_to(kind, question, &Decision::Missing { unmet });
                let said = denial.of_part(crate::authz::RESTART).to_string();
                assert!(said.contains("No grant is suggested"), "{action} on {at:?}: {said}");
                assert!(!said.contains("kubectl") && !said.contains("agent grant"), "{said}");
            }
        }
    }
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
    insta::assert_snapshot!(denial, @r#"denied: releasebinding:update on namespace default: AuthzRoleBinding default/freeze forbids it to user claude-1. A person who may administer access can change AuthzRoleBinding default/freeze."#);
}
