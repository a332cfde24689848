//! HTTP/2 (RFC 9113) with prior knowledge, and the gRPC in it: frames, header blocks, the ends of streams.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::frames::{Block, DATA, END_STREAM, Frame, Half, RESET};
use super::hpack::Decoder;
use super::{Exchange, Lost, Protocol, Side, method, route};

/// Streams that may wait for an answer on one connection.
const STREAMS: usize = 1024;

/// Both directions of a connection.
pub(super) struct Http2 {
    /// Each with the table of what it compresses.
    client: (Half, Decoder),
    server: (Half, Decoder),
    streams: HashMap<u32, Stream>,
}

/// A request.
struct Stream {
    protocol: Protocol,
    method: &'static str,
    route: Box<str>,
    began: Instant,
    /// HTTP's status, once it is there.
    status: Option<u16>,
    latency: Option<Duration>,
}

/// What counts of a header block.
#[derive(Default)]
struct Fields {
    method: Option<&'static str>,
    path: Vec<u8>,
    status: Option<u16>,
    grpc: bool,
    grpc_status: Option<u16>,
}

impl Http2 {
    pub(super) fn new() -> Self {
        Self {
            client: (Half::client(), Decoder::new()),
            server: (Half::server(), Decoder::new()),
            streams: HashMap::new(),
        }
    }

    pub(super) fn feed(
        &mut self,
        side: Side,
        mut bytes: &[u8],
        now: Instant,
        seen: &mut dyn FnMut(Exchange),
    ) -> Result<(), Lost> {
        while !bytes.is_empty() {
            let (half, decoder) = match side {
                Side::Client => &mut self.client,
                Side::Server => &mut self.server,
            };
            let Some((frame, payload)) = half.next(&mut bytes, now)? else { continue };
            match frame.kind {
                DATA => self.data(side, frame, seen),
                RESET => self.reset(side, frame, &payload, seen),
                _ => {
                    if let Some(block) = half.headers(frame, &payload)? {
                        let fields = Fields::decode(decoder, &block.bytes)?;
                        self.fields(side, &block, fields, now, seen)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn end(self, seen: &mut dyn FnMut(Exchange)) {
        let mut left: Vec<_> = self.streams.into_iter().collect();
        left.sort_by_key(|(id, _)| *id);
        left.into_iter().for_each(|(_, stream)| seen(stream.over(None)));
    }

    /// The header block of a request, a response, or what follows one.
    fn fields(
        &mut self,
        side: Side,
        block: &Block<'_>,
        fields: Fields,
        now: Instant,
        seen: &mut dyn FnMut(Exchange),
    ) -> Result<(), Lost> {
        if block.pushed {
            return Ok(());
        }
        if side == Side::Client {
            let Some(method) = fields.method else { return Ok(()) };
            if self.streams.len() == STREAMS {
                return Err(Lost);
            }
            let (protocol, route) = match fields.grpc {
                true => (Protocol::Grpc, route::grpc(&fields.path)),
                false => (Protocol::Http2, route::class(&fields.path)),
            };
            let (began, status, latency) = (block.began, None, None);
            let stream = Stream { protocol, method, route, began, status, latency };
            self.streams.insert(block.stream, stream);
            return Ok(());
        }
        let Some(stream) = self.streams.get_mut(&block.stream) else { return Ok(()) };
        if let Some(status) = fields.status {
            if (100..200).contains(&status) {
                return Ok(());
            }
            stream.status = Some(status);
            stream.latency = Some(now.saturating_duration_since(stream.began));
        }
        let last = block.flags & END_STREAM != 0;
        let status = match stream.protocol {
            Protocol::Grpc => match fields.grpc_status {
                None if !last => return Ok(()),
                status => status.or(stream.grpc_by_http()),
            },
            _ => stream.status,
        };
        self.over(block.stream, status, seen);
        Ok(())
    }

    /// A stream of gRPC that ends without a word on how it went.
    fn data(&mut self, side: Side, frame: Frame, seen: &mut dyn FnMut(Exchange)) {
        if side == Side::Server && frame.flags & END_STREAM != 0 {
            let status = self.streams.get(&frame.stream).and_then(Stream::grpc_by_http);
            self.over(frame.stream, status, seen);
        }
    }

    fn reset(&mut self, side: Side, frame: Frame, payload: &[u8], seen: &mut dyn FnMut(Exchange)) {
        let code = payload.try_into().map_or(0, u32::from_be_bytes);
        let grpc = self.streams.get(&frame.stream).map(|stream| stream.protocol);
        let status = (grpc == Some(Protocol::Grpc)).then(|| match (side, code) {
            (Side::Client, _) => 1,
            (Side::Server, code) => grpc_by_reset(code),
        });
        self.over(frame.stream, status, seen);
    }

    fn over(&mut self, stream: u32, status: Option<u16>, seen: &mut dyn FnMut(Exchange)) {
        if let Some(stream) = self.streams.remove(&stream) {
            seen(stream.over(status));
        }
    }
}

impl Stream {
    fn over(self, status: Option<u16>) -> Exchange {
        let Self { protocol, method, route, latency, .. } = self;
        Exchange { protocol, method, route, status, latency }
    }

    /// The status of gRPC that stands for a response without one.
    fn grpc_by_http(&self) -> Option<u16> {
        Some(match self.status? {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        })
    }
}

/// The status of gRPC that stands for an error code of HTTP/2.
fn grpc_by_reset(code: u32) -> u16 {
    match code {
        7 => 14,
        8 => 1,
        11 => 8,
        12 => 7,
        _ => 13,
    }
}

impl Fields {
    fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Self, Lost> {
        let mut fields = Self::default();
        decoder.decode(block, |name, value| fields.add(name, value))?;
        Ok(fields)
    }

    fn add(&mut self, name: &[u8], value: &[u8]) {
        let number = || str::from_utf8(value).ok()?.parse().ok();
        match name {
            b":method" => self.method = Some(method(value)),
            b":path" => self.path = value.to_vec(),
            b":status" => self.status = number(),
            b"grpc-status" => self.grpc_status = number(),
            b"content-type" => self.grpc |= value.starts_with(b"application/grpc"),
            _ => {}
        }
    }
}
