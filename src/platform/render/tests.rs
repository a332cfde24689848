//! The default component types rendered for sample components, and what traits do to them.

use super::{
    Connection, DataPlane, Environment, Input, Metadata, Named, RemoteRef, Rendered, SecretKeys,
    check_component_type, component, connection_env, endpoint_urls, health, network_policies,
    resources,
};
use crate::types::{
    ClusterComponentType, ComponentReleaseSpec, GatewaySpec, ReleaseBindingSpec, WorkloadTemplate,
};
use serde_json::{Value, json};

const SERVICE: &str = include_str!("../../../manifests/defaults/component-types/service.yaml");
const WEB: &str = include_str!("../../../manifests/defaults/component-types/web-application.yaml");
const WORKER: &str = include_str!("../../../manifests/defaults/component-types/worker.yaml");

/// A component with everything rendering depends on, ready to be changed by a test.
struct Sample {
    metadata: Metadata,
    release: ComponentReleaseSpec,
    binding: ReleaseBindingSpec,
    gateway: GatewaySpec,
    connections: Vec<Connection>,
    secrets: SecretKeys,
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn sample(component_type: &str, workload: Value) -> Sample {
    let component_type: ClusterComponentType = serde_saphyr::from_str(component_type).unwrap();
    let owner = json!({"projectName": "shop", "componentName": "greeter"});
    let release = typed(json!({
        "owner": owner,
        "componentType": {
            "kind": "ClusterComponentType",
            "name": format!("deployment/{}", component_type.metadata.name.unwrap()),
            "spec": component_type.spec,
        },
        "workload": workload,
    }));
    let listener =
        |port| json!({"listenerName": "http", "port": port, "host": "openchoreoapis.localhost"});
    Sample {
        metadata: Metadata {
            namespace: "default".to_owned(),
            project: Named::new("shop", "uid-p"),
            component: Named::new("greeter", "uid-c"),
            environment: Named::new("development", "uid-e"),
            data_plane: Named::new("default", "uid-d"),
        },
        release,
        binding: typed(json!({"owner": owner, "environment": "development"})),
        gateway: typed(json!({"ingress": {"external": {
            "name": "gateway-default",
            "namespace": "openchoreo-data-plane",
            "http": listener(19080),
        }}})),
        connections: Vec::new(),
        secrets: SecretKeys::new(),
    }
}

fn greeter() -> Value {
    json!({
        "container": {
            "image": "greeter:1",
            "args": ["--port", "9090"],
            "env": [{"key": "GREETING", "value": "Hello"}],
            "files": [{"key": "app.conf", "mountPath": "/etc/greeter", "value": "a=1\n"}],
        },
        "endpoints": {
            "http": {
                "type": "HTTP", "port": 80, "targetPort": 9090, "basePath": "/greeter",
                "visibility": ["external", "namespace"],
            },
            "admin_api": {"type": "gRPC", "port": 9091},
        },
    })
}

impl Sample {
    fn input(&self) -> Input<'_> {
        Input {
            metadata: &self.metadata,
            release: &self.release,
            binding: &self.binding,
            environment: Environment::default(),
            data_plane: DataPlane { gateway: Some(&self.gateway), ..DataPlane::default() },
            connections: &self.connections,
            resources: &[],
            secrets: &self.secrets,
        }
    }

    fn render(&self) -> Rendered {
        component(&self.input()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn fails(&self) -> String {
        component(&self.input()).unwrap_err().to_string()
    }

    fn of_kind(&self, kind: &str) -> Vec<Value> {
        self.render().data_plane.into_iter().filter(|object| object["kind"] == kind).collect()
    }
}

fn yaml(objects: &[Value]) -> String {
    let documents: Vec<String> =
        objects.iter().map(|object| serde_saphyr::to_string(object).unwrap()).collect();
    documents.join("---\n")
}

#[test]
fn a_service() {
    let sample = sample(SERVICE, greeter());
    insta::assert_snapshot!("service", yaml(&sample.render().data_plane));
    assert_eq!(sample.render(), sample.render());
}

#[test]
fn a_web_application() {
    let workload = json!({
        "container": {"image": "web:1"},
        "endpoints": {"web": {"type": "HTTP", "port": 8080, "visibility": ["external"]}},
    });
    insta::assert_snapshot!("web-application", yaml(&sample(WEB, workload).render().data_plane));
}

#[test]
fn a_worker() {
    let worker = sample(WORKER, json!({"container": {"image": "worker:1", "command": ["/run"]}}));
    insta::assert_snapshot!("worker", yaml(&worker.render().data_plane));
    insta::assert_snapshot!(sample(WORKER, greeter()).fails(), @"component type `deployment/worker`: rule 0 `${size(workload.endpoints) == 0}`: a worker offers no endpoints; use the component type service instead");
}

#[test]
fn the_default_types_pass_their_own_admission() {
    for yaml in [SERVICE, WEB, WORKER] {
        let component_type: ClusterComponentType = serde_saphyr::from_str(yaml).unwrap();
        check_component_type("default", &component_type.spec).unwrap();
    }
    let mut broken: ClusterComponentType = serde_saphyr::from_str(SERVICE).unwrap();
    broken.spec.resources[1].template["spec"]["ports"] = json!("${workload.toServicePort()}");
    let error = check_component_type("service", &broken.spec).unwrap_err();
    insta::assert_snapshot!(error, @"component type `service`, resource `service`: template.spec.ports: `workload.toServicePort()` calls the unknown function `toServicePort`");
}

#[test]
fn environments_override_configuration_and_workload() {
    let mut sample = sample(SERVICE, greeter());
    sample.binding.component_type_environment_configs =
        Some(json!({"replicas": 3, "resources": {"limits": {"memory": "1Gi"}}}));
    sample.binding.workload_overrides = Some(typed(json!({"container": {"env": [
        {"key": "GREETING", "value": "Hi"}, {"key": "EXTRA", "value": "1"},
    ]}})));
    let deployment = &sample.of_kind("Deployment")[0];
    assert_eq!(deployment["spec"]["replicas"], 3);
    let resources = &deployment["spec"]["template"]["spec"]["containers"][0]["resources"];
    assert_eq!(
        *resources,
        json!({
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"cpu": "100m", "memory": "1Gi"},
        })
    );
    let configs = sample.of_kind("ConfigMap");
    let envs = configs.iter().find(|config| config["data"]["GREETING"].is_string()).unwrap();
    assert_eq!(envs["data"], json!({"EXTRA": "1", "GREETING": "Hi"}));

    sample.binding.component_type_environment_configs = Some(json!({"replicas": -1}));
    let error = sample.fails();
    assert!(error.contains("component type `deployment/service`, environmentConfigs"), "{error}");
    assert!(error.contains("replicas: Invalid value: -1"), "{error}");
}

#[test]
fn a_changed_configuration_replaces_the_pods() {
    const HASH: &str = "/spec/template/metadata/annotations/openchoreo.dev~1dp-resource-hash";
    let hash = |sample: &Sample| sample.of_kind("Deployment")[0].pointer(HASH).cloned().unwrap();
    let before = sample(SERVICE, greeter());
    let mut after = sample(SERVICE, greeter());
    after.release.workload.container.env[0].value = Some("Hallo".to_owned());
    assert_ne!(hash(&before), hash(&after));
    let alone = sample(WORKER, json!({"container": {"image": "worker:1"}}));
    assert!(alone.of_kind("Deployment")[0].pointer(HASH).is_none());
}

#[test]
fn secrets_are_named_and_never_read() {
    let mut workload = greeter();
    workload["container"]["env"] = json!([
        {"key": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
    ]);
    let mut sample = sample(SERVICE, workload);
    let error = sample.fails();
    insta::assert_snapshot!(error, @"the workload's configuration: the SecretReference `keys` with the key `token` does not exist");
    sample.secrets.insert(
        ("keys".to_owned(), "token".to_owned()),
        RemoteRef { key: "store/token".to_owned(), property: None, version: None },
    );
    // The type needs a store to point the ExternalSecret at.
    assert!(sample.fails().contains("no such key: secretStore"), "{}", sample.fails());
    let mut input = sample.input();
    input.data_plane.secret_store = Some("vault");
    let rendered = component(&input).unwrap().data_plane;
    let external = rendered.iter().find(|object| object["kind"] == "ExternalSecret").unwrap();
    assert_eq!(external["spec"]["data"][0]["remoteRef"], json!({"key": "store/token"}));
    let deployment = rendered.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let env_from = deployment.pointer("/spec/template/spec/containers/0/envFrom/0").unwrap();
    assert_eq!(env_from["secretRef"]["name"], external["metadata"]["name"]);
}

#[test]
fn traits_create_patch_and_remove() {
    let mut sample = sample(SERVICE, greeter());
    sample.release.traits = typed(json!([{"kind": "ClusterTrait", "name": "scaler", "spec": {
        "parameters": {"openAPIV3Schema": {"type": "object", "properties": {
            "max": {"type": "integer", "default": 5},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
        }}},
        "creates": [{"template": {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "${metadata.name}-${trait.instanceName}"},
            "spec": {"maxReplicas": "${parameters.max + 1}"},
        }}],
        "patches": [
            {
                "target": {"group": "apps", "version": "v1", "kind": "Deployment"},
                "operations": [
                    {"op": "remove", "path": "/spec/replicas"},
                    {"op": "add", "path": "/spec/template/spec/containers[?(@.name=='main')]/env/-",
                     "value": {"name": "SCALED", "value": "yes"}},
                ],
            },
            {
                "target": {"group": "", "version": "v1", "kind": "Service",
                           "where": "${resource.metadata.name == metadata.componentName}"},
                "forEach": "${parameters.labels}", "var": "label",
                "operations": [{"op": "add", "path": "/metadata/labels/${label.key}",
                                "value": "${label.value}"}],
            },
        ],
        "removes": [{"target": {"group": "gateway.networking.k8s.io", "version": "v1",
                                "kind": "HTTPRoute"}}],
        "postRenderValidations": [{
            "target": {"group": "apps", "version": "v1", "kind": "Deployment", "mustMatch": true},
            "rule": "${!has(resource.spec.replicas)}", "message": "replicas belong to the scaler",
        }],
    }}]));
    sample.release.component_profile = Some(typed(json!({"traits": [{
        "kind": "ClusterTrait", "name": "scaler", "instanceName": "hpa",
        "parameters": {"labels": {"team": "greetings"}},
    }]})));
    let rendered = sample.render().data_plane;
    let of = |kind: &str| rendered.iter().find(|object| object["kind"] == kind);
    let deployment = of("Deployment").unwrap();
    assert!(deployment["spec"].get("replicas").is_none());
    let env = deployment.pointer("/spec/template/spec/containers/0/env/0/name").unwrap();
    assert_eq!(env, "SCALED");
    assert_eq!(of("Service").unwrap()["metadata"]["labels"]["team"], "greetings");
    assert_eq!(of("HorizontalPodAutoscaler").unwrap()["spec"]["maxReplicas"], 6);
    assert!(of("HTTPRoute").is_none());

    sample.release.traits[0].spec.patches[0].operations[0].path = "/spec/x/y".to_owned();
    insta::assert_snapshot!(sample.fails(), @"trait `scaler` as `hpa`, patches[0]: cannot patch `/spec/x/y`: its parent does not exist");
    sample.release.traits[0].spec.patches.remove(0);
    insta::assert_snapshot!(sample.fails(), @"component type `deployment/service`: trait `scaler` as `hpa`: rule 0 `${!has(resource.spec.replicas)}`: replicas belong to the scaler (Deployment greeter-development-f83573fa)");
    sample.release.traits.clear();
    insta::assert_snapshot!(sample.fails(), @"trait `scaler` as `hpa`: the release has no snapshot of it");
}

#[test]
fn a_type_can_route_each_operation_of_an_api() {
    let mut workload = greeter();
    workload["endpoints"]["http"]["schema"] = json!({
        "content": "paths: {/greet: {get: {}, post: {}}, /health: {get: {}}}",
    });
    let mut sample = sample(SERVICE, workload);
    let routes = "${workload.toEndpointResources('http').orValue([])\
                  .map(o, {'method': o.method, 'path': {'type': 'Exact', 'value': o.path}})}";
    let spec = &mut sample.release.component_type.spec;
    let route = spec.resources.iter_mut().find(|one| one.id == "httproute-external").unwrap();
    route.template["spec"]["rules"][0]["matches"] = json!(routes);
    let matches = sample.of_kind("HTTPRoute")[0]["spec"]["rules"][0]["matches"].clone();
    let exact = |method: &str, path: &str| json!({"method": method, "path": {"type": "Exact", "value": path}});
    let expected = [exact("GET", "/greet"), exact("POST", "/greet"), exact("GET", "/health")];
    assert_eq!(matches, json!(expected));
    sample.release.workload.endpoints.get_mut("http").unwrap().schema = None;
    let matches = sample.of_kind("HTTPRoute")[0]["spec"]["rules"][0]["matches"].clone();
    assert_eq!(matches, json!([]), "an endpoint without a definition offers nothing");
}

#[test]
fn expression_errors_name_type_path_and_expression() {
    let mut sample = sample(SERVICE, greeter());
    sample.release.component_type.spec.resources[0].template["spec"]["replicas"] =
        json!("${environmentConfigs.replica}");
    insta::assert_snapshot!(sample.fails(), @"component type `deployment/service`, resource `deployment`: template.spec.replicas: cannot evaluate `environmentConfigs.replica`: no such key: replica");
    sample.release.component_type.spec.resources[0].template = json!({"kind": "Deployment"});
    insta::assert_snapshot!(sample.fails(), @"component type `deployment/service`, resource `deployment`: what was rendered is not a manifest: `apiVersion` must be a non-empty string");
}

#[test]
fn endpoints_answer_at_their_routes_and_services() {
    let sample = sample(SERVICE, greeter());
    let workload: WorkloadTemplate = sample.release.workload.clone();
    let urls = endpoint_urls(&sample.render().data_plane, &workload, None, Some(&sample.gateway));
    insta::assert_snapshot!(serde_saphyr::to_string(&urls).unwrap());
}

#[test]
fn dependencies_become_variables() {
    let mut sample = sample(SERVICE, greeter());
    sample.connections = vec![Connection {
        namespace: "default".to_owned(),
        project: "shop".to_owned(),
        dependency: typed(json!({
            "component": "catalog", "name": "http", "visibility": "project",
            "envBindings": {"address": "CATALOG_URL"},
        })),
        url: typed(json!({"scheme": "http", "host": "catalog.cell.svc.cluster.local", "port": 80})),
    }];
    let container =
        sample.of_kind("Deployment")[0]["spec"]["template"]["spec"]["containers"][0].clone();
    let expected =
        connection_env(&sample.connections[0].dependency.env_bindings, &sample.connections[0].url);
    assert_eq!(container["env"], json!(expected));
}

#[test]
fn cells_are_isolated() {
    let greeter = sample(SERVICE, greeter());
    let open = network_policies(&greeter.metadata, &greeter.release.workload);
    insta::assert_snapshot!("network-policy", yaml(&open));
    let worker = sample(WORKER, json!({"container": {"image": "worker:1"}}));
    let closed = network_policies(&worker.metadata, &worker.release.workload);
    assert!(closed[0]["spec"].get("ingress").is_none());
}

#[test]
fn resources_have_stable_ids() {
    let sample = sample(SERVICE, greeter());
    let ids: Vec<String> =
        resources(sample.render().data_plane).into_iter().map(|resource| resource.id).collect();
    insta::assert_snapshot!(ids.join("\n"));
    let long = json!({"kind": "ConfigMap", "metadata": {"name": "x".repeat(100)}});
    assert!(resources(vec![long])[0].id.len() <= 63);
    assert_eq!(resources(vec![json!({})])[0].id, "resource-0");
}

#[test]
fn health_by_kind() {
    let deployment = |spec: Value, status: Value| {
        health(Some(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"generation": 2}, "spec": spec, "status": status,
        })))
        .as_str()
    };
    let ready = |n: i64| json!({"observedGeneration": 2, "updatedReplicas": n, "readyReplicas": n, "availableReplicas": n});
    assert_eq!(deployment(json!({"replicas": 2}), ready(2)), "Healthy");
    assert_eq!(deployment(json!({"replicas": 2}), ready(1)), "Progressing");
    assert_eq!(deployment(json!({"replicas": 0}), ready(0)), "Suspended");
    let mut stale = ready(1);
    stale["observedGeneration"] = json!(1);
    assert_eq!(deployment(json!({}), stale), "Progressing");
    let stuck = json!({"observedGeneration": 2, "updatedReplicas": 1, "conditions": [
        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
    ]});
    assert_eq!(deployment(json!({}), stuck), "Degraded");
    let late = json!({"observedGeneration": 2, "conditions": [
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"},
    ]});
    assert_eq!(deployment(json!({}), late), "Degraded");
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Running",
        "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}});
    assert_eq!(health(Some(&pod)).as_str(), "Degraded");
    assert_eq!(health(Some(&json!({"apiVersion": "v1", "kind": "Service"}))).as_str(), "Healthy");
    assert_eq!(health(None).as_str(), "Unknown");
}

#[test]
fn rendering_is_fast_enough_to_do_on_every_reconcile() {
    // Measured, not asserted: timed tests flake. The figure is printed with --nocapture.
    let sample = sample(SERVICE, greeter());
    sample.render();
    let rounds = 50;
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        sample.render();
    }
    let micros = start.elapsed().as_micros() / rounds;
    println!(
        "{{\"bench\":\"render\",\"metric\":\"service_us\",\"value\":{micros},\"unit\":\"us\"}}"
    );
}
