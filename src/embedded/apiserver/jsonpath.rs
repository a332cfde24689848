//! The JSON paths of printer columns: `.spec.a`, `.status.conditions[?(@.type=="Ready")].status`, `[0]`, `[*]`,
//! `.metadata.annotations['a\.b/c']`.

use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    /// `[?(@.path OP literal)]`; without an operator: the path exists.
    Filter(Vec<String>, Option<(bool, Value)>),
}

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

impl Path {
    /// Parses a path; the error says what is not understood.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fail = || format!("cannot understand the JSON path {text:?}");
        let mut rest =
            text.trim().trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix('.') {
                let (name, tail) = field(tail);
                if name == "*" {
                    steps.push(Step::All);
                } else if !name.is_empty() {
                    steps.push(Step::Field(name));
                } else if !tail.starts_with('[') && !tail.is_empty() {
                    return Err(fail());
                }
                rest = tail;
            } else if rest.starts_with('[') {
                let end = closing(rest).ok_or_else(fail)?;
                steps.push(bracket(rest[1..end].trim()).ok_or_else(fail)?);
                rest = &rest[end + 1..];
            } else if steps.is_empty() {
                let (name, tail) = field(rest);
                steps.push(Step::Field(name));
                rest = tail;
            } else {
                return Err(fail());
            }
        }
        Ok(Self(steps))
    }

    /// The first value that the path finds.
    pub(super) fn first<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        let mut found = vec![value];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.apply(value)).collect();
        }
        found.into_iter().next()
    }

    /// The field names, if the path is nothing but fields.
    pub(super) fn fields(&self) -> Option<Vec<String>> {
        let name = |step: &Step| match step {
            Step::Field(name) => Some(name.clone()),
            _ => None,
        };
        self.0.iter().map(name).collect()
    }
}

impl Step {
    fn apply<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match self {
            Step::Field(name) => value.get(name).into_iter().collect(),
            Step::Index(at) => {
                let Some(list) = value.as_array() else { return Vec::new() };
                let at = if *at < 0 { at + list.len() as i64 } else { *at };
                usize::try_from(at).ok().and_then(|at| list.get(at)).into_iter().collect()
            }
            Step::All => match value {
                Value::Array(list) => list.iter().collect(),
                Value::Object(map) => map.values().collect(),
                _ => Vec::new(),
            },
            Step::Filter(path, wanted) => {
                let matches = |item: &&Value| {
                    let found = path.iter().try_fold(*item, |value, name| value.get(name));
                    match wanted {
                        None => found.is_some(),
                        Some((equal, literal)) => (found == Some(literal)) == *equal,
                    }
                };
                value.as_array().into_iter().flatten().filter(matches).collect()
            }
        }
    }
}

/// A field name up to the next unescaped `.` or `[`.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '.' | '[' if !escaped => return (name, &text[at..]),
            _ => name.push(c),
        }
        escaped = false;
    }
    (name, "")
}

/// Where the bracket that opens the text closes; quotes and nesting are respected.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn bracket(inside: &str) -> Option<Step> {
    if inside == "*" {
        return Some(Step::All);
    }
    if let Some(filter) = inside.strip_prefix("?(").and_then(|f| f.strip_suffix(')')) {
        let (left, operator) = match filter.split_once("==") {
            Some((left, right)) => (left, Some((true, literal(right)?))),
            None => match filter.split_once("!=") {
                Some((left, right)) => (left, Some((false, literal(right)?))),
                None => (filter, None),
            },
        };
        return Some(Step::Filter(
            Path::parse(left.trim().strip_prefix('@')?).ok()?.fields()?,
            operator,
        ));
    }
    if let Some(Value::String(name)) = literal(inside) {
        return Some(Step::Field(name.replace('\\', "")));
    }
    inside.parse().ok().map(Step::Index)
}

fn literal(text: &str) -> Option<Value> {
    let text = text.trim();
    for quote in ['\'', '"'] {
        if let Some(inside) = text.strip_prefix(quote) {
            return Some(inside.strip_suffix(quote)?.into());
        }
    }
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_find_what_columns_show() {
        let object = json!({
            "spec": {"a": 1, "list": [{"n": "x"}, {"n": "y"}]},
            "metadata": {"annotations": {"a.b/c": "z"}},
            "status": {"conditions": [{"type": "Other", "status": "?"}, {"type": "Ready", "status": "True"}]},
        });
        for (path, expected) in [
            (".spec.a", json!(1)),
            ("spec.a", json!(1)),
            ("{.spec.a}", json!(1)),
            (".spec.list[1].n", json!("y")),
            (".spec.list[-1].n", json!("y")),
            (".spec.list[*].n", json!("x")),
            (".status.conditions[?(@.type==\"Ready\")].status", json!("True")),
            (".status.conditions[?(@.type!='Other')].status", json!("True")),
            (".metadata.annotations['a\\.b/c']", json!("z")),
            (".metadata.annotations.a\\.b/c", json!("z")),
        ] {
            assert_eq!(Path::parse(path).unwrap().first(&object), Some(&expected), "{path}");
        }
        assert_eq!(Path::parse(".spec.none.x").unwrap().first(&object), None);
        assert!(Path::parse(".a[").is_err() && Path::parse(".a[?(b)]").is_err());
    }
}
