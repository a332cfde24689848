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
        let named = self.asked.spelling.field("log_levels");
        let page = self.asked.check()?;
        let mut levels = Vec::with_capacity(self.log_levels.len());
        for name in &self.log_levels {
            let known = ["DEBUG", "INFO", "WARN", "ERROR"].contains(&name.as_str());
            match name.parse::<Level>() {
                Ok(level) if known => levels.push(level),
                _ => return Err(format!("{named} has {name:?}; use DEBUG, INFO, WARN, ERROR")),
            }
        }
        Ok(Query { page, levels, phrase: self.search_phrase })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{asked::Scope, spelling::Spelling};

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
        assert!(error.starts_with("logLevels has"), "{error}");
        let start = "2026-01-01T00:00:00Z".to_owned();
        let scope = Scope { namespace: "default".to_owned(), ..Scope::default() };
        let asked = Asked {
            end_time: start.clone(),
            start_time: start,
            search_scope: scope,
            spelling: Spelling::Tool,
            ..Asked::default()
        };
        let tool =
            LogsQuery { asked, log_levels: vec!["FATAL".to_owned()], ..LogsQuery::default() };
        let error = tool.check().expect_err("wrong");
        assert!(error.starts_with("log_levels has"), "{error}");
    }
}
