//! Which endpoint a Service that keeps its clients (`sessionAffinity: ClientIP`) gave to each of them.
//!
//! A client is the pod that connects; everything on the host is one client. What is kept is bounded: where there are too
//! many clients, the one that has been away for longest is forgotten.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::decide::Source;
use super::index::{Key, Protocol};

/// Most clients of all Services together.
const MOST: usize = 16_384;

/// One client of one port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Client {
    pub(super) service: Key,
    pub(super) port: (u16, Protocol),
    pub(super) source: Source,
}

struct Kept {
    endpoint: Ipv4Addr,
    until: Instant,
}

/// What clients were given.
#[derive(Default)]
pub(super) struct Affinity(Mutex<HashMap<Client, Kept>>);

impl Affinity {
    /// The endpoint that a client had last, if that is not too long ago.
    pub(super) fn given(&self, client: &Client) -> Option<Ipv4Addr> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(client).filter(|kept| Instant::now() < kept.until).map(|kept| kept.endpoint)
    }

    /// Keeps what a client is given now for as long as the Service says.
    pub(super) fn keep(&self, client: Client, endpoint: Ipv4Addr, lasts: Duration) {
        let now = Instant::now();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST && !kept.contains_key(&client) {
            kept.retain(|_, kept| now < kept.until);
            let first = kept.iter().min_by_key(|(_, kept)| kept.until).map(|(key, _)| key.clone());
            if let Some(first) = first.filter(|_| kept.len() >= MOST) {
                kept.remove(&first);
            }
        }
        kept.insert(client, Kept { endpoint, until: now + lasts });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(pod: usize) -> Client {
        let octets = u32::try_from(pod).unwrap().to_be_bytes();
        let source = Source::Pod(Ipv4Addr::from(octets));
        Client { service: Key::new("shop", "web"), port: (80, Protocol::Tcp), source }
    }

    #[test]
    fn a_client_has_its_endpoint_for_its_time_and_not_longer() {
        let affinity = Affinity::default();
        let one = Ipv4Addr::new(10, 244, 0, 5);
        affinity.keep(client(1), one, Duration::from_secs(60));
        affinity.keep(client(2), one, Duration::ZERO);
        assert_eq!(affinity.given(&client(1)), Some(one));
        assert_eq!(affinity.given(&client(2)), None, "its time is over");
        assert_eq!(affinity.given(&client(3)), None);
    }

    #[test]
    fn too_many_clients_push_out_who_is_away_for_longest() {
        let affinity = Affinity::default();
        let one = Ipv4Addr::new(10, 244, 0, 5);
        for pod in 0..MOST + 1 {
            affinity.keep(client(pod), one, Duration::from_secs(60));
        }
        assert_eq!(affinity.given(&client(0)), None);
        assert_eq!(affinity.given(&client(1)), Some(one));
        assert_eq!(affinity.0.lock().unwrap().len(), MOST);
    }
}
