//! A queue of mails with as many workers as it is told; when it is full, nothing more is taken.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Mutex, mpsc};

use super::frame::{Answering, Call, Failure, Frame, Level, Reply, Route, Service};

/// Mails that may wait.
pub(super) const QUEUE: &str = "MAIL_QUEUE_SIZE";
/// How many send at once; none means that mails only wait.
pub(super) const WORKERS: &str = "MAIL_WORKERS";

#[derive(Debug, Deserialize)]
struct Message {
    to: String,
    subject: String,
}

pub(super) struct Mail {
    queue: mpsc::Sender<Message>,
    /// Without workers nobody else holds it, and the queue would be closed.
    _waiting: Arc<Mutex<mpsc::Receiver<Message>>>,
}

impl Mail {
    pub(super) fn start(frame: &Arc<Frame>) -> Result<Self, Failure> {
        let size = frame.settings.number(QUEUE, 50)?.clamp(1, 10_000);
        let (queue, waiting) = mpsc::channel::<Message>(usize::try_from(size).unwrap_or(50));
        let waiting = Arc::new(Mutex::new(waiting));
        frame.metrics.queue(0);
        for _ in 0..frame.settings.number(WORKERS, 1)?.min(16) {
            let (frame, waiting) = (Arc::clone(frame), Arc::clone(&waiting));
            tokio::spawn(async move {
                loop {
                    let (mail, left) = {
                        let mut waiting = waiting.lock().await;
                        let Some(mail) = waiting.recv().await else { return };
                        (mail, waiting.len())
                    };
                    frame.metrics.queue(left);
                    let about = json!({ "subject": mail.subject });
                    frame.log.write(Level::Info, None, "mail sent", &about);
                }
            });
        }
        Ok(Self { queue, _waiting: waiting })
    }
}

impl Service for Mail {
    fn routes(&self) -> &'static [Route] {
        const { &[Route::post("/messages")] }
    }

    fn answer<'a>(&'a self, call: &'a Call) -> Answering<'a> {
        Box::pin(async move {
            let message: Message = call.json()?;
            if !message.to.contains('@') {
                return Err(Failure::bad("that is no address for mail"));
            }
            let taken = self.queue.try_send(message);
            let size = self.queue.max_capacity();
            let waiting = size - self.queue.capacity();
            call.frame.metrics.queue(waiting);
            match taken {
                Ok(()) => {
                    Ok(Reply::json(&json!({ "waiting": waiting })).status(StatusCode::ACCEPTED))
                }
                Err(_) => Err(Failure::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!("the queue is full: {waiting} of {size} mails wait to be sent"),
                )),
            }
        })
    }
}
