//! NetworkPolicies of a whole cluster, by what its pods reach.

use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::AttachParams;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::streams::{program, rest};
use super::*;

/// The pods of a namespace.
fn pods(client: &Client, namespace: &str) -> Api<Pod> {
    Api::namespaced(client.clone(), namespace)
}

/// What a program in a pod prints.
async fn says(pods: &Api<Pod>, pod: &str, words: &[&str]) -> Option<String> {
    let output = AttachParams::default().stderr(false);
    let mut process = pods.exec(pod, program(words), &output).await.ok()?;
    Some(rest(process.stdout()).await.trim().to_owned())
}

/// Waits until a program in a pod prints this, and sees that it does so again.
async fn comes_to_say(pods: &Api<Pod>, pod: &str, words: &[&str], wanted: &str) {
    let mut last = None;
    let same = eventually_or(async || {
        last = says(pods, pod, words).await;
        last.as_deref() == Some(wanted)
    });
    assert!(same.await, "{pod} {words:?}: wanted {wanted:?}, the last was {last:?}");
    assert_eq!(says(pods, pod, words).await.as_deref(), Some(wanted), "{pod} {words:?}");
}

async fn eventually_or(mut check: impl AsyncFnMut() -> bool) -> bool {
    let poll = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.is_ok()
}

#[tokio::test]
async fn policies_hold_from_when_they_are_written_until_they_go() {
    let mut cluster = TestCluster::new("policy");
    let listen = crate::node::testing::free_address();
    cluster.config.front_doors.push(FrontDoor {
        listen,
        namespace: "default".into(),
        service: "web".into(),
        port: 80,
    });
    crate::init(&cluster.config).unwrap();
    start(&cluster);
    let client = client(&cluster).await;
    let (ours, theirs) = (pods(&client, "default"), pods(&client, "guests"));
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let guests = json!({"metadata": {"name": "guests"}});
    let params = PostParams::default();
    namespaces.create(&params, &serde_json::from_value(guests).unwrap()).await.unwrap();

    let mut web = pod("web", &["serve", "8080"]);
    web["spec"]["containers"][0]["ports"] = json!([{"name": "http", "containerPort": 8080}]);
    web["spec"]["containers"][0]["readinessProbe"] =
        json!({"httpGet": {"port": "http", "path": "/"}, "periodSeconds": 1});
    create(&client, web).await;
    create(&client, pod("client", &["wait"])).await;
    let stranger: Pod = serde_json::from_value(pod("stranger", &["wait"])).unwrap();
    eventually("the pod is accepted", async || theirs.create(&params, &stranger).await.ok()).await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}});
    let services: Api<Service> = Api::default_namespaced(client.clone());
    let apply = PatchParams::apply("test");
    let made = services.patch("web", &apply, &Patch::Apply(&service)).await.unwrap();
    let virtual_ip = made.spec.unwrap().cluster_ip.unwrap();
    let by_service = format!("{virtual_ip}:80");
    let web = eventually("web is ready", async || ours.get("web").await.ok().filter(ready)).await;
    let straight = format!("{}:8080", web.status.unwrap().pod_ip.unwrap());
    in_phase(&ours, "client", "Running").await;
    in_phase(&theirs, "stranger", "Running").await;

    let (service, pod) = (["reach", &by_service], ["reach", &straight]);
    comes_to_say(&ours, "client", &service, "hello").await;
    comes_to_say(&theirs, "stranger", &service, "hello").await;

    let policies: Api<NetworkPolicy> = Api::default_namespaced(client.clone());
    let put = async |name: &str, spec: Value| {
        let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": name}, "spec": spec});
        policies.patch(name, &apply, &Patch::Apply(&policy)).await.unwrap();
    };
    // Nobody comes in but the machine: its front door, its probes, and who forwards a port.
    put("deny", json!({"podSelector": {}})).await;
    comes_to_say(&ours, "client", &service, "refused").await;
    comes_to_say(&ours, "client", &pod, "refused").await;
    comes_to_say(&theirs, "stranger", &service, "refused").await;
    let ask = move || {
        let mut stream = TcpStream::connect(listen)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    let answer = tokio::task::spawn_blocking(ask).await.unwrap().unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
    let mut forwarder = ours.portforward("web", &[8080]).await.unwrap();
    let mut stream = forwarder.take_stream(8080).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
    let uri = format!("/api/v1/nodes/{}/proxy/flows", cluster.config.node_name());
    let flows = client.request_text(http::Request::get(uri).body(Vec::new()).unwrap()).await;
    let flows: Value = serde_json::from_str(&flows.unwrap()).unwrap();
    let denied = flows["flows"].as_array().unwrap().iter().filter(|f| f["verdict"] == "denied");
    let names: Vec<_> = denied
        .map(|flow| {
            assert_eq!(flow["reason"], "IngressDenied", "{flow}");
            assert_eq!(flow["destination"]["name"], "web", "{flow}");
            flow["source"]["name"].as_str().unwrap()
        })
        .collect();
    assert!(names.contains(&"client") && names.contains(&"stranger"), "{flows}");

    // Another policy opens a port by its name to some.
    let from = |peers: Value| {
        json!({"podSelector": {"matchLabels": {"app": "web"}},
            "ingress": [{"from": peers, "ports": [{"port": "http"}]}]})
    };
    put("some", from(json!([{"podSelector": {"matchLabels": {"app": "client"}}}]))).await;
    comes_to_say(&ours, "client", &service, "hello").await;
    comes_to_say(&theirs, "stranger", &service, "refused").await;

    // Labels count as they are now: a namespace's, a pod's.
    let team = json!([{"namespaceSelector": {"matchLabels": {"team": "red"}}}]);
    put("some", from(team)).await;
    comes_to_say(&ours, "client", &service, "refused").await;
    let merge = PatchParams::default();
    let red = Patch::Merge(json!({"metadata": {"labels": {"team": "red"}}}));
    namespaces.patch("guests", &merge, &red).await.unwrap();
    comes_to_say(&theirs, "stranger", &service, "hello").await;
    put("some", from(json!([{"podSelector": {"matchLabels": {"role": "reader"}}}]))).await;
    comes_to_say(&theirs, "stranger", &service, "refused").await;
    let reader = Patch::Merge(json!({"metadata": {"labels": {"role": "reader"}}}));
    ours.patch("client", &merge, &reader).await.unwrap();
    comes_to_say(&ours, "client", &service, "hello").await;

    // They are there before the first connection that another node serves.
    let node = node_pid(&cluster).unwrap();
    kill(node);
    eventually("another node runs", async || node_pid(&cluster).filter(|pid| *pid != node)).await;
    let seen = eventually("the pod is joined", async || {
        says(&theirs, "stranger", &service).await.filter(|text| !text.is_empty())
    });
    assert_eq!(seen.await, "refused");
    comes_to_say(&ours, "client", &service, "hello").await;
    assert!(ready(&ours.get("web").await.unwrap()), "its probes are let in");

    // Out go only questions for names, then those and what is asked of web.
    let name = "web.default.svc.cluster.local.";
    let names = ["resolve", "10.96.0.10:53", name];
    let out = |rules: Value| json!({"podSelector": {"matchLabels": {"app": "client"}}, "policyTypes": ["Egress"], "egress": rules});
    put("out", out(json!([]))).await;
    comes_to_say(&ours, "client", &service, "refused").await;
    comes_to_say(&ours, "client", &names, "silence").await;
    let dns = json!({"to": [{"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
        "ports": [{"port": 53, "protocol": "UDP"}]});
    put("out", out(json!([dns]))).await;
    comes_to_say(&ours, "client", &names, &virtual_ip).await;
    comes_to_say(&ours, "client", &service, "refused").await;
    let to_web = json!({"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]});
    put("out", out(json!([dns, to_web]))).await;
    comes_to_say(&ours, "client", &service, "hello").await;

    // What nothing forbids any more is as before.
    for name in ["deny", "some", "out"] {
        policies.delete(name, &DeleteParams::default()).await.unwrap();
    }
    comes_to_say(&theirs, "stranger", &pod, "hello").await;
    comes_to_say(&ours, "client", &names, &virtual_ip).await;
}
