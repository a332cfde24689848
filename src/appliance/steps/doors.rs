//! The wait for the front doors: the portal and the MCP servers answer a caller on this machine.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{
    Endpoints, Error,
    access::probe,
    effect::{Boxed, Step},
    progress::Event,
    world::World,
};

/// What must answer. A plane may be ready before its routes have reached the gateway, and after a restart of everything
/// the cluster remembers a readiness that is no longer true: only an answer counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DoorsStep {
    /// URLs that answer when somebody is behind them.
    pub urls: Vec<String>,
}

/// First pause between two tries; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How long one try may take.
const TRY: Duration = Duration::from_secs(2);

impl DoorsStep {
    pub(crate) fn of(endpoints: &Endpoints) -> Self {
        let Endpoints { portal, mcp, observer_mcp, .. } = endpoints;
        Self { urls: vec![format!("{portal}/"), mcp.clone(), observer_mcp.clone()] }
    }
}

/// Asks `url` once. The gateway itself answers 404 where it has no route and 5xx where nobody is behind one.
async fn answers(url: &str) -> Result<(), String> {
    match probe(url, TRY).await {
        Ok(404) => Err("the gateway has no route for it yet".to_owned()),
        Ok(status @ 500..) => Err(format!("it answers {status}")),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

impl Step for DoorsStep {
    fn name(&self) -> String {
        "doors".to_owned()
    }

    fn title(&self) -> String {
        "portal and MCP answering".to_owned()
    }

    fn probe<'a>(&'a self, _: &'a World<'_>) -> Boxed<'a, Result<bool, Error>> {
        Box::pin(async move {
            for url in &self.urls {
                if answers(url).await.is_err() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn act<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let started = Instant::now();
            for url in &self.urls {
                let mut pause = FIRST_PAUSE;
                while let Err(why) = answers(url).await {
                    if world.left().is_zero() {
                        let what = format!("{url} ({why})");
                        return Err(Error::Timeout { what, waited: started.elapsed() });
                    }
                    world.tell(&self.name(), Event::Detail(format!("{url}: {why}")));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            Ok(())
        })
    }

    fn undo<'a>(&'a self, _: &'a World<'_>) -> Boxed<'a, Result<usize, Error>> {
        Box::pin(async move { Ok(0) })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[tokio::test]
    async fn only_an_answer_of_somebody_behind_the_gateway_counts() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}/mcp", listener.local_addr().unwrap().port());
        let server = std::thread::spawn(move || {
            for status in ["404 Not Found", "503 Unavailable", "401 Unauthorized"] {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 2_000]).unwrap();
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        assert!(answers(&url).await.unwrap_err().contains("no route"));
        assert!(answers(&url).await.unwrap_err().contains("503"));
        assert_eq!(answers(&url).await, Ok(()));
        server.join().unwrap();
        assert!(answers(&url).await.is_err(), "nobody listens");
    }
}
