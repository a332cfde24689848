//! What stands before a body: path, query, headers and selectors.

use serde_json::json;

use super::super::kinds::is_dns_subdomain;
use super::super::request::path::ResourcePath;
use super::super::request::query::Query;
use super::super::request::selector::{Fields, Labels};
use super::super::request::{accept, body};
use super::super::store::{Key, Object};
use crate::cron::Schedule;

fn object() -> Object {
    let value = json!({"metadata": {"name": "a", "namespace": "ns", "labels": {"app": "web", "n": "5", "a.b/c": ""}},
        "spec": {"nodeName": "n"}, "status": {"phase": "Running"}});
    Object::new(1, Key::new("ns", "a"), &value)
}

/// A selector says what it selects: written and read again it is the same one.
pub(super) fn selector(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(labels) = Labels::parse(text) {
        let written = labels.to_string();
        assert_eq!(Labels::parse(&written).as_ref(), Ok(&labels), "{written:?}");
        labels.matches(&object());
    }
    let supported = ["spec.nodeName".to_owned(), "status.phase".to_owned()];
    if let Ok(fields) = Fields::parse(text, &supported) {
        fields.matches(&object());
        let name = fields.name().map(|name| name == "a");
        assert!(name != Some(false) || !fields.matches(&object()), "{text:?}");
    }
    if let Ok(document) = serde_json::from_slice(data) {
        let _ = Labels::from_selector(&document);
    }
}

/// A line of a request and its headers, one a line.
pub(super) fn request(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default();
    let (path, query) = line.split_once('?').unwrap_or((line, ""));
    if let Ok(Some(found)) = ResourcePath::parse(path) {
        assert!(
            [&found.plural, &found.name, &found.subresource]
                .iter()
                .all(|part| part.len() <= path.len())
        );
    }
    if let Ok(query) = Query::parse(query) {
        let bytes: usize = query.pairs().iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(bytes <= line.len());
        let _ = (query.number::<u64>("limit"), query.flag("watch"), query.field_validation());
    }
    for header in lines {
        let _ = (accept::shape(header), body::media_type(header), is_dns_subdomain(header));
        if let Ok(schedule) = Schedule::parse(header) {
            let _ = schedule.next(jiff::Timestamp::UNIX_EPOCH, &jiff::tz::TimeZone::UTC);
        }
    }
}
