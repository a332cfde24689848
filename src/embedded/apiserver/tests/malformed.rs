//! Documents that are not what their kind says: refused with the right code, and never the end of a connection.

use serde_json::{Value, json};

use super::custom::{WIDGETS, cluster, widget};
use super::harness::Cluster;

const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json-patch+json";
const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";

#[tokio::test]
async fn metadata_of_custom_resources_is_an_object() {
    let cluster = cluster().await;
    cluster.post(WIDGETS, widget("a", json!({"size": 3}))).await;
    for wrong in [json!("x"), json!([]), json!(1), json!(true)] {
        let mut document = widget("b", json!({"size": 3}));
        document["metadata"] = wrong.clone();
        let (code, status) = cluster.post(WIDGETS, document.clone()).await;
        assert_eq!((code, &status["reason"]), (400, &json!("BadRequest")), "{status}");
        let path = format!("{WIDGETS}/a");
        let (code, _) = cluster.call("PUT", &path, "", &document.to_string()).await;
        assert_eq!(code, 400);
        let merge = json!({"metadata": wrong}).to_string();
        let (code, status) = cluster.call("PATCH", &path, MERGE, &merge).await;
        assert_eq!((code, &status["details"]["causes"][0]["field"]), (422, &json!("patch")));
        let replace = json!([{"op": "replace", "path": "/metadata", "value": wrong}]).to_string();
        for door in ["", "/status"] {
            let (code, status) =
                cluster.call("PATCH", &format!("{path}{door}"), JSON, &replace).await;
            assert_eq!((code, &status["reason"]), (422, &json!("Invalid")), "{status}");
        }
        let apply = format!("{path}?fieldManager=t");
        let (code, _) = cluster
            .call("PATCH", &apply, "application/apply-patch+yaml", &document.to_string())
            .await;
        assert!((400..=500).contains(&code), "{code}");
    }
    let (_, status) = cluster
        .post(WIDGETS, json!({"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": "x"}))
        .await;
    let message = status["message"].as_str().unwrap();
    assert!(
        message.ends_with("json: cannot unmarshal string into Go value of type v1.ObjectMeta"),
        "{message}"
    );
}

#[tokio::test]
async fn kinds_of_subresources_are_checked() {
    let cluster = Cluster::start().await;
    for wrong in [json!({"spec": "x"}), json!({"spec": []}), json!("x"), json!([])] {
        let (code, status) =
            cluster.post(&format!("{ACCOUNTS}/default/token"), wrong.clone()).await;
        assert_eq!((code, &status["reason"]), (400, &json!("BadRequest")), "{wrong} {status}");
    }
    let (code, made) =
        cluster.post(&format!("{ACCOUNTS}/default/token"), json!({"spec": null})).await;
    assert_eq!(code, 201, "{made}");
}

#[tokio::test]
async fn a_scale_that_is_no_number_changes_nothing() {
    let cluster = cluster().await;
    cluster.post(WIDGETS, widget("a", json!({"size": 3, "replicas": 4}))).await;
    let path = format!("{WIDGETS}/a/scale");
    for wrong in [
        json!({"spec": "x"}),
        json!({"spec": {"replicas": "3"}}),
        json!({"spec": {"replicas": 1.5}}),
    ] {
        let (code, status) = cluster.call("PATCH", &path, MERGE, &wrong.to_string()).await;
        assert_eq!(
            (code, &status["details"]["causes"][0]["field"]),
            (422, &json!("patch")),
            "{status}"
        );
        let (code, status) = cluster.call("PUT", &path, "", &wrong.to_string()).await;
        assert_eq!((code, &status["reason"]), (400, &json!("BadRequest")), "{status}");
    }
    let replace = r#"[{"op":"replace","path":"/spec/replicas","value":"x"}]"#;
    assert_eq!(cluster.call("PATCH", &path, JSON, replace).await.0, 422);
    assert_eq!(cluster.call("PATCH", &path, JSON, r#"[{"op":"remove","path":""}]"#).await.0, 422);
    let (_, scale) = cluster.get(&path).await;
    assert_eq!(scale["spec"]["replicas"], 4);
}

/// The places of a document.
fn places(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                found.push(at.clone());
                places(value, at, found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let at = format!("{at}/{index}");
                found.push(at.clone());
                places(value, at, found);
            }
        }
        _ => {}
    }
}

/// Puts every kind of wrong value in every place of the document: none may be an internal error.
async fn attack(cluster: &Cluster, path: &str, mut document: Value) {
    document["metadata"]["labels"] = json!({"a": "b"});
    document["metadata"]["annotations"] = json!({"a": "b"});
    document["metadata"]["finalizers"] = json!(["a.b/c"]);
    document["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}]);
    document["metadata"]["managedFields"] = json!([{"manager": "m", "operation": "Update",
        "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"k:{\"a\":1}": {".": {}}}}}]);
    let dry = format!("{path}?dryRun=All");
    let (code, made) = cluster.post(&dry, document.clone()).await;
    assert_eq!(code, 201, "{path}: {made}");
    let (code, made) = cluster.post(path, document.clone()).await;
    assert_eq!(code, 201, "{path}: {made}");
    let live = format!(
        "{path}/{}?dryRun=All&fieldManager=t&force=true",
        document["metadata"]["name"].as_str().unwrap()
    );
    let live_unforced = live.replace("&force=true", "");
    let mut found = Vec::new();
    places(&document, String::new(), &mut found);
    for place in found {
        let wrong = [
            json!(null),
            json!("é"),
            json!(-1.5),
            json!([null]),
            json!({"x": "y"}),
            json!({"aé": 1}),
        ];
        for wrong in wrong {
            let mut mutant = document.clone();
            *mutant.pointer_mut(&place).unwrap() = wrong.clone();
            let text = mutant.to_string();
            let replace = json!([{"op": "replace", "path": place, "value": wrong}]).to_string();
            for (method, path, kind, body) in [
                ("POST", dry.as_str(), "application/json", &text),
                ("PUT", &live_unforced, "application/json", &text),
                ("PATCH", &live_unforced, "application/strategic-merge-patch+json", &text),
                ("PATCH", &live_unforced, JSON, &replace),
                ("PATCH", &live, "application/apply-patch+yaml", &text),
            ] {
                let (_, answer) = cluster.call(method, path, kind, body).await;
                assert_ne!(
                    answer["reason"], "InternalError",
                    "{method} {path} {kind} {place}={wrong}: {answer}"
                );
            }
        }
    }
}

#[tokio::test]
async fn nothing_in_a_document_makes_a_handler_fail() {
    let cluster = cluster().await;
    attack(
        &cluster,
        WIDGETS,
        widget("fuzz", json!({"size": 3, "replicas": 1, "parts": [{"name": "a", "value": "b"}]})),
    )
    .await;
    let meta = json!({"name": "fuzz"});
    let container = json!({"name": "c", "image": "i", "ports": [{"containerPort": 1, "name": "p"}],
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "livenessProbe": {"httpGet": {"port": 1}}, "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}});
    let spec = json!({"containers": [container], "initContainers": [{"name": "i", "image": "i"}],
        "tolerations": [{"key": "a", "operator": "Exists"}], "imagePullSecrets": [{"name": "x"}],
        "volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": spec});
    let base = "/api/v1/namespaces/default";
    let apps = "/apis/apps/v1/namespaces/default";
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    for (path, document) in [
        (
            format!("{base}/pods"),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}),
        ),
        (
            format!("{base}/services"),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": meta,
            "spec": {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"name": "p", "port": 1, "targetPort": "x"}]}}),
        ),
        (
            format!("{base}/secrets"),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta,
            "data": {"a": "Yg=="}, "stringData": {"c": "d"}}),
        ),
        (
            format!("{apps}/deployments"),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta,
            "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]},
                "strategy": {"rollingUpdate": {"maxSurge": 1}}, "template": template}}),
        ),
        (
            format!("{rbac}/clusterroles"),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": meta,
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        ),
        (
            format!("{rbac}/clusterrolebindings"),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "User", "name": "u"}]}),
        ),
        (
            "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies".to_owned(),
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta,
            "spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 1}]}]}}),
        ),
        (
            "/apis/networking.k8s.io/v1/namespaces/default/ingresses".to_owned(),
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta,
            "spec": {"ingressClassName": "front", "tls": [{"hosts": ["a.example"], "secretName": "s"}],
                "rules": [{"host": "a.example", "http": {"paths": [{"path": "/", "pathType": "Prefix",
                    "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}],
                "defaultBackend": {"resource": {"apiGroup": "example.com", "kind": "Bucket", "name": "b"}}}}),
        ),
        (
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations".to_owned(),
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": meta,
            "webhooks": [{"name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "clientConfig": {"service": {"namespace": "n", "name": "s", "path": "/p", "port": 443}, "caBundle": "YQ=="},
                "rules": [{"operations": ["CREATE"], "apiGroups": ["g"], "apiVersions": ["v1"], "resources": ["r"], "scope": "*"}],
                "objectSelector": {"matchLabels": {"a": "b"}},
                "matchConditions": [{"name": "c", "expression": "has(object.metadata)"}]}]}),
        ),
        (
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies".to_owned(),
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": meta,
            "spec": {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, "failurePolicy": "Fail",
                "matchConstraints": {"namespaceSelector": {"matchLabels": {"a": "b"}},
                    "resourceRules": [{"operations": ["CREATE"], "apiGroups": ["g"], "apiVersions": ["v1"], "resources": ["r"],
                        "resourceNames": ["n"], "scope": "*"}]},
                "matchConditions": [{"name": "c", "expression": "has(object.metadata)"}],
                "variables": [{"name": "v", "expression": "object.spec"}],
                "validations": [{"expression": "variables.v == params", "message": "m", "messageExpression": "'m'", "reason": "Invalid"}],
                "auditAnnotations": [{"key": "k", "valueExpression": "'v'"}]}}),
        ),
        (
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings".to_owned(),
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": meta,
            "spec": {"policyName": "p", "validationActions": ["Deny"],
                "matchResources": {"objectSelector": {"matchLabels": {"a": "b"}}},
                "paramRef": {"selector": {"matchLabels": {"a": "b"}}, "namespace": "n", "parameterNotFoundAction": "Allow"}}}),
        ),
        (
            "/apis/networking.k8s.io/v1/ingressclasses".to_owned(),
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": meta,
            "spec": {"controller": "example.com/front",
                "parameters": {"apiGroup": "example.com", "kind": "Tuning", "name": "t", "scope": "Namespace", "namespace": "n"}}}),
        ),
        (
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices".to_owned(),
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 1}]}),
        ),
    ] {
        attack(&cluster, &path, document).await;
    }
    let mut definition = super::custom::definition();
    definition["metadata"]["name"] = "fuzzes.example.dev".into();
    definition["spec"]["names"] = json!({"plural": "fuzzes", "kind": "Fuzz"});
    attack(&cluster, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).await;
}

#[tokio::test]
async fn a_document_is_never_deeper_than_can_be_read_again() {
    let cluster = Cluster::start().await;
    let mut definition = super::custom::definition();
    let spec =
        &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    spec["properties"]["any"] =
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(cluster.post(definitions, definition).await.0, 201);
    let nested = |levels: usize| (0..levels).fold(json!({}), |inside, _| json!({ "a": inside }));
    let with = |name, levels| widget(name, json!({"size": 3, "any": nested(levels)}));
    // The object, its spec and the innermost one are three levels more.
    let deepest = curtain_json::MAX_DEPTH - 3;
    for levels in [deepest + 1, 10_000] {
        let text = with("b", 0).to_string().replace("\"any\":{}", &{
            format!("\"any\":{}{}{}", "{\"a\":".repeat(levels), "{}", "}".repeat(levels))
        });
        let (code, status) = cluster.call("POST", WIDGETS, "", &text).await;
        assert_eq!((code, &status["reason"]), (400, &json!("BadRequest")), "{status}");
    }
    assert_eq!(cluster.post(WIDGETS, with("a", deepest)).await.0, 201);
    let path = format!("{WIDGETS}/a");
    let label = json!({"metadata": {"labels": {"a": "b"}}}).to_string();
    let (code, after) = cluster.call("PATCH", &path, MERGE, &label).await;
    assert_eq!((code, &after["spec"]["any"]), (200, &nested(deepest)), "with its managers");
    // Twice as deep each time, which no stack is made for.
    let copies: Vec<Value> = (0..11)
        .map(|n: u32| {
            let path = format!("/spec/any{}", "/a".repeat((deepest + 1) << n));
            json!({"op": "copy", "from": "/spec/any", "path": path})
        })
        .collect();
    let (code, status) = cluster.call("PATCH", &path, JSON, &json!(copies).to_string()).await;
    assert_eq!(code, 422, "{status}");
    let (code, live) = cluster.get(&path).await;
    assert_eq!((code, &live["spec"]["any"]), (200, &nested(deepest)));
}
