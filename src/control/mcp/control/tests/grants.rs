//! What a person lets an agent do for a while, as the agent's own session sees it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use http::Method;
use jiff::Timestamp;

use super::{refusals::deployed, *};
use crate::authz::Clock;

const GRANTS: &str = "/api/v1/agents/one/grants";

/// A clock that runs only when the test says so.
#[derive(Clone, Default)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn clock(&self) -> Clock {
        self.0.store(Timestamp::now().as_second(), Ordering::Relaxed);
        let hands = self.clone();
        Clock::new(move || Timestamp::from_second(hands.0.load(Ordering::Relaxed)).expect("a time"))
    }

    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

/// A deployed component, its environment, and an agent's session.
async fn stage(hands: &Hands) -> (Platform, Client, String) {
    let platform = Platform::start_at(hands.clock()).await;
    deployed(&platform).await;
    let agent = connect(&platform, "one", "", stateless()).await;
    let admin = platform.token("admin").await;
    (platform, agent, admin)
}

fn wish(kind: &str) -> Value {
    json!({"kind": kind, "namespace": "team", "environment": "production", "seconds": 3600})
}

/// Calls until the answer is `allowed`, and returns it.
async fn settled(client: &Client, arguments: &Value, allowed: bool) -> Result<(), String> {
    for _ in 0..400 {
        let answer = update(client, arguments).await;
        if answer.is_ok() == allowed {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the answer to {arguments} did not become {allowed} within four seconds");
}

/// Whether the agent's update works, or what it is told.
async fn update(client: &Client, arguments: &Value) -> Result<(), String> {
    told(client, "update_release_binding", arguments.clone()).await
}

fn change(what: Value) -> Value {
    let mut arguments = json!({"namespace_name": "team", "binding_name": "web-production"});
    for (name, value) in what.as_object().expect("arguments") {
        arguments[name] = value.clone();
    }
    arguments
}

#[tokio::test]
async fn a_grant_lets_a_running_agent_write_until_it_is_revoked() {
    let (platform, agent, admin) = stage(&Hands::default()).await;
    let fix =
        change(json!({"workload_overrides": {"container": {"env": [{"key": "A", "value": "1"}]}}}));
    let refused = update(&agent, &fix).await.expect_err("refused");
    let told = "denied: releasebinding:update in production. A person can allow it: curtain agent grant one \
                config-fix --namespace team --project shop --component web --env production --for 1h --name ci";
    assert!(refused.contains(told), "{refused}");

    let (status, granted) =
        platform.send(&admin, Method::POST, GRANTS, Some(wish("config-fix"))).await;
    assert_eq!(status, 201, "{granted}");
    assert_eq!(
        (&granted["grantedBy"], &granted["roles"]),
        (&json!("admin"), &json!(["config-fix"]))
    );
    settled(&agent, &fix, true).await.expect("allowed");
    // Not in another environment, and not another kind of change.
    let deploy = json!({"namespace_name": "team", "project_name": "shop", "component_name": "web",
        "environment": "development", "release_name": "web-1"});
    let refused = bad(&agent, "create_release_binding", deploy).await;
    assert!(refused.contains("agent grant one deploy"), "{refused}");
    let (_, listed) = platform.send(&admin, Method::GET, "/api/v1/agents", None).await;
    let grant = &listed["items"][0]["grants"][0];
    assert_eq!(grant["where"], "environment production", "{listed}");
    assert!(grant["remainingSeconds"].as_i64().is_some_and(|left| left > 3_500), "{listed}");

    let (status, gone) = platform.send(&admin, Method::DELETE, GRANTS, None).await;
    assert_eq!((status, gone["revoked"].as_array().map(Vec::len)), (200, Some(1)), "{gone}");
    let again =
        change(json!({"workload_overrides": {"container": {"env": [{"key": "A", "value": "2"}]}}}));
    let refused = settled(&agent, &again, false).await.expect_err("refused");
    assert!(refused.contains("denied: releasebinding:update in production"), "{refused}");
}

#[tokio::test]
async fn a_grant_that_ends_stops_a_running_agent_at_once_and_is_removed() {
    let hands = Hands::default();
    let (platform, agent, admin) = stage(&hands).await;
    let (status, granted) = platform.send(&admin, Method::POST, GRANTS, Some(wish("scale"))).await;
    assert_eq!(status, 201, "{granted}");
    let scale = |replicas: u8| {
        change(json!({"component_type_environment_configs": {"replicas": replicas}}))
    };
    settled(&agent, &scale(2), true).await.expect("allowed");
    hands.advance(3_599);
    update(&agent, &scale(3)).await.expect("allowed to the last second");
    hands.advance(1);
    let refused = update(&agent, &scale(4)).await.expect_err("over");
    assert!(refused.contains("agent grant one scale"), "the least is suggested: {refused}");

    // Any change of policies wakes the one who tidies up. What somebody made with kubectl counts alike.
    let binding = |name: &str, expires: &str| {
        json!({
            "apiVersion": "openchoreo.dev/v1alpha1", "kind": "AuthzRoleBinding",
            "metadata": {"name": name, "namespace": "team", "annotations": {"curtain.dev/expires-at": expires}},
            "spec": {"entitlement": {"claim": "sub", "value": "one"},
                "roleMappings": [{"roleRef": {"kind": "ClusterAuthzRole", "name": "config-fix"}}]},
        })
    };
    platform.apply(binding("over", "2020-01-01T00:00:00Z")).await;
    platform.apply(binding("unreadable", "next week")).await;
    let name = granted["binding"].as_str().expect("a name");
    for name in [name, "over"] {
        for _ in 0..400 {
            if platform.find("AuthzRoleBinding", "team", name).await.is_none() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(platform.find("AuthzRoleBinding", "team", name).await.is_none(), "{name}");
    }
    assert!(platform.find("AuthzRoleBinding", "team", "unreadable").await.is_some());
    update(&agent, &scale(4)).await.expect_err("neither of them allows anything");
}

#[tokio::test]
async fn who_may_scale_or_restart_may_do_nothing_else_with_the_same_tool() {
    let (platform, agent, admin) = stage(&Hands::default()).await;
    for kind in ["scale", "restart"] {
        let (status, granted) = platform.send(&admin, Method::POST, GRANTS, Some(wish(kind))).await;
        assert_eq!(status, 201, "{granted}");
    }
    let scale = change(json!({"component_type_environment_configs": {"replicas": 2}}));
    settled(&agent, &scale, true).await.expect("allowed");
    settled(&agent, &change(json!({"restart": true})), true).await.expect("allowed");
    for (other, kind) in [
        (json!({"component_type_environment_configs": {"replicas": 2, "cpu": "1"}}), "config-fix"),
        (json!({"release_state": "Undeploy"}), "config-fix"),
        (json!({"restart": true, "release_state": "Undeploy"}), "config-fix"),
    ] {
        let refused = update(&agent, &change(other.clone())).await.expect_err("refused");
        assert!(refused.contains(&format!("agent grant one {kind}")), "{other}: {refused}");
    }
    // A deny of the whole is one of its parts.
    platform
        .apply(json!({
            "apiVersion": "openchoreo.dev/v1alpha1", "kind": "AuthzRoleBinding",
            "metadata": {"name": "freeze", "namespace": "team"},
            "spec": {"effect": "deny", "entitlement": {"claim": "sub", "value": "one"},
                "roleMappings": [{"roleRef": {"kind": "ClusterAuthzRole", "name": "config-fix"}}]},
        }))
        .await;
    let more = change(json!({"component_type_environment_configs": {"replicas": 3}}));
    let refused = settled(&agent, &more, false).await.expect_err("refused");
    assert!(refused.contains("freeze forbids"), "{refused}");
}

#[tokio::test]
async fn only_who_administers_access_grants_and_only_what_makes_sense() {
    let (platform, _agent, admin) = stage(&Hands::default()).await;
    let [developer, one] = [platform.token("developer").await, platform.token("one").await];
    for token in [&developer, &one] {
        let (status, body) = platform.send(token, Method::POST, GRANTS, Some(wish("scale"))).await;
        assert_eq!((status, &body["code"]), (403, &json!("FORBIDDEN")), "{body}");
    }
    let with = |member: &str, value: Value| {
        let mut wish = wish("scale");
        wish[member] = value;
        wish
    };
    for (plural, object) in [
        ("projects", json!({"metadata": {"name": "office"}})),
        (
            "components",
            json!({"metadata": {"name": "desk"}, "spec": {
                "owner": {"projectName": "office"},
                "componentType": {"kind": "ClusterComponentType", "name": "deployment/service"},
            }}),
        ),
    ] {
        let path = format!("/api/v1/namespaces/team/{plural}");
        let (status, body) = platform.send(&developer, Method::POST, &path, Some(object)).await;
        assert_eq!(status, 201, "{body}");
    }
    let mut nowhere = with("component", json!("nowhere"));
    nowhere["project"] = json!("shop");
    for (wish, status, said) in [
        // Those of another project would not do.
        (nowhere, 404, "Component not found: nowhere; there are: web"),
        (
            with("kind", json!("everything")),
            400,
            "restart, scale, rollback, config-fix, deploy, deploy-image",
        ),
        (with("kind", json!("deploy-image")), 400, "cannot be kept to one environment"),
        (with("seconds", json!(0)), 400, "between a second and a year"),
        (
            with("environment", json!("prod")),
            404,
            "Environment not found: prod; there are: development, production",
        ),
        (with("project", json!("x' || true")), 400, "is not a name"),
        (with("component", json!("web")), 400, "named with its project"),
        (with("more", json!(1)), 400, "unknown field"),
    ] {
        let (answered, body) =
            platform.send(&admin, Method::POST, GRANTS, Some(wish.clone())).await;
        assert_eq!(answered, status, "{wish}: {body}");
        assert!(body["error"].as_str().expect("text").contains(said), "{wish}: {body}");
    }
    let nobody = "/api/v1/agents/nobody/grants";
    let (status, _) = platform.send(&admin, Method::POST, nobody, Some(wish("scale"))).await;
    assert_eq!(status, 404);
    // Each sees what it may: the agent itself, the developer nobody.
    let (_, own) = platform.send(&one, Method::GET, "/api/v1/agents", None).await;
    assert_eq!(own["items"][0]["name"], "one", "{own}");
    let (_, none) = platform.send(&developer, Method::GET, "/api/v1/agents", None).await;
    assert_eq!(none["items"], json!([]), "{none}");

    // Who grants is what the API knows, not what a request says.
    let binding = json!({
        "metadata": {"name": "forged", "annotations": {"curtain.dev/granted-by": "somebody"}},
        "spec": {"entitlement": {"claim": "sub", "value": "one"},
            "roleMappings": [{"roleRef": {"kind": "ClusterAuthzRole", "name": "scale"}}]},
    });
    let bindings = "/api/v1/namespaces/team/authzrolebindings";
    let (status, made) = platform.send(&admin, Method::POST, bindings, Some(binding.clone())).await;
    let granted_by =
        |object: &Value| object["metadata"]["annotations"]["curtain.dev/granted-by"].clone();
    assert_eq!((status, granted_by(&made)), (201, json!("admin")), "{made}");
    let forged = format!("{bindings}/forged");
    let (status, put) = platform.send(&admin, Method::PUT, &forged, Some(binding)).await;
    assert_eq!((status, granted_by(&put)), (200, json!("admin")), "{put}");
}

#[tokio::test]
async fn the_calls_of_an_agent_are_there_for_who_looks_into_them() {
    let (platform, agent, _) = stage(&Hands::default()).await;
    good(&agent, "list_projects", json!({"namespace_name": "team"})).await;
    good(&agent, "get_component", json!({"namespace_name": "team", "component_name": "web"})).await;
    let fix = change(json!({"release_state": "Undeploy"}));
    update(&agent, &fix).await.expect_err("refused");
    let admin = connect(&platform, "admin", "", stateless()).await;
    let answer = good(&admin, "query_audit", json!({"actor": "one", "since": "1h"})).await;
    let lines: Vec<&str> = answer["records"]
        .as_array()
        .expect("records")
        .iter()
        .filter_map(|line| line.as_str()?.split_once(' ').map(|(_, rest)| rest))
        .collect();
    assert_eq!(
        lines,
        [
            "one denied releasebinding:update ReleaseBinding/web-production team/production (agent one has no permission for it)",
            "one allowed component:view Component/web",
            "one allowed project:view",
        ]
    );
    let denied = good(&admin, "query_audit", json!({"result": "denied", "limit": 1})).await;
    assert_eq!(denied["records"].as_array().map(Vec::len), Some(1), "{denied}");
    assert!(!names(&agent).await.contains(&"query_audit".to_owned()), "only for whom it may serve");
}
