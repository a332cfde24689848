//! Webhooks: a real HTTPS server is asked about writes, and what it says is done.

use http_body_util::Full;
use serde_json::{Value, json};

use super::harness::{Cluster, Pki};
use super::hooks::{HOOKS, Hooks, encode, register};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";
const MERGE: &str = "application/merge-patch+json";

fn map(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"k": "v"}})
}

#[tokio::test]
async fn a_hook_refuses_in_its_own_words_and_sees_the_whole_request() {
    let (cluster, hooks) = (Cluster::start().await, Hooks::start().await);
    cluster.post(MAPS, map("old")).await;
    let only = json!({"objectSelector": {"matchLabels": {"deny": "plain"}}});
    let all = json!([hooks.hook("/deny", "configmaps", json!({"matchConditions": [
        {"name": "named", "expression": "request.name != 'fine' && (object == null || object.data.k == 'v')"}]})),
        hooks.hook("/plain", "configmaps", only)]);
    register(&cluster, "Validating", "refusing", all).await;

    let (code, status) = cluster.post(&format!("{MAPS}?dryRun=All"), map("a")).await;
    let words = "admission webhook \"h-deny.example.com\" denied the request: not today";
    assert_eq!(
        (code, &status["message"], &status["reason"]),
        (403, &json!(words), &json!("Forbidden"))
    );
    let [(_, request)] = &hooks.seen()[..] else { panic!("one hook is asked once") };
    assert_eq!(request["kind"], json!({"group": "", "version": "v1", "kind": "ConfigMap"}));
    assert_eq!(
        request["resource"],
        json!({"group": "", "version": "v1", "resource": "configmaps"})
    );
    assert_eq!((&request["operation"], &request["dryRun"]), (&json!("CREATE"), &json!(true)));
    assert_eq!((&request["name"], &request["namespace"]), (&json!("a"), &json!("default")));
    assert_eq!(request["userInfo"]["username"], "admin");
    assert_eq!(
        (&request["object"]["data"]["k"], &request["oldObject"]),
        (&json!("v"), &Value::Null)
    );

    assert_eq!(cluster.post(MAPS, map("fine")).await.0, 201, "its condition does not hold");
    let (code, status) =
        cluster.call("DELETE", &format!("{MAPS}/old"), "application/json", "").await;
    assert_eq!((code, &status["message"]), (403, &json!(words)));
    let seen = hooks.seen();
    assert_eq!(seen[0].1["operation"], "DELETE");
    assert_eq!(
        (&seen[0].1["object"], &seen[0].1["oldObject"]["data"]["k"]),
        (&Value::Null, &json!("v"))
    );

    let mut labelled = map("fine2");
    labelled["data"]["k"] = "w".into();
    labelled["metadata"]["labels"] = json!({"deny": "plain"});
    let (code, status) = cluster.post(MAPS, labelled).await;
    let words = "admission webhook \"h-plain.example.com\" denied the request without explanation";
    assert_eq!((code, &status["message"]), (400, &json!(words)));
}

#[tokio::test]
async fn what_a_hook_changes_is_defaulted_and_seen_by_those_who_want_to() {
    let (cluster, hooks) = (Cluster::start().await, Hooks::start().await);
    let again = json!({"reinvocationPolicy": "IfNeeded"});
    let first = json!([hooks.hook("/count", "pods", again)]);
    register(&cluster, "Mutating", "a-counting", first).await;
    register(&cluster, "Mutating", "b-adding", json!([hooks.hook("/sidecar", "pods", json!({}))]))
        .await;
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let (code, made) = cluster.post(PODS, pod).await;
    assert_eq!(code, 201, "{made}");
    let side = &made["spec"]["containers"][1];
    assert_eq!(
        (&side["imagePullPolicy"], &side["ports"][0]["protocol"]),
        (&json!("IfNotPresent"), &json!("TCP"))
    );
    let mounts = |at: usize| made["spec"]["containers"][at]["volumeMounts"].clone();
    assert_eq!(mounts(0), mounts(1), "the server's own plugins are asked again, too");
    assert_eq!(made["spec"]["volumes"].as_array().unwrap().len(), 1, "{made}");
    assert_eq!(made["metadata"]["annotations"]["containers"], "2");
    let asked: Vec<String> = hooks.seen().into_iter().map(|(path, _)| path).collect();
    assert_eq!(asked, ["/count", "/sidecar", "/count"]);

    let rules = json!([
        hooks.hook("/rename", "configmaps", json!({})),
        hooks.hook("/label", "configmaps", json!({}))
    ]);
    register(&cluster, "Mutating", "c-naming", rules).await;
    let (code, made) = cluster.post(MAPS, map("own")).await;
    assert_eq!((code, &made["metadata"]["name"]), (201, &json!("own")), "it keeps its identity");
    assert_eq!(made["metadata"]["labels"], json!({"hooked": "yes"}));
    let managed = &made["metadata"]["managedFields"];
    assert_eq!(
        (managed.as_array().unwrap().len(), &managed[0]["fieldsV1"]),
        (1, &json!({"f:data": {".": {}, "f:k": {}}})),
        "what a hook changes is nobody's field"
    );
    let patch = r#"{"data":{"k":"w"}}"#;
    assert_eq!(cluster.call("PATCH", &format!("{MAPS}/own"), MERGE, patch).await.0, 200);

    register(
        &cluster,
        "Mutating",
        "d-breaking",
        json!([hooks.hook("/break", "configmaps", json!({}))]),
    )
    .await;
    let (code, status) = cluster.post(MAPS, map("broken")).await;
    assert_eq!(code, 500, "{status}");
    assert!(status["message"].as_str().unwrap().contains("h-break.example.com"), "{status}");
}

#[tokio::test]
async fn a_hook_that_does_not_answer_says_what_becomes_of_the_write() {
    let (cluster, hooks) = (Cluster::start().await, Hooks::start().await);
    let away = |policy: &str| {
        json!({"failurePolicy": policy, "clientConfig": {"url": null,
            "service": {"namespace": "default", "name": "away", "path": "/x"}}})
    };
    register(
        &cluster,
        "Validating",
        "v",
        json!([hooks.hook("/away", "configmaps", away("Ignore"))]),
    )
    .await;
    assert_eq!(cluster.post(MAPS, map("a")).await.0, 201);
    let untrusted = json!({"clientConfig": {"caBundle": encode(Pki::new().ca)}});
    register(&cluster, "Mutating", "m", json!([hooks.hook("/label", "secrets", untrusted)])).await;
    let secrets = MAPS.replace("configmaps", "secrets");
    let (code, status) = cluster.post(&secrets, json!({"metadata": {"name": "a"}})).await;
    let message = status["message"].as_str().unwrap();
    let start = "Internal error occurred: failed calling webhook \"h-label.example.com\": failed to call webhook: Post \"https://localhost:";
    assert!(code == 500 && message.starts_with(start) && message.contains("tls: "), "{message}");

    register(&cluster, "Validating", "w", json!([hooks.hook("/away", "*", away("Fail"))])).await;
    let (code, status) = cluster.post(MAPS, map("b")).await;
    let words = "Internal error occurred: failed calling webhook \"h-away.example.com\": failed to call webhook: Post \"https://away.default.svc:443/x?timeout=5s\": service \"away\" not found";
    assert_eq!((code, &status["message"]), (500, &json!(words)));
    let path = format!("{HOOKS}/validatingwebhookconfigurations/w");
    let (code, _) = cluster.call("DELETE", &path, "application/json", "").await;
    assert_eq!(code, 200, "the way back is open");
    assert_eq!(cluster.post(MAPS, map("b")).await.0, 201);
}

#[tokio::test]
async fn a_hook_behind_a_service_warns_the_client() {
    let (cluster, hooks) = (Cluster::start().await, Hooks::start().await);
    let port: u16 = hooks.url.rsplit(':').next().unwrap().parse().unwrap();
    let service = json!({"metadata": {"name": "localhost"}, "spec": {"ports": [{"port": 443}]}});
    cluster.post("/api/v1/namespaces/default/services", service).await;
    let slice = json!({"metadata": {"name": "s", "labels": {"kubernetes.io/service-name": "localhost"}},
        "addressType": "IPv4", "ports": [{"port": port}], "endpoints": [{"addresses": ["127.0.0.1"]}]});
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    assert_eq!(cluster.post(slices, slice).await.0, 201);
    let place = json!({"clientConfig": {"url": null,
        "service": {"namespace": "default", "name": "localhost", "path": "/allow"}}});
    let hook = hooks.hook("/allow", "configmaps", place);
    register(&cluster, "Validating", "v", json!([hook])).await;
    let request = http::Request::post(MAPS)
        .header("content-type", "application/json")
        .body(Full::new(bytes::Bytes::from(map("a").to_string())))
        .unwrap();
    let admin = crate::apiserver::auth::User::new("admin", ["system:masters"]);
    let reply = crate::apiserver::route::answer(cluster.server.api(), Some(admin), request).await;
    assert_eq!(reply.status(), 201);
    let warnings: Vec<_> = reply.headers().get_all("warning").iter().collect();
    assert_eq!(warnings, ["299 - \"mind the gap\""]);
}

#[tokio::test]
async fn a_hook_sees_the_version_that_it_asks_for() {
    let (cluster, hooks) = (Cluster::start().await, Hooks::start().await);
    let rules = json!([{"operations": ["CREATE"], "apiGroups": ["events.k8s.io"], "apiVersions": ["v1"],
        "resources": ["events"]}]);
    let asked = hooks.hook("/allow", "events", json!({"rules": rules}));
    register(&cluster, "Validating", "v", json!([asked])).await;
    let exact = hooks.hook("/deny", "events", json!({"rules": rules, "matchPolicy": "Exact"}));
    register(&cluster, "Validating", "w", json!([exact])).await;
    let event = json!({"metadata": {"name": "e"}, "reason": "Done", "message": "it is",
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}});
    let (code, made) = cluster.post("/api/v1/namespaces/default/events", event).await;
    assert_eq!(code, 201, "{made}");
    let [(_, request)] = &hooks.seen()[..] else { panic!("one hook is asked") };
    assert_eq!(
        request["kind"],
        json!({"group": "events.k8s.io", "version": "v1", "kind": "Event"})
    );
    assert_eq!(request["requestKind"], json!({"group": "", "version": "v1", "kind": "Event"}));
    assert_eq!(
        (&request["object"]["note"], &request["object"]["regarding"]["name"]),
        (&json!("it is"), &json!("p"))
    );
}

#[tokio::test]
async fn a_hook_sees_subresources_as_what_they_are() {
    let (cluster, hooks) = (Cluster::start().await, Hooks::start().await);
    let rules = json!([{"operations": ["UPDATE"], "apiGroups": ["apps"], "apiVersions": ["v1"],
        "resources": ["deployments/scale"]}]);
    let scale = hooks.hook("/scale", "", json!({"rules": rules}));
    let rules = json!([{"operations": ["*"], "apiGroups": [""], "apiVersions": ["*"],
        "resources": ["*/status"]}]);
    let phase = hooks.hook("/phase", "", json!({"rules": rules}));
    register(&cluster, "Mutating", "m", json!([scale, phase])).await;
    let pod = json!({"containers": [{"name": "c", "image": "i"}]});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": pod});
    let deployment = json!({"metadata": {"name": "d"}, "spec": {"replicas": 1,
        "selector": {"matchLabels": {"a": "b"}}, "template": template}});
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    assert_eq!(cluster.post(deployments, deployment).await.0, 201);
    assert!(hooks.seen().is_empty(), "the object itself is not its subresource");

    let path = format!("{deployments}/d/scale");
    let (code, scaled) = cluster.call("PATCH", &path, MERGE, r#"{"spec":{"replicas":3}}"#).await;
    assert_eq!((code, &scaled["spec"]["replicas"]), (200, &json!(7)), "{scaled}");
    let [(_, request)] = &hooks.seen()[..] else { panic!("one hook is asked") };
    assert_eq!(request["kind"], json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}));
    assert_eq!(
        [&request["subResource"], &request["resource"]["resource"], &request["object"]["kind"]],
        ["scale", "deployments", "Scale"]
    );
    assert_eq!(request["options"]["kind"], "UpdateOptions");
    assert_eq!(
        [&request["object"]["spec"]["replicas"], &request["oldObject"]["spec"]["replicas"]],
        [3, 1]
    );

    let pod = json!({"metadata": {"name": "p"}, "spec": pod});
    assert_eq!(cluster.post(PODS, pod).await.0, 201);
    let status = r#"{"status":{"phase":"Running"}}"#;
    let (code, seen) = cluster.call("PATCH", &format!("{PODS}/p/status"), MERGE, status).await;
    assert_eq!((code, &seen["status"]["phase"]), (200, &json!("Succeeded")), "{seen}");
}

#[tokio::test]
async fn a_hook_takes_neither_time_nor_space_without_end() {
    let (cluster, hooks) = (Cluster::start().await, Hooks::start().await);
    let slow = hooks.hook("/slow", "configmaps", json!({"timeoutSeconds": 1}));
    let huge = hooks.hook("/huge", "secrets", json!({}));
    register(&cluster, "Validating", "v", json!([slow, huge])).await;
    let (code, status) = cluster.post(MAPS, map("a")).await;
    let words = format!(
        "Internal error occurred: failed calling webhook \"h-slow.example.com\": failed to call webhook: Post \"{}/slow?timeout=1s\": context deadline exceeded",
        hooks.url
    );
    assert_eq!((code, &status["message"]), (500, &json!(words)));
    let secrets = MAPS.replace("configmaps", "secrets");
    let (code, status) = cluster.post(&secrets, json!({"metadata": {"name": "a"}})).await;
    let message = status["message"].as_str().unwrap();
    assert!(code == 500 && message.contains("reading the answer failed"), "{status}");
}

#[tokio::test]
async fn only_the_server_itself_goes_unasked() {
    let (cluster, hooks) = (Cluster::start().await, Hooks::start().await);
    register(&cluster, "Validating", "v", json!([hooks.hook("/deny", "*", json!({}))])).await;
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let binding = json!({"metadata": {"name": "b"}, "subjects": [{"kind": "User", "name": "system:apiserver"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}});
    assert_eq!(cluster.post(path, binding).await.0, 201);
    let user = crate::apiserver::auth::User::new("system:apiserver", ["some"]);
    let body = map("a").to_string();
    let (code, status) = cluster.call_as(user, "POST", MAPS, "application/json", &body).await;
    assert_eq!((code, &status["reason"]), (403, &json!("Forbidden")), "{status}");
    assert_eq!(hooks.seen()[0].1["userInfo"]["username"], "system:apiserver");
}
