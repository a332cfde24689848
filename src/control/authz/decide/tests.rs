use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::authz::{
    Binding, Condition, Ends, Pattern, Role,
    policy::{Mapping, RoleKey},
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn roles() -> BTreeMap<RoleKey, Role> {
    let role =
        |actions: &[&str]| Role { actions: actions.iter().map(|a| Pattern::parse(a)).collect() };
    BTreeMap::from([
        ((String::new(), "admin".into()), role(&["*"])),
        ((String::new(), "reader".into()), role(&["component:view", "releasebinding:view"])),
        ((String::new(), "deployer".into()), role(&["releasebinding:*"])),
    ])
}

fn binding(value: &str, role: &str, scope: Hierarchy, effect: Effect) -> Binding {
    conditional(value, role, scope, effect, &[])
}

fn conditional(
    value: &str,
    role: &str,
    scope: Hierarchy,
    effect: Effect,
    conditions: &[(&str, &str)],
) -> Binding {
    let conditions: Arc<[Condition]> = conditions
        .iter()
        .map(|(action, expression)| Condition::new(&[(*action).to_owned()], expression))
        .collect();
    Binding {
        namespace: String::new(),
        name: format!("{value}-{role}"),
        claim: "groups".into(),
        value: value.into(),
        effect,
        ends: Ends::Never,
        granted_by: None,
        mappings: vec![Mapping { role: (String::new(), role.into()), scope, conditions }],
    }
}

fn ask(bindings: &[Binding], groups: &[&str], action: &str, at: &Hierarchy) -> Decision {
    ask_about(bindings, groups, action, at, &Attributes::default())
}

fn ask_about(
    bindings: &[Binding],
    groups: &[&str],
    action: &str,
    at: &Hierarchy,
    attributes: &Attributes,
) -> Decision {
    Index::build(&roles(), bindings).decide(
        groups.iter().map(|group| ("groups", *group)),
        Question { action, at, attributes },
        NOW,
    )
}

fn component() -> Hierarchy {
    Hierarchy::namespace("default").project("shop").component("web")
}

#[test]
fn nothing_is_allowed_without_a_binding() {
    let bindings = [binding("admins", "admin", Hierarchy::cluster(), Effect::Allow)];
    let missing = Decision::Missing { unmet: None };
    assert_eq!(ask(&bindings, &["developers"], "component:view", &component()), missing);
    assert_eq!(ask(&bindings, &[], "component:view", &component()), missing);
    let dangling = [binding("admins", "gone", Hierarchy::cluster(), Effect::Allow)];
    assert_eq!(ask(&dangling, &["admins"], "component:view", &component()), missing);
}

#[test]
fn a_binding_reaches_its_scope_and_what_lies_in_it() {
    let scope = Hierarchy::namespace("default").project("shop");
    let bindings = [binding("team", "reader", scope.clone(), Effect::Allow)];
    let allowed = |at: &Hierarchy| ask(&bindings, &["team"], "component:view", at).is_allowed();
    assert!(allowed(&component()) && allowed(&scope));
    assert!(!allowed(&Hierarchy::namespace("default")));
    assert!(!allowed(&Hierarchy::namespace("default").project("shopping")));
    assert!(!allowed(&Hierarchy::namespace("other").project("shop")));
    assert!(!allowed(&Hierarchy::cluster()), "a cluster action needs an unscoped binding");
    assert!(!ask(&bindings, &["team"], "component:create", &component()).is_allowed());
}

#[test]
fn the_answer_names_the_binding() {
    let bindings = [binding("admins", "admin", Hierarchy::cluster(), Effect::Allow)];
    assert_eq!(
        ask(&bindings, &["x", "admins"], "namespace:create", &Hierarchy::cluster()),
        Decision::Allowed {
            binding: "ClusterAuthzRoleBinding admins-admin".into(),
            entitlement: "groups:admins".into(),
            granted_by: None,
        }
    );
}

#[test]
fn a_deny_of_any_group_wins_over_every_allow() {
    let bindings = [
        binding("admins", "admin", Hierarchy::cluster(), Effect::Allow),
        binding("frozen", "deployer", Hierarchy::namespace("default"), Effect::Deny),
    ];
    let groups = ["admins", "frozen"];
    assert_eq!(
        ask(&bindings, &groups, "releasebinding:update", &component()),
        Decision::Forbidden { binding: "ClusterAuthzRoleBinding frozen-deployer".into() }
    );
    let elsewhere = Hierarchy::namespace("other");
    assert!(ask(&bindings, &groups, "releasebinding:update", &elsewhere).is_allowed());
    assert!(ask(&bindings, &groups, "component:view", &component()).is_allowed());
}

#[test]
fn a_condition_limits_only_the_actions_it_names() {
    let only_dev = [("releasebinding:update", "resource.environment == 'default/development'")];
    let everywhere = Hierarchy::cluster();
    let bindings = [conditional("team", "deployer", everywhere, Effect::Allow, &only_dev)];
    let ask = |action, environment: &str| {
        let attributes = Attributes::environment("default", environment);
        ask_about(&bindings, &["team"], action, &component(), &attributes)
    };
    assert!(ask("releasebinding:update", "development").is_allowed());
    assert_eq!(
        ask("releasebinding:update", "production"),
        Decision::Missing { unmet: Some("ClusterAuthzRoleBinding team-deployer".into()) }
    );
    assert!(ask("releasebinding:view", "production").is_allowed());
}

#[test]
fn a_condition_that_cannot_be_evaluated_never_helps() {
    let attributes = Attributes::default();
    for broken in ["resource.environment == 'x'", "this is not CEL", "'a string'"] {
        let conditions = [("releasebinding:*", broken), ("releasebinding:*", "true")];
        let everywhere = Hierarchy::cluster();
        let allow = [conditional("t", "deployer", everywhere.clone(), Effect::Allow, &conditions)];
        let answer = ask_about(&allow, &["t"], "releasebinding:view", &component(), &attributes);
        assert!(!answer.is_allowed(), "{broken}");
        let deny = [
            binding("t", "admin", everywhere.clone(), Effect::Allow),
            conditional("t", "deployer", everywhere, Effect::Deny, &conditions),
        ];
        let answer = ask_about(&deny, &["t"], "releasebinding:view", &component(), &attributes);
        assert!(matches!(answer, Decision::Forbidden { .. }), "{broken}");
    }
}

#[test]
fn a_profile_has_what_lies_above_and_below_the_place() {
    let project = Hierarchy::namespace("default").project("shop");
    let bindings = [
        binding("team", "reader", project.clone(), Effect::Allow),
        binding("team", "deployer", Hierarchy::namespace("other"), Effect::Deny),
    ];
    let index = Index::build(&roles(), &bindings);
    let profile = |place: &Hierarchy| index.profile([("groups", "team")], place, NOW);
    let all = profile(&Hierarchy::cluster());
    assert_eq!(all["component:view"].allowed[0].path, "ns/default/project/shop");
    assert_eq!(all["releasebinding:create"].denied[0].path, "ns/other");
    assert!(!all.contains_key("component:create"));
    assert!(profile(&component()).contains_key("component:view"));
    assert!(profile(&Hierarchy::namespace("other")).contains_key("releasebinding:view"));
    assert!(!profile(&Hierarchy::namespace("other")).contains_key("component:view"));
    assert!(index.can_anywhere(
        [("groups", "team")],
        "component:view",
        &Hierarchy::namespace("default"),
        NOW,
    ));
    assert!(!index.can_anywhere(
        [("groups", "team")],
        "releasebinding:create",
        &Hierarchy::cluster(),
        NOW,
    ));
}

#[test]
fn a_binding_counts_until_its_end_and_not_a_moment_longer() {
    let end = Timestamp::from_second(60).expect("time");
    let everywhere = Hierarchy::cluster();
    let mut granted = binding("team", "deployer", everywhere.clone(), Effect::Allow);
    granted.ends = Ends::At(end);
    let index = Index::build(&roles(), [&granted]);
    let at = component();
    let attributes = Attributes::default();
    let question = Question { action: "releasebinding:update", at: &at, attributes: &attributes };
    let team = [("groups", "team")];
    let just_before = end - jiff::SignedDuration::from_nanos(1);
    assert!(index.decide(team, question, just_before).is_allowed());
    assert!(index.can_anywhere(team, question.action, &everywhere, just_before));
    assert_eq!(index.decide(team, question, end), Decision::Missing { unmet: None });
    assert!(!index.can_anywhere(team, question.action, &everywhere, end));
    assert!(index.profile(team, &everywhere, end).is_empty());
    let ending: Vec<_> = index.ending().collect();
    assert_eq!(ending, [(end, "", "team-deployer")]);

    granted.ends = Ends::Unreadable;
    let index = Index::build(&roles(), [&granted]);
    assert!(!index.decide(team, question, NOW).is_allowed());
    assert_eq!(index.ending().count(), 0, "nothing removes what only a person understands");
}
