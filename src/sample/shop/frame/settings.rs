//! What a service is told by its environment, read when it is needed, so that a bad value is met where it matters.

use std::collections::BTreeMap;

use super::Failure;

/// Variables by name.
#[derive(Debug, Clone, Default)]
pub struct Settings(BTreeMap<String, String>);

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Settings {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Settings {
    /// The value of `name`; an empty one is none.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The whole number in `name`, or `usual`.
    pub(crate) fn number(&self, name: &str, usual: u64) -> Result<u64, Failure> {
        self.parsed(name, usual, "a whole number")
    }

    /// The same, also below zero.
    pub(crate) fn signed(&self, name: &str, usual: i64) -> Result<i64, Failure> {
        self.parsed(name, usual, "a whole number")
    }

    fn parsed<T: std::str::FromStr>(
        &self,
        name: &str,
        usual: T,
        wanted: &str,
    ) -> Result<T, Failure> {
        let Some(value) = self.text(name) else { return Ok(usual) };
        value.parse().map_err(|_| {
            Failure::own(format!("bad configuration: {name} is {value:?}, not {wanted}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_value_is_named() {
        let settings: Settings = [("TAX_PERCENT", "nineteen"), ("EMPTY", "")].into_iter().collect();
        assert_eq!(settings.number("EMPTY", 7).unwrap(), 7);
        let error = settings.number("TAX_PERCENT", 19).unwrap_err();
        assert_eq!(error.status.as_u16(), 500);
        assert_eq!(
            error.message,
            "bad configuration: TAX_PERCENT is \"nineteen\", not a whole number"
        );
    }
}
