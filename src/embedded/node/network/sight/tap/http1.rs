//! HTTP/1.1 (RFC 9112): heads line by line, bodies by their framing.

use std::collections::VecDeque;
use std::time::Instant;

use super::line::{Line, Whole};
use super::{Exchange, Lost, Protocol, Side, method, route};

/// Requests that may wait for an answer on one connection.
const PIPELINED: usize = 64;
/// Lines of one head.
const LINES: usize = 1000;

/// Both directions of a connection.
pub(super) struct Http1 {
    client: Half,
    server: Half,
    /// In the order in which they are to be answered.
    waiting: VecDeque<Waiting>,
    began: Option<Instant>,
}

struct Waiting {
    method: &'static str,
    route: Box<str>,
    began: Instant,
}

/// One direction.
#[derive(Default)]
struct Half {
    part: Part,
    line: Line,
    head: Head,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Head,
    /// A body of which so much is to come.
    Body(u64),
    /// The line with a chunk's size.
    Size,
    /// A chunk of which so much is to come, with its line end.
    Chunk(u64),
    Trailer,
    /// A body up to the connection's end.
    Rest,
}

/// What counts of a head.
#[derive(Default)]
struct Head {
    first: Option<First>,
    length: Option<u64>,
    coding: Option<Coding>,
    lines: usize,
}

enum First {
    Request { method: &'static str, route: Box<str> },
    Status(u16),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    Other,
}

impl Http1 {
    /// A connection whose first byte came at `began`.
    pub(super) fn new(began: Instant) -> Self {
        let half = Half::default;
        Self { client: half(), server: half(), waiting: VecDeque::new(), began: Some(began) }
    }

    pub(super) fn feed(
        &mut self,
        side: Side,
        mut bytes: &[u8],
        now: Instant,
        seen: &mut dyn FnMut(Exchange),
    ) -> Result<(), Lost> {
        while !bytes.is_empty() {
            let half = match side {
                Side::Client => &mut self.client,
                Side::Server => &mut self.server,
            };
            if half.part != Part::Head {
                half.pass(&mut bytes)?;
                continue;
            }
            if side == Side::Client {
                self.began.get_or_insert(now);
            }
            let Some(head) = half.head(&mut bytes, side)? else { continue };
            match side {
                Side::Client => self.request(head, now)?,
                Side::Server => self.response(head, now, seen)?,
            }
        }
        Ok(())
    }

    pub(super) fn end(self, seen: &mut dyn FnMut(Exchange)) {
        self.waiting.into_iter().for_each(|one| seen(one.answered(None, None)));
    }

    fn request(&mut self, head: Head, now: Instant) -> Result<(), Lost> {
        let part = match (head.coding, head.length) {
            (Some(Coding::Chunked), _) => Part::Size,
            (Some(Coding::Other), _) => return Err(Lost),
            (None, length) => Part::body(length.unwrap_or(0)),
        };
        let Some(First::Request { method, route }) = head.first else { return Err(Lost) };
        if self.waiting.len() == PIPELINED {
            return Err(Lost);
        }
        let began = self.began.take().unwrap_or(now);
        self.waiting.push_back(Waiting { method, route, began });
        self.client.part = part;
        Ok(())
    }

    fn response(
        &mut self,
        head: Head,
        now: Instant,
        seen: &mut dyn FnMut(Exchange),
    ) -> Result<(), Lost> {
        let Some(First::Status(status)) = head.first else { return Err(Lost) };
        // "Continue" and the like: the answer is still to come.
        if (100..200).contains(&status) && status != 101 {
            return Ok(());
        }
        let one = self.waiting.pop_front().ok_or(Lost)?;
        let method = one.method;
        seen(one.answered(Some(status), Some(now)));
        let tunnel = status == 101 || method == "CONNECT" && (200..300).contains(&status);
        if tunnel {
            return Err(Lost);
        }
        let empty = method == "HEAD" || matches!(status, 204 | 304);
        self.server.part = match (empty, head.coding, head.length) {
            (true, ..) => Part::Head,
            (_, Some(Coding::Chunked), _) => Part::Size,
            (_, Some(Coding::Other), _) | (_, None, None) => Part::Rest,
            (_, None, Some(length)) => Part::body(length),
        };
        Ok(())
    }
}

impl Waiting {
    fn answered(self, status: Option<u16>, at: Option<Instant>) -> Exchange {
        Exchange {
            protocol: Protocol::Http1,
            method: self.method,
            route: self.route,
            status,
            latency: at.map(|at| at.saturating_duration_since(self.began)),
        }
    }
}

impl Part {
    fn body(length: u64) -> Self {
        if length == 0 { Self::Head } else { Self::Body(length) }
    }
}

impl Half {
    /// Reads lines of a head; gives it back when it is complete.
    fn head(&mut self, bytes: &mut &[u8], side: Side) -> Result<Option<Head>, Lost> {
        let Self { line, head, .. } = self;
        let Some(done) = line.next(bytes, |line| head.add(&line, side))? else { return Ok(None) };
        Ok(done.then(|| std::mem::take(head)))
    }

    /// Passes over what is no head.
    fn pass(&mut self, bytes: &mut &[u8]) -> Result<(), Lost> {
        match &mut self.part {
            Part::Head => {}
            Part::Rest => *bytes = &[],
            Part::Body(left) => {
                if skip(left, bytes) {
                    self.part = Part::Head;
                }
            }
            Part::Chunk(left) => {
                if skip(left, bytes) {
                    self.part = Part::Size;
                }
            }
            Part::Size => {
                if let Some(size) = self.line.next(bytes, |line| chunk_size(line.text))? {
                    // The chunk is followed by an end of line.
                    self.part = if size == 0 { Part::Trailer } else { Part::Chunk(size + 2) };
                }
            }
            Part::Trailer => {
                let end = self.line.next(bytes, |line| Ok(line.text.is_empty()))?;
                if end == Some(true) {
                    self.part = Part::Head;
                }
            }
        }
        Ok(())
    }
}

/// Whether the end was reached.
fn skip(left: &mut u64, bytes: &mut &[u8]) -> bool {
    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *bytes = &bytes[here..];
    *left -= here as u64;
    *left == 0
}

fn chunk_size(line: &[u8]) -> Result<u64, Lost> {
    let end = line.iter().position(|byte| matches!(byte, b';' | b' ' | b'\t'));
    let digits = &line[..end.unwrap_or(line.len())];
    // A body of 2^60 bytes does not come; the sum with its line end stays a number.
    if digits.len() > 15 {
        return Err(Lost);
    }
    number(digits, 16).ok_or(Lost)
}

/// Digits and nothing else, not even a sign.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
    u64::from_str_radix(str::from_utf8(digits).ok()?, radix).ok()
}

impl Head {
    /// Whether this line ends the head.
    fn add(&mut self, line: &Whole<'_>, side: Side) -> Result<bool, Lost> {
        self.lines += 1;
        if self.lines > LINES {
            return Err(Lost);
        }
        let Some(_) = self.first else {
            // Some end a body with a line end too much.
            if !line.text.is_empty() {
                self.first = Some(match side {
                    Side::Client => request_line(line)?,
                    Side::Server => status_line(line.text)?,
                });
            }
            return Ok(false);
        };
        if line.text.is_empty() {
            return Ok(true);
        }
        let colon = line.text.iter().position(|byte| *byte == b':').ok_or(Lost)?;
        let (name, value) = (&line.text[..colon], line.text[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = number(value, 10).filter(|_| !line.cut).ok_or(Lost)?;
            if self.length.replace(length).is_some_and(|before| before != length) {
                return Err(Lost);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
            let chunked = last.eq_ignore_ascii_case(b"chunked") && !line.cut;
            self.coding = Some(if chunked { Coding::Chunked } else { Coding::Other });
        }
        Ok(false)
    }
}

fn request_line(line: &Whole<'_>) -> Result<First, Lost> {
    let mut words = line.text.split(|byte| *byte == b' ');
    let (name, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let version = words.next().unwrap_or_default();
    let known = version.starts_with(b"HTTP/1.") || line.cut;
    if target.is_empty() || !known {
        return Err(Lost);
    }
    Ok(First::Request { method: method(name), route: route::class(target) })
}

fn status_line(line: &[u8]) -> Result<First, Lost> {
    let rest = line.strip_prefix(b"HTTP/1.").ok_or(Lost)?;
    let code = rest.get(2..5).and_then(|code| number(code, 10)).filter(|code| *code >= 100);
    code.and_then(|code| u16::try_from(code).ok()).map(First::Status).ok_or(Lost)
}
