//! The program's own bundles on a real API server: installed, repeated, pruned, uninstalled.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use curtain_bundle::{Bundle, Error, Installer, Renewal, format::Role};
use curtain_embedded::apiserver::{Server, ServerConfig};
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Client, api::ListParams};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(30);

struct Cluster {
    client: Client,
    server: Server,
    stop: CancellationToken,
    _home: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let server = server(home.path(), stop.clone()).await;
        let client = server.local_client("admin", &["system:masters"]);
        let mut config = serde_json::Map::new();
        for name in ["kube-system", "default"] {
            config.insert("metadata".to_owned(), json!({ "name": name }));
            let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
            let namespace = serde_json::from_value(Value::Object(config.clone())).unwrap();
            match namespaces.create(&Default::default(), &namespace).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                other => drop(other.unwrap()),
            }
        }
        Self { client, server, stop, _home: home }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn server(directory: &Path, stop: CancellationToken) -> Server {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.pem().into_bytes();
    let key = certified.signing_key.serialize_pem().into_bytes();
    let config = ServerConfig {
        database: directory.join("objects.redb"),
        listeners: Vec::new(),
        ca: certificate.clone(),
        certificate,
        token_key: key.clone(),
        key,
        service_cidr: ([10, 96, 0, 0].into(), 16),
        advertise: ([127, 0, 0, 1], 443).into(),
        offline: false,
    };
    Server::start(config, stop).await.unwrap()
}

fn instance(gateway: u16) -> Value {
    json!({
        "name": "default", "image": "docker.io/library/curtain:0.1.0-0123456789ab", "build": "0123456789ab",
        "ports": {
            "portal": 8080, "mcp": 8081, "gateway": gateway, "api": 6443,
            "node": { "portal": 30080, "mcp": 30081, "gateway": 31908 },
        },
        "endpoints": {
            "portal": "http://localhost:8080", "api": "http://localhost:8080",
            "mcp": "http://localhost:8081/mcp", "observerMcp": "http://localhost:8081/observer/mcp",
            "gateway": format!("http://localhost:{gateway}"),
        },
    })
}

fn platform() -> Vec<Bundle> {
    // In the order of their requirements, which the appliance works out for itself.
    let order = ["gateway-api", "control", "data", "observability", "workflow"];
    let mut bundles = Bundle::all(Role::Platform).unwrap();
    bundles.sort_by_key(|bundle| order.iter().position(|name| *name == bundle.name()));
    bundles
}

#[tokio::test]
async fn every_bundle_is_accepted_and_repeating_changes_nothing() {
    let cluster = Cluster::start().await;
    let installer = Installer::new(cluster.client.clone());
    let instance = instance(19080);
    let started = Instant::now();
    for bundle in platform() {
        assert!(!installer.is_installed(&bundle, &instance).await.unwrap());
        let installed = installer.install(&bundle, &instance, LIMIT).await;
        let installed = installed.unwrap_or_else(|error| panic!("{error}"));
        assert!(installed.objects > 0);
        eprintln!("{}: {} objects, {:?}", bundle.name(), installed.objects, started.elapsed());
        assert!(installer.is_installed(&bundle, &instance).await.unwrap(), "{}", bundle.name());
    }
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), "openchoreo-control-plane");
    let users = ListParams::default().labels("curtain.dev/identity=user");
    let before = secrets.list(&users).await.unwrap().items;
    assert_eq!(before.len(), 2, "admin and developer");

    for bundle in platform() {
        let again = installer.install(&bundle, &instance, LIMIT).await.unwrap();
        assert_eq!(again.pruned, 0, "{}", bundle.name());
    }
    let after = secrets.list(&users).await.unwrap().items;
    let passwords = |all: &[Secret]| all.iter().map(|one| one.data.clone()).collect::<Vec<_>>();
    assert_eq!(passwords(&before), passwords(&after), "secrets are never overwritten");
    let moved = self::instance(29080);
    for bundle in platform() {
        let same = installer.is_installed(&bundle, &moved).await.unwrap();
        assert!(!same, "{} was installed for another instance", bundle.name());
    }
}

#[tokio::test]
async fn the_controller_manager_renews_leaves_in_the_last_third_of_their_life() {
    let cluster = Cluster::start().await;
    let installer = Installer::new(cluster.client.clone());
    for bundle in platform() {
        installer.install(&bundle, &instance(19080), LIMIT).await.unwrap();
    }
    let user = "system:serviceaccount:openchoreo-control-plane:controller-manager";
    let manager =
        cluster.server.local_client(user, &["system:serviceaccounts", "system:authenticated"]);
    let certificate = async |namespace: &str, name: &str| {
        let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
        let data = secrets.get(name).await.unwrap().data.unwrap();
        (data["tls.crt"].clone(), data["tls.key"].clone(), data["ca.crt"].clone())
    };
    let before = certificate("openchoreo-data-plane", "cluster-agent").await;
    let now = jiff::Timestamp::now();
    let days = |days: i64| now + jiff::SignedDuration::from_hours(24 * days);

    let renew = async |now: jiff::Timestamp| {
        let Renewal { mut renewed, failed } = curtain_bundle::renew_leaves(&manager, now).await;
        renewed.sort();
        (renewed, failed)
    };
    let (renewed, failed) = renew(days(500)).await;
    assert!(renewed.is_empty() && failed.is_empty(), "leaves live 825 days: {failed:?}");
    assert_eq!(certificate("openchoreo-data-plane", "cluster-agent").await, before);

    let all = [
        "openchoreo-control-plane/api-server-client",
        "openchoreo-control-plane/cluster-gateway",
        "openchoreo-control-plane/controller-manager-client",
        "openchoreo-data-plane/cluster-agent",
    ];
    let (renewed, failed) = renew(days(560)).await;
    assert!(renewed == all && failed.is_empty(), "{renewed:?} {failed:?}");
    let after = certificate("openchoreo-data-plane", "cluster-agent").await;
    assert!(after.0 != before.0 && after.1 != before.1, "a new certificate with a new key");
    assert_eq!(after.2, before.2, "of the same authority");
    let (again, failed) = renew(days(560 + 540)).await;
    assert!(again.is_empty() && failed.is_empty(), "the new ones begin a life of their own");

    // Whichever is broken, the others are renewed; here each is, one after the other.
    let mut now = 560;
    for broken in all {
        now += 560;
        let (namespace, name) = broken.split_once('/').unwrap();
        let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
        let whole = secrets.get(name).await.unwrap();
        let mut torn = whole.clone();
        torn.data.as_mut().unwrap().insert("tls.crt".to_owned(), ByteString(b"torn".to_vec()));
        let torn = secrets.replace(name, &Default::default(), &torn).await.unwrap();
        let (renewed, failed) = renew(days(now)).await;
        assert_eq!((renewed.len(), failed.len()), (3, 1), "{broken}: {renewed:?} {failed:?}");
        assert!(!renewed.iter().any(|secret| secret == broken));
        assert!(failed[0].to_string().contains("tls.crt"), "{}", failed[0]);
        let resource_version = torn.metadata.resource_version;
        let mended =
            Secret { metadata: ObjectMeta { resource_version, ..whole.metadata }, ..whole };
        secrets.replace(name, &Default::default(), &mended).await.unwrap();
    }
}

fn maps(names: &[&str]) -> Bundle {
    let text =
        "apiVersion: curtain.dev/bundle/v1\nname: maps\nversion: '1'\nmanifests: [maps.yaml]\n";
    let documents: Vec<String> = names
        .iter()
        .map(|name| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\n"
            )
        })
        .collect();
    let file = documents.join("---\n");
    Bundle::read("maps", "bundles/maps", text, &|path| vec![(path.to_owned(), file.clone())])
        .unwrap()
}

#[tokio::test]
async fn what_a_bundle_no_longer_has_goes_and_what_others_made_stays() {
    let cluster = Cluster::start().await;
    let installer = Installer::new(cluster.client.clone());
    let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "default");
    let own = serde_json::from_value(json!({ "metadata": { "name": "own" } })).unwrap();
    api.create(&Default::default(), &own).await.unwrap();

    installer.install(&maps(&["a", "b"]), &json!({}), LIMIT).await.unwrap();
    // Somebody replaces `a` by an object of their own: it is not ours to prune any more.
    api.delete("a", &Default::default()).await.unwrap();
    let replaced = serde_json::from_value(json!({ "metadata": { "name": "a" } })).unwrap();
    api.create(&Default::default(), &replaced).await.unwrap();
    let second = installer.install(&maps(&["c"]), &json!({}), LIMIT).await.unwrap();
    assert_eq!(second.pruned, 1, "only `b`");
    assert_eq!(installer.uninstall("maps", LIMIT).await.unwrap(), 1, "only `c`");
    let left: Vec<_> = api.list(&ListParams::default()).await.unwrap().items;
    let left: Vec<_> = left.into_iter().filter_map(|map| map.metadata.name).collect();
    assert!(left.contains(&"a".to_owned()) && left.contains(&"own".to_owned()), "{left:?}");
    assert!(!left.contains(&"b".to_owned()) && !left.contains(&"c".to_owned()), "{left:?}");
    assert_eq!(
        installer.uninstall("maps", LIMIT).await.unwrap(),
        0,
        "a second time removes nothing"
    );
}

#[tokio::test]
async fn a_refused_object_names_its_file_and_document() {
    let cluster = Cluster::start().await;
    let text =
        "apiVersion: curtain.dev/bundle/v1\nname: bad\nversion: '1'\nmanifests: [bad.yaml]\n";
    let file = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n---\n\
                apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: missing}\n";
    let find = |path: &str| vec![(path.to_owned(), file.to_owned())];
    let bundle = Bundle::read("bad", "bundles/bad", text, &find).unwrap();
    let installer = Installer::new(cluster.client.clone());
    let error = installer.install(&bundle, &json!({}), LIMIT).await.unwrap_err();
    assert!(matches!(error, Error::Refused { document: 2, .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("bundles/bad/bad.yaml") && said.contains("missing"), "{said}");
}

#[tokio::test]
async fn what_is_not_ready_is_named_with_how_far_it_is() {
    let cluster = Cluster::start().await;
    let text = "apiVersion: curtain.dev/bundle/v1\nname: idle\nversion: '1'\nmanifests: [d.yaml]\n";
    let file = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: default}\nspec:\n  \
                selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    \
                spec: {containers: [{name: c, image: none}]}\n";
    let find = |path: &str| vec![(path.to_owned(), file.to_owned())];
    let bundle = Bundle::read("idle", "bundles/idle", text, &find).unwrap();
    let installer = Installer::new(cluster.client.clone());
    installer.install(&bundle, &json!({}), LIMIT).await.unwrap();
    assert!(!installer.is_ready(&bundle).await.unwrap());
    let wait = Duration::from_millis(300);
    let error = installer.ready(&bundle, wait, &|_| ()).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("Deployment default/web") && said.contains("no controller"), "{said}");
}
