//! Which pages of other sites may read answers, as a rule's `CORS` filter says (GEP-1767).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::types;

/// Seconds a browser keeps the answer to a preflight when the filter does not say.
const MAX_AGE: u32 = 5;

/// The filter, in the form it is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cors {
    origins: Vec<String>,
    credentials: bool,
    methods: Vec<String>,
    headers: Vec<String>,
    expose: Vec<String>,
    max_age: u32,
}

impl Cors {
    pub(super) fn read(filter: &types::Cors) -> Result<Self, String> {
        let lists = [
            &filter.allow_origins,
            &filter.allow_methods,
            &filter.allow_headers,
            &filter.expose_headers,
        ];
        for text in lists.into_iter().flatten() {
            HeaderValue::from_str(text).map_err(|_| format!("`{text}` fits in no CORS header"))?;
        }
        Ok(Self {
            origins: filter.allow_origins.iter().map(|one| one.to_ascii_lowercase()).collect(),
            credentials: filter.allow_credentials,
            methods: filter.allow_methods.clone(),
            headers: filter.allow_headers.clone(),
            expose: filter.expose_headers.clone(),
            max_age: filter.max_age.unwrap_or(MAX_AGE),
        })
    }

    /// The headers that answer a preflight; `None` when the request is none.
    pub(super) fn preflight(&self, method: &Method, asked: &HeaderMap) -> Option<HeaderMap> {
        let origin = asked.get(ORIGIN)?;
        let wanted =
            asked.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| method == Method::OPTIONS)?;
        let mut answer = HeaderMap::new();
        if !self.allow(origin, &mut answer) {
            return Some(answer);
        }
        let mut put = |name: HeaderName, list: &[String], wanted: Option<&HeaderValue>| {
            // With credentials a browser takes `*` for a name, so what it asked for is repeated.
            let value = match (list.iter().any(|one| one == "*"), wanted) {
                (true, wanted) if self.credentials => wanted.cloned(),
                (true, _) => Some(HeaderValue::from_static("*")),
                (false, _) => joined(list),
            };
            answer.extend(value.map(|value| (name, value)));
        };
        put(ACCESS_CONTROL_ALLOW_METHODS, &self.methods, Some(wanted));
        put(ACCESS_CONTROL_ALLOW_HEADERS, &self.headers, asked.get(ACCESS_CONTROL_REQUEST_HEADERS));
        answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(self.max_age));
        Some(answer)
    }

    /// Puts into a backend's answer what a page of `origin` may do with it. The filter's word
    /// replaces the backend's own.
    pub(super) fn tell(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        for name in [
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            ACCESS_CONTROL_EXPOSE_HEADERS,
        ] {
            answer.remove(name);
        }
        if origin.is_some_and(|origin| self.allow(origin, answer)) {
            answer.extend(joined(&self.expose).map(|all| (ACCESS_CONTROL_EXPOSE_HEADERS, all)));
        }
    }

    /// Whether `origin` is allowed, which is then said.
    fn allow(&self, origin: &HeaderValue, answer: &mut HeaderMap) -> bool {
        let everybody = self.origins.iter().any(|one| one == "*");
        let allowed = match everybody && !self.credentials {
            true => HeaderValue::from_static("*"),
            false => {
                answer.append(VARY, HeaderValue::from_static("Origin"));
                let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
                if !everybody && !self.origins.iter().any(|one| covers(one, &text)) {
                    return false;
                }
                origin.clone()
            }
        };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if self.credentials {
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        true
    }
}

fn joined(list: &[String]) -> Option<HeaderValue> {
    (!list.is_empty()).then(|| HeaderValue::from_str(&list.join(", ")).ok()).flatten()
}

/// Whether `pattern`, an origin whose host may begin with `*.`, means `origin`; lower case.
fn covers(pattern: &str, origin: &str) -> bool {
    match pattern.split_once("://*") {
        None => pattern == origin,
        Some((scheme, rest)) => origin
            .strip_prefix(scheme)
            .and_then(|origin| origin.strip_prefix("://"))
            .and_then(|host| host.strip_suffix(rest))
            .is_some_and(|below| !below.is_empty() && !below.contains(['/', ':', '@'])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(json: &str) -> Cors {
        Cors::read(&serde_json::from_str(json).unwrap()).unwrap()
    }

    fn preflight(cors: &Cors, origin: &str, headers: &str) -> Vec<String> {
        let mut asked = HeaderMap::new();
        asked.insert(ORIGIN, origin.parse().unwrap());
        asked.insert(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PUT"));
        asked.insert(ACCESS_CONTROL_REQUEST_HEADERS, headers.parse().unwrap());
        assert_eq!(cors.preflight(&Method::GET, &asked), None, "only OPTIONS is a preflight");
        let answer = cors.preflight(&Method::OPTIONS, &asked).unwrap();
        let mut lines: Vec<_> = answer
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn everybody_may_be_allowed() {
        let open =
            cors(r#"{"allowOrigins": ["*"], "allowMethods": ["*"], "allowHeaders": ["a", "b"]}"#);
        let lines = preflight(&open, "https://x.example", "a");
        assert_eq!(
            lines,
            [
                "access-control-allow-headers: a, b",
                "access-control-allow-methods: *",
                "access-control-allow-origin: *",
                "access-control-max-age: 5",
            ]
        );
        let mut answer = HeaderMap::new();
        answer.append(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("https://own.example"));
        open.tell(Some(&HeaderValue::from_static("https://x.example")), &mut answer);
        assert_eq!(answer.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().collect::<Vec<_>>(), ["*"]);
    }

    #[test]
    fn credentials_are_for_origins_by_name() {
        let some = cors(
            r#"{"allowOrigins": ["https://*.example.org"], "allowCredentials": true,
                "allowMethods": ["*"], "allowHeaders": ["*"], "exposeHeaders": ["x-a"], "maxAge": 60}"#,
        );
        let lines = preflight(&some, "https://App.example.org", "x-b, x-c");
        assert_eq!(
            lines,
            [
                "access-control-allow-credentials: true",
                "access-control-allow-headers: x-b, x-c",
                "access-control-allow-methods: PUT",
                "access-control-allow-origin: https://App.example.org",
                "access-control-max-age: 60",
                "vary: Origin",
            ]
        );
        for other in
            ["https://example.org", "http://app.example.org", "https://app.example.org.evil"]
        {
            assert_eq!(preflight(&some, other, "x"), ["vary: Origin"], "{other}");
        }
        let mut answer = HeaderMap::new();
        some.tell(Some(&HeaderValue::from_static("https://a.example.org")), &mut answer);
        assert_eq!(answer[ACCESS_CONTROL_EXPOSE_HEADERS], "x-a");
        let mut answer = HeaderMap::new();
        some.tell(None, &mut answer);
        assert!(answer.is_empty(), "no page asks");
    }
}
