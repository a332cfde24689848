//! Ingresses and their classes in the embedded cluster, with kubectl: made, shown and refused as by a real server.

#![allow(clippy::unwrap_used)]

use curtain_e2e::{Clients, Instance};

/// Two things are wrong with it.
const WRONG: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: wrong}
spec:
  rules:
  - host: 10.0.0.1.
    http:
      paths:
      - {path: /, backend: {service: {name: svc, port: {number: 80}}}}
";

/// The words of every line of a table.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn kubectl_makes_ingresses_and_shows_them_as_on_a_real_cluster() {
    let instance = Instance::up();
    for release in Clients::KUBECTLS {
        let space = instance.space(release);
        let kubectl = |args: &[&str]| space.kubectl(args);
        kubectl(&["create", "service", "clusterip", "svc", "--tcp=8080:8080"]).success();

        // Without a class: nobody's.
        let rule = "--rule=foo.com/bar=svc:8080,tls=secret";
        let said = kubectl(&["create", "ingress", "my", rule]).success();
        assert_eq!(said, "ingress.networking.k8s.io/my created\n");
        let listed = kubectl(&["get", "ing"]).success();
        let [head, row] = &rows(&listed)[..] else { panic!("one Ingress: {listed}") };
        assert_eq!(head[..], ["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"]);
        assert_eq!(row[..5], ["my", "<none>", "foo.com", "80,", "443"], "{listed}");
        let path =
            "jsonpath={.spec.rules[0].http.paths[0].pathType} {.spec.tls} {.metadata.generation}";
        let seen = kubectl(&["get", "ingress", "my", "-o", path]).success();
        assert_eq!(seen, r#"Exact [{"hosts":["foo.com"],"secretName":"secret"}] 1"#);
        let described = kubectl(&["describe", "ingress", "my"]).success();
        for words in ["secret terminates foo.com", "/bar", "svc:8080 (", "Ingress Class:"] {
            assert!(described.contains(words), "{words}: {described}");
        }
        let explained = kubectl(&["explain", "ingress.spec.rules.http.paths.pathType"]).success();
        assert!(explained.contains("FIELD: pathType <string>"), "{explained}");

        // A default class is for those that name none, from now on; a class is shown with its parameters.
        let class = format!("front-{}", space.name());
        let made = format!(
            r#"
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: {class}
  annotations: {{ingressclass.kubernetes.io/is-default-class: "true"}}
spec:
  controller: example.com/front
  parameters: {{apiGroup: example.com, kind: Tuning, name: fast}}
"#
        );
        space.apply(&made);
        let listed = kubectl(&["get", "ingressclass", &class]).success();
        let [head, row] = &rows(&listed)[..] else { panic!("one class: {listed}") };
        assert_eq!(head[..], ["NAME", "CONTROLLER", "PARAMETERS", "AGE"]);
        assert_eq!(row[1..3], ["example.com/front", "Tuning.example.com/fast"], "{listed}");
        let described = kubectl(&["describe", "ingressclass", &class]).success();
        for row in [["Controller:", "example.com/front"], ["Kind:", "Tuning"]] {
            assert!(rows(&described).contains(&row.to_vec()), "{row:?}: {described}");
        }
        kubectl(&["create", "ingress", "usual", "--rule=/*=svc:8080"]).success();
        kubectl(&["create", "ingress", "named", "--class=other", "--rule=/=svc:8080"]).success();
        let status = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"10.0.0.1"}]}}}"#;
        let patch = ["patch", "ingress", "usual", "--subresource=status", "--type=merge", "-p"];
        kubectl(&[&patch[..], &[status]].concat()).success();
        let listed = kubectl(&["get", "ingress,ingressclass", "--no-headers"]).success();
        let shown: Vec<Vec<&str>> = rows(&listed).iter().map(|row| row[..4].to_vec()).collect();
        let of = "ingress.networking.k8s.io";
        for (name, rest) in [
            ("my", ["<none>", "foo.com", "80,"]),
            ("named", ["other", "*", "80"]),
            ("usual", [class.as_str(), "*", "10.0.0.1"]),
        ] {
            let name = format!("{of}/{name}");
            let row = [&[name.as_str()][..], &rest].concat();
            assert!(shown.contains(&row), "{row:?}: {listed}");
        }
        let class_row = format!("ingressclass.networking.k8s.io/{class}");
        assert!(shown.iter().any(|row| row[0] == class_row), "{listed}");

        // What is wrong is told by field, all of it at once.
        let output = instance.kubectl_file(release, &["-n", space.name(), "create"], WRONG);
        assert_eq!(output.code, 1, "{output:?}");
        for words in [
            "The Ingress \"wrong\" is invalid:",
            "* spec.rules[0].host: Invalid value: \"10.0.0.1.\": a lowercase RFC 1123 subdomain",
            "* spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
        ] {
            assert!(output.stderr.contains(words), "{words}: {output:?}");
        }
        let other = r#"{"spec":{"controller":"example.com/other"}}"#;
        let output = kubectl(&["patch", "ingressclass", &class, "--type=merge", "-p", other]);
        assert!(output.stderr.contains("field is immutable"), "{output:?}");

        // Whoever may edit a namespace may make them.
        kubectl(&["create", "rolebinding", "e", "--clusterrole=edit", "--user=editor"]).success();
        kubectl(&["create", "rolebinding", "v", "--clusterrole=view", "--user=viewer"]).success();
        for (user, verb, answer) in [
            ("editor", "create", "yes\n"),
            ("viewer", "list", "yes\n"),
            ("viewer", "create", "no\n"),
        ] {
            let said = kubectl(&["auth", "can-i", verb, "ingresses", "--as", user]);
            assert_eq!(said.stdout, answer, "{said:?}");
        }

        kubectl(&["delete", "ingressclass", &class]).success();
        instance
            .kubectl(release, &["delete", "namespace", space.name(), "--timeout=60s"])
            .success();
    }
    instance.down();
}
