//! The api-server in process, on an embedded API server with the platform's own manifests.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use curtain_embedded::apiserver::{Server, ServerConfig};
use curtain_platform::remote::Planes;
use curtain_role::{
    Health, HttpClient, Instance, Shutdown, http_client, listen, origin::AllowedHosts, serve,
};
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use kube::{
    Api as KubeApi, Client,
    api::PostParams,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::{
    audit::{Audit, Retention},
    authz::{Clock, GRANT_KINDS},
    identity::Issuer,
    server::{About, doors},
};

const NAMESPACE: &str = "openchoreo-control-plane";
const RETENTION: Retention = Retention { age: Duration::from_secs(3600), bytes: 1 << 20 };

/// A running api-server; everything ends when it is dropped.
pub(crate) struct Platform {
    /// Base URL of REST and identity.
    pub(crate) base: String,
    /// URL of MCP.
    pub(crate) mcp: String,
    /// The cluster, as its administrator.
    kube: Client,
    /// The cluster itself.
    pub(crate) cluster: Server,
    http: HttpClient,
    shutdown: Shutdown,
    _directory: tempfile::TempDir,
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

impl Platform {
    pub(crate) async fn start() -> Self {
        Self::start_at(Clock::default()).await
    }

    /// One whose grants end by `clock`.
    pub(crate) async fn start_at(clock: Clock) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().expect("directory");
        let shutdown = Shutdown::default();
        let cluster = cluster(directory.path(), &shutdown).await;
        let kube = cluster.local_client("admin", &["system:masters"]);
        seed(&kube).await;

        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("key");
        let issuer = Issuer::new(
            key.serialize_pem().as_bytes(),
            "http://openchoreo.localhost".into(),
            "openchoreo".into(),
        )
        .expect("issuer");
        let health = Health::default();
        let about = About {
            audit: Audit::open(&directory.path().join("audit.redb"), RETENTION, clock.clone())
                .expect("audit"),
            clock,
            roles: ["observer".into(), "sre-agent".into()],
            namespace: NAMESPACE.to_owned(),
            instance: Instance::new("ci"),
            hosts: AllowedHosts::default(),
            version: "0.0.0".into(),
            revision: "test".into(),
        };
        let planes = Planes::Direct(kube.clone());
        let (rest, mcp) = doors(kube.clone(), issuer, planes, about, &health, &shutdown);

        until("the watches", || health.waiting_for().is_empty()).await;
        Self {
            base: somewhere(rest, &shutdown).await,
            mcp: format!("{}/mcp", somewhere(mcp, &shutdown).await),
            kube,
            cluster,
            http: http_client(),
            shutdown,
            _directory: directory,
        }
    }

    /// A token of a person (`admin`, `developer`) or of the read-only agent `one`.
    pub(crate) async fn token(&self, who: &str) -> String {
        let form = if who == "one" {
            format!("grant_type=client_credentials&client_id={who}&client_secret=secret-{who}")
        } else {
            format!("grant_type=password&username={who}&password=secret-{who}")
        };
        let request = Request::post(format!("{}/oauth2/token", self.base))
            .body(Full::new(Bytes::from(form)))
            .expect("request");
        let body = self.http.request(request).await.expect("answer").into_body();
        let body: Value =
            serde_json::from_slice(&body.collect().await.expect("body").to_bytes()).expect("json");
        body["access_token"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
    }

    /// Sends a request and returns status and JSON.
    pub(crate) async fn send(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let response = self.raw(token, method, path, body, &[]).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub(crate) async fn raw(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(header::HeaderName, &str)],
    ) -> Response<Incoming> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).expect("request");
        self.http.request(request).await.expect("answer")
    }

    /// The namespaced object, as the cluster has it.
    pub(crate) async fn find(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Option<DynamicObject> {
        let gvk = GroupVersionKind::gvk("openchoreo.dev", "v1alpha1", kind);
        let resource = ApiResource::from_gvk(&gvk);
        let api: KubeApi<DynamicObject> =
            KubeApi::namespaced_with(self.kube.clone(), namespace, &resource);
        api.get_opt(name).await.expect("answer")
    }

    /// Puts an object into the cluster and returns it as it is there.
    pub(crate) async fn apply(&self, object: Value) -> DynamicObject {
        let status = object.get("status").cloned();
        let made = create(&self.kube, object).await;
        let Some(status) = status else { return made };
        let types = made.types.clone().expect("types");
        let (group, version) =
            types.api_version.split_once('/').unwrap_or(("", &types.api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &types.kind));
        let namespace = made.metadata.namespace.clone().expect("namespace");
        let api: KubeApi<DynamicObject> =
            KubeApi::namespaced_with(self.kube.clone(), &namespace, &resource);
        let name = made.metadata.name.clone().expect("name");
        let patch = kube::api::Patch::Merge(json!({ "status": status }));
        api.patch_status(&name, &Default::default(), &patch).await.expect("status")
    }
}

/// Waits for `condition`, but not forever.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, waiting).await.unwrap_or_else(|_| panic!("waited for {what}"));
}

async fn somewhere(router: axum::Router, shutdown: &Shutdown) -> String {
    let listener = listen(([127, 0, 0, 1], 0).into()).await.expect("listen");
    let base = format!("http://{}", listener.local_addr().expect("address"));
    tokio::spawn(serve(listener, router, shutdown.clone()));
    base
}

async fn cluster(directory: &Path, shutdown: &Shutdown) -> Server {
    let certified =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("certificate");
    let certificate = certified.cert.pem().into_bytes();
    let config = ServerConfig {
        database: directory.join("objects.redb"),
        listeners: Vec::new(),
        ca: certificate.clone(),
        certificate,
        key: certified.signing_key.serialize_pem().into_bytes(),
        token_key: certified.signing_key.serialize_pem().into_bytes(),
        service_cidr: ([10, 96, 0, 0].into(), 16),
        advertise: ([127, 0, 0, 1], 443).into(),
        offline: false,
    };
    Server::start(config, shutdown.token()).await.expect("API server")
}

async fn create(kube: &Client, object: Value) -> DynamicObject {
    let (group, version) = object["apiVersion"]
        .as_str()
        .map(|text| text.split_once('/').unwrap_or(("", text)))
        .expect("apiVersion");
    let gvk = GroupVersionKind::gvk(group, version, object["kind"].as_str().expect("kind"));
    let resource = ApiResource::from_gvk(&gvk);
    let api: KubeApi<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => KubeApi::namespaced_with(kube.clone(), namespace, &resource),
        None => KubeApi::all_with(kube.clone(), &resource),
    };
    let object: DynamicObject = serde_json::from_value(object).expect("object");
    let name = object.metadata.name.clone().unwrap_or_default();
    let created = api.create(&PostParams::default(), &object).await;
    created.unwrap_or_else(|error| panic!("{} {name}: {error}", resource.kind))
}

/// The platform's CRDs, a namespace, subjects with roles, and something to deploy.
async fn seed(kube: &Client) {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/crds");
    for entry in std::fs::read_dir(crds).expect("manifests/crds") {
        let text = std::fs::read_to_string(entry.expect("entry").path()).expect("manifest");
        create(kube, serde_saphyr::from_str(&text).expect("yaml")).await;
    }
    let crds: KubeApi<DynamicObject> = KubeApi::all_with(
        kube.clone(),
        &ApiResource::from_gvk(&GroupVersionKind::gvk(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
        )),
    );
    let established = |crd: &DynamicObject| {
        let conditions = crd.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|one| one["type"] == "Established" && one["status"] == "True")
    };
    for _ in 0..200 {
        let listed = crds.list(&Default::default()).await.expect("CRDs");
        if listed.items.iter().all(established) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for object in objects() {
        create(kube, object).await;
    }
}

fn objects() -> Vec<Value> {
    let subject = |name: &str, kind: &str, group: &str| {
        let (id, secret) =
            if kind == "user" { ("username", "password") } else { ("client-id", "client-secret") };
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "name": format!("{kind}-{name}"), "namespace": NAMESPACE,
                "labels": {"curtain.dev/identity": kind},
            },
            "stringData": {id: name, secret: format!("secret-{name}"), "groups": group},
        })
    };
    let platform = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "openchoreo.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name}, "spec": spec,
        })
    };
    let role = |name: &str, actions: &[&str]| {
        platform("ClusterAuthzRole", name, json!({"actions": actions}))
    };
    let binding = |group: &str, role: &str| {
        platform(
            "ClusterAuthzRoleBinding",
            group,
            json!({
                "entitlement": {"claim": "groups", "value": group},
                "roleMappings": [{"roleRef": {"kind": "ClusterAuthzRole", "name": role}}],
            }),
        )
    };
    let view = [
        "namespace",
        "project",
        "component",
        "workload",
        "componentrelease",
        "releasebinding",
        "environment",
        "deploymentpipeline",
        "clustercomponenttype",
        "clusterdataplane",
        "logs",
    ];
    let view: Vec<String> = view.iter().map(|kind| format!("{kind}:view")).collect();
    let view: Vec<&str> = view.iter().map(String::as_str).collect();
    let mut developer = view.clone();
    developer.extend([
        "project:create",
        "componenttype:view",
        "component:*",
        "workload:*",
        "componentrelease:create",
        "releasebinding:create",
        "releasebinding:update",
    ]);
    let in_team = |mut object: Value| {
        object["metadata"]["namespace"] = json!("team");
        object
    };
    let labels = json!({"openchoreo.dev/control-plane": "true"});
    let service = json!({
        "workloadType": "deployment",
        "parameters": {"openAPIV3Schema": {"type": "object", "properties": {
            "replicas": {"type": "integer", "default": 1},
        }}},
        "resources": [{"id": "deployment", "template": {"apiVersion": "apps/v1", "kind": "Deployment"}}],
    });
    let kinds = GRANT_KINDS.iter().map(|kind| role(kind.name, kind.actions));
    let mut objects: Vec<Value> = kinds.collect();
    objects.extend([
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team", "labels": labels}}),
        subject("admin", "user", "admins"),
        subject("developer", "user", "developers"),
        subject("one", "agent", "agents"),
        role("admin", &["*"]),
        role("developer", &developer),
        role("agent-reader", &view),
        binding("admins", "admin"),
        binding("developers", "developer"),
        binding("agents", "agent-reader"),
        platform("ClusterComponentType", "service", service),
        platform(
            "ClusterDataPlane",
            "default",
            json!({"planeID": "default", "clusterAgent": {"clientCA": {"value": "x"}}}),
        ),
        in_team(platform(
            "Environment",
            "development",
            json!({"dataPlaneRef": {"kind": "ClusterDataPlane", "name": "default"}}),
        )),
        in_team(platform(
            "DeploymentPipeline",
            "default",
            json!({"promotionPaths": [{
                "sourceEnvironmentRef": {"name": "development"}, "targetEnvironmentRefs": [{"name": "production"}],
            }]}),
        )),
    ]);
    objects
}

/// What the tasks of this thread write to the audit log; a `Platform` that starts later in the same test has all of its
/// tasks there.
pub(crate) struct AuditLog {
    text: LogText,
    /// With a second one there, the threads of other tests do not decide for all what is logged.
    _other: tracing::Dispatch,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Clone, Default)]
struct LogText(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for LogText {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("lock").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl AuditLog {
    /// Begins to listen.
    pub(crate) fn start() -> Self {
        let text = LogText::default();
        let writer = text.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
        let guard = tracing::subscriber::set_default(subscriber);
        Self { text, _other: other, _guard: guard }
    }

    /// The lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.text.0.lock().expect("lock").clone()).expect("text");
        text.lines().filter(|line| line.contains(" audit: ")).map(str::to_owned).collect()
    }
}
