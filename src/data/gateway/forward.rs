//! Headers that a proxy adds and takes away.

use std::net::IpAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Tell the backend who asked, for which host, and below which prefix. A
/// prefix that the client claims is dropped; a proxy in front may have set the
/// host and the protocol.
pub(super) fn tell(
    headers: &mut HeaderMap,
    peer: IpAddr,
    host: &HeaderValue,
    prefix: Option<&str>,
) {
    let before = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let chain = before.map(str::to_owned).chain([peer.to_string()]);
    let chain = chain.collect::<Vec<_>>().join(", ");
    if let Ok(chain) = HeaderValue::from_str(&chain) {
        headers.insert(FORWARDED_FOR, chain);
    }
    headers.entry(FORWARDED_HOST).or_insert_with(|| host.clone());
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static("http"));
    headers.remove(FORWARDED_PREFIX);
    if let Some(Ok(prefix)) = prefix.map(HeaderValue::from_str) {
        headers.insert(FORWARDED_PREFIX, prefix);
    }
    headers.insert(HOST, host.clone());
}

/// The protocol a client wants to change to, as in a WebSocket handshake.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let tokens = headers.get(CONNECTION)?.to_str().ok()?;
    let asked = tokens.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| asked).cloned()
}

/// Drop the headers that belong to one connection. `TE: trailers` is kept,
/// gRPC needs it.
pub(super) fn end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != TE)
        .collect();
    // A message with both is framed by the encoding; its length may be a lie.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    let fixed = [
        CONNECTION,
        EXPECT,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    for name in named.iter().chain(&fixed) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
    if headers.get(TE).is_some_and(|value| value != "trailers") {
        headers.remove(TE);
    }
}

/// Mark a message as a change to `protocol`.
pub(super) fn set_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let parse = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(parse).collect()
    }

    #[test]
    fn the_backend_learns_who_asked() {
        let mut headers = map(&[("x-forwarded-for", "8.8.8.8"), ("x-forwarded-prefix", "/forged")]);
        headers.append(FORWARDED_FOR, HeaderValue::from_static("9.9.9.9"));
        let host = HeaderValue::from_static("localhost:19080");
        tell(&mut headers, [10, 0, 0, 1].into(), &host, Some("/@dev"));
        assert_eq!(headers[FORWARDED_FOR], "8.8.8.8, 9.9.9.9, 10.0.0.1");
        assert_eq!(headers[FORWARDED_PREFIX], "/@dev");
        assert_eq!(headers[FORWARDED_HOST], "localhost:19080");
        tell(&mut headers, [10, 0, 0, 1].into(), &host, None);
        assert!(!headers.contains_key(FORWARDED_PREFIX));
    }

    #[test]
    fn what_belongs_to_a_connection_ends_with_it() {
        let mut headers = map(&[
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Basic eDp5"),
            ("content-length", "1"),
            ("transfer-encoding", "chunked"),
            ("x-end", "1"),
        ]);
        assert_eq!(upgrade(&headers), None);
        end_to_end(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["te", "x-end"]);
        let headers = map(&[("connection", "Upgrade"), ("upgrade", "websocket")]);
        assert_eq!(upgrade(&headers).unwrap(), "websocket");
    }
}
