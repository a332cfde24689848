//! What a registry says about how it wants to be asked: the header `WWW-Authenticate` (RFC 9110 §11.6.1). Pure.

use std::collections::BTreeMap;
use std::mem::discriminant;

/// A way to show who one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A user and a password.
    Basic,
    /// A token, which is had at `realm`.
    Bearer {
        /// The URL.
        realm: String,
        /// The service that the token is for.
        service: Option<String>,
        /// What it shall allow.
        scope: Option<String>,
    },
}

impl Challenge {
    /// The ways in the values of a header that are known here: the first of each kind, for each realm gets credentials.
    pub(super) fn parse<'a>(values: impl Iterator<Item = &'a str>) -> Vec<Self> {
        let mut first: Vec<Self> = Vec::new();
        for one in values.flat_map(challenges) {
            if !first.iter().any(|known| discriminant(known) == discriminant(&one)) {
                first.push(one);
            }
        }
        first
    }
}

fn challenges(value: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    for part in split(value) {
        // A scheme begins a challenge: a word, and then maybe its first parameter.
        let (scheme, parameter) = match part.split_once(char::is_whitespace) {
            Some((word, rest)) if !word.contains('=') && !rest.trim().starts_with('=') => {
                (Some(word), rest.trim())
            }
            _ if part.contains('=') => (None, part),
            _ => (Some(part), ""),
        };
        if let Some(scheme) = scheme {
            found.push((scheme.to_ascii_lowercase(), BTreeMap::new()));
        }
        if let (Some((_, parameters)), Some((name, value))) =
            (found.last_mut(), parameter.split_once('='))
        {
            parameters.insert(name.trim().to_ascii_lowercase(), unquote(value.trim()));
        }
    }
    let known = found.into_iter().filter_map(|(scheme, mut parameters)| match scheme.as_str() {
        "basic" => Some(Challenge::Basic),
        "bearer" => Some(Challenge::Bearer {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
            scope: parameters.remove("scope"),
        }),
        _ => None,
    });
    known.collect()
}

/// The parts between commas that are not in quotes.
fn split(value: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, letter) in value.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(value[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(value[begin..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut escaped = false;
    let plain = inner.chars().filter(|letter| {
        escaped = *letter == '\\' && !escaped;
        !escaped
    });
    plain.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_found_in_any_spelling() {
        let value = r#"Bearer realm="https://auth.example/token?a=b,c",service="reg",scope="repository:a/b:pull,push""#;
        let bearer = Challenge::Bearer {
            realm: "https://auth.example/token?a=b,c".to_owned(),
            service: Some("reg".to_owned()),
            scope: Some("repository:a/b:pull,push".to_owned()),
        };
        assert_eq!(Challenge::parse([value].into_iter()), std::slice::from_ref(&bearer));
        let both = format!(r#"Negotiate, basic realm="x \" y" , {value}"#);
        assert_eq!(Challenge::parse([both.as_str()].into_iter()), [Challenge::Basic, bearer]);
        let service = Some("s".to_owned());
        let bare = Challenge::Bearer { realm: "x".to_owned(), service, scope: None };
        assert_eq!(
            Challenge::parse(["BEARER  Realm = x, Service = s", "Basic"].into_iter()),
            [bare, Challenge::Basic]
        );
    }

    #[test]
    fn only_the_first_of_a_kind_counts() {
        let bearer =
            |realm: &str| Challenge::Bearer { realm: realm.to_owned(), service: None, scope: None };
        let values = ["Bearer realm=a, Bearer realm=b", "Basic, Bearer realm=c", "Basic realm=d"];
        assert_eq!(Challenge::parse(values.into_iter()), [bearer("a"), Challenge::Basic]);
    }

    #[test]
    fn what_is_none_is_left_out() {
        for value in ["", ",,", "Bearer", "Bearer service=x", "=", "\"", "Digest realm=\"x\"", "\\"]
        {
            assert_eq!(Challenge::parse([value].into_iter()), [], "{value}");
        }
    }
}
