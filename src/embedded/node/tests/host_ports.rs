//! Ports of the host that lead into pods.

use std::net::SocketAddr;

use super::*;
use crate::node::testing::free_address;

/// What a server behind `at` answers, if there is one.
fn ask(at: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").ok()?;
    let mut seen = [0; 256];
    let length = stream.read(&mut seen).ok().filter(|length| *length > 0)?;
    Some(String::from_utf8_lossy(&seen[..length]).into_owned())
}

async fn answers(at: SocketAddr) {
    eventually("the port of the host answers", async || ask(at)?.ends_with("hello").then_some(()))
        .await;
}

#[tokio::test]
async fn a_port_of_the_host_leads_into_one_pod_and_waits_for_the_next() {
    let cluster = TestCluster::new("hostport");
    start(&cluster);
    let client = client(&cluster).await;
    let at = free_address();
    let serving = |name: &str| {
        let mut serving = pod(name, &["serve", "8080"]);
        serving["spec"]["containers"][0]["ports"] = json!([
            {"containerPort": 8080, "hostPort": at.port(), "hostIP": at.ip()},
            {"name": "low", "containerPort": 8080, "hostPort": 1023, "hostIP": at.ip()},
            {"name": "away", "containerPort": 8080, "hostPort": 1024, "hostIP": "192.0.2.1"}]);
        serving
    };
    let api = create(&client, serving("first")).await;
    in_phase(&api, "first", "Running").await;
    answers(at).await;
    let events: Api<Event> = Api::default_namespaced(client.clone());
    eventually("what is not served is told", async || {
        let events = events.list(&ListParams::default()).await.ok()?.items;
        let told = |part: &str| {
            events.iter().any(|event| {
                event.reason.as_deref() == Some("HostPortNotServed")
                    && event.message.as_ref().is_some_and(|text| text.contains(part))
            })
        };
        (told("hostPort 1023 is not served: the node has no privileges") && told("192.0.2.1"))
            .then_some(())
    })
    .await;

    create(&client, serving("second")).await;
    eventually("the second one waits", async || {
        let conditions = api.get("second").await.ok()?.status?.conditions?;
        let words = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
        let told = |message: &String| message.starts_with(words);
        conditions.iter().any(|one| one.message.as_ref().is_some_and(told)).then_some(())
    })
    .await;
    // The node's successor serves it, too.
    kill(node_pid(&cluster).unwrap());
    answers(at).await;
    eventually("the first one is deleted", async || {
        api.delete("first", &DeleteParams::default()).await.ok().map(drop)
    })
    .await;
    in_phase(&api, "second", "Running").await;
    answers(at).await;
}
