//! What was told of a pod, and when it is to be told again.

use std::time::{Duration, Instant};

use serde_json::Value;

/// After a status could not be written.
pub(super) const AGAIN: Duration = Duration::from_millis(250);

/// The pod's status as the API server knows it.
#[derive(Default)]
pub(super) struct Report {
    written: Option<Value>,
    again_at: Option<Instant>,
}

impl Report {
    /// `status` if it is to be written: it is not what was written last. Without one, nobody is to be told; then, as
    /// when all is told, nothing is due any more.
    pub(super) fn news(&mut self, status: Option<Value>) -> Option<Value> {
        let news = status.filter(|status| self.written.as_ref() != Some(status));
        if news.is_none() {
            self.again_at = None;
        }
        news
    }

    /// `status` is written, or nobody is there who would want it.
    pub(super) fn told(&mut self, status: Value) {
        self.written = Some(status);
        self.again_at = None;
    }

    /// It could not be written.
    pub(super) fn failed(&mut self) {
        self.again_at = Some(Instant::now() + AGAIN);
    }

    /// When to try again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.again_at
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_failed_is_tried_again_until_it_is_told_or_nobody_is_to_be_told() {
        let mut report = Report::default();
        let status = || Some(json!({"phase": "Running"}));
        let news = report.news(status()).expect("news");
        report.failed();
        assert!(report.due().is_some());
        assert_eq!(report.news(status()), Some(news.clone()));
        report.told(news);
        assert_eq!((report.news(status()), report.due()), (None, None));

        // The pod goes while its last status waits: a time that has passed would wake its worker again and again.
        let ended = report.news(Some(json!({"phase": "Failed"})));
        assert!(ended.is_some());
        report.failed();
        assert_eq!((report.news(None), report.due()), (None, None));
    }
}
