//! Visitors who look around and buy, at a steady rate and always in the same order, so that numbers can be compared. They
//! come once the shop is open: what fails before is nobody's trouble.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use curtain_role::Shutdown;
use http::{HeaderValue, Method};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::frame::{
    Answering, Asked, Call, Failure, Frame, Level, Reply, Route, Service, Upstream,
};

/// Requests in a second, of all visitors together.
pub(super) const RATE: &str = "LOAD_RATE";
/// How many visitors there are; one that waits does not hold the others up.
const VISITORS: u64 = 5;

/// How often visitors look whether the shop is open, and for how long.
const LOOK: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(120);

const FORM: Option<&str> = Some("application/x-www-form-urlencoded");
/// A visit: method, route, path and form.
const VISIT: [(Method, &str, &str, &str); 8] = [
    (Method::GET, "/", "/", ""),
    (Method::GET, "/products/{id}", "/products/moon", ""),
    (Method::POST, "/cart", "/cart", "product=moon&quantity=1"),
    (Method::GET, "/products/{id}", "/products/bell", ""),
    (Method::POST, "/cart", "/cart", "product=bell&quantity=2"),
    (Method::GET, "/cart", "/cart", ""),
    (
        Method::POST,
        "/checkout",
        "/checkout",
        "email=visitor%40example.org&address=Stage+door+7&card=4242424242424242",
    ),
    (Method::GET, "/", "/", ""),
];

/// Nobody calls it.
pub(super) struct Load;

impl Load {
    /// Sends visitors to the shop until `shutdown`.
    pub(super) fn start(frame: &Arc<Frame>, shutdown: &Shutdown) -> Result<Self, Failure> {
        let web = Arc::new(Upstream::new(&frame.settings, "web"));
        let rate = frame.settings.number(RATE, 5)?.clamp(1, 1000);
        let pause = Duration::from_millis(1000 * VISITORS / rate).max(Duration::from_millis(1));
        let (opened, _) = watch::channel(false);
        for visitor in 0..VISITORS {
            let (frame, web, shutdown) = (Arc::clone(frame), Arc::clone(&web), shutdown.clone());
            let mut open = opened.subscribe();
            tokio::spawn(async move {
                tokio::select! {
                    _ = open.wait_for(|open| *open) => {}
                    () = shutdown.wait() => return,
                }
                let mut pauses = interval(pause);
                pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
                // Everybody begins elsewhere in the visit: each second has a bit of everything.
                let mut step = usize::try_from(visitor).unwrap_or_default();
                let cookie = HeaderValue::from_str(&format!("shop=load-{visitor}")).ok();
                loop {
                    tokio::select! {
                        _ = pauses.tick() => {}
                        () = shutdown.wait() => return,
                    }
                    visit(&frame, &web, step, cookie.clone()).await;
                    step = (step + 1) % VISIT.len();
                }
            });
        }
        let (frame, shutdown) = (Arc::clone(frame), shutdown.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = open(&frame, &web) => drop(opened.send(true)),
                () = shutdown.wait() => {}
            }
        });
        Ok(Self)
    }
}

/// Waits until the shop is open, or for as long as anybody would.
async fn open(frame: &Frame, web: &Upstream) {
    let begun = Instant::now();
    loop {
        let waits = match web.waits_for(frame).await {
            Ok(waits) if waits.is_empty() => return,
            Ok(waits) => waits.join("; "),
            Err(failure) => failure.message,
        };
        if begun.elapsed() > PATIENCE {
            let more = json!({ "waitsFor": waits });
            frame.log.write(
                Level::Warn,
                None,
                "visitors come although the shop is not open",
                &more,
            );
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn visit(frame: &Frame, web: &Upstream, step: usize, cookie: Option<HeaderValue>) {
    let (method, route, path, form) = VISIT[step].clone();
    let content = FORM.filter(|_| !form.is_empty());
    let body = Bytes::from_static(form.as_bytes());
    let asked = Asked { method, route, path, body, content, cookie };
    if let Err(failure) = web.exchange(frame, None, asked).await {
        let more = json!({ "status": failure.status.as_u16() });
        frame.log.write(Level::Warn, None, &failure.message, &more);
    }
}

impl Service for Load {
    fn routes(&self) -> &'static [Route] {
        &[]
    }

    fn answer<'a>(&'a self, _: &'a Call) -> Answering<'a> {
        Box::pin(async { Err::<Reply, _>(Failure::missing("nobody is served here")) })
    }
}
