//! Admission policies: what they see of a write, what they say of it, and to whom.

use http_body_util::Full;
use serde_json::{Value, json};

use super::harness::Cluster;
use crate::apiserver::auth::User;

pub(super) const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const MERGE: &str = "application/merge-patch+json";

pub(super) fn map(name: &str, data: Value) -> Value {
    json!({"metadata": {"name": name}, "data": data})
}

fn constraints(resource: &str) -> Value {
    json!({"resourceRules": [{"operations": ["CREATE", "UPDATE", "DELETE"], "apiGroups": [""],
        "apiVersions": ["v1"], "resources": [resource]}]})
}

pub(super) async fn made(cluster: &Cluster, plural: &str, name: &str, spec: Value) {
    let object = json!({"metadata": {"name": name}, "spec": spec});
    let (code, made) = cluster.post(&format!("{GROUP}/{plural}"), object).await;
    assert_eq!(code, 201, "{made}");
}

/// A policy about ConfigMaps, with a binding of its name.
pub(super) async fn bound(cluster: &Cluster, name: &str, change: Value, binding: Value) {
    let mut spec = json!({"matchConstraints": constraints("configmaps")});
    curtain_json::merge_patch(&mut spec, &change);
    made(cluster, "validatingadmissionpolicies", name, spec).await;
    let mut spec = json!({"policyName": name, "validationActions": ["Deny"]});
    curtain_json::merge_patch(&mut spec, &binding);
    made(cluster, "validatingadmissionpolicybindings", name, spec).await;
}

fn gone(cluster: &Cluster, name: &str) -> impl Future<Output = (u16, Value)> {
    let path = format!("{GROUP}/validatingadmissionpolicies/{name}");
    async move { cluster.call("DELETE", &path, "application/json", "").await }
}

fn said(status: &Value) -> (u64, &str, &str) {
    let text = |field: &str| status[field].as_str().unwrap_or_default();
    (status["code"].as_u64().unwrap_or(0), text("reason"), text("message"))
}

#[tokio::test]
async fn a_policy_refuses_in_the_words_of_a_real_server() {
    let cluster = Cluster::start().await;
    let validations = json!([
        {"expression": " object == null || object.data.k != 'bad' "},
        {"expression": "object == null || object.data.k != 'closed'", "message": " it is closed ", "reason": "Forbidden"},
        {"expression": "object == null || object.data.k.size() < 9", "reason": "RequestEntityTooLarge",
            "messageExpression": "'at most 8, not ' + string(object.data.k.size())"},
        {"expression": "object == null || oldObject == null || object.data.k != oldObject.data.k",
            "message": "no change", "messageExpression": "object.data.missing"},
        {"expression": "request.operation != 'DELETE' || oldObject.metadata.name != 'kept'",
            "message": "it stays", "messageExpression": "'in two\\nlines'"}]);
    bound(&cluster, "p", json!({"validations": validations}), json!({})).await;
    let by = "is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request:";
    for (value, code, reason, words) in [
        ("bad", 422, "Invalid", "failed expression: object == null || object.data.k != 'bad'"),
        ("closed", 403, "Forbidden", "it is closed"),
        ("123456789", 413, "RequestEntityTooLarge", "at most 8, not 9"),
    ] {
        for path in [MAPS, &format!("{MAPS}?dryRun=All")] {
            let (_, status) = cluster.post(path, map("a", json!({"k": value}))).await;
            let message = format!("configmaps \"a\" {by} {words}");
            assert_eq!(said(&status), (code, reason, message.as_str()));
            let cause = json!({"message": message.split_once(": ").unwrap().1});
            let details = json!({"name": "a", "kind": "configmaps", "causes": [cause]});
            assert_eq!(status["details"], details);
        }
    }
    for name in ["a", "kept"] {
        assert_eq!(cluster.post(MAPS, map(name, json!({"k": "fine"}))).await.0, 201);
    }
    let same = r#"{"data":{"k":"fine","l":"m"}}"#;
    let (_, status) = cluster.call("PATCH", &format!("{MAPS}/a"), MERGE, same).await;
    assert!(said(&status).2.ends_with(": no change"), "{status}");
    let other = r#"{"data":{"k":"other"}}"#;
    assert_eq!(cluster.call("PATCH", &format!("{MAPS}/a"), MERGE, other).await.0, 200);
    let (_, status) = cluster.call("DELETE", &format!("{MAPS}/kept"), "application/json", "").await;
    assert_eq!(
        said(&status),
        (422, "Invalid", format!("configmaps \"kept\" {by} it stays").as_str())
    );
    assert_eq!(cluster.call("DELETE", &format!("{MAPS}/a"), "application/json", "").await.0, 200);

    let (code, _) = gone(&cluster, "p").await;
    assert_eq!(code, 200, "the way back is open");
    assert_eq!(cluster.post(MAPS, map("a", json!({"k": "bad"}))).await.0, 201);
}

#[tokio::test]
async fn an_expression_that_fails_says_what_becomes_of_the_write() {
    let cluster = Cluster::start().await;
    let validations = json!([{"expression": "object.data.missing == 'x'"}]);
    let ignore = json!({"failurePolicy": "Ignore", "validations": validations,
        "auditAnnotations": [{"key": "k", "valueExpression": "object.data.missing"}]});
    bound(&cluster, "ignoring", ignore, json!({})).await;
    assert_eq!(cluster.post(MAPS, map("a", json!({"k": "v"}))).await.0, 201);
    bound(&cluster, "failing", json!({"validations": validations}), json!({})).await;
    let (_, status) = cluster.post(MAPS, map("b", json!({"k": "v"}))).await;
    let words = "configmaps \"b\" is forbidden: ValidatingAdmissionPolicy 'failing' with binding 'failing' denied request: expression 'object.data.missing == 'x'' resulted in error: no such key: missing";
    assert_eq!(said(&status), (422, "Invalid", words));
    gone(&cluster, "failing").await;

    let loops = "lists.range(100000).all(i, lists.range(100000).all(j, j >= 0))";
    bound(&cluster, "endless", json!({"validations": [{"expression": loops}]}), json!({})).await;
    let (code, status) = cluster.post(MAPS, map("b", json!({}))).await;
    assert!(code == 422 && said(&status).2.contains("loop steps"), "{status}");
    gone(&cluster, "endless").await;

    // An annotation is for a log that there is not; that it cannot be made is said nevertheless.
    let wrong = json!({"auditAnnotations": [{"key": "k", "valueExpression": "object.data"}]});
    bound(&cluster, "annotating", wrong, json!({"validationActions": ["Audit"]})).await;
    let (_, status) = cluster.post(MAPS, map("b", json!({"k": "v"}))).await;
    let words = "valueExpression 'object.data' resulted in unsupported return type: map. Return type must be either string or null.";
    assert!(said(&status).2.ends_with(words), "{status}");
    gone(&cluster, "annotating").await;
    let fine = json!({"auditAnnotations": [{"key": "k", "valueExpression": "object.data.k"},
        {"key": "n", "valueExpression": "null"}]});
    bound(&cluster, "annotated", fine, json!({})).await;
    assert_eq!(cluster.post(MAPS, map("b", json!({"k": "v"}))).await.0, 201);
}

#[tokio::test]
async fn a_binding_says_whether_the_client_is_refused_or_told() {
    let cluster = Cluster::start().await;
    let policy = json!({"validations": [{"expression": "false", "message": "mind the \"gap\""}]});
    bound(&cluster, "p", policy, json!({"validationActions": ["Warn", "Audit"]})).await;
    let only = json!({"policyName": "p", "validationActions": ["Audit"]});
    made(&cluster, "validatingadmissionpolicybindings", "audited", only).await;
    let request = http::Request::post(MAPS)
        .header("content-type", "application/json")
        .body(Full::new(bytes::Bytes::from(map("a", json!({})).to_string())))
        .unwrap();
    let admin = User::new("admin", ["system:masters"]);
    let reply = crate::apiserver::route::answer(cluster.server.api(), Some(admin), request).await;
    assert_eq!(reply.status(), 201);
    let warnings: Vec<_> = reply.headers().get_all("warning").iter().collect();
    let words = "299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p': mind the \\\"gap\\\"\"";
    assert_eq!(warnings, [words]);
}

#[tokio::test]
async fn an_expression_sees_the_write_its_namespace_and_what_its_writer_may() {
    let cluster = Cluster::start().await;
    let labels = r#"{"metadata":{"labels":{"team":"a"}}}"#;
    cluster.call("PATCH", "/api/v1/namespaces/default", MERGE, labels).await;
    let variables = json!([
        {"name": "labels", "expression": "object.metadata.?labels.orValue({})"},
        {"name": "broken", "expression": "object.data.missing"},
        {"name": "team", "expression": "variables.labels.?team.orValue('nobody')"},
        {"name": "size", "expression": "quantity(object.data.size)"}]);
    let seen = [
        "variables.team == namespaceObject.metadata.labels.team",
        "has(namespaceObject.metadata.creationTimestamp) && !has(namespaceObject.metadata.managedFields)",
        "namespaceObject.status.phase == 'Active'",
        "true || variables.broken == ''",
        "variables.size.isLessThan(quantity('2Gi'))",
        "request.userInfo.username == 'jane' && request.resource.resource == 'configmaps'",
        "request.namespace == 'default' && request.name == 'a' && request.dryRun == false",
        "request.kind.kind == 'ConfigMap' && object.kind == 'ConfigMap' && object.apiVersion == 'v1'",
        "authorizer.requestResource.check('create').allowed()",
        "!authorizer.requestResource.check('delete').allowed()",
        "!authorizer.group('').resource('secrets').namespace('default').check('get').allowed()",
        "authorizer.serviceAccount('default', 'robot').group('').resource('secrets').namespace('default').check('get').allowed()",
        "authorizer.path('/healthz').check('get').allowed()",
    ];
    let validations: Vec<Value> =
        seen.iter().map(|expression| json!({"expression": expression})).collect();
    let conditions = json!([{"name": "jane", "expression": "request.userInfo.username == 'jane' && !authorizer.path('/x').check('get').allowed()"}]);
    let policy =
        json!({"matchConditions": conditions, "variables": variables, "validations": validations});
    let role = |name: &str, verb: &str, resource: &str| {
        let (name, rule) =
            (name.to_owned(), json!({"verbs": [verb], "apiGroups": [""], "resources": [resource]}));
        json!({"metadata": {"name": name}, "rules": [rule]})
    };
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    for (name, verb, resource, subject) in [
        ("maker", "create", "configmaps", json!({"kind": "User", "name": "jane"})),
        (
            "reader",
            "get",
            "secrets",
            json!({"kind": "ServiceAccount", "name": "robot", "namespace": "default"}),
        ),
    ] {
        cluster.post(&format!("{roles}/roles"), role(name, verb, resource)).await;
        let binding = json!({"metadata": {"name": name}, "subjects": [subject],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}});
        let (code, made) = cluster.post(&format!("{roles}/rolebindings"), binding).await;
        assert_eq!(code, 201, "{made}");
    }
    bound(&cluster, "p", policy, json!({})).await;
    let jane = || User::new("jane", ["some"]);
    let mut wanted = map("a", json!({"size": "1Gi"}));
    wanted["metadata"]["labels"] = json!({"team": "a"});
    let create = async |body: Value| {
        let body = body.to_string();
        cluster.call_as(jane(), "POST", MAPS, "application/json", &body).await
    };
    let (code, made) = create(wanted.clone()).await;
    assert_eq!(code, 201, "{made}");
    wanted["metadata"] = json!({"name": "a2"});
    let (_, status) = create(wanted.clone()).await;
    let words =
        "denied request: failed expression: variables.team == namespaceObject.metadata.labels.team";
    assert!(said(&status).2.ends_with(words), "{status}");
    assert_eq!(cluster.post(MAPS, wanted).await.0, 201, "the condition does not hold for others");
}

#[tokio::test]
async fn a_policy_is_about_what_its_rules_and_its_binding_say() {
    let cluster = Cluster::start().await;
    for name in ["one", "two"] {
        cluster
            .post("/api/v1/namespaces", json!({"metadata": {"name": name, "labels": {"n": name}}}))
            .await;
    }
    let rule = json!({"operations": ["*"], "apiGroups": [""], "apiVersions": ["*"], "resources": ["configmaps"],
        "resourceNames": ["spared"]});
    let never = json!([{"expression": "false"}]);
    let matches = json!({"excludeResourceRules": [rule], "objectSelector": {"matchExpressions": [
        {"key": "free", "operator": "DoesNotExist"}]}});
    let only = json!({"matchResources": {"namespaceSelector": {"matchLabels": {"n": "one"}}}});
    bound(&cluster, "p", json!({"matchConstraints": matches, "validations": never}), only).await;
    let status = |namespace: &'static str, name: &'static str| {
        let (path, body) =
            (format!("/api/v1/namespaces/{namespace}/configmaps"), map(name, json!({})));
        let cluster = &cluster;
        async move { cluster.post(&path, body).await.0 }
    };
    assert_eq!(status("one", "a").await, 422);
    assert_eq!(status("two", "a").await, 201, "the binding is not about this namespace");
    assert_eq!(status("one", "spared").await, 201, "its name is excluded");
    let mut free = map("free", json!({}));
    free["metadata"]["labels"] = json!({"free": "yes"});
    assert_eq!(cluster.post("/api/v1/namespaces/one/configmaps", free).await.0, 201);

    // Other versions of the same objects count, unless only one is meant.
    let events = |policy: &str| {
        json!({"matchPolicy": policy, "resourceRules": [{"operations": ["CREATE"],
        "apiGroups": ["events.k8s.io"], "apiVersions": ["v1"], "resources": ["events"]}]})
    };
    let event = |name: &str| {
        json!({"metadata": {"name": name}, "reason": "Done", "message": "it is",
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}})
    };
    let path = "/api/v1/namespaces/default/events";
    let policy = json!({"matchConstraints": events("Exact"), "validations": never});
    bound(&cluster, "exact", policy, json!({})).await;
    assert_eq!(cluster.post(path, event("a")).await.0, 201);
    let noted =
        json!([{"expression": "object.note != 'it is' || request.requestKind.group != ''"}]);
    let policy = json!({"matchConstraints": events("Equivalent"), "validations": noted});
    bound(&cluster, "equivalent", policy, json!({})).await;
    assert_eq!(cluster.post(path, event("b")).await.0, 422);

    // Subresources are what rules say of them; webhooks' configurations are like other objects, policies are not.
    let all = json!({"resourceRules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"],
        "resources": ["serviceaccounts/token", "validatingwebhookconfigurations", "validatingadmissionpolicies",
            "validatingadmissionpolicybindings"]}]});
    bound(&cluster, "all", json!({"matchConstraints": all, "validations": never}), json!({})).await;
    let account = json!({"metadata": {"name": "robot"}});
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    assert_eq!(cluster.post(accounts, account).await.0, 201);
    let token = json!({"spec": {"audiences": []}});
    assert_eq!(cluster.post(&format!("{accounts}/robot/token"), token).await.0, 422);
    let hooks = json!({"metadata": {"name": "h"}, "webhooks": []});
    let path = format!("{GROUP}/validatingwebhookconfigurations");
    assert_eq!(cluster.post(&path, hooks).await.0, 422);
    assert_eq!(gone(&cluster, "all").await.0, 200);
}

#[tokio::test]
async fn a_policy_that_has_changed_counts_at_once_and_the_server_starts_with_it() {
    let mut cluster = Cluster::start().await;
    let matches = json!({"resourceRules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}]});
    let policy = json!({"matchConstraints": matches, "validations": [{"expression": "false"}]});
    bound(&cluster, "p", policy, json!({})).await;
    assert_eq!(cluster.post(MAPS, map("a", json!({}))).await.0, 422);
    cluster.restart().await;
    assert_eq!(cluster.post(MAPS, map("a", json!({}))).await.0, 422);
    let path = format!("{GROUP}/validatingadmissionpolicies/p");
    let status = r#"{"status":{"observedGeneration":1,"typeChecking":{}}}"#;
    let (code, told) = cluster.call("PATCH", &format!("{path}/status"), MERGE, status).await;
    assert_eq!((code, &told["status"]["observedGeneration"]), (200, &json!(1)), "{told}");
    assert_eq!(cluster.post(MAPS, map("a", json!({}))).await.0, 422);
    let patch =
        r#"{"spec":{"validations":[{"expression":"true"}]},"status":{"observedGeneration":7}}"#;
    let (_, changed) = cluster.call("PATCH", &path, MERGE, patch).await;
    assert_eq!(changed["metadata"]["generation"], 2, "{changed}");
    assert_eq!(changed["status"]["observedGeneration"], 1, "the status has a door of its own");
    assert_eq!(cluster.post(MAPS, map("a", json!({}))).await.0, 201);
    assert_eq!(
        cluster
            .call("PATCH", &path, MERGE, r#"{"spec":{"validations":[{"expression":"false"}]}}"#)
            .await
            .0,
        200
    );
    let binding = format!("{GROUP}/validatingadmissionpolicybindings/p");
    assert_eq!(cluster.call("DELETE", &binding, "application/json", "").await.0, 200);
    assert_eq!(cluster.post(MAPS, map("b", json!({}))).await.0, 201, "nothing is bound");
}
