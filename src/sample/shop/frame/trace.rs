//! Trace context: who is asked on whose behalf, as the `traceparent` header of W3C Trace Context says it.

use std::fmt::Write as _;

use http::HeaderMap;

use super::{Failure, Settings};

/// The header.
pub(super) const HEADER: &str = "traceparent";

/// A span's place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Context {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    pub(super) sampled: bool,
}

impl Context {
    /// Reads the header; one that breaks the rules counts as none.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let mut parts = headers.get(HEADER)?.to_str().ok()?.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = bytes::<1>(version)?;
        // Later versions may say more after these four; this one may not.
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let (trace, span, [flags]) = (bytes(trace)?, bytes(span)?, bytes::<1>(flags)?);
        (trace != [0; 16] && span != [0; 8]).then_some(Self {
            trace,
            span,
            sampled: flags & 1 == 1,
        })
    }

    /// A new span of the same trace.
    pub(super) fn child(&self) -> Self {
        Self { span: random(), ..*self }
    }

    /// The header's value for whoever is called within this span.
    pub(super) fn header(&self) -> String {
        format!("00-{}-{}-0{}", hex(&self.trace), hex(&self.span), u8::from(self.sampled))
    }

    pub(super) fn trace_hex(&self) -> String {
        hex(&self.trace)
    }

    pub(super) fn span_hex(&self) -> String {
        hex(&self.span)
    }
}

fn random<const N: usize>() -> [u8; N] {
    loop {
        let bytes = std::array::from_fn(|_| rand::random());
        if bytes != [0; N] {
            return bytes;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Lower-case hex of exactly `N` bytes.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// Which traces are recorded, by the standard variables.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sampler {
    /// Whether a caller's decision counts.
    follows: bool,
    /// The share of traces that start here.
    ratio: f64,
}

impl Sampler {
    /// From `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
    pub(super) fn new(settings: &Settings) -> Result<Self, Failure> {
        let name = settings.text("OTEL_TRACES_SAMPLER").unwrap_or("parentbased_always_on");
        let follows = name.starts_with("parentbased_");
        let ratio = match name.trim_start_matches("parentbased_") {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => match settings.text("OTEL_TRACES_SAMPLER_ARG").unwrap_or("1").parse()
            {
                Ok(ratio @ 0.0..=1.0) => ratio,
                _ => {
                    return Err(Failure::own(
                        "bad configuration: OTEL_TRACES_SAMPLER_ARG is not between 0 and 1",
                    ));
                }
            },
            _ => {
                return Err(Failure::own(format!(
                    "bad configuration: OTEL_TRACES_SAMPLER is {name:?}, which is not known"
                )));
            }
        };
        Ok(Self { follows, ratio })
    }

    /// A new span, within `parent` if there is one.
    pub(super) fn start(&self, parent: Option<Context>) -> Context {
        match parent {
            Some(parent) if self.follows => parent.child(),
            Some(parent) => Context { sampled: self.samples(parent.trace), ..parent.child() },
            None => {
                let trace = random();
                Context { trace, span: random(), sampled: self.samples(trace) }
            }
        }
    }

    /// Everybody who uses the same ratio decides the same: by the trace's id.
    fn samples(&self, trace: [u8; 16]) -> bool {
        let [.., a, b, c, d] = trace;
        f64::from(u32::from_be_bytes([a, b, c, d])) < self.ratio * (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read(value: &str) -> Option<Context> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, value.parse().unwrap());
        Context::read(&headers)
    }

    #[test]
    fn the_header_survives_and_children_stay_in_the_trace() {
        let context = read(GOOD).unwrap();
        assert_eq!(context.header(), GOOD);
        let child = context.child();
        assert_eq!((child.trace, child.sampled), (context.trace, true));
        assert_ne!(child.span, context.span);
        assert!(!read(&GOOD.replace("-01", "-00")).unwrap().sampled);
        assert!(read(&format!("01{}-more", &GOOD[2..])).is_some(), "a later version");
    }

    #[test]
    fn broken_headers_count_as_none() {
        for bad in [
            "",
            "00",
            &GOOD.to_uppercase(),
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &format!("ff{}", &GOOD[2..]),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn samplers_decide_as_their_names_say() {
        let sampler = |name: &str, argument: &str| {
            let pairs = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)];
            Sampler::new(&pairs.into_iter().collect())
        };
        let parent = read(GOOD);
        assert!(sampler("", "").unwrap().start(None).sampled);
        assert!(sampler("parentbased_always_off", "").unwrap().start(parent).sampled);
        assert!(!sampler("always_off", "").unwrap().start(parent).sampled);
        let half = sampler("traceidratio", "0.5").unwrap();
        let taken = (0..400).filter(|_| half.start(None).sampled).count();
        assert!((100..300).contains(&taken), "{taken} of 400");
        assert!(sampler("sometimes", "").is_err());
        assert!(sampler("traceidratio", "2").is_err());
    }
}
