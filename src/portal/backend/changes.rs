//! A watch of the API, of which only that something changed is of interest.

use futures::Stream;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// One item per piece of the stream that carries an event; keep-alive comments are none.
pub(super) fn changes(body: Incoming) -> impl Stream<Item = ()> + Send {
    futures::stream::unfold((body, true), |(mut body, mut at_line_start)| async move {
        loop {
            let frame = body.frame().await?.ok()?;
            let Some(data) = frame.data_ref() else { continue };
            let event = carries_event(data, &mut at_line_start);
            if event {
                return Some(((), (body, at_line_start)));
            }
        }
    })
}

/// Whether a line of an event begins in these bytes. Lines that begin with `:` are comments.
fn carries_event(data: &[u8], at_line_start: &mut bool) -> bool {
    let mut found = false;
    for byte in data {
        if *at_line_start && !matches!(byte, b':' | b'\n' | b'\r') {
            found = true;
        }
        *at_line_start = *byte == b'\n';
    }
    found
}

#[cfg(test)]
mod tests {
    use super::carries_event;

    #[test]
    fn comments_are_not_changes() {
        let mut start = true;
        assert!(!carries_event(b": keep-alive\n\n", &mut start));
        assert!(carries_event(b"event: applied\ndata: {}\n\n", &mut start));
        assert!(!carries_event(b":x", &mut start));
        assert!(!carries_event(b"data: still the comment\n", &mut start));
        assert!(carries_event(b"data: x\n", &mut start));
    }
}
