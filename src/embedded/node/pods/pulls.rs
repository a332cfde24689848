//! Images that pods wait for: each is pulled once, however many ask.
//!
//! A pull has a thread of its own, so that hashing and writing keep nothing else of the node waiting. What it brings is
//! sent to a process of root's, which stores it; see `images`. Few run at the same time, the others wait their turn.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::sync::{Semaphore, oneshot};

use crate::ClusterConfig;
use crate::node::images::{self, Outcome, Reference};
use crate::node::link::SupervisorLink;
use crate::node::registry::{self, Held, Keyring, Pulled, Shelf};

/// Pulls at the same time.
const AT_ONCE: usize = 3;
/// What has not come by then is tried again later; it goes on where it stopped.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long storing may take without taking or saying anything. What stores ends when its socket is closed.
const STORE_LIMIT: Duration = Duration::from_secs(600);

/// An image that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    /// Bytes of its layers, unpacked.
    pub(super) size: u64,
    /// How long it took.
    pub(super) took: Duration,
    /// The same, with the time in which it waited for others.
    pub(super) with_wait: Duration,
}

/// What became of a pull; the sentence says why there is no image.
pub(super) type Answer = Result<Done, Arc<str>>;

/// Who asks for what. With other credentials it is another question.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Question {
    reference: Reference,
    keyring: Keyring,
}

/// Pulls images. Clones are the same.
#[derive(Clone)]
pub(super) struct Puller(Arc<Inner>);

struct Inner {
    config: ClusterConfig,
    supervisor: SupervisorLink,
    shelf: Arc<Shelf>,
    turns: Semaphore,
    running: Mutex<HashMap<Question, Shared<BoxFuture<'static, Answer>>>>,
}

impl Puller {
    pub(super) fn new(config: &ClusterConfig, supervisor: SupervisorLink) -> Self {
        Self(Arc::new(Inner {
            shelf: Arc::new(Shelf::new(images::pulls_dir(&config.home))),
            config: config.clone(),
            supervisor,
            turns: Semaphore::new(AT_ONCE),
            running: Mutex::default(),
        }))
    }

    /// Pulls an image, or waits for the pull that somebody else has begun. It goes on when nobody waits any more.
    pub(super) fn pull(
        &self,
        reference: Reference,
        keyring: Keyring,
    ) -> Shared<BoxFuture<'static, Answer>> {
        let question = Question { reference, keyring };
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pull) = running.get(&question) {
            return pull.clone();
        }
        let (sender, receiver) = oneshot::channel();
        let (inner, asked) = (self.0.clone(), question.clone());
        tokio::spawn(async move {
            let answer = inner.answer(&asked).await;
            inner.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&asked);
            // Nobody may wait any more.
            let _ = sender.send(answer);
        });
        let pull = receiver.map(|answer| answer.unwrap_or_else(|_| Err("it was given up".into())));
        let pull = pull.boxed().shared();
        running.insert(question, pull.clone());
        pull
    }
}

impl Inner {
    async fn answer(&self, question: &Question) -> Answer {
        let asked = Instant::now();
        let _turn = self.turns.acquire().await.map_err(|error| error.to_string())?;
        let begun = Instant::now();
        let held = self.layers();
        let mut brought = self.bring(question).await;
        if brought.is_err() && !self.layers().is_superset(&held) {
            // What the store had need not come along, and some of it was removed meanwhile.
            brought = self.bring(question).await;
        }
        let size = brought?;
        Ok(Done { size, took: begun.elapsed(), with_wait: asked.elapsed() })
    }

    /// The layers that the store has now; none if it cannot be read.
    fn layers(&self) -> BTreeSet<String> {
        let stored = images::list(&self.config.home).unwrap_or_default();
        stored.into_values().flat_map(|image| image.layers).collect()
    }

    async fn bring(&self, question: &Question) -> Result<u64, String> {
        let Question { reference, keyring } = question.clone();
        let mut stored = images::list(&self.config.home).map_err(|error| error.to_string())?;
        let layers = stored.values().flat_map(|image| image.layers.iter().cloned()).collect();
        let known = stored.remove(reference.as_str());
        if let Some(image) = known.as_ref().filter(|image| !image.pulled) {
            // Somebody has loaded it meanwhile.
            return Ok(image.size);
        }
        let (registries, shelf) = (self.config.registries.clone(), self.shelf.clone());
        let held = Held { id: known.as_ref().map(|image| image.id.clone()), layers };
        shelf.sweep();
        let pulled = on_thread(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| format!("cannot start a pull: {error}"))?;
            runtime.block_on(async {
                let pull = registry::pull(&registries, &keyring, &reference, &held, &shelf);
                match tokio::time::timeout(LONGEST, pull).await {
                    Ok(pulled) => pulled.map_err(|error| error.to_string()),
                    Err(_) => Err(format!(
                        "it has not come within {} minutes; what has come is kept for the next attempt",
                        LONGEST.as_secs() / 60
                    )),
                }
            })
        })
        .await??;
        let Some(pulled) = pulled else {
            return Ok(known.map_or(0, |image| image.size));
        };
        let (digests, reference) = (pulled.digests(), question.reference.clone());
        let socket = self.supervisor.store_image().await?;
        let outcome = on_thread(move || hand_over(pulled, &reference, socket)).await??;
        // What is refused would be refused again: the next attempt begins anew.
        self.shelf.remove(&digests);
        match outcome {
            Outcome::Stored { size } => Ok(size),
            Outcome::Failed { why } => Err(format!("the image cannot be stored: {why}")),
        }
    }
}

/// A blocking task of the node's runtime would have the node wait for it when it ends; this ends with the process.
async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("pull".to_owned());
    let started = thread.spawn(move || {
        // Who waited may be gone.
        let _ = sender.send(work());
    });
    started.map_err(|error| format!("cannot start a thread for a pull: {error}"))?;
    receiver.await.map_err(|_| "the pull ended without a result".to_owned())
}

/// Sends an image to who stores it, and hears what became of it.
fn hand_over(pulled: Pulled, reference: &Reference, socket: UnixStream) -> Result<Outcome, String> {
    let failed =
        |error: std::io::Error| format!("the image cannot be handed over to be stored: {error}");
    socket.set_write_timeout(Some(STORE_LIMIT)).map_err(failed)?;
    socket.set_read_timeout(Some(STORE_LIMIT)).map_err(failed)?;
    let out = std::io::BufWriter::with_capacity(128 << 10, &socket);
    let written = pulled.write(reference, out);
    // No more comes. It may have said already why it does not read on.
    let _ = (&socket).flush();
    let _ = socket.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    // An end that it left unread may follow what it says as an error.
    let _ = (&socket).take(1 << 20).read_to_end(&mut answer);
    match (serde_json::from_slice(&answer), written) {
        (Ok(outcome), _) => Ok(outcome),
        (Err(_), Err(error)) => Err(failed(error)),
        (Err(_), Ok(())) => {
            Err("what stores the image has ended without a word; see run/store.log in the cluster's home".to_owned())
        }
    }
}
