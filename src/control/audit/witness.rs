//! Telling the control plane what was asked here, for its audit records.
//!
//! It is told after the answer: a control plane that is slow must not hold up a query. What it cannot be told, because it
//! is away for long, is said in the log.

use std::{path::PathBuf, time::Duration};

use curtain_role::{Backoff, HttpClient, ROLE_TOKEN, Shutdown, http_client};
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::mpsc;

use super::{OBSERVED_PATH, Observed};

/// What may wait, and what is told at once.
const QUEUE: usize = 4096;
const BATCH: usize = 256;
/// How often a batch is tried, and how long each time.
const TRIES: usize = 8;
const PATIENCE: Duration = Duration::from_secs(5);

/// Who is told. Clones share the queue; without one nobody is.
#[derive(Clone, Debug, Default)]
pub struct Witness(Option<mpsc::Sender<Observed>>);

impl Witness {
    /// Tells the control plane at `control`, until `shutdown`.
    pub fn start(control: &Uri, shutdown: Shutdown) -> Self {
        Self::with_token(control, ROLE_TOKEN.into(), shutdown)
    }

    /// The same, with the token in that file.
    pub fn with_token(control: &Uri, token: PathBuf, shutdown: Shutdown) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        let base = control.to_string();
        let teller = Teller {
            url: format!("{}{OBSERVED_PATH}", base.trim_end_matches('/')),
            token,
            client: http_client(),
        };
        tokio::spawn(teller.run(queue, shutdown));
        Self(Some(sender))
    }

    /// Will tell of `observed`.
    pub(crate) fn saw(&self, observed: Observed) {
        if let Some(queue) = &self.0
            && queue.try_send(observed).is_err()
        {
            tracing::error!("too many queries to tell the control plane of; one is not recorded");
        }
    }
}

struct Teller {
    url: String,
    token: PathBuf,
    client: HttpClient,
}

impl Teller {
    async fn run(self, mut queue: mpsc::Receiver<Observed>, shutdown: Shutdown) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            batch.clear();
            tokio::select! {
                came = queue.recv_many(&mut batch, BATCH) => if came == 0 { return },
                () = shutdown.wait() => {
                    // What is here already is told once more, briefly.
                    while let Ok(observed) = queue.try_recv() {
                        batch.push(observed);
                    }
                    if !batch.is_empty() && let Err(reason) = self.tell(&batch).await {
                        tracing::error!(queries = batch.len(), reason, "queries are not recorded");
                    }
                    return;
                }
            }
            self.tell_patiently(&batch, &shutdown).await;
        }
    }

    async fn tell_patiently(&self, batch: &[Observed], shutdown: &Shutdown) {
        let mut last = String::new();
        let mut pauses = Backoff::default();
        for _ in 0..TRIES {
            match self.tell(batch).await {
                Ok(()) => return,
                Err(reason) => last = reason,
            }
            let Some(pause) = pauses.next() else { break };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.wait() => break,
            }
        }
        tracing::error!(queries = batch.len(), reason = last, "queries are not recorded");
    }

    async fn tell(&self, batch: &[Observed]) -> Result<(), String> {
        // It is renewed from time to time.
        let token = tokio::fs::read_to_string(&self.token)
            .await
            .map_err(|error| format!("cannot read {}: {error}", self.token.display()))?;
        let body = serde_json::to_vec(batch).map_err(|error| error.to_string())?;
        let request = Request::post(&self.url)
            .header(header::AUTHORIZATION, format!("Bearer {}", token.trim()))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body.into()))
            .map_err(|error| error.to_string())?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| error.to_string())?;
            let status = response.status();
            // Read to the end, so that the connection can be used again.
            drop(response.into_body().collect().await);
            if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
        };
        tokio::time::timeout(PATIENCE, exchange)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
    }
}
