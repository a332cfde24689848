//! A log line as people read it: of one that is a JSON object, its level, message and fields.

use crate::model::text;
use maud::{Markup, html};
use serde_json::{Map, Value};

/// Members that say the same, as programs name them; the first one that is there counts.
const MESSAGE: [&str; 2] = ["message", "msg"];
const LEVEL: [&str; 3] = ["level", "severity", "lvl"];
/// The time stands before every line already.
const TIME: [&str; 4] = ["time", "timestamp", "ts", "@timestamp"];

/// Log lines, oldest first; `raw` shows them as they were written.
pub(crate) fn lines(lines: &[Value], raw: bool) -> Markup {
    html! {
        @for line in lines {
            @let (time, log) = (text(line, "/timestamp"), text(line, "/log"));
            @let object = if raw { None } else { object(log) };
            div.line data-level=(text(line, "/level")) {
                time datetime=(time) title=(time) { (clock(time)) }
                span.text {
                    @match object {
                        Some(object) => (told(&object)),
                        None => (single_line(log)),
                    }
                }
            }
        }
    }
}

/// The object that a line is, if that has a message.
fn object(log: &str) -> Option<Map<String, Value>> {
    let log = log.trim();
    if !log.starts_with('{') {
        return None;
    }
    let object: Map<String, Value> = serde_json::from_str(log).ok()?;
    member(&object, &MESSAGE).is_some_and(|(_, message)| message.is_string()).then_some(object)
}

fn member<'o>(object: &'o Map<String, Value>, names: &[&'o str]) -> Option<(&'o str, &'o Value)> {
    names.iter().find_map(|name| Some((*name, object.get(*name)?)))
}

fn told(object: &Map<String, Value>) -> Markup {
    let (level, message) = (member(object, &LEVEL), member(object, &MESSAGE));
    let shown =
        |found: Option<(&str, &Value)>, name: &str| found.is_some_and(|(own, _)| own == name);
    let words = message.and_then(|(_, message)| message.as_str()).unwrap_or_default();
    // What the message says is not said again.
    let told = |value: &Value| {
        value.as_str().is_some_and(|text| text.contains(' ') && words.contains(text))
    };
    let fields = object.iter().filter(|(name, value)| {
        !told(value)
            && !TIME.contains(&name.as_str())
            && !shown(level, name)
            && !shown(message, name)
    });
    html! {
        @if let Some((_, level)) = level { b { (single_line(&plain(level)).to_uppercase()) } " " }
        @if let Some((_, message)) = message { (single_line(&plain(message))) }
        @for (name, value) in fields { " " i { (single_line(name)) "=" (single_line(&plain(value))) } }
    }
}

/// A text as it is, and anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Events carry one line, so a line end inside a log entry becomes a visible mark.
fn single_line(log: &str) -> String {
    log.trim_end_matches(['\r', '\n']).replace("\r\n", "⏎").replace(['\r', '\n'], "⏎")
}

/// The time of day, to the millisecond.
fn clock(time: &str) -> String {
    time.get(11..23).or_else(|| time.get(11..19)).unwrap_or(time).trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{clock, lines};
    use serde_json::json;

    fn shown(log: &str, raw: bool) -> String {
        let entry =
            json!({"timestamp": "2026-11-22T13:00:01.123456Z", "log": log, "level": "INFO"});
        let html = lines(&[entry], raw).into_string();
        let text = html.split_once("<span class=\"text\">").unwrap().1;
        text.strip_suffix("</span></div>").unwrap().to_owned()
    }

    #[test]
    fn lines_are_escaped_and_single() {
        assert_eq!(shown("<b>\nx\n", false), "&lt;b&gt;⏎x");
        assert_eq!(clock("2026-11-22T13:00:01.123456Z"), "13:00:01.123");
        assert_eq!(clock("2026-11-22T13:00:01Z"), "13:00:01");
    }

    #[test]
    fn a_line_that_is_an_object_shows_level_message_and_fields() {
        let line = r#"{"time": "t", "level": "error", "message": "no <cart>\nat all", "status": 500, "of": {"a": null}}"#;
        assert_eq!(
            shown(line, false),
            "<b>ERROR</b> no &lt;cart&gt;⏎at all <i>of={&quot;a&quot;:null}</i> <i>status=500</i>"
        );
        assert_eq!(
            shown(r#"{"severity":"Warn","msg":"slow","level_name":"x"}"#, false),
            "<b>WARN</b> slow <i>level_name=x</i>"
        );
        assert_eq!(
            shown(r#"{"msg":"500: no cart","error":"no cart","of":"cart"}"#, false),
            "500: no cart <i>of=cart</i>"
        );
        assert_eq!(shown(r#"{"msg":"a","<k>\n":"<v>\n"}"#, false), "a <i>&lt;k&gt;=&lt;v&gt;</i>");
        assert_eq!(shown(r#"{"level":30,"msg":"a"}"#, false), "<b>30</b> a");
    }

    #[test]
    fn what_is_no_object_with_a_message_is_shown_as_it_was_written() {
        for line in [r#"{"level":"info"}"#, r#"{"msg":{"a":1}}"#, r#"{"msg":"#, "[1]", "plain"] {
            assert_eq!(shown(line, false), line.replace('"', "&quot;"));
        }
        assert_eq!(shown(r#"{"msg":"a"}"#, true), "{&quot;msg&quot;:&quot;a&quot;}");
    }
}
