use serde_json::json;

use super::*;

fn pods() -> Pods {
    let pods = Pods::default();
    let pod = |name: &str, labels: serde_json::Value| {
        let pod = json!({"metadata": {"name": name, "namespace": "dp", "uid": name, "labels": labels},
            "spec": {"containers": []}});
        pods.apply(&serde_json::from_value(pod).expect("a Pod"));
    };
    let component = |name: &str, project: &str| {
        json!({"openchoreo.dev/namespace": "default", "openchoreo.dev/project": project,
            "openchoreo.dev/component": name, "openchoreo.dev/environment": "dev"})
    };
    pod("web-1", component("web", "shop"));
    pod("web-2", component("web", "shop"));
    pod("cart-1", component("cart", "shop"));
    pod("bank-1", component("bank", "money"));
    let gateway = json!({"openchoreo.dev/system-component": "gateway", "app.kubernetes.io/name": "gateway-default"});
    pod("gw-1", gateway);
    pods
}

/// What a reading adds to one in which everything was there, and zero.
fn grown(text: &str, reader: Option<&Part>) -> Vec<String> {
    let mut traffic = Traffic::default();
    let mut gathered = Gathered::default();
    traffic.begin();
    traffic.end(&pods(), reader, &mut gathered);
    traffic.begin();
    text.lines().for_each(|line| traffic.line(line));
    traffic.end(&pods(), reader, &mut gathered);
    let parts = gathered.batches((0, 0)).into_iter().flat_map(|batch| batch.parts);
    let samples = parts.flat_map(|part| {
        let owner = part.owner.component;
        part.samples.into_iter().map(move |sample| {
            let labels: Vec<String> =
                sample.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{owner} {} {} {}", sample.name, labels.join(","), json!(sample.value))
        })
    });
    samples.collect()
}

#[test]
fn requests_of_all_pods_of_a_component_are_one_series_of_the_one_that_was_asked() {
    let text = r#"
# TYPE curtain_http_requests_total counter
curtain_http_requests_total{source_namespace="dp",source_pod="web-1",destination_namespace="dp",destination_pod="cart-1",destination_service="cart",port="80",protocol="http1",method="GET",route="/a",status="200"} 3
curtain_http_requests_total{source_namespace="dp",source_pod="web-2",destination_namespace="dp",destination_pod="cart-1",destination_service="cart",port="80",protocol="http1",method="GET",route="/a",status="200"} 2
# TYPE curtain_http_request_duration_seconds histogram
curtain_http_request_duration_seconds_bucket{source_namespace="dp",source_pod="web-1",destination_namespace="dp",destination_pod="cart-1",destination_service="cart",port="80",protocol="http1",method="GET",route="/a",status="200",le="0.001"} 0
curtain_http_request_duration_seconds_bucket{source_namespace="dp",source_pod="web-1",destination_namespace="dp",destination_pod="cart-1",destination_service="cart",port="80",protocol="http1",method="GET",route="/a",status="200",le="0.005"} 1
curtain_http_request_duration_seconds_bucket{source_namespace="dp",source_pod="web-1",destination_namespace="dp",destination_pod="cart-1",destination_service="cart",port="80",protocol="http1",method="GET",route="/a",status="200",le="10"} 1
curtain_http_request_duration_seconds_bucket{source_namespace="dp",source_pod="web-1",destination_namespace="dp",destination_pod="cart-1",destination_service="cart",port="80",protocol="http1",method="GET",route="/a",status="200",le="+Inf"} 3
curtain_http_request_duration_seconds_sum{source_namespace="dp",source_pod="web-1",destination_namespace="dp",destination_pod="cart-1",destination_service="cart",port="80",protocol="http1",method="GET",route="/a",status="200"} 30.004
"#;
    assert_eq!(
        grown(text, None),
        [
            "cart http_in method=GET,peer=component,peer_environment=dev,peer_name=web,peer_namespace=default,\
          peer_project=shop,protocol=http1,route=/a,service=cart,status=200 \
          {\"h\":{\"b\":{\"13\":2,\"2\":1},\"c\":5,\"s\":30004000}}"
        ]
    );
}

#[test]
fn what_the_observability_plane_asks_and_is_told_is_no_traffic() {
    let text = r#"
curtain_http_requests_total{source_namespace="openchoreo-observability-plane",source_pod="collector-1",destination_namespace="dp",destination_pod="web-1",protocol="http1",method="GET",route="/metrics",status="200"} 9
curtain_http_requests_total{source_namespace="dp",source_pod="web-1",destination_namespace="openchoreo-observability-plane",destination_pod="collector-1",destination_service="opentelemetry-collector",protocol="http1",method="POST",route="/v1/traces",status="200"} 9
curtain_tcp_connections_total{source_namespace="dp",source_pod="web-1",destination_namespace="openchoreo-observability-plane",destination_service="opentelemetry-collector",protocol="tcp",verdict="forwarded"} 9
"#;
    assert_eq!(grown(text, None), [""; 0]);
}

#[test]
fn other_projects_hosts_and_gateways_are_told_apart() {
    let text = r#"
curtain_http_requests_total{source_namespace="dp",source_pod="web-1",destination_namespace="dp",destination_pod="bank-1",destination_service="bank",protocol="grpc",method="POST",route="/b",status="14"} 1
curtain_http_requests_total{source_namespace="dp",source_pod="web-1",destination_host="192.0.2.7",protocol="http1",method="GET",route="/",status="none"} 1
curtain_http_requests_total{source_namespace="dp",source_pod="gw-1",destination_namespace="dp",destination_pod="web-1",destination_service="web",protocol="http1",method="GET",route="/",status="200"} 1
curtain_http_requests_total{source_pod="host",destination_namespace="dp",destination_pod="gw-1",protocol="http1",method="GET",route="/",status="200"} 1
"#;
    let all = grown(text, None);
    let found: Vec<&str> =
        all.iter().map(|line| line.split(" {").next().unwrap_or_default()).collect();
    assert_eq!(
        found,
        [
            "bank http_in method=POST,peer=component,peer_environment=dev,peer_name=web,peer_namespace=default,\
             peer_project=shop,protocol=grpc,route=/b,service=bank,status=14",
            "web http_in method=GET,peer=gateway,peer_name=gateway-default,protocol=http1,route=/,service=web,status=200",
            "web http_out peer=component,peer_environment=dev,peer_name=bank,peer_namespace=default,peer_project=money,\
             protocol=grpc,service=bank,status=14",
            "web http_out peer=external,peer_name=192.0.2.7,protocol=http1,status=none",
        ]
    );
}

#[test]
fn connections_that_nobody_accepts_are_the_components_whose_service_it_is() {
    let text = r#"
curtain_tcp_connections_total{source_namespace="dp",source_pod="web-1",destination_namespace="dp",destination_service="cart",port="80",protocol="tcp",verdict="failed"} 4
curtain_tcp_connections_total{source_namespace="dp",source_pod="gw-1",destination_namespace="dp",destination_service="cart",port="80",protocol="tcp",verdict="failed"} 2
curtain_tcp_connections_total{source_namespace="dp",source_pod="web-1",destination_namespace="db",destination_service="postgres",port="5432",protocol="tcp",verdict="forwarded"} 1
"#;
    assert_eq!(
        grown(text, None),
        [
            "cart connections_in peer=gateway,peer_name=gateway-default,service=cart,verdict=failed {\"i\":2.0}",
            "web connections peer=component,peer_environment=dev,peer_name=cart,peer_namespace=default,peer_project=shop,\
             service=cart,verdict=failed {\"i\":4.0}",
            "web connections peer=external,peer_name=postgres.db,service=postgres,verdict=forwarded {\"i\":1.0}",
        ]
    );
}

#[test]
fn what_a_gateway_counts_is_its_own() {
    let text = r#"curtain_http_requests_total{destination_namespace="dp",destination_service="web",protocol="http1",method="GET",route="/",status="503"} 1"#;
    let gateway = Part::Gateway("gateway-default".into());
    let found = grown(text, Some(&gateway));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("web http_in method=GET,peer=gateway,peer_name=gateway-default,"),
        "{found:?}"
    );
}
