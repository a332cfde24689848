//! Who may do what: certificates and tokens over TLS, RBAC, escalation.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use super::harness::Cluster;
use crate::apiserver::auth::User;

const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";

async fn request(
    cluster: &Cluster,
    identity: Option<(String, String)>,
    token: Option<&str>,
    path: &str,
) -> (u16, Value) {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cluster.pki.ca.as_bytes()).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let tls = match identity {
        Some((certificate, key)) => tls
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
        None => tls.with_no_client_auth(),
    };
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_all_versions()
        .build();
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let mut request =
        http::Request::builder().uri(format!("https://{}{path}", cluster.server.addr().unwrap()));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let reply = client.request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(reply.version(), http::Version::HTTP_2, "ALPN");
    let code = reply.status().as_u16();
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn certificates_and_tokens_are_identities() {
    let cluster = Cluster::start().await;
    let admin = cluster.pki.client("admin", &["system:masters"]);
    assert_eq!(request(&cluster, Some(admin), None, "/api/v1/namespaces").await.0, 200);
    let somebody = cluster.pki.client("somebody", &[]);
    let (code, status) =
        request(&cluster, Some(somebody), None, "/api/v1/namespaces/default/pods").await;
    assert_eq!(code, 403);
    insta::assert_json_snapshot!("forbidden", status);

    assert_eq!(request(&cluster, None, None, "/version").await.0, 200, "anonymous");
    assert_eq!(request(&cluster, None, None, "/healthz").await.0, 200, "anonymous");
    for path in ["/api", "/apis", "/openapi/v3", "/api/v1/namespaces", "/apis/none/v1/x"] {
        assert_eq!(request(&cluster, None, None, path).await.0, 403, "anonymous {path}");
    }

    let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let (code, made) = cluster.post(path, json!({"spec": {}})).await;
    assert_eq!(code, 201);
    let token = made["status"]["token"].as_str().unwrap();
    assert_eq!(request(&cluster, None, Some(token), "/apis").await.0, 200);
    assert_eq!(request(&cluster, None, Some(token), "/api/v1/pods").await.0, 403);
    assert_eq!(request(&cluster, None, Some("nonsense"), "/version").await.0, 401);

    let review = json!({"spec": {"token": token}});
    let (_, answer) =
        cluster.post("/apis/authentication.k8s.io/v1/tokenreviews", review.clone()).await;
    assert_eq!(answer["status"]["user"]["username"], "system:serviceaccount:default:default");
    let other = json!({"spec": {"token": token, "audiences": ["elsewhere"]}});
    let (_, answer) = cluster.post("/apis/authentication.k8s.io/v1/tokenreviews", other).await;
    assert!(
        answer["status"]["authenticated"].is_null() && answer["status"]["error"].is_string(),
        "{answer}"
    );
    // The account goes, and its tokens with it.
    cluster.call("DELETE", "/api/v1/namespaces/default/serviceaccounts/default", "", "").await;
    assert_eq!(request(&cluster, None, Some(token), "/apis").await.0, 401);
}

#[tokio::test]
async fn nobody_grants_more_than_they_hold() {
    let cluster = Cluster::start().await;
    let role = |name: &str, resource: &str| json!({"metadata": {"name": name}, "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["get"]}]});
    let rules = json!([
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create", "update"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    cluster.post(ROLES, json!({"metadata": {"name": "granter"}, "rules": rules})).await;
    let bindings = ROLES.replace("roles", "rolebindings");
    let bind = |role: &str, user: &str| {
        json!({"metadata": {"name": format!("{role}-{user}")}, "roleRef": {"kind": "Role", "name": role},
            "subjects": [{"kind": "User", "name": user}]})
    };
    assert_eq!(cluster.post(&bindings, bind("granter", "eve")).await.0, 201);
    let eve = || User::new("eve", Vec::<String>::new());
    let post = async |path: &str, body: Value| {
        cluster.call_as(eve(), "POST", path, "application/json", &body.to_string()).await
    };
    assert_eq!(post(ROLES, role("fine", "pods")).await.0, 201);
    let (code, status) = post(ROLES, role("more", "secrets")).await;
    assert_eq!(code, 403);
    insta::assert_json_snapshot!("escalation", status);
    cluster.post(ROLES, role("more", "secrets")).await;
    assert_eq!(post(&bindings, bind("more", "eve")).await.0, 403, "binding is granting");
    assert_eq!(post(&bindings, bind("fine", "mallory")).await.0, 201);
}

#[tokio::test]
async fn a_rule_for_one_name_shows_one_and_lets_no_other_be_written() {
    let cluster = Cluster::start().await;
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a"],
        "verbs": ["create", "list", "watch", "deletecollection"]}]);
    cluster.post(ROLES, json!({"metadata": {"name": "one"}, "rules": rules})).await;
    let binding = json!({"metadata": {"name": "one"}, "roleRef": {"kind": "Role", "name": "one"},
        "subjects": [{"kind": "User", "name": "eve"}]});
    cluster.post(&ROLES.replace("roles", "rolebindings"), binding).await;
    let maps = "/api/v1/namespaces/default/configmaps";
    let call = async |method: &str, query: &str, body: &str| {
        let eve = User::new("eve", Vec::<String>::new());
        cluster.call_as(eve, method, &format!("{maps}{query}"), "application/json", body).await.0
    };
    let selected = "?fieldSelector=metadata.name%3Da";
    assert_eq!(call("GET", selected, "").await, 200);
    assert_eq!(call("GET", "", "").await, 403);
    assert_eq!(call("POST", selected, r#"{"metadata":{"name":"b"}}"#).await, 403);
    assert_eq!(call("DELETE", selected, "").await, 403);
}

#[tokio::test]
async fn roles_are_aggregated_by_label() {
    let cluster = Cluster::start().await;
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let extra = json!({"metadata": {"name": "extra", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
        "rules": [{"apiGroups": ["example.dev"], "resources": ["widgets"], "verbs": ["get"]}]});
    cluster.post(roles, extra).await;
    let binding = json!({"metadata": {"name": "v"}, "roleRef": {"kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "name": "viewer"}]});
    cluster.post(&ROLES.replace("roles", "rolebindings"), binding).await;
    let review = json!({"spec": {"user": "viewer", "resourceAttributes":
        {"verb": "get", "group": "example.dev", "resource": "widgets", "namespace": "default"}}});
    let (_, answer) =
        cluster.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review).await;
    assert_eq!(answer["status"]["allowed"], true, "at once: {answer}");
    let written = async {
        loop {
            let (_, role) = cluster.get(&format!("{roles}/admin")).await;
            if role["rules"].to_string().contains("widgets") {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), written)
        .await
        .expect("and in the object, through edit");
}
