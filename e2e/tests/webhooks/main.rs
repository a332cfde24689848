//! Who decides about writes in the embedded cluster, webhooks of somebody else and policies, seen by kubectl.

#![allow(clippy::unwrap_used)]

mod policies;
mod reviewer;

use curtain_e2e::{Clients, Instance};
use serde_json::{Value, json};

use reviewer::Reviewer;

/// A configuration of one hook, for the ConfigMaps of a namespace.
fn config(kind: &str, name: &str, namespace: &str, client: &Value) -> Value {
    let rule = json!({"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"],
        "resources": ["configmaps"], "scope": "Namespaced"});
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": format!("{kind}WebhookConfiguration"),
        "metadata": {"name": format!("{name}-{namespace}")},
        "webhooks": [{"name": format!("{name}.example.com"), "clientConfig": client, "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "admissionReviewVersions": ["v1"], "sideEffects": "None", "timeoutSeconds": 10}]})
}

#[test]
fn kubectl_is_told_what_webhooks_say_and_what_becomes_of_a_write_without_them() {
    let instance = Instance::up();
    for release in Clients::KUBECTLS {
        let reviewer = Reviewer::start();
        let space = instance.space(release);
        let kubectl = |args: &[&str]| space.kubectl(args);
        let refused = |args: &[&str], words: &str| {
            let output = kubectl(args);
            assert_eq!(output.code, 1, "{output:?}");
            assert!(output.stderr.contains(words), "{words}: {output:?}");
        };
        let labels = |name: &str| {
            kubectl(&["get", "configmap", name, "-o", "jsonpath={.metadata.labels}"]).success()
        };
        let hooks = [
            ("mutatingwebhookconfiguration", format!("label-{}", space.name())),
            ("validatingwebhookconfiguration", format!("deny-{}", space.name())),
        ];
        space.apply(
            &config("Mutating", "label", space.name(), &reviewer.client("/label")).to_string(),
        );
        space.apply(
            &config("Validating", "deny", space.name(), &reviewer.client("/deny")).to_string(),
        );
        for (kind, name) in &hooks {
            let listed = kubectl(&["get", kind, name]).success();
            let words: Vec<&str> = listed.split_whitespace().collect();
            assert_eq!(words[..5], ["NAME", "WEBHOOKS", "AGE", name.as_str(), "1"], "{listed}");
            let path = "jsonpath={.webhooks[0].failurePolicy} {.webhooks[0].matchPolicy}";
            let seen = kubectl(&["get", kind, name, "-o", path]).success();
            assert_eq!(seen, "Fail Equivalent");
        }

        // One adds a label, which the other one sees and has something to say about.
        reviewer.seen();
        let output = kubectl(&["create", "configmap", "fine", "--from-literal=k=v"]);
        assert!(output.stderr.contains("Warning: mind the gap"), "{output:?}");
        output.success();
        assert_eq!(labels("fine"), r#"{"hooked":"yes"}"#);
        let [(first, _), (second, request)] = &reviewer.seen()[..] else { panic!("two are asked") };
        assert_eq!([first.as_str(), second], ["/label", "/deny"]);
        assert_eq!(request["object"]["metadata"]["labels"], json!({"hooked": "yes"}));
        assert_eq!(
            [&request["operation"], &request["name"], &request["namespace"]],
            ["CREATE", "fine", space.name()]
        );
        let groups = request["userInfo"]["groups"].as_array().unwrap();
        assert!(groups.iter().any(|group| group == "system:masters"), "{request}");
        // What a hook has added is no field of the client's, which may go on without it.
        let path =
            "jsonpath={.metadata.managedFields[*].manager} {.metadata.managedFields[0].fieldsV1}";
        let managed = ["get", "configmap", "fine", "--show-managed-fields", "-o", path];
        let managed = kubectl(&managed).success();
        assert_eq!(managed, r#"kubectl-create {"f:data":{".":{},"f:k":{}}}"#);
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"},
            "data": {"k": "v"}});
        for _ in 0..2 {
            let args = ["-n", space.name(), "apply", "--server-side"];
            instance.kubectl_file(release, &args, &map.to_string()).success();
            assert_eq!(labels("applied"), r#"{"hooked":"yes"}"#);
        }

        // A refusal is printed as it was said; other namespaces are none of the hooks' business.
        let words =
            "admission webhook \"deny.example.com\" denied the request: not today, \"please\"";
        let bad = ["create", "configmap", "bad", "--from-literal=deny=please"];
        refused(&bad, words);
        let patch = r#"{"data":{"deny":"please"}}"#;
        refused(&["patch", "configmap", "fine", "--type=merge", "-p", patch], words);
        let seen = reviewer.seen();
        let (_, request) = seen.last().unwrap();
        assert_eq!([&request["operation"], &request["oldObject"]["data"]["k"]], ["UPDATE", "v"]);
        instance
            .kubectl(release, &[&["-n", "default"][..], &bad, &["--dry-run=server"]].concat())
            .success();
        assert!(reviewer.seen().is_empty());

        // Hooks are asked about dry runs, and must be able to stand it.
        let path = "jsonpath={.metadata.labels}";
        let dry = ["create", "configmap", "dry", "--dry-run=server", "-o", path];
        assert_eq!(kubectl(&dry).success(), r#"{"hooked":"yes"}"#);
        assert!(reviewer.seen().iter().all(|(_, request)| request["dryRun"] == true));
        refused(&["get", "configmap", "dry"], "not found");
        let mut config = config("Validating", "some", space.name(), &reviewer.client("/deny"));
        config["webhooks"][0]["sideEffects"] = "Some".into();
        let output = instance.kubectl_file(release, &["create"], &config.to_string());
        let words = "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"";
        assert!(output.stderr.contains(words), "{output:?}");

        // Nobody is there any more: that is an error, unless the configuration says that it is none.
        let address = reviewer.address();
        drop(reviewer);
        let words = format!(
            "Internal error occurred: failed calling webhook \"label.example.com\": failed to call webhook: Post \"https://{address}/label?timeout=10s\": dial tcp {address}: connect: connection refused"
        );
        refused(&["create", "configmap", "lost"], &words);
        let ignore = r#"[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]"#;
        for (kind, name) in &hooks {
            kubectl(&["patch", kind, name, "--type=json", "-p", ignore]).success();
        }
        kubectl(&["create", "configmap", "ignored"]).success();
        assert_eq!(labels("ignored"), "");

        for (kind, name) in &hooks {
            kubectl(&["delete", kind, name]).success();
        }
        instance
            .kubectl(release, &["delete", "namespace", space.name(), "--timeout=60s"])
            .success();
    }
    instance.down();
}
