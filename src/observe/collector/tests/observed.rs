//! An observer of events and spans for the tests of what collects them.

use super::*;
use crate::traces::wire::TraceId;
use crate::{events, traces};

/// An observer of events and spans, which can be away for a while.
pub(in crate::collector) struct Observed {
    pub(in crate::collector) door: Door,
    pub(super) client: Client,
    events: events::Store,
    traces: traces::Store,
    address: SocketAddr,
    shutdown: Shutdown,
    _server: Server,
    _directory: tempfile::TempDir,
}

const USER: &str = "system:serviceaccount:default:collector";

pub(in crate::collector) async fn observed() -> Observed {
    let directory = tempfile::tempdir().expect("a directory");
    let server = cluster(directory.path(), CancellationToken::new()).await;
    let client = server.local_client("admin", &["system:masters"]);
    let token = token(&client, directory.path()).await;
    let at = |name: &str| directory.path().join(name);
    let events = events::Store::open(&at("events.db"), Retention::default()).expect("opens");
    let traces = traces::Store::open(&at("traces.db"), Retention::default()).expect("opens");
    let shutdown = Shutdown::default();
    let routes = testing::routes(&events, &traces);
    let address = testing::serve_posts(routes, client.clone(), USER, None, &shutdown).await;
    let url = format!("http://{address}").parse().expect("a URL");
    let door = Door::new(url, token);
    let (_server, _directory) = (server, directory);
    Observed { door, client, events, traces, address, shutdown, _server, _directory }
}

impl Observed {
    pub(in crate::collector) async fn stop(&mut self) {
        self.shutdown.trigger();
        // Until nobody listens any more.
        while tokio::net::TcpStream::connect(self.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(in crate::collector) async fn start(&mut self) {
        self.shutdown = Shutdown::default();
        let routes = testing::routes(&self.events, &self.traces);
        let (client, address) = (self.client.clone(), Some(self.address));
        testing::serve_posts(routes, client, USER, address, &self.shutdown).await;
    }

    pub(in crate::collector) async fn until_trace(&self, trace: TraceId, component: &str) {
        for _ in 0..500 {
            let found = self.traces.spans(trace, &shop(component), false).expect("queries");
            if found.total > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{trace} did not arrive");
    }

    /// Who has which reasons, with their counts, once there are as many.
    pub(super) async fn until_events(&self, wanted: usize) -> Vec<(String, String, i64)> {
        let mut found = Vec::new();
        for _ in 0..500 {
            let events = self.events.query(&shop("")).expect("queries").events;
            found = events
                .into_iter()
                .map(|event| (event.owner.component, event.reason, event.count))
                .collect();
            found.sort();
            if found.len() == wanted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        found
    }
}

fn shop(component: &str) -> Page {
    let place = Place {
        namespace: "default".into(),
        project: "shop".into(),
        component: component.into(),
        environment: String::new(),
    };
    Page { place, between: (0, i64::MAX), limit: 1000, newest_first: false }
}
