//! Tokens in volumes: each is kept until most of its life is over, however often its volume is read again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, ServiceAccountTokenProjection};

use crate::node::pods::objects::Objects;

const TOKEN_SECONDS: i64 = 3607;

/// Which file a token is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) volume: String,
    pub(super) path: String,
}

/// A token, and when the next one takes its place.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) text: String,
    pub(super) renew_at: Instant,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("renew_at", &self.renew_at).finish_non_exhaustive()
    }
}

/// The tokens of a pod's volumes.
#[derive(Debug, Default, Clone)]
pub(in crate::node::pods) struct Tokens(BTreeMap<Place, Kept>);

impl Tokens {
    /// The token at a place: the one that is there, or a new one if its time has come.
    pub(super) async fn get(
        &mut self,
        place: Place,
        wanted: &ServiceAccountTokenProjection,
        pod: &Pod,
        objects: &Objects,
    ) -> Result<&Kept, String> {
        match self.0.entry(place) {
            Entry::Occupied(kept) if Instant::now() < kept.get().renew_at => Ok(kept.into_mut()),
            entry => {
                let seconds = wanted.expiration_seconds.unwrap_or(TOKEN_SECONDS);
                let token = objects.token(pod, wanted.audience.as_deref(), seconds).await?;
                let left = token.expires.duration_since(Timestamp::now()).as_secs();
                // When four fifths of its life are over.
                let renew = Duration::from_secs(u64::try_from(left * 4 / 5).unwrap_or(0).max(1));
                let kept = Kept { text: token.text, renew_at: Instant::now() + renew };
                Ok(entry.insert_entry(kept).into_mut())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kube::Client;
    use serde_json::json;

    use super::*;

    /// An API server that numbers the tokens it gives.
    fn server() -> Client {
        let given = AtomicUsize::new(0);
        let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
            let token = format!("token {}", given.fetch_add(1, Ordering::SeqCst));
            let expires = Timestamp::now() + jiff::SignedDuration::from_secs(600);
            let answer = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                "metadata": {}, "spec": {"audiences": []},
                "status": {"token": token, "expirationTimestamp": expires.to_string()}});
            let body = kube::client::Body::from(answer.to_string().into_bytes());
            std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(body)))
        });
        Client::new(service, "default")
    }

    #[tokio::test]
    async fn a_token_is_kept_while_most_of_its_life_is_left() {
        let objects = Objects::new(server(), "default");
        let (mut tokens, wanted) = (Tokens::default(), ServiceAccountTokenProjection::default());
        let get = async |tokens: &mut Tokens| {
            let place = Place { volume: "v".to_owned(), path: "token".to_owned() };
            let kept = tokens.get(place, &wanted, &Pod::default(), &objects).await.unwrap();
            assert!(kept.renew_at < Instant::now() + Duration::from_secs(481));
            kept.text.clone()
        };
        assert_eq!([get(&mut tokens).await, get(&mut tokens).await], ["token 0", "token 0"]);
        for kept in tokens.0.values_mut() {
            kept.renew_at = Instant::now();
        }
        assert_eq!(get(&mut tokens).await, "token 1");
        assert!(!format!("{tokens:?}").contains("token 1"), "it is nobody's to read");
    }
}
