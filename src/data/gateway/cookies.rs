//! Keeping the platform's session cookies from applications. Browsers send a
//! cookie of `localhost` to every port of it.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

const OURS: &str = "curtain_";

/// Drop our cookies from a request; other cookies of the same header stay.
pub(super) fn strip_request(headers: &mut HeaderMap) {
    let all: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    if !all.iter().any(has_ours) {
        return;
    }
    headers.remove(COOKIE);
    for header in all {
        let Ok(text) = header.to_str() else { continue };
        let others: Vec<&str> =
            text.split(';').map(str::trim).filter(|one| !is_ours(one)).collect();
        if let (false, Ok(value)) = (others.is_empty(), HeaderValue::from_str(&others.join("; "))) {
            headers.append(COOKIE, value);
        }
    }
}

/// Drop attempts of a backend to set our cookies.
pub(super) fn strip_response(headers: &mut HeaderMap) {
    let all: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    if !all.iter().any(|header| header.to_str().is_ok_and(is_ours)) {
        return;
    }
    headers.remove(SET_COOKIE);
    for header in all {
        if !header.to_str().is_ok_and(is_ours) {
            headers.append(SET_COOKIE, header);
        }
    }
}

/// Whether a `Cookie` header has to be rewritten. One that is not text might
/// hide ours and is dropped.
fn has_ours(header: &HeaderValue) -> bool {
    header.to_str().map_or(true, |text| text.split(';').any(is_ours))
}

fn is_ours(cookie: &str) -> bool {
    cookie.trim_start().get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn only_ours_are_taken_out_of_a_request() {
        let mut map = headers(COOKIE, &["a=1; curtain_dev_session=x; b=2", "curtain_y=1"]);
        strip_request(&mut map);
        assert_eq!(map.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2"]);
        let mut map = headers(COOKIE, &["acurtain_=1;b=2"]);
        strip_request(&mut map);
        assert_eq!(map[COOKIE], "acurtain_=1;b=2", "untouched, byte for byte");
    }

    #[test]
    fn a_backend_cannot_set_ours() {
        let mut map = headers(SET_COOKIE, &["curtain_x=1; Path=/", "a=curtain_; Path=/"]);
        strip_response(&mut map);
        assert_eq!(map.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), ["a=curtain_; Path=/"]);
    }
}
