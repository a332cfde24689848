//! The class of a path: what identifies one thing of many becomes `{id}`, so that paths can be counted.

/// Segments that are kept; what is deeper is not told apart.
const SEGMENTS: usize = 8;
/// Bytes of a class.
const LENGTH: usize = 160;
/// A longer segment with a digit in it is a key, not a word.
const WORD: usize = 20;

/// The class of a request's target. The query is left out: it may hold anything.
pub(super) fn class(target: &[u8]) -> Box<str> {
    let path = path(target);
    let mut class = String::with_capacity(path.len().min(LENGTH) + 8);
    for (nth, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if nth > 0 {
            class.push('/');
        }
        if nth > SEGMENTS {
            class.push_str("{more}");
            break;
        }
        class.push_str(word(segment).unwrap_or("{id}"));
        if class.len() > LENGTH {
            class.truncate(LENGTH);
            class.push_str("{more}");
            break;
        }
    }
    class.into()
}

/// The full `/package.Service/Method`, as it is.
pub(super) fn grpc(path: &[u8]) -> Box<str> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    match str::from_utf8(path) {
        Ok(text) if text.len() <= LENGTH && path.iter().all(plain) => text.into(),
        _ => class(path),
    }
}

/// The path of a target that may be a whole URL, or `*`.
fn path(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(target.len());
    let target = &target[..end];
    if target.first() == Some(&b'/') {
        return target;
    }
    let Some(scheme) = target.windows(3).position(|three| three == b"://") else {
        return target;
    };
    let rest = &target[scheme + 3..];
    rest.iter().position(|byte| *byte == b'/').map_or(b"/", |at| &rest[at..])
}

/// What a byte of a segment may be, several at a time.
const PLAIN: u8 = 1;
const DIGIT: u8 = 2;
const HEX: u8 = 4;
const SEPARATOR: u8 = 8;

const KINDS: [u8; 256] = {
    let (mut kinds, mut byte) = ([0; 256], 0_u8);
    while byte < 128 {
        kinds[byte as usize] = match byte {
            b'0'..=b'9' => PLAIN | DIGIT | HEX,
            b'a'..=b'f' | b'A'..=b'F' => PLAIN | HEX,
            b'.' | b'-' | b'_' | b':' | b',' => PLAIN | SEPARATOR,
            b'g'..=b'z' | b'G'..=b'Z' => PLAIN,
            b'~' | b'@' | b'$' | b'+' | b';' | b'=' | b'!' | b'*' | b'(' | b')' => PLAIN,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

/// A segment that is a name that somebody chose, and not a number, a digest, a UUID or another key.
fn word(segment: &[u8]) -> Option<&str> {
    let (mut digits, mut hex, mut separators) = (0, 0, 0);
    for byte in segment {
        let kind = KINDS[usize::from(*byte)];
        if kind & PLAIN == 0 {
            return None;
        }
        digits += usize::from(kind & DIGIT != 0);
        hex += usize::from(kind & HEX != 0);
        separators += usize::from(kind & SEPARATOR != 0);
    }
    let length = segment.len();
    let number = digits > 0 && digits + separators == length;
    let digest = digits > 0 && hex >= 8 && hex + separators == length;
    let key = number || digest || digits > 0 && length > WORD || length > 2 * WORD;
    if key { None } else { str::from_utf8(segment).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(target: &str) -> String {
        class(target.as_bytes()).into()
    }

    #[test]
    fn what_identifies_one_of_many_is_left_out() {
        for (target, route) in [
            ("/", "/"),
            ("/api/v1/items/42", "/api/v1/items/{id}"),
            ("/orders/7f3b2c9e-1d4a-4b7e-9a51-0c2d3e4f5a6b/lines", "/orders/{id}/lines"),
            ("/blobs/9f86d081884c7d659a2feaa0c55ad015", "/blobs/{id}"),
            ("/days/2024-01-31", "/days/{id}"),
            ("/t/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/t/{id}"),
            ("/search?q=secret&token=1", "/search"),
            ("/a#b", "/a"),
            ("/oauth2/v2/facade/deadbeef/app.js", "/oauth2/v2/facade/deadbeef/app.js"),
            ("/caf%C3%A9/x", "/{id}/x"),
            ("/a\"b\\\n/x", "/{id}/x"),
            ("http://host:80/x/1?y", "/x/{id}"),
            ("http://host", "/"),
            ("*", "*"),
            ("//x", "//x"),
        ] {
            assert_eq!(of(target), route, "{target}");
        }
    }

    #[test]
    fn classes_are_short() {
        assert_eq!(of("/a/b/c/d/e/f/g/h/i/j"), "/a/b/c/d/e/f/g/h/{more}");
        let long = of(&format!("/{}", "abcdefghijklmnopqrstuvwxyzabcdefgh/".repeat(8)));
        assert!(long.len() <= LENGTH + 6 && long.ends_with("{more}"), "{long}");
        assert_eq!(of(&"/x".repeat(100_000)).len(), 8 * 2 + 7);
        assert_eq!(class(&[0xff, 0xfe]), "{id}".into());
    }

    #[test]
    fn methods_of_grpc_are_whole() {
        assert_eq!(&*grpc(b"/grpc.health.v1.Health/Check"), "/grpc.health.v1.Health/Check");
        assert_eq!(&*grpc(b"/shop.v12345678.Cart/Get2"), "/shop.v12345678.Cart/Get2");
        assert_eq!(&*grpc(b"/a\"b/c"), "/{id}/c");
    }
}
