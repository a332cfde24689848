//! A control plane and a data plane on one embedded API server, with the controllers running against it.
//!
//! No node runs, and no controller but ours: what a Deployment's status says is what a test writes into it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "each test file uses its part")]

use curtain_embedded::apiserver::{Server, ServerConfig};
use curtain_embedded::{ClusterConfig, Reach, Registries, init};
use curtain_platform::controllers::{Config, run};
use curtain_platform::remote::Planes;
use curtain_platform::types::{KINDS, crd};
use curtain_role::{Health, Shutdown};
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
};
use kube::core::discovery::Scope;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test calls it broken.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) client: Client,
    /// An administrator's kubeconfig for the API server.
    pub(crate) kubeconfig: PathBuf,
    planes: Planes,
    home: tempfile::TempDir,
    controllers: Option<(Shutdown, tokio::task::JoinHandle<()>)>,
    stop: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    /// CRDs, default content and running controllers, for which every plane is the one API server.
    pub(crate) async fn start() -> Self {
        let mut world = Self::prepare("").await;
        world.run();
        world
    }

    /// The same before any controller runs; agents are recognised by certificates of `agent_ca` (PEM).
    pub(crate) async fn prepare(agent_ca: &str) -> Self {
        // `RUST_LOG=curtain_platform=debug` shows every pass.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let home = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = ClusterConfig {
            version: ClusterConfig::VERSION,
            instance: "test".into(),
            home: home.path().join("cluster"),
            binary: "/nonexistent".into(),
            own_image: "none".into(),
            api_listen: address,
            front_doors: Vec::new(),
            service_cidr: "10.96.0.0/16".parse().unwrap(),
            pod_cidr: "10.244.0.0/16".parse().unwrap(),
            reach: Reach::default(),
            registries: Registries::default(),
            sight: true,
            offline: false,
        };
        init(&config).unwrap();
        let pki = config.pki();
        let read = |path: &Path| std::fs::read(path).unwrap();
        let server = ServerConfig {
            database: home.path().join("objects.redb"),
            listeners: vec![listener],
            certificate: read(&pki.apiserver_cert),
            key: read(&pki.apiserver_key),
            ca: read(&pki.ca_cert),
            token_key: read(&pki.service_account_key),
            service_cidr: (Ipv4Addr::new(10, 96, 0, 0), 16),
            advertise: address,
            offline: false,
        };
        let stop = CancellationToken::new();
        let server = Server::start(server, stop.clone()).await.unwrap();
        let client = server.local_client("test", &["system:masters"]);
        let planes = Planes::Direct(client.clone());
        let kubeconfig = config.admin_kubeconfig();
        let world = Self { client, kubeconfig, planes, home, controllers: None, stop };
        for info in KINDS {
            world.apply(&crd(info)).await;
        }
        world.apply(&any_kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")).await;
        for info in KINDS {
            world.served(&format!("/apis/openchoreo.dev/v1alpha1/{}", info.plural)).await;
        }
        world.served("/apis/gateway.networking.k8s.io/v1/httproutes").await;
        for mut document in defaults() {
            if let Some(authority) = document.pointer_mut("/spec/clusterAgent/clientCA/value") {
                *authority = json!(agent_ca);
            }
            world.apply(&document).await;
        }
        world
    }

    /// Reaches planes in another way from the next start of the controllers on.
    pub(crate) fn reach_planes(&mut self, planes: Planes) {
        self.planes = planes;
    }

    /// Starts the controllers.
    pub(crate) fn run(&mut self) {
        let shutdown = Shutdown::default();
        let config = Config {
            control: self.client.clone(),
            planes: self.planes.clone(),
            health: Health::default(),
        };
        let until = shutdown.clone();
        let task = tokio::spawn(async move { run(config, until).await.unwrap() });
        self.controllers = Some((shutdown, task));
    }

    /// Stops the controllers.
    pub(crate) async fn halt(&mut self) {
        let (shutdown, task) = self.controllers.take().unwrap();
        shutdown.trigger();
        task.await.unwrap();
    }

    async fn served(&self, path: &str) {
        let until = Instant::now() + LIMIT;
        loop {
            let request = http::Request::get(path).body(Vec::new()).unwrap();
            match self.client.request_text(request).await {
                Ok(_) => return,
                Err(error) => assert!(Instant::now() < until, "{path} is not served: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn api(&self, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let (group, version, plural) = match kind {
            "Namespace" | "Service" | "ServiceAccount" | "ConfigMap" | "Pod" | "Secret" => {
                ("", "v1", None)
            }
            "Deployment" => ("apps", "v1", None),
            "NetworkPolicy" => ("networking.k8s.io", "v1", Some("networkpolicies")),
            "HTTPRoute" => ("gateway.networking.k8s.io", "v1", None),
            "CustomResourceDefinition" => ("apiextensions.k8s.io", "v1", None),
            _ => ("openchoreo.dev", "v1alpha1", None),
        };
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = match plural {
            Some(plural) => ApiResource::from_gvk_with_plural(&gvk, plural),
            None => ApiResource::from_gvk(&gvk),
        };
        let cluster =
            kind.starts_with("Cluster") || matches!(kind, "Namespace" | "CustomResourceDefinition");
        match if cluster { Scope::Cluster } else { Scope::Namespaced } {
            Scope::Cluster => Api::all_with(self.client.clone(), &resource),
            Scope::Namespaced => Api::namespaced_with(self.client.clone(), namespace, &resource),
        }
    }

    pub(crate) async fn apply(&self, object: &Value) -> DynamicObject {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        let api = self.api(object["kind"].as_str().unwrap(), namespace);
        let name = object["metadata"]["name"].as_str().unwrap();
        api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await.unwrap()
    }

    pub(crate) async fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let found = self.api(kind, namespace).get_opt(name).await.unwrap();
        found.map(|object| serde_json::to_value(object).unwrap())
    }

    pub(crate) async fn names(&self, kind: &str, namespace: &str) -> Vec<String> {
        let list = self.api(kind, namespace).list(&ListParams::default()).await.unwrap();
        list.items.iter().map(|object| object.name_any()).collect()
    }

    pub(crate) async fn merge(&self, kind: &str, namespace: &str, name: &str, patch: Value) {
        let api = self.api(kind, namespace);
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    pub(crate) async fn delete(&self, kind: &str, namespace: &str, name: &str) {
        self.api(kind, namespace).delete(name, &Default::default()).await.unwrap();
    }

    /// Waits until an object is as `ready` wants it.
    pub(crate) async fn until(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        ready: impl Fn(&Value) -> bool,
    ) -> Value {
        let until = Instant::now() + LIMIT;
        loop {
            let found = self.get(kind, namespace, name).await;
            match found {
                Some(object) if ready(&object) => return object,
                found if Instant::now() > until => {
                    panic!("{kind} {namespace}/{name} is {found:#?}")
                }
                _ => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    }

    /// Waits until an object is gone.
    pub(crate) async fn gone(&self, kind: &str, namespace: &str, name: &str) {
        let until = Instant::now() + LIMIT;
        while let Some(object) = self.get(kind, namespace, name).await {
            assert!(
                Instant::now() < until,
                "{kind} {namespace}/{name} is still there: {object:#?}"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Plays the Deployment controller: everything is up.
    pub(crate) async fn bring_up(&self, namespace: &str, name: &str) {
        let deployment = self.until("Deployment", namespace, name, |_| true).await;
        let replicas = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
        let status = json!({ "status": {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
            "conditions": [
                { "type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": "" },
                { "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": "" },
            ],
        } });
        let api = self.api("Deployment", namespace);
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }
}

impl World {
    /// Plays the node: the pod's container waits.
    pub(crate) async fn waits(&self, namespace: &str, name: &str, reason: &str, message: &str) {
        let waiting = json!({ "reason": reason, "message": message });
        let status = json!({ "status": { "phase": "Pending", "containerStatuses": [{
            "name": "main", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": waiting },
        }] } });
        let api = self.api("Pod", namespace);
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }
}

/// Whether a condition of an object has this status and reason.
pub(crate) fn is(object: &Value, condition: &str, status: &str, reason: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|c| c["type"] == condition && c["status"] == status && c["reason"] == reason)
}

fn manifest(path: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests").join(path);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = text
        .replace("${instance.ports.gateway}", "19080")
        .replace("${instance.endpoints.api}", "http://localhost:8080")
        .replace("${instance.image}", "curtain:test");
    let documents =
        text.split("\n---\n").filter(|d| d.lines().any(|l| !l.starts_with('#') && l != "---"));
    documents.map(|d| serde_saphyr::from_str(d.trim_start_matches("---\n")).unwrap()).collect()
}

fn defaults() -> Vec<Value> {
    let files = [
        "planes/planes.yaml",
        "component-types/service.yaml",
        "component-types/worker.yaml",
        "traits/observability-alert-rule.yaml",
        "deployment-pipeline.yaml",
        "environments.yaml",
        "project.yaml",
    ];
    files.iter().flat_map(|file| manifest(&format!("defaults/{file}"))).collect()
}

/// The greeter sample: a Component and its Workload.
pub(crate) fn greeter() -> [Value; 2] {
    manifest("samples/greeter.yaml").try_into().unwrap()
}

/// A kind whose objects may hold anything.
fn any_kind(group: &str, version: &str, kind: &str, plural: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{group}"),
            "annotations": { "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api" },
        },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": { "kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List") },
            "versions": [{
                "name": version, "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
                "subresources": { "status": {} },
            }],
        },
    })
}
