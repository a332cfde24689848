//! Reading along: which requests a connection carries, and what became of them.
//!
//! A tap is shown every piece of bytes as it passes, and keeps only what it must: the beginning of a line or of a
//! frame that is not complete yet, the requests that wait for an answer, HPACK's tables. Bodies are counted off by
//! their framing, never looked at. It knows HTTP/1.1 and HTTP/2 in the clear; whatever else a connection carries, and
//! whatever it cannot follow, it stops looking at for good. It never fails, and it never changes anything.

mod frames;
mod hpack;
mod http1;
mod http2;
mod huffman;
mod line;
mod route;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use self::frames::PREFACE;
use self::http1::Http1;
use self::http2::Http2;

/// What a server may say before the client has: an HTTP/2 server its settings.
const EARLY: usize = 512;

/// Which end sent a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node::network) enum Side {
    /// The one that connected.
    Client,
    /// The one that accepted.
    Server,
}

/// How a request was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::node::network) enum Protocol {
    Http1,
    Http2,
    Grpc,
}

impl Protocol {
    /// As labels have it.
    pub(in crate::node::network) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
        }
    }
}

/// A request that is over as far as it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node::network) struct Exchange {
    pub(in crate::node::network) protocol: Protocol,
    /// In capitals; `{other}` for methods that nobody registered.
    pub(in crate::node::network) method: &'static str,
    /// The class of its path.
    pub(in crate::node::network) route: Box<str>,
    /// HTTP's status, or gRPC's for gRPC; none when there was no answer.
    pub(in crate::node::network) status: Option<u16>,
    /// From the request's first byte to the end of the response's head.
    pub(in crate::node::network) latency: Option<Duration>,
}

/// The stream cannot be followed any further: it is not what it seemed, or is something else from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lost;

/// Reads along on one connection.
pub(in crate::node::network) struct Tap(State);

enum State {
    /// Nothing is known yet but these first bytes of each side.
    Start {
        client: Vec<u8>,
        server: Vec<u8>,
        began: Option<Instant>,
    },
    Http1(Box<Http1>),
    Http2(Box<Http2>),
    /// Not looked at.
    Blind,
}

impl Tap {
    pub(in crate::node::network) fn new() -> Self {
        Self(State::Start { client: Vec::new(), server: Vec::new(), began: None })
    }

    /// Whether it is of no more use.
    pub(in crate::node::network) fn is_blind(&self) -> bool {
        matches!(self.0, State::Blind)
    }

    /// Shows a piece of what `side` has sent; `seen` is told of every request that it completes.
    pub(in crate::node::network) fn feed(
        &mut self,
        side: Side,
        bytes: &[u8],
        now: Instant,
        seen: &mut dyn FnMut(Exchange),
    ) {
        let followed = match &mut self.0 {
            State::Blind => return,
            State::Start { .. } => return self.start(side, bytes, now, seen),
            State::Http1(http) => http.feed(side, bytes, now, seen),
            State::Http2(http) => http.feed(side, bytes, now, seen),
        };
        if followed.is_err() {
            self.0 = State::Blind;
        }
    }

    /// The connection is over: requests without an answer will get none.
    pub(in crate::node::network) fn end(&mut self, seen: &mut dyn FnMut(Exchange)) {
        match std::mem::replace(&mut self.0, State::Blind) {
            State::Http1(http) => http.end(seen),
            State::Http2(http) => http.end(seen),
            State::Start { .. } | State::Blind => {}
        }
    }

    /// Finds out what the connection is by what the client says first.
    fn start(&mut self, side: Side, bytes: &[u8], now: Instant, seen: &mut dyn FnMut(Exchange)) {
        let State::Start { client, server, began } = &mut self.0 else { return };
        if side == Side::Server {
            server.extend_from_slice(&bytes[..bytes.len().min(EARLY + 1)]);
            if server.len() > EARLY || !frames::may_be_settings(server) {
                self.0 = State::Blind;
            }
            return;
        }
        let at = *began.get_or_insert(now);
        // A first piece that says it all is not copied.
        let joined;
        let text = if client.is_empty() {
            bytes
        } else {
            joined = [client.as_slice(), bytes].concat();
            &joined
        };
        let guess = guess(text);
        if let Guess::Unclear = guess {
            *client = text.to_vec();
            return;
        }
        let early = std::mem::take(server);
        self.0 = match guess {
            Guess::Http1 if early.is_empty() => State::Http1(Box::new(Http1::new(at))),
            Guess::Http2 => State::Http2(Box::new(Http2::new())),
            _ => State::Blind,
        };
        self.feed(Side::Server, &early, now, seen);
        self.feed(Side::Client, text, now, seen);
    }
}

enum Guess {
    Http1,
    Http2,
    Neither,
    /// It may become one or the other.
    Unclear,
}

fn guess(text: &[u8]) -> Guess {
    if text.starts_with(PREFACE) {
        return Guess::Http2;
    }
    if PREFACE.starts_with(text) {
        return Guess::Unclear;
    }
    let end = text.iter().position(|byte| *byte == b' ');
    let known = |method: &&str| match end {
        Some(end) => method.as_bytes() == &text[..end],
        None => method.as_bytes().starts_with(text),
    };
    match (METHODS.iter().any(known), end) {
        (true, Some(_)) => Guess::Http1,
        (true, None) => Guess::Unclear,
        (false, _) => Guess::Neither,
    }
}

const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

fn method(name: &[u8]) -> &'static str {
    METHODS.iter().find(|known| known.as_bytes() == name).copied().unwrap_or("{other}")
}
