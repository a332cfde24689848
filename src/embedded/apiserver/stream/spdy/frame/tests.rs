//! Frames of clients, and of nobody.

use super::*;

/// A stream as a client begins it.
pub(in super::super) fn open(
    stream: u32,
    headers: &[(&str, &str)],
    deflater: &mut Deflater,
) -> Bytes {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let headers = Headers(headers.iter().map(own).collect());
    let mut payload = stream.to_be_bytes().to_vec();
    payload.extend([0; 6]);
    payload.extend(deflater.write(&headers));
    control(SYN_STREAM, &payload)
}

fn all(decoder: &mut Decoder, bytes: &[u8]) -> Vec<Frame> {
    decoder.push(bytes);
    std::iter::from_fn(|| decoder.next().unwrap()).collect()
}

#[test]
fn frames_are_read_however_they_are_cut() {
    let mut deflater = Deflater::new();
    let mut bytes = Vec::new();
    for (stream, kind) in [(1, "error"), (3, "data")] {
        let headers = [("streamtype", kind), ("port", "80"), ("requestid", "0")];
        bytes.extend(open(stream, &headers, &mut deflater));
    }
    bytes.extend(data(3, b"GET /", false));
    bytes.extend(data(1, b"", true));
    bytes.extend(ping(7));
    bytes.extend(reset(3, 5));
    bytes.extend(control(4, &[0; 4]));
    bytes.extend(control(9, &[0; 8]));
    bytes.extend(go_away(3, 0));
    for size in [1, 7, 64, bytes.len()] {
        let mut decoder = Decoder::new();
        let frames: Vec<Frame> =
            bytes.chunks(size).flat_map(|piece| all(&mut decoder, piece)).collect();
        let [first, second, rest @ ..] = frames.as_slice() else { panic!("{frames:?}") };
        for (frame, stream, kind) in [(first, 1, "error"), (second, 3, "data")] {
            let Frame::Open { stream: found, headers, fin: false } = frame else {
                panic!("{frame:?}");
            };
            assert_eq!(*found, stream);
            assert_eq!(headers.get("streamtype"), Some(kind));
            assert_eq!(headers.get("port"), Some("80"));
        }
        let text = Bytes::from_static(b"GET /");
        let expected = [
            Frame::Data { stream: 3, bytes: text, fin: false },
            Frame::Data { stream: 1, bytes: Bytes::new(), fin: true },
            Frame::Ping { id: 7 },
            Frame::Reset { stream: 3 },
            Frame::Other,
            Frame::Other,
            Frame::GoAway,
        ];
        assert_eq!(rest, expected, "in pieces of {size}");
    }
}

#[test]
fn what_must_not_be_said_is_refused() {
    let refused = |bytes: &[u8]| {
        let mut decoder = Decoder::new();
        decoder.push(bytes);
        decoder.next().unwrap_err()
    };
    let other_version = [0x80, 2, 0, 1, 0, 0, 0, 0];
    assert_eq!(refused(&other_version), Malformed::Version(2));
    // Refused by its head: the rest is not waited for.
    let endless = [0, 0, 0, 1, 0, 0xff, 0xff, 0xff];
    assert_eq!(refused(&endless), Malformed::Large(0xff_ffff));
    for (kind, length) in [(SYN_STREAM, 9), (SYN_REPLY, 3), (RST_STREAM, 7), (PING, 0)] {
        let error = Malformed::Length { kind, length };
        assert_eq!(refused(&control(kind, &vec![0; length])), error);
    }
    let noise = refused(&control(SYN_STREAM, &[0xaa; 40]));
    assert!(matches!(noise, Malformed::Headers(_)), "{noise}");
}

#[test]
fn no_bytes_make_it_panic() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut deflater = Deflater::new();
    let good = open(1, &[("port", "80")], &mut deflater);
    for _ in 0..5_000 {
        let mut bytes = good.to_vec();
        for _ in 0..=random() % 4 {
            let at = random() as usize % bytes.len();
            bytes[at] = random() as u8;
        }
        let mut decoder = Decoder::new();
        decoder.push(&bytes);
        while let Ok(Some(_)) = decoder.next() {}
    }
}
