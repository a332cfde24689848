//! A log query as callers write it.

use serde::Deserialize;

use super::Query;
use crate::asked::Asked;
use crate::level::Level;

/// The body of `POST /api/v1/logs/query`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogsQuery {
    #[serde(flatten)]
    pub(super) asked: Asked,
    pub(super) log_levels: Vec<String>,
    pub(super) search_phrase: String,
}

impl LogsQuery {
    /// Checks it. The error is a sentence for the caller.
    pub(super) fn check(self) -> Result<Query, String> {
        let page = self.asked.check()?;
        let mut levels = Vec::with_capacity(self.log_levels.len());
        for name in &self.log_levels {
            let known = ["DEBUG", "INFO", "WARN", "ERROR"].contains(&name.as_str());
            match name.parse::<Level>() {
                Ok(level) if known => levels.push(level),
                _ => return Err(format!("logLevels has {name:?}; use DEBUG, INFO, WARN, ERROR")),
            }
        }
        Ok(Query { page, levels, phrase: self.search_phrase })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn levels_are_four_and_the_rest_of_the_query_is_checked_too() {
        let check = |levels: &[&str], start: &str| {
            let body = json!({"startTime": start, "endTime": "2026-01-02T00:00:00Z",
                "searchScope": {"namespace": "default"}, "logLevels": levels, "searchPhrase": "oh"});
            serde_json::from_value::<LogsQuery>(body).expect("well-formed").check()
        };
        let query = check(&["ERROR", "WARN"], "2026-01-01T00:00:00Z").expect("good");
        assert_eq!((query.levels, query.phrase.as_str()), (vec![Level::Error, Level::Warn], "oh"));
        let error = check(&["FATAL"], "2026-01-01T00:00:00Z").expect_err("wrong");
        assert!(error.contains("use DEBUG, INFO, WARN, ERROR"), "{error}");
        assert_eq!(check(&[], "").expect_err("wrong"), "startTime is required");
    }
}
