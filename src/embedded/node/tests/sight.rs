//! What a collector sees of a node, through the API.

use k8s_openapi::api::core::v1::Service;
use serde_json::Value;

use super::*;

/// A page of the node.
pub(super) async fn page(client: &Client, cluster: &TestCluster, path: &str) -> String {
    let uri = format!("/api/v1/nodes/{}/proxy/{path}", cluster.config.node_name());
    client.request_text(http::Request::get(uri).body(Vec::new()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_collector_sees_what_pods_use_and_who_talks_to_them() {
    let mut cluster = TestCluster::new("sight");
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
    let mut web = pod("web", &["serve", "8080"]);
    web["spec"]["containers"][0]["resources"] = json!({"limits": {"memory": "64Mi"}});
    web["spec"]["containers"][0]["readinessProbe"] =
        json!({"httpGet": {"port": 8080, "path": "/"}});
    let api = create(&client, web).await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}});
    let services: Api<Service> = Api::default_namespaced(client.clone());
    services.patch("web", &PatchParams::apply("test"), &Patch::Apply(&service)).await.unwrap();
    eventually("the pod is ready", async || ready(&api.get("web").await.ok()?).then_some(())).await;
    let ask = move || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(listen)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /carts/17?secret=x HTTP/1.1\r\nhost: web\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    eventually("the front door answers", async || {
        let text = tokio::task::spawn_blocking(ask).await.unwrap().ok()?;
        text.ends_with("hello").then_some(())
    })
    .await;

    let summary: Value =
        serde_json::from_str(&page(&client, &cluster, "stats/summary").await).unwrap();
    assert_eq!(summary["node"]["nodeName"], cluster.config.node_name().as_str());
    assert!(summary["node"]["memory"]["workingSetBytes"].as_u64().unwrap() > 0, "{summary}");
    let web = &summary["pods"][0];
    let uid = api.get("web").await.unwrap().uid().unwrap();
    let whose = json!({"name": "web", "namespace": "default", "uid": uid});
    assert_eq!(web["podRef"], whose, "{summary}");
    let main = &web["containers"][0];
    assert_eq!(main["name"], "main");
    for used in [&main["memory"], &web["memory"]] {
        assert!(used["workingSetBytes"].as_u64().unwrap() > 0, "{web}");
        assert!(used["usageBytes"].as_u64() >= used["workingSetBytes"].as_u64(), "{web}");
    }
    assert!(main["memory"]["availableBytes"].as_u64().unwrap() < 64 << 20, "{web}");
    assert!(main["cpu"]["usageCoreNanoSeconds"].as_u64().unwrap() > 0, "{web}");
    assert!(main["startTime"].as_str().unwrap() >= web["startTime"].as_str().unwrap(), "{web}");
    assert!(web["network"]["txBytes"].as_u64().unwrap() >= 43, "{web}");

    // The metrics API tells the same; nobody has asked for long enough, so it takes a moment to measure.
    let path = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/web";
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    let used: Value = client.request(request).await.unwrap();
    assert_eq!(used["containers"][0]["name"], "main");
    assert!(used["containers"][0]["usage"]["memory"].is_string(), "{used}");
    assert!(used["window"].as_str().unwrap().ends_with('s'), "{used}");

    let metrics = page(&client, &cluster, "metrics/traffic").await;
    let line = "curtain_http_requests_total{source_pod=\"host\",destination_namespace=\"default\",\
                destination_pod=\"web\",destination_service=\"web\",port=\"8080\",protocol=\"http1\",\
                method=\"GET\",route=\"/carts/{id}\",status=\"200\"} ";
    assert!(metrics.contains(line), "{metrics}");
    assert!(!metrics.contains("secret"));
    let flows: Value =
        serde_json::from_str(&page(&client, &cluster, "flows?since=0").await).unwrap();
    let seen = flows["flows"].as_array().unwrap();
    let to_web = |flow: &&Value| flow["destination"]["name"] == "web";
    assert_eq!(seen.iter().find(to_web).unwrap()["source"]["kind"], "host", "{flows}");
    let next = format!("flows?since={}", flows["cursor"]);
    let later: Value = serde_json::from_str(&page(&client, &cluster, &next).await).unwrap();
    assert!(later["flows"].as_array().unwrap().iter().find(to_web).is_none(), "{later}");
}
