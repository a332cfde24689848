//! `url("https://host/path")`: absolute URLs and absolute paths.

use super::value_type;
use crate::functions::{Args, string};
use cel::common::types::{CelList, CelMap, CelMapKey, CelString};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};
use std::collections::HashMap;

/// A URL in its parts; all but the path may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Parts {
    scheme: String,
    /// With the port.
    host: String,
    path: String,
    query: String,
}

impl Parts {
    pub(super) fn bytes(&self) -> usize {
        self.scheme.len() + self.host.len() + self.path.len() + self.query.len()
    }
}

value_type!(
    /// A URL.
    Url(Parts), "kubernetes.URL", TYPE
);

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    super::parser(
        env,
        ("url", |args| super::parsed("url", &args, parse).map(|url| CowVal::owned(Url(url)))),
        ("isURL", |args| super::is(&args, parse)),
    )?;
    let own = || TYPE.to_owned();
    env.add_member_overload("getScheme", "url.getScheme()", own(), vec![], |args| {
        Ok(string(&*walked(&args)?.scheme))
    })?;
    env.add_member_overload("getHost", "url.getHost()", own(), vec![], |args| {
        Ok(string(&*walked(&args)?.host))
    })?;
    env.add_member_overload("getHostname", "url.getHostname()", own(), vec![], |args| {
        Ok(string(split_port(&walked(&args)?.host).0.trim_matches(['[', ']'])))
    })?;
    env.add_member_overload("getPort", "url.getPort()", own(), vec![], |args| {
        Ok(string(split_port(&walked(&args)?.host).1))
    })?;
    env.add_member_overload("getEscapedPath", "url.getEscapedPath()", own(), vec![], |args| {
        Ok(string(&*walked(&args)?.path))
    })?;
    env.add_member_overload("getQuery", "url.getQuery()", own(), vec![], |args| {
        Ok(query(&walked(&args)?.query))
    })
}

/// A URL of which something is copied.
fn walked<'a>(args: &'a Args<'_, '_>) -> Result<&'a Parts, ExecutionError> {
    let url = Url::arg(args, 0)?;
    super::walk(url)?;
    Ok(&url.0)
}

fn parse(text: &str) -> Result<Parts, String> {
    let wrong = || format!("`{text}` is neither an absolute URL nor an absolute path");
    if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) || !escapes_are_whole(text) {
        return Err(wrong());
    }
    let text = text.split('#').next().unwrap_or_default();
    let (rest, query) = text.split_once('?').unwrap_or((text, ""));
    let query = query.to_owned();
    if rest.starts_with('/') && !rest.starts_with("//") {
        return Ok(Parts { path: rest.to_owned(), query, ..Parts::default() });
    }
    let (scheme, rest) = rest.split_once(':').ok_or_else(wrong)?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !is_scheme {
        return Err(wrong());
    }
    let scheme = scheme.to_lowercase();
    let Some(rest) = rest.strip_prefix("//") else {
        // Without authority, as file:/etc; what is opaque, as mailto:x, is not for this.
        let path = rest.starts_with('/').then(|| rest.to_owned()).ok_or_else(wrong)?;
        return Ok(Parts { scheme, path, query, ..Parts::default() });
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (name, port) = split_port(host);
    let bracketed = name.starts_with('[') && name.ends_with(']');
    if !port.bytes().all(|byte| byte.is_ascii_digit()) || name.contains(':') && !bracketed {
        return Err(wrong());
    }
    Ok(Parts { scheme, host: host.to_owned(), path: path.to_owned(), query })
}

/// Host name and port; the brackets of an IPv6 address stay with it.
fn split_port(host: &str) -> (&str, &str) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, ""),
    }
}

fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        rest.len() >= 2 && rest.is_char_boundary(2) && u8::from_str_radix(&rest[..2], 16).is_ok()
    })
}

/// A map from keys to the list of their values.
fn query<'b, 'v>(query: &str) -> CowVal<'b, 'v> {
    let mut map: HashMap<String, Vec<Box<dyn Val + 'v>>> = HashMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        map.entry(decoded(key)).or_default().push(Box::new(CelString::from(decoded(value))));
    }
    let entries = map.into_iter().map(|(key, values)| {
        let values: Box<dyn Val + 'v> = Box::new(CelList::from(values));
        (CelMapKey::String(CelString::from(key)), values)
    });
    CowVal::owned(CelMap::from(entries.collect::<HashMap<_, _>>()))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let digits = std::str::from_utf8(&digits).unwrap_or("00");
                u8::from_str_radix(digits, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
