//! Parameters of admission policies: where they are found, and who may name them.

use serde_json::{Value, json};

use super::custom;
use super::harness::Cluster;
use super::validating::{GROUP, bound, made, map};
use crate::apiserver::auth::User;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn policy(api_version: &str, kind: &str, expression: &str) -> Value {
    json!({"paramKind": {"apiVersion": api_version, "kind": kind},
        "matchConditions": [{"name": "no-params", "expression": "!object.metadata.name.startsWith('param-')"}],
        "validations": [{"expression": expression, "messageExpression": "'at most ' + params.data.max"}]})
}

async fn refusal(cluster: &Cluster, name: &str) -> String {
    let (code, answer) =
        cluster.post(&format!("{MAPS}?dryRun=All"), map(name, json!({"k": "v"}))).await;
    let message = answer["message"].as_str().unwrap_or_default();
    match code {
        201 => String::new(),
        _ => message.split_once("denied request: ").map_or(message, |(_, why)| why).to_owned(),
    }
}

#[tokio::test]
async fn parameters_are_named_or_picked_in_a_namespace() {
    let cluster = Cluster::start().await;
    cluster.post("/api/v1/namespaces", json!({"metadata": {"name": "settings"}})).await;
    let maps = "/api/v1/namespaces/settings/configmaps";
    for (name, max) in [("param-a", "3"), ("param-b", "5")] {
        let mut param = map(name, json!({"max": max}));
        param["metadata"]["labels"] = json!({"limits": "yes"});
        assert_eq!(cluster.post(maps, param).await.0, 201);
    }
    let named = |namespace: Option<&str>, action: &str| json!({"paramRef": {"name": "param-b", "namespace": namespace, "parameterNotFoundAction": action}});
    let short = "params == null || object.metadata.name.size() <= int(params.data.max)";
    bound(&cluster, "p", policy("v1", "ConfigMap", short), named(Some("settings"), "Deny")).await;
    assert_eq!(refusal(&cluster, "four").await, "");
    assert_eq!(refusal(&cluster, "longer").await, "at most 5");

    let path = format!("{GROUP}/validatingadmissionpolicybindings/p");
    let rebind = async |reference: Value| {
        let patch = json!({"spec": {"paramRef": reference}}).to_string();
        let (code, bound) =
            cluster.call("PATCH", &path, "application/merge-patch+json", &patch).await;
        assert_eq!(code, 200, "{bound}");
    };
    // Each of those that are picked counts.
    rebind(json!({"name": null, "selector": {"matchLabels": {"limits": "yes"}}})).await;
    assert_eq!(refusal(&cluster, "four").await, "at most 3");
    assert_eq!(refusal(&cluster, "one").await, "");
    // Without a namespace it is that of the write, where there are none.
    rebind(json!({"namespace": null})).await;
    let none = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction";
    assert_eq!(refusal(&cluster, "one").await, none);
    rebind(json!({"parameterNotFoundAction": "Allow"})).await;
    assert_eq!(refusal(&cluster, "longer").await, "");
    let mut own = map("param-c", json!({"max": "1"}));
    own["metadata"]["labels"] = json!({"limits": "yes"});
    assert_eq!(cluster.post(MAPS, own).await.0, 201);
    assert_eq!(refusal(&cluster, "one").await, "at most 1");
    // A binding without a reference has no parameters, and the expression says what that means.
    rebind(Value::Null).await;
    assert_eq!(refusal(&cluster, "longer").await, "");
}

#[tokio::test]
async fn parameters_are_of_any_kind_that_is_served() {
    let cluster = Cluster::start().await;
    let mut definition = custom::definition();
    definition["spec"]["scope"] = "Cluster".into();
    let expression = "object.metadata.name.size() <= params.spec.size";
    let mut spec = policy("example.dev/v1", "Widget", expression);
    spec["validations"][0].as_object_mut().unwrap().remove("messageExpression");
    let binding = json!({"paramRef": {"name": "w", "parameterNotFoundAction": "Deny"}});
    bound(&cluster, "p", spec, binding).await;
    let unknown = "failed to configure policy: failed to find resource referenced by paramKind: 'example.dev/v1, Kind=Widget'";
    assert_eq!(refusal(&cluster, "one").await, unknown);
    assert_eq!(cluster.post(DEFINITIONS, definition).await.0, 201);
    let none = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction";
    assert_eq!(refusal(&cluster, "one").await, none);
    let (code, made_of) =
        cluster.post("/apis/example.dev/v1/widgets", custom::widget("w", json!({"size": 3}))).await;
    assert_eq!(code, 201, "{made_of}");
    assert_eq!(refusal(&cluster, "one").await, "");
    assert_eq!(refusal(&cluster, "more").await, format!("failed expression: {expression}"));
    let place = json!({"policyName": "p", "validationActions": ["Deny"],
        "paramRef": {"name": "w", "namespace": "default", "parameterNotFoundAction": "Deny"}});
    made(&cluster, "validatingadmissionpolicybindings", "a", place).await;
    let wrong = "failed to configure binding: paramRef.namespace must not be provided for a cluster-scoped `paramKind`";
    assert_eq!(refusal(&cluster, "one").await, wrong);

    let all = json!({"matchConstraints": {"resourceRules": [{"operations": ["CREATE"], "apiGroups": [""],
        "apiVersions": ["v1"], "resources": ["namespaces"]}]}});
    let mut spec = policy("v1", "ConfigMap", "false");
    curtain_json::merge_patch(&mut spec, &all);
    bound(
        &cluster,
        "q",
        spec,
        json!({"paramRef": {"name": "x", "parameterNotFoundAction": "Allow"}}),
    )
    .await;
    let (_, status) = cluster.post("/api/v1/namespaces", json!({"metadata": {"name": "n"}})).await;
    let words =
        "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources";
    assert!(status["message"].as_str().unwrap().ends_with(words), "{status}");
}

#[tokio::test]
async fn who_names_parameters_must_be_able_to_read_them() {
    let cluster = Cluster::start().await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let rules = json!([{"verbs": ["*"], "apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"]}]);
    cluster
        .post(&format!("{rbac}/clusterroles"), json!({"metadata": {"name": "r"}, "rules": rules}))
        .await;
    let binding = json!({"metadata": {"name": "b"}, "subjects": [{"kind": "User", "name": "jane"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}});
    assert_eq!(cluster.post(&format!("{rbac}/clusterrolebindings"), binding).await.0, 201);
    let create = async |plural: &str, spec: Value| {
        let body = json!({"metadata": {"name": "p"}, "spec": spec}).to_string();
        let jane = User::new("jane", ["some"]);
        let path = format!("{GROUP}/{plural}");
        let (code, answer) = cluster.call_as(jane, "POST", &path, "application/json", &body).await;
        (code, answer["message"].as_str().unwrap_or_default().to_owned())
    };
    let mut spec = policy("v1", "Secret", "true");
    spec["matchConstraints"] = json!({"resourceRules": [{"operations": ["CREATE"], "apiGroups": [""],
        "apiVersions": ["v1"], "resources": ["configmaps"]}]});
    let words = "ValidatingAdmissionPolicy.admissionregistration.k8s.io \"p\" is invalid: spec.paramKind: Forbidden: user \"jane\" must have \"get\" permission on all objects of the referenced paramKind (kind=Secret, apiVersion=v1)";
    assert_eq!(create("validatingadmissionpolicies", spec.clone()).await, (422, words.to_owned()));
    made(&cluster, "validatingadmissionpolicies", "p", spec).await;
    let reference = json!({"name": "s", "namespace": "default", "parameterNotFoundAction": "Deny"});
    let binding = json!({"policyName": "p", "validationActions": ["Deny"], "paramRef": reference});
    let words = "ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io \"p\" is invalid: spec.paramRef: Forbidden: user \"jane\" does not have \"get\" permission on the object referenced by paramRef";
    assert_eq!(
        create("validatingadmissionpolicybindings", binding.clone()).await,
        (422, words.to_owned())
    );
    let role = json!({"metadata": {"name": "s"}, "rules": [{"verbs": ["get"], "apiGroups": [""],
        "resources": ["secrets"], "resourceNames": ["s"]}]});
    cluster.post(&format!("{rbac}/namespaces/default/roles"), role).await;
    let bind = json!({"metadata": {"name": "s"}, "subjects": [{"kind": "User", "name": "jane"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "s"}});
    assert_eq!(cluster.post(&format!("{rbac}/namespaces/default/rolebindings"), bind).await.0, 201);
    assert_eq!(create("validatingadmissionpolicybindings", binding).await.0, 201);
}
