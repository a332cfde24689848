//! From a request's body to spans in the queue.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use curtain_otlp::trace::ExportTraceServiceRequest;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;

use super::super::queue::Room;
use super::convert::{Converted, convert};
use super::{Peer, Shared, Spans};

/// The largest request in bytes, as it comes and unpacked: what gRPC servers take.
pub(super) const LARGEST: usize = 4 << 20;
/// Of what is too large so much is read at most.
const MOST_READ: usize = 4 * LARGEST;
/// For a body to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// When to come again.
pub(super) const AGAIN: u32 = 1;

/// Why spans were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// Too much waits already.
    #[error("too many spans wait to be stored; send them again in a second")]
    Busy,
    /// It is larger than any request may be.
    #[error("the request is larger than {LARGEST} bytes; send fewer spans at once")]
    Large,
    /// It cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// It did not come in time, or nobody stores any more.
    #[error("{0}; send the spans again")]
    Interrupted(&'static str),
}

/// Reads a body as far as it may be, with room for what was read. What is refused is read to its end all the same and
/// forgotten: a sender that is still writing would not see the answer.
pub(super) async fn read(shared: &Shared, mut body: Body) -> Result<(Vec<u8>, Room), Refusal> {
    let reading = async {
        let mut room = shared.inlet.room(0).ok_or(Refusal::Busy)?;
        let (mut bytes, mut seen, mut refused) = (Vec::new(), 0, None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::Interrupted("the body broke off"))?;
            let Some(data) = frame.data_ref() else { continue };
            seen += data.len();
            if seen > LARGEST {
                (refused, bytes) = (Some(Refusal::Large), Vec::new());
            }
            if seen > MOST_READ {
                break;
            }
            if refused.is_some() {
                continue;
            }
            match shared.inlet.room(data.len()) {
                Some(more) => {
                    room.with(more);
                    bytes.extend_from_slice(data);
                }
                None => (refused, bytes) = (Some(Refusal::Busy), Vec::new()),
            }
        }
        refused.map_or(Ok((bytes, room)), Err)
    };
    let late = |_| Refusal::Interrupted("the body did not come in ten seconds");
    tokio::time::timeout(PATIENCE, reading).await.map_err(late)?
}

/// Unpacks gzip, with room for what comes out.
pub(super) fn unpack(shared: &Shared, packed: &[u8], room: &mut Room) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let most = u64::try_from(LARGEST + 1).unwrap_or(u64::MAX);
    MultiGzDecoder::new(packed)
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(|error| Refusal::Malformed(format!("the body is no gzip: {error}")))?;
    if bytes.len() > LARGEST {
        return Err(Refusal::Large);
    }
    room.with(shared.inlet.room(bytes.len()).ok_or(Refusal::Busy)?);
    Ok(bytes)
}

/// Leaves the spans of a request in the queue. What is `Ok` is how many had to be left out, and why.
pub(super) fn take(
    shared: &Shared,
    peer: &Peer,
    request: ExportTraceServiceRequest,
    room: Room,
) -> Result<(i64, String), Refusal> {
    let peer = peer.0.ip().to_canonical();
    let Converted { parts, bytes, homeless, broken } = convert(&shared.pods, peer, request);
    if !parts.is_empty() && !shared.inlet.put(Spans(parts), bytes, room) {
        return Err(Refusal::Interrupted("the collector is ending"));
    }
    let mut reasons = Vec::new();
    if homeless > 0 {
        tracing::debug!(%peer, spans = homeless, "spans from no pod of a component");
        reasons.push(format!(
            "{homeless} spans are of no pod of a component: none has the address {peer}, nor do the attributes \
             k8s.pod.ip or k8s.namespace.name and k8s.pod.name name one"
        ));
    }
    if broken > 0 {
        reasons.push(format!(
            "{broken} spans have no proper id of a trace (16 bytes) and of a span (8)"
        ));
    }
    Ok((homeless + broken, reasons.join("; ")))
}
