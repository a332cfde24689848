//! Spans that the OpenTelemetry SDK sends, over gRPC and over HTTP, are found where they belong.

#![allow(clippy::unwrap_used)]

use std::{path::Path, process::Command, time::Duration};

use curtain_e2e::{Clients, Instance, Output, eventually, get_as, post_as};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

/// Opens the collector to this machine by node ports: where gRPC and HTTP are spoken.
fn doors(instance: &Instance) -> [String; 2] {
    let kubectl = |args: &[&str]| instance.kubectl(Clients::KUBECTLS[1], args).success();
    let plane = ["-n", "openchoreo-observability-plane", "-o", "json"];
    let get = |name: &str| -> Value {
        let get = [&["get", "service", name], &plane[..]].concat();
        serde_json::from_str(&kubectl(&get)).unwrap()
    };
    let mut service = get("opentelemetry-collector");
    service["metadata"] = json!({"name": "doors", "namespace": plane[1]});
    service["spec"] = json!({"type": "NodePort", "selector": service["spec"]["selector"],
        "ports": service["spec"]["ports"]});
    let apply = ["apply", "--validate=false"];
    instance.kubectl_file(Clients::KUBECTLS[1], &apply, &service.to_string()).success();
    let ports = get("doors")["spec"]["ports"].take();
    [4317, 4318].map(|port| {
        let found = ports.as_array().unwrap().iter().find(|one| one["port"] == port);
        let door = found.unwrap_or_else(|| panic!("no {port} in {ports}"));
        format!("http://127.0.0.1:{}", door["nodePort"])
    })
}

/// The id of a trace that the SDK sent.
fn send(instance: &Instance, protocol: &str, url: &str, attributes: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("otlp_sender.py");
    let mut command = Command::new(instance.clients.telemetry_python());
    command.arg(script).arg(protocol).env_clear().env("PATH", "/usr/bin:/bin");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", url).env("OTEL_EXPORTER_OTLP_INSECURE", "true");
    command.env("OTEL_RESOURCE_ATTRIBUTES", attributes).env("OTEL_SERVICE_NAME", "till");
    Output::of(command).success().trim().to_owned()
}

#[test]
fn spans_of_the_sdk_are_found_where_they_belong() {
    let instance = Instance::up();
    instance.curtain(&["demo", "deploy", "greeter"]).success();
    let path = "jsonpath={.items[0].metadata.namespace} {.items[0].metadata.name}";
    let pods = ["get", "pods", "-A", "-l", "openchoreo.dev/component=greeter", "-o", path];
    let pod = instance.kubectl(Clients::KUBECTLS[1], &pods).success();
    let (namespace, name) = pod.split_once(' ').unwrap();
    let of_pod = format!("k8s.namespace.name={namespace},k8s.pod.name={name}");

    let [grpc, http] = doors(&instance);
    let since = Timestamp::now();
    // A program that runs beside the cluster is of no component, unless it says for which of its pods it speaks.
    let nobody = send(&instance, "grpc", &grpc, "");
    let sent = [("grpc", &grpc), ("http", &http)]
        .map(|(protocol, url)| send(&instance, protocol, url, &of_pod));

    let token = instance.token("admin");
    let observer = format!("{}/observer/api/v1alpha1/traces", instance.endpoint("portal"));
    let ask = |what: &str, component: &str| {
        let end = Timestamp::now() + SignedDuration::from_secs(1);
        let place = json!({"namespace": "default", "project": "default", "component": component,
            "environment": "development"});
        let asked = json!({"startTime": since.to_string(), "endTime": end.to_string(),
            "limit": 100, "searchScope": place});
        post_as(&token, &format!("{observer}/{what}"), &asked)
    };
    for trace in &sent {
        let found = eventually("the trace", LIMIT, || {
            let found = ask("query", "greeter")?;
            let all = found["traces"].as_array().into_iter().flatten();
            let one = all.into_iter().find(|one| one["traceId"] == **trace).cloned();
            one.ok_or_else(|| found.to_string())
        });
        assert_eq!((&found["traceName"], &found["spanCount"]), (&json!("buy a moon"), &json!(2)));
        assert_eq!(found["hasErrors"], true, "{found}");
        let spans = ask(&format!("{trace}/spans/query"), "greeter").unwrap();
        let span = |name: &str| -> Value {
            let all = spans["spans"].as_array().unwrap();
            let one = all.iter().find(|one| one["spanName"] == name);
            one.unwrap_or_else(|| panic!("no {name} in {spans}")).clone()
        };
        let (order, charge) = (span("buy a moon"), span("charge a card"));
        assert_eq!(charge["parentSpanId"], order["spanId"]);
        let whole = |span: &Value| {
            let id = span["spanId"].as_str().unwrap();
            get_as(&token, &format!("{observer}/{trace}/spans/{id}")).unwrap()
        };
        let (order, charge) = (whole(&order), whole(&charge));
        assert!(order.to_string().contains("cart.items"), "{order}");
        assert!(charge.to_string().contains("the card is of paper"), "{charge}");
        assert!(order.to_string().contains("till"), "{order}");
    }
    let all = ask("query", "").unwrap();
    assert!(!all.to_string().contains(&nobody), "{all}");
    instance.down();
}
