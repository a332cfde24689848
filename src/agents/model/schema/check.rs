//! Walks a value and its schema side by side.

use serde_json::{Map, Value};

use super::{DEEPEST, Schema};

/// Every assertion that `value` at `path` fails, in words.
pub(super) fn problems(
    whole: &Schema<'_>,
    schema: &Value,
    value: &Value,
    path: &str,
    depth: usize,
) -> Vec<String> {
    let here = if path.is_empty() { "the answer" } else { path };
    let words = match schema {
        Value::Object(words) if depth < DEEPEST => words,
        Value::Object(_) => return vec![format!("{here} is nested too deeply")],
        Value::Bool(false) => return vec![format!("{here} may not be there")],
        _ => return Vec::new(),
    };
    let walk = Walk { whole, words, path, here, depth };
    let mut found = Vec::new();
    if let Some(types) = words.get("type")
        && !is_any_of(types, value)
    {
        // What else is said of it is about another type.
        return vec![format!("{here} must be {}, not {}", listed(types), kind(value))];
    }
    if let Some(Value::Array(allowed)) = words.get("enum")
        && !allowed.contains(value)
    {
        found.push(format!("{here} must be one of {}", listed(&words["enum"])));
    }
    if let Some(only) = words.get("const")
        && only != value
    {
        found.push(format!("{here} must be {only}"));
    }
    match value {
        Value::Object(fields) => walk.object(fields, &mut found),
        Value::Array(items) => walk.array(items, &mut found),
        Value::String(text) => walk.string(text, &mut found),
        Value::Number(number) => walk.number(number.as_f64().unwrap_or(f64::NAN), &mut found),
        _ => {}
    }
    walk.logic(value, &mut found);
    found
}

struct Walk<'a> {
    whole: &'a Schema<'a>,
    words: &'a Map<String, Value>,
    path: &'a str,
    here: &'a str,
    depth: usize,
}

impl Walk<'_> {
    fn below(&self, schema: &Value, value: &Value, path: &str) -> Vec<String> {
        problems(self.whole, schema, value, path, self.depth + 1)
    }

    fn object(&self, fields: &Map<String, Value>, found: &mut Vec<String>) {
        self.count("Properties", fields.len(), "fields", found);
        for name in self.words.get("required").and_then(Value::as_array).into_iter().flatten() {
            if name.as_str().is_some_and(|name| !fields.contains_key(name)) {
                found.push(format!(
                    "{}/{} is missing",
                    self.path,
                    name.as_str().unwrap_or_default()
                ));
            }
        }
        let known = self.words.get("properties");
        for (name, value) in fields {
            let path = format!("{}/{name}", self.path);
            let schema = known.and_then(|known| known.get(name));
            if let Some(schema) = schema.or(self.words.get("additionalProperties")) {
                found.extend(self.below(schema, value, &path));
            }
        }
    }

    fn array(&self, items: &[Value], found: &mut Vec<String>) {
        self.count("Items", items.len(), "items", found);
        let unique = self.words.get("uniqueItems") == Some(&Value::Bool(true));
        if unique && items.iter().enumerate().any(|(at, item)| items[..at].contains(item)) {
            found.push(format!("{} has an item twice", self.here));
        }
        if let Some(schema) = self.words.get("items") {
            for (at, item) in items.iter().enumerate() {
                found.extend(self.below(schema, item, &format!("{}/{at}", self.path)));
            }
        }
    }

    fn string(&self, text: &str, found: &mut Vec<String>) {
        self.count("Length", text.chars().count(), "characters", found);
        if let Some(Value::String(pattern)) = self.words.get("pattern")
            && self.whole.patterns.get(pattern.as_str()).is_some_and(|regex| !regex.is_match(text))
        {
            found.push(format!("{} does not match {pattern}", self.here));
        }
    }

    fn number(&self, number: f64, found: &mut Vec<String>) {
        type Fits = fn(f64, f64) -> bool;
        let bounds: [(&str, Fits, &str); 4] = [
            ("minimum", |number, bound| number >= bound, "at least"),
            ("maximum", |number, bound| number <= bound, "at most"),
            ("exclusiveMinimum", |number, bound| number > bound, "more than"),
            ("exclusiveMaximum", |number, bound| number < bound, "less than"),
        ];
        for (word, fits, words) in bounds {
            if let Some(bound) = self.words.get(word).and_then(Value::as_f64)
                && !fits(number, bound)
            {
                found.push(format!("{} must be {words} {bound}", self.here));
            }
        }
    }

    /// `min…` and `max…` of what can be counted.
    fn count(&self, what: &str, count: usize, name: &str, found: &mut Vec<String>) {
        let bound = |word: &str| self.words.get(&format!("{word}{what}")).and_then(Value::as_u64);
        if let Some(bound) = bound("min").filter(|bound| (count as u64) < *bound) {
            found.push(format!("{} has {count} {name}, and must have at least {bound}", self.here));
        }
        if let Some(bound) = bound("max").filter(|bound| (count as u64) > *bound) {
            found.push(format!("{} has {count} {name}, and may have {bound}", self.here));
        }
    }

    fn logic(&self, value: &Value, found: &mut Vec<String>) {
        let list = |word: &str| self.words.get(word).and_then(Value::as_array);
        let to =
            self.words.get("$ref").and_then(Value::as_str).and_then(|to| self.whole.target(to));
        for schema in to.into_iter().chain(list("allOf").into_iter().flatten()) {
            found.extend(self.below(schema, value, self.path));
        }
        for (word, one) in [("anyOf", false), ("oneOf", true)] {
            let Some(schemas) = list(word) else { continue };
            let tries: Vec<_> =
                schemas.iter().map(|schema| self.below(schema, value, self.path)).collect();
            match tries.iter().filter(|problems| problems.is_empty()).count() {
                0 => found.extend(nearest(tries)),
                many if one && many > 1 => {
                    found.push(format!("{} fits {many} shapes, and may fit one", self.here));
                }
                _ => {}
            }
        }
        if let Some(not) = self.words.get("not")
            && self.below(not, value, self.path).is_empty()
        {
            found.push(format!("{} has the shape that it must not have", self.here));
        }
    }
}

/// The problems of the shape that was probably meant: the one whose constants fit, or else the one with the fewest.
fn nearest(tries: Vec<Vec<String>>) -> Vec<String> {
    let other = |problems: &Vec<String>| problems.iter().any(|words| words.contains(" must be \""));
    tries.into_iter().min_by_key(|problems| (other(problems), problems.len())).unwrap_or_default()
}

fn is_any_of(types: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        name => kind(value) == name,
    };
    match types {
        Value::Array(types) => types.iter().filter_map(Value::as_str).any(is),
        types => types.as_str().is_some_and(is),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn listed(values: &Value) -> String {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match values {
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
        value => shown(value),
    }
}
