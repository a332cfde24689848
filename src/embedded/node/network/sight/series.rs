//! Counters: per pair of ends, and per kind of request between them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::ends::{Ends, Peer};
use super::lock;
use super::tap::{Exchange, Protocol};
use crate::node::network::index::Key;

/// Pairs that are told apart.
const PAIRS: usize = 2048;
/// Kinds of requests that are told apart, over all pairs.
const REQUESTS: usize = 4096;
/// Routes that are told apart, per destination.
const ROUTES: usize = 64;
/// How long what is counted of a pod outlives it: long enough to be collected once more.
const GONE: Duration = Duration::from_secs(5 * 60);
/// When there are too many pairs, those go that have not been used for this long.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// What stands for everything that is not told apart.
const OTHER: &str = "{other}";

/// Upper bounds of the histogram's buckets.
pub(super) const BUCKETS_MS: [u64; 13] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

/// All counters.
#[derive(Default)]
pub(super) struct Series {
    pairs: Mutex<HashMap<Arc<Ends>, Arc<Pair>>>,
    /// By destination, so that every source's requests share them.
    routes: Mutex<HashMap<Target, Weak<Routes>>>,
    /// How many kinds of requests there are.
    requests: AtomicUsize,
    /// Pods that are gone, by uid.
    gone: Mutex<HashMap<Box<str>, Instant>>,
}

/// What routes belong to: a Service, or what was reached without one.
type Target = (Result<Key, Peer>, u16);
type Routes = Mutex<HashSet<Box<str>>>;

/// What is counted between two ends.
pub(super) struct Pair {
    pub(super) ends: Arc<Ends>,
    pub(super) forwarded: AtomicU64,
    pub(super) denied: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) requests: Mutex<HashMap<Request, Histogram>>,
    routes: Arc<Routes>,
    used: Mutex<Instant>,
}

/// A kind of request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Request {
    pub(super) protocol: Protocol,
    pub(super) method: &'static str,
    pub(super) route: Box<str>,
    pub(super) status: Option<u16>,
}

/// How many, and how long they took.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    /// All, also those without an answer.
    pub(super) count: u64,
    /// Those with one.
    pub(super) answered: u64,
    pub(super) sum: Duration,
    /// Not cumulative.
    pub(super) buckets: [u64; BUCKETS_MS.len()],
}

impl Series {
    /// The counters of two ends.
    pub(super) fn pair(&self, ends: Ends) -> Arc<Pair> {
        let mut pairs = lock(&self.pairs);
        if let Some(pair) = pairs.get(&ends) {
            *lock(&pair.used) = Instant::now();
            return pair.clone();
        }
        let mut ends = ends;
        if pairs.len() >= PAIRS {
            self.sweep(&mut pairs, true);
        }
        if pairs.len() >= PAIRS {
            ends = Ends::other(ends.protocol);
            if let Some(pair) = pairs.get(&ends) {
                return pair.clone();
            }
        }
        let pair = Arc::new(Pair::new(ends, |target| self.routes(target)));
        pairs.insert(pair.ends.clone(), pair.clone());
        pair
    }

    /// Counts a request.
    pub(super) fn count(&self, pair: &Pair, one: &Exchange) {
        let Exchange { protocol, method, latency, .. } = *one;
        let status = match protocol {
            // What gRPC does not know is "unknown".
            Protocol::Grpc => one.status.map(|status| if status > 16 { 2 } else { status }),
            _ => one.status,
        };
        let mut kind = Request { protocol, method, route: one.route.clone(), status };
        let mut requests = lock(&pair.requests);
        if !requests.contains_key(&kind) {
            if !admit(&pair.routes, &kind.route) {
                kind.route = OTHER.into();
            }
            if self.requests.load(Ordering::Relaxed) >= REQUESTS {
                let class = |status: u16| if status < 100 { status } else { status / 100 * 100 };
                let (route, status) = (OTHER.into(), kind.status.map(class));
                kind = Request { protocol, method: OTHER, route, status };
            }
        }
        let histogram = requests.entry(kind).or_insert_with(|| {
            self.requests.fetch_add(1, Ordering::Relaxed);
            Histogram::default()
        });
        histogram.add(latency);
    }

    /// All pairs, those of the same ends next to each other in every listing.
    pub(super) fn all(&self) -> Vec<Arc<Pair>> {
        let mut pairs = lock(&self.pairs);
        self.sweep(&mut pairs, false);
        pairs.values().cloned().collect()
    }

    pub(super) fn pod_here(&self, uid: &str) {
        lock(&self.gone).remove(uid);
    }

    pub(super) fn pod_gone(&self, uid: &str) {
        lock(&self.gone).insert(uid.into(), Instant::now());
    }

    /// Forgets pods that have been gone for a while, and, if there is no room, pairs that nobody uses.
    fn sweep(&self, pairs: &mut HashMap<Arc<Ends>, Arc<Pair>>, full: bool) {
        let mut gone = lock(&self.gone);
        let old = |uid: &str| gone.get(uid).is_some_and(|since| since.elapsed() > GONE);
        pairs.retain(|ends, pair| {
            let idle = full && Arc::strong_count(pair) == 1 && lock(&pair.used).elapsed() > IDLE;
            !idle && !ends.pods().any(|pod| old(&pod.uid))
        });
        gone.retain(|_, since| since.elapsed() <= GONE);
        let left = pairs.values().map(|pair| lock(&pair.requests).len()).sum();
        self.requests.store(left, Ordering::Relaxed);
        lock(&self.routes).retain(|_, routes| routes.strong_count() > 0);
    }

    fn routes(&self, target: Target) -> Arc<Routes> {
        let mut all = lock(&self.routes);
        if let Some(routes) = all.get(&target).and_then(Weak::upgrade) {
            return routes;
        }
        let routes = Arc::default();
        all.insert(target, Arc::downgrade(&routes));
        routes
    }
}

/// Whether a route is one of those that are told apart.
fn admit(routes: &Routes, route: &str) -> bool {
    let mut routes = lock(routes);
    routes.contains(route) || routes.len() < ROUTES && routes.insert(route.into())
}

impl Pair {
    fn new(ends: Ends, routes: impl FnOnce(Target) -> Arc<Routes>) -> Self {
        let target = match &ends.service {
            Some((key, _)) => Ok(key.clone()),
            None => Err(ends.destination.clone()),
        };
        Self {
            routes: routes((target, ends.port)),
            ends: Arc::new(ends),
            forwarded: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            requests: Mutex::default(),
            used: Mutex::new(Instant::now()),
        }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, latency: Option<Duration>) {
        self.count += 1;
        let Some(latency) = latency else { return };
        self.answered += 1;
        self.sum += latency;
        let fits = |bound: &u64| latency <= Duration::from_millis(*bound);
        if let Some(bucket) = BUCKETS_MS.iter().position(fits) {
            self.buckets[bucket] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::node::network::index::Protocol as Transport;
    use crate::node::network::pods::PodIdentity;

    fn pod(name: &str) -> Peer {
        Peer::Pod(Arc::new(PodIdentity {
            uid: name.to_owned(),
            namespace: "shop".into(),
            name: name.to_owned(),
            ip: Ipv4Addr::LOCALHOST,
        }))
    }

    fn ends(source: &str, destination: Peer) -> Ends {
        let (protocol, source) = (Transport::Tcp, pod(source));
        Ends { protocol, source, destination, service: None, port: 80 }
    }

    fn get(route: &str, status: u16) -> Exchange {
        Exchange {
            protocol: Protocol::Http1,
            method: "GET",
            route: route.into(),
            status: Some(status),
            latency: Some(Duration::from_millis(3)),
        }
    }

    fn routes(pair: &Pair) -> usize {
        lock(&pair.requests).len()
    }

    #[test]
    fn the_same_ends_are_counted_together() {
        let series = Series::default();
        let pair = series.pair(ends("a", pod("b")));
        assert!(Arc::ptr_eq(&pair, &series.pair(ends("a", pod("b")))));
        assert!(!Arc::ptr_eq(&pair, &series.pair(ends("b", pod("a")))));
        series.count(&pair, &get("/x", 200));
        series.count(&pair, &get("/x", 200));
        series.count(&pair, &get("/x", 500));
        let requests = lock(&pair.requests);
        let (_, twice) = requests.iter().find(|(kind, _)| kind.status == Some(200)).unwrap();
        assert_eq!((requests.len(), twice.count, twice.buckets[2]), (2, 2, 2));
        assert_eq!(twice.sum, Duration::from_millis(6));
    }

    #[test]
    fn routes_and_requests_are_bounded() {
        let series = Series::default();
        let pair = series.pair(ends("a", pod("b")));
        let second = series.pair(ends("c", pod("b")));
        for nth in 0..200 {
            series.count(&pair, &get(&format!("/{nth}"), 200));
        }
        assert_eq!(routes(&pair), ROUTES + 1);
        series.count(&second, &get("/200", 200));
        assert_eq!(&*lock(&second.requests).keys().next().unwrap().route, OTHER);
        for nth in 0..100 {
            let pair = series.pair(ends("a", pod(&nth.to_string())));
            (0..100).for_each(|route| series.count(&pair, &get(&format!("/{route}"), 200 + nth)));
        }
        let all: usize = series.all().iter().map(|pair| routes(pair)).sum();
        assert!((REQUESTS..REQUESTS + 101).contains(&all), "{all}");
    }

    #[test]
    fn pairs_are_bounded() {
        let series = Series::default();
        let address = |nth: usize| Peer::Elsewhere(Ipv4Addr::from_bits(nth as u32));
        for nth in 0..3 * PAIRS {
            series.pair(ends("a", address(nth)));
        }
        let all = series.all();
        assert_eq!(all.len(), PAIRS + 1);
        assert!(all.iter().any(|pair| *pair.ends == Ends::other(Transport::Tcp)));
    }

    #[test]
    fn what_is_counted_of_a_pod_goes_a_while_after_it() {
        let series = Series::default();
        let pair = series.pair(ends("a", pod("b")));
        series.count(&pair, &get("/x", 200));
        series.pair(ends("a", pod("c")));
        for peer in ["b", "c"] {
            series.pod_gone(peer);
        }
        series.pod_here("c");
        assert_eq!(series.all().len(), 2);
        *lock(&series.gone).get_mut("b").unwrap() -= GONE + Duration::from_secs(1);
        assert_eq!(series.all().len(), 1);
        assert_eq!(series.requests.load(Ordering::Relaxed), 0);
        assert!(lock(&series.gone).is_empty());
    }
}
