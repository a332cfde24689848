//! Query parameters.

use super::super::status::ApiError;

/// The parsed query string, in order; later duplicates are kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

/// How unknown or repeated fields of a body are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    /// They are dropped silently.
    Ignore,
    /// They are dropped, with a `Warning` header each.
    Warn,
    /// They are an error.
    Strict,
}

impl Query {
    /// Parses what follows the `?`. What cannot be decoded is refused: a selector that is dropped selects everything.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            percent_decode(name, true).zip(percent_decode(value, true)).ok_or_else(|| {
                ApiError::bad_request(format!(
                    "the query parameter {pair:?} is not valid: escapes must be % and two digits, and give UTF-8"
                ))
            })
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    /// The first value; empty values count as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// Everything, in order.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// All values.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// `true`, `1`, or the bare name.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0
            .iter()
            .find(|(n, _)| n == name)
            .is_some_and(|(_, v)| matches!(v.as_str(), "true" | "1" | "True" | "t" | ""))
    }

    /// A number, or 400.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        self.get(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    ApiError::bad_request(format!(
                        "the query parameter {name}={text:?} is not a number"
                    ))
                })
            })
            .transpose()
    }

    /// `dryRun=All`? (Other values are refused where options are checked.)
    pub(crate) fn dry_run(&self) -> bool {
        self.all("dryRun").any(|value| !value.is_empty())
    }

    /// `fieldValidation=`; `Warn` when absent, as real servers do. (Other values are refused where options are checked.)
    pub(crate) fn field_validation(&self) -> FieldValidation {
        match self.get("fieldValidation") {
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            _ => FieldValidation::Warn,
        }
    }
}

/// `None` when the result is not UTF-8 or an escape is cut short.
pub(crate) fn percent_decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let high = (bytes.next()? as char).to_digit(16)?;
                let low = (bytes.next()? as char).to_digit(16)?;
                (high * 16 + low) as u8
            }
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let query =
            Query::parse("labelSelector=app%3Dweb%2Cx+in+%28a%29&watch=1&limit=5&force&dryRun=All")
                .unwrap();
        assert_eq!(query.get("labelSelector"), Some("app=web,x in (a)"));
        assert!(query.flag("watch") && query.flag("force") && !query.flag("follow"));
        assert_eq!(query.number::<u64>("limit").unwrap(), Some(5));
        assert!(query.dry_run() && !Query::parse("dryRun=").unwrap().dry_run());
        assert!(Query::parse("limit=x").unwrap().number::<u64>("limit").is_err());
        assert_eq!(Query::parse("").unwrap().field_validation(), FieldValidation::Warn);
        for cut in ["labelSelector=%", "labelSelector=a%3", "labelSelector=%zz", "x=%ff"] {
            assert_eq!(Query::parse(cut).unwrap_err().code, 400, "{cut}");
        }
    }
}
