//! Admission policies in the embedded cluster, seen by kubectl: what they refuse and warn of, with parameters of a kind
//! of one's own, and what is wrong with a policy that is none.

use curtain_e2e::{Clients, Instance, eventually};
use serde_json::{Value, json};

const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

/// Limits of ConfigMaps, in a group of its own for each namespace of a test.
fn definition(group: &str) -> Value {
    let size = json!({"type": "integer"});
    let spec = json!({"type": "object", "properties": {"most": size}});
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("limits.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "limits", "kind": "Limit"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}})
}

fn policy(name: &str, group: &str) -> Value {
    let rule = json!({"operations": ["CREATE", "UPDATE", "DELETE"], "apiGroups": [""], "apiVersions": ["v1"],
        "resources": ["configmaps"]});
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {"paramKind": {"apiVersion": format!("{group}/v1"), "kind": "Limit"},
            "matchConstraints": {"resourceRules": [rule]},
            "matchConditions": [{"name": "own", "expression": "request.name != 'kube-root-ca.crt'"}],
            "variables": [{"name": "size", "expression": "object == null ? 0 : object.?data.orValue({}).size()"},
                {"name": "most", "expression": "params.spec.most"}],
            "validations": [
                {"expression": "variables.size <= variables.most",
                    "messageExpression": "'at most ' + string(variables.most) + ' in ' + namespaceObject.metadata.name"},
                {"expression": "request.operation != 'DELETE' || oldObject.metadata.name != 'kept'",
                    "message": "it is kept", "reason": "Forbidden"}]}})
}

fn binding(name: &str, namespace: &str, actions: &[&str]) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": actions,
            "paramRef": {"name": "limit", "parameterNotFoundAction": "Deny"},
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}}})
}

#[test]
fn kubectl_is_told_what_policies_refuse_and_warn_of() {
    let instance = Instance::up();
    for release in Clients::KUBECTLS {
        let space = instance.space(release);
        let kubectl = |args: &[&str]| space.kubectl(args);
        let refused = |args: &[&str], words: &str| {
            let output = kubectl(args);
            assert_eq!(output.code, 1, "{output:?}");
            assert!(output.stderr.contains(words), "{words}: {output:?}");
        };
        let name = format!("most-{}", space.name());
        let group = format!("{}.example.com", space.name());
        let by =
            format!("ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request:");
        space.apply(&policy(&name, &group).to_string());
        space.apply(&binding(&name, space.name(), &["Deny"]).to_string());
        let listed = kubectl(&["get", "validatingadmissionpolicy", &name]).success();
        let words: Vec<&str> = listed.split_whitespace().collect();
        let kind = format!("{group}/v1/Limit");
        let expected =
            ["NAME", "VALIDATIONS", "PARAMKIND", "AGE", name.as_str(), "2", kind.as_str()];
        assert_eq!(words[..7], expected, "{listed}");
        let listed = kubectl(&["get", "validatingadmissionpolicybinding", &name]).success();
        let words: Vec<&str> = listed.split_whitespace().collect();
        let expected = ["NAME", "POLICYNAME", "PARAMREF", "AGE", &name, &name, "*/limit"];
        assert_eq!(words[..7], expected, "{listed}");
        let field = "validatingadmissionpolicy.spec.matchConstraints.matchPolicy";
        let explained = kubectl(&["explain", field]).success();
        assert!(explained.contains("FIELD: matchPolicy <string>"), "{explained}");
        let path = "jsonpath={.spec.failurePolicy} {.spec.matchConstraints.matchPolicy} {.status.observedGeneration} {.status.typeChecking}";
        eventually("the policy to be looked at", LIMIT, || {
            let seen = kubectl(&["get", "validatingadmissionpolicy", &name, "-o", path]).success();
            if seen == "Fail Equivalent 1 {}" { Ok(()) } else { Err(seen) }
        });

        // The kind of the parameters comes later, and its object after it.
        let one = ["create", "configmap", "one", "--from-literal=a=b"];
        let unknown = format!(
            "ValidatingAdmissionPolicy '{name}' denied request: failed to configure policy: failed to find resource referenced by paramKind: '{group}/v1, Kind=Limit'"
        );
        refused(&one, &unknown);
        space.apply(&definition(&group).to_string());
        refused(&one, "no params found for policy binding with `Deny` parameterNotFoundAction");
        let limit = json!({"apiVersion": format!("{group}/v1"), "kind": "Limit", "metadata": {"name": "limit"},
            "spec": {"most": 1}});
        let crd = format!("crd/limits.{group}");
        kubectl(&["wait", "--for=condition=Established", &crd, "--timeout=60s"]).success();
        space.apply(&limit.to_string());
        kubectl(&one).success();
        let two = ["create", "configmap", "two", "--from-literal=a=b", "--from-literal=c=d"];
        let words = format!("configmaps \"two\" is forbidden: {by} at most 1 in {}", space.name());
        refused(&two, &words);
        refused(&[&two[..], &["--dry-run=server"]].concat(), &words);
        let patch = ["patch", "configmap", "one", "-p", r#"{"data":{"c":"d"}}"#];
        let words =
            format!("The configmaps \"one\" is invalid: : {by} at most 1 in {}", space.name());
        refused(&patch, &words);
        kubectl(&["create", "configmap", "kept"]).success();
        let words = format!(
            "Error from server (Forbidden): configmaps \"kept\" is forbidden: {by} it is kept"
        );
        refused(&["delete", "configmap", "kept"], &words);
        instance
            .kubectl(release, &[&["-n", "default"][..], &two, &["--dry-run=server"]].concat())
            .success();

        // Whoever is only told may go on.
        space.apply(&binding(&name, space.name(), &["Warn", "Audit"]).to_string());
        let output = kubectl(&two);
        let words = format!(
            "Warning: Validation failed for ValidatingAdmissionPolicy '{name}' with binding '{name}': at most 1 in {}",
            space.name()
        );
        assert!(output.stderr.contains(&words), "{output:?}");
        output.success();
        kubectl(&["delete", "configmap", "kept"]).success();

        // What is wrong with a policy, or a binding, is said when it is written.
        let mut wrong = policy(&name, &group);
        wrong["spec"]["validations"] = json!([{"expression": "object.a ==", "reason": "Odd"}]);
        let output = instance.kubectl_file(release, &["apply"], &wrong.to_string());
        let words = "spec.validations[0].reason: Unsupported value: \"Odd\": supported values: \"Forbidden\", \"Invalid\", \"RequestEntityTooLarge\"";
        assert!(output.stderr.contains(words), "{output:?}");
        let words =
            "spec.validations[0].expression: Invalid value: \"object.a ==\": compilation failed: ";
        assert!(output.stderr.contains(words), "{output:?}");
        let wrong = binding(&name, space.name(), &["Deny", "Warn"]).to_string();
        let output = instance.kubectl_file(release, &["apply"], &wrong);
        let words = "spec.validationActions: Invalid value: [\"Deny\",\"Warn\"]: must not contain both Deny and Warn";
        assert!(output.stderr.contains(words), "{output:?}");

        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            kubectl(&["delete", kind, &name]).success();
        }
        kubectl(&["delete", &crd, "--timeout=60s"]).success();
        instance
            .kubectl(release, &["delete", "namespace", space.name(), "--timeout=60s"])
            .success();
    }
    instance.down();
}
