//! Where something waits for the observer: bounded by its bytes, and posted in its order until the observer has it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use curtain_role::Shutdown;
use http::Method;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::door::Door;

/// A batch is sent at this size.
const BATCH_BYTES: usize = 512 << 10;
/// Time for the last batches once the end was asked for, whoever does not answer: what is not stored then comes again.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What can wait.
pub(super) trait Load: Sized + Send + 'static {
    /// Where it is posted.
    const PATH: &'static str;
    /// What it is, in the plural, for the log.
    const WHAT: &'static str;
    /// Bytes that may wait in all.
    const WAITING: usize;
    /// A batch is sent when its first part is this old, however small it is.
    const AGE: Duration;

    /// As it is posted.
    fn encode(batch: Vec<Self>) -> Bytes;
}

/// Room for bytes, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Room(OwnedSemaphorePermit);

impl Room {
    /// Joins two of them.
    pub(super) fn with(&mut self, other: Room) {
        self.0.merge(other.0);
    }
}

struct Waiting<T> {
    load: T,
    bytes: usize,
    room: Room,
}

/// The way in. Cloning shares it.
pub(super) struct Inlet<T> {
    room: Arc<Semaphore>,
    waiting: mpsc::UnboundedSender<Waiting<T>>,
}

impl<T> Clone for Inlet<T> {
    fn clone(&self) -> Self {
        Inlet { room: self.room.clone(), waiting: self.waiting.clone() }
    }
}

impl<T: Load> Inlet<T> {
    /// Room for so many bytes, if there is some now.
    pub(super) fn room(&self, bytes: usize) -> Option<Room> {
        let permits = u32::try_from(bytes).ok()?;
        self.room.clone().try_acquire_many_owned(permits).ok().map(Room)
    }

    /// Waits for room for so many bytes; what is larger than all of it takes all of it.
    pub(super) async fn wait(&self, bytes: usize) -> Option<Room> {
        let permits = u32::try_from(bytes.min(T::WAITING)).ok()?;
        self.room.clone().acquire_many_owned(permits).await.ok().map(Room)
    }

    /// Leaves what was given room. False when nobody sends any more.
    pub(super) fn put(&self, load: T, bytes: usize, room: Room) -> bool {
        self.waiting.send(Waiting { load, bytes, room }).is_ok()
    }
}

/// Posts what waits.
pub(super) struct Queue<T> {
    door: Door,
    waiting: mpsc::UnboundedReceiver<Waiting<T>>,
}

impl<T: Load> Queue<T> {
    pub(super) fn new(door: Door) -> (Queue<T>, Inlet<T>) {
        // Bounded by the bytes that the semaphore gives out.
        let (sender, waiting) = mpsc::unbounded_channel();
        let inlet = Inlet { room: Arc::new(Semaphore::new(T::WAITING)), waiting: sender };
        (Queue { door, waiting }, inlet)
    }

    /// Posts until `shutdown`, then what is left, for as long as that may take.
    pub(super) async fn run(self, shutdown: Shutdown) {
        let late = async {
            shutdown.wait().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = self.ship(&shutdown) => {}
            () = late => {}
        }
    }

    async fn ship(mut self, shutdown: &Shutdown) {
        loop {
            let first = tokio::select! {
                first = self.waiting.recv() => first,
                () = shutdown.wait() => break,
            };
            let Some(first) = first else { return };
            let (body, _rooms) = self.gather(first).await;
            if !self.door.deliver(T::PATH, body, T::WHAT, shutdown).await {
                break;
            }
        }
        while let Ok(first) = self.waiting.try_recv() {
            let (body, _rooms) = self.gather(first).await;
            if self.door.request(Method::POST, T::PATH, body).await.is_err() {
                return;
            }
        }
    }

    /// The next batch, and its room: what is posted still waits.
    async fn gather(&mut self, first: Waiting<T>) -> (Bytes, Vec<Room>) {
        let deadline = tokio::time::Instant::now() + T::AGE;
        let mut bytes = first.bytes;
        let (mut batch, mut rooms) = (vec![first.load], vec![first.room]);
        while bytes < BATCH_BYTES {
            match tokio::time::timeout_at(deadline, self.waiting.recv()).await {
                Ok(Some(next)) => {
                    bytes += next.bytes;
                    batch.push(next.load);
                    rooms.push(next.room);
                }
                Ok(None) | Err(_) => break,
            }
        }
        (T::encode(batch), rooms)
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::super::door::PATIENCE;
    use super::*;

    struct Words(&'static str);

    impl Load for Words {
        const PATH: &'static str = "/words";
        const WHAT: &'static str = "words";
        const WAITING: usize = 100;
        const AGE: Duration = Duration::from_millis(10);

        fn encode(batch: Vec<Self>) -> Bytes {
            batch.iter().map(|words| words.0).collect::<String>().into()
        }
    }

    #[tokio::test]
    async fn who_brings_something_waits_or_is_sent_away_when_the_queue_is_full() {
        let door = Door::new(Uri::from_static("http://127.0.0.1:1"), "none".into());
        let (mut queue, inlet) = Queue::<Words>::new(door);
        for words in ["a", "b"] {
            let room = inlet.wait(40).await.expect("room");
            assert!(inlet.put(Words(words), 40, room));
        }
        assert!(inlet.room(40).is_none(), "a third one with forty bytes does not fit");
        let third = tokio::time::timeout(Duration::from_millis(50), inlet.wait(40));
        assert!(third.await.is_err(), "nor when it waits");
        let first = queue.waiting.recv().await.expect("the first");
        let (body, rooms) = queue.gather(first).await;
        assert_eq!((body.as_ref(), rooms.len()), (b"ab".as_slice(), 2));
        assert!(inlet.room(40).is_none(), "what is posted still waits");
        drop(rooms);
        assert!(inlet.room(40).is_some());
        // What is larger than all of the room takes all of it.
        assert!(inlet.wait(1000).await.is_some());
    }

    #[tokio::test]
    async fn an_observer_that_does_not_answer_is_not_waited_for_in_the_end() {
        let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let token = tempfile::NamedTempFile::new().unwrap();
        let address = format!("http://{}", deaf.local_addr().unwrap());
        let door = Door::new(address.parse().unwrap(), token.path().to_owned());
        let (queue, inlet) = Queue::new(door);
        let room = inlet.room(1).expect("room");
        assert!(inlet.put(Words("a"), 1, room));
        let shutdown = Shutdown::default();
        let shipping = tokio::spawn(queue.run(shutdown.clone()));
        // It is sending when the end is asked for.
        let _asked = deaf.accept().await.unwrap();
        shutdown.trigger();
        let ended = tokio::time::timeout(PATIENCE / 2, shipping).await;
        ended.expect("it ends before the observer's time is over").unwrap();
    }
}
