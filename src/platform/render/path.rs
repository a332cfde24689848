//! The path language of trait patches: `/spec/containers[?(@.name=='main')]/env/-`.

use crate::types::PatchOp;
use serde_json::{Map, Value};

/// The locations one path may mean.
const MAX_LOCATIONS: usize = 65_536;

/// One part of a path as written.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Key(String),
    Index(usize),
    Append,
    All,
    Filter { field: Vec<String>, value: String },
}

/// One part of a location in a document.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
    Append,
}

/// Applies one operation at every location that the path means.
///
/// # Errors
///
/// Says why the path does not fit the document or the operation.
pub(super) fn apply(
    document: &mut Value,
    op: PatchOp,
    path: &str,
    value: Option<&Value>,
) -> Result<(), String> {
    let parts = parse(path)?;
    if parts.is_empty() {
        return Err("the root cannot be patched".to_owned());
    }
    let locations = resolve(document, &parts)?;
    if locations.is_empty() {
        let selects = parts.iter().any(|part| matches!(part, Part::All | Part::Filter { .. }));
        return if selects { Err("nothing matches".to_owned()) } else { Ok(()) };
    }
    for location in &locations {
        apply_at(document, op, location, value)?;
    }
    Ok(())
}

fn parse(path: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    if path.is_empty() {
        return Ok(parts);
    }
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        parse_segment(&segment, &mut parts)?;
    }
    Ok(parts)
}

fn parse_segment(segment: &str, parts: &mut Vec<Part>) -> Result<(), String> {
    let name_end = segment.find('[').unwrap_or(segment.len());
    let (name, mut rest) = segment.split_at(name_end);
    match name {
        "-" => parts.push(Part::Append),
        "" if rest.is_empty() => parts.push(Part::Key(String::new())),
        "" => {}
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            parts.push(Part::Index(index(number)?));
        }
        key => parts.push(Part::Key(key.to_owned())),
    }
    while !rest.is_empty() {
        let inside = rest
            .strip_prefix('[')
            .ok_or_else(|| format!("`{segment}` has text behind a bracket"))?;
        let end =
            closing(inside).ok_or_else(|| format!("`{segment}` does not close its bracket"))?;
        parts.push(bracket(&inside[..end])?);
        rest = &inside[end + 1..];
    }
    Ok(())
}

/// Where the bracket closes, quotes aside.
fn closing(inside: &str) -> Option<usize> {
    let mut quote = None;
    for (position, character) in inside.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, ']') => return Some(position),
            _ => {}
        }
    }
    None
}

fn bracket(inside: &str) -> Result<Part, String> {
    match inside {
        "*" => Ok(Part::All),
        "-" => Ok(Part::Append),
        number if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Part::Index(index(number)?))
        }
        filter => parse_filter(filter).ok_or_else(|| {
            format!("`[{filter}]` is neither an index, `*`, `-` nor a filter like `?(@.name=='x')`")
        }),
    }
}

fn index(number: &str) -> Result<usize, String> {
    number.parse().map_err(|_| format!("the index {number} is too large"))
}

fn parse_filter(inside: &str) -> Option<Part> {
    let (field, value) = inside.strip_prefix("?(@.")?.strip_suffix(')')?.split_once("==")?;
    let value = value.trim();
    let value =
        ['\'', '"'].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))?;
    let field: Vec<String> = field.trim().split('.').map(str::to_owned).collect();
    let plain = |name: &String| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    field.iter().all(plain).then(|| Part::Filter { field, value: value.to_owned() })
}

/// The locations a path means in a document. Walking through what is missing is fine; selecting
/// in it gives nothing.
fn resolve(document: &Value, parts: &[Part]) -> Result<Vec<Vec<Step>>, String> {
    let mut found: Vec<(Vec<Step>, Option<&Value>)> = vec![(Vec::new(), Some(document))];
    for (position, part) in parts.iter().enumerate() {
        let last = position + 1 == parts.len();
        let mut next = Vec::new();
        for (location, value) in found {
            let value = value.filter(|value| !value.is_null());
            let with = |step: Step| location.iter().cloned().chain([step]).collect::<Vec<_>>();
            match part {
                Part::Key(key) => match value {
                    None => next.push((with(Step::Key(key.clone())), None)),
                    Some(Value::Object(map)) => {
                        next.push((with(Step::Key(key.clone())), map.get(key)));
                    }
                    Some(_) => {
                        return Err(format!("`{key}` is looked for in what is not an object"));
                    }
                },
                Part::Index(index) => match value {
                    Some(Value::Array(items)) if last || *index < items.len() => {
                        next.push((with(Step::Index(*index)), items.get(*index)));
                    }
                    Some(Value::Array(items)) => {
                        return Err(format!("index {index} of a list of {}", items.len()));
                    }
                    _ => return Err(format!("index {index} of what is not a list")),
                },
                Part::Append if last => next.push((with(Step::Append), None)),
                Part::Append => return Err("`-` can only come last".to_owned()),
                Part::All | Part::Filter { .. } => match value {
                    None => {}
                    Some(Value::Array(items)) => {
                        for (index, item) in items.iter().enumerate() {
                            if selects(part, item) {
                                next.push((with(Step::Index(index)), Some(item)));
                            }
                        }
                    }
                    Some(_) => return Err("items are selected from what is not a list".to_owned()),
                },
            }
            if next.len() > MAX_LOCATIONS {
                return Err(format!("the path means more than {MAX_LOCATIONS} places"));
            }
        }
        found = next;
    }
    Ok(found.into_iter().map(|(location, _)| location).collect())
}

fn selects(part: &Part, item: &Value) -> bool {
    let Part::Filter { field, value } = part else { return true };
    let mut current = item;
    for name in field {
        match current.get(name) {
            Some(inner) => current = inner,
            None => return false,
        }
    }
    match current {
        Value::Null => value.is_empty(),
        Value::String(text) => text == value,
        other => {
            let shown = other.to_string();
            shown == *value
        }
    }
}

fn apply_at(
    document: &mut Value,
    op: PatchOp,
    location: &[Step],
    value: Option<&Value>,
) -> Result<(), String> {
    let (target, parents) = location.split_last().ok_or("the root cannot be patched")?;
    let mut current = document;
    for (position, step) in parents.iter().enumerate() {
        if op == PatchOp::Add {
            make(current, step, location.get(position + 1))?;
        }
        current = descend(current, step).ok_or("its parent does not exist")?;
    }
    let new = || value.cloned().unwrap_or(Value::Null);
    if op == PatchOp::Add && current.is_null() {
        *current = match target {
            Step::Append => Value::Array(Vec::new()),
            Step::Key(_) => Value::Object(Map::new()),
            Step::Index(_) => return Err("an index of a list that does not exist".to_owned()),
        };
    }
    match (op, target, current) {
        (PatchOp::Add, Step::Key(key), Value::Object(map)) => {
            map.insert(key.clone(), new());
        }
        (PatchOp::Replace, Step::Key(key), Value::Object(map)) => {
            *map.get_mut(key).ok_or("there is nothing to replace")? = new();
        }
        (PatchOp::Remove, Step::Key(key), Value::Object(map)) => {
            map.remove(key);
        }
        (PatchOp::Add, Step::Append, Value::Array(items)) => items.push(new()),
        (PatchOp::Add, Step::Index(index), Value::Array(items)) if *index <= items.len() => {
            items.insert(*index, new());
        }
        (PatchOp::Replace, Step::Index(index), Value::Array(items)) if *index < items.len() => {
            items[*index] = new();
        }
        (PatchOp::Remove, Step::Index(index), Value::Array(items)) if *index < items.len() => {
            items.remove(*index);
        }
        (_, Step::Append, Value::Array(_)) => return Err("`-` only goes with `add`".to_owned()),
        (_, Step::Index(index), Value::Array(items)) => {
            return Err(format!("index {index} of a list of {}", items.len()));
        }
        (_, Step::Key(_), Value::Null) => return Err("its parent does not exist".to_owned()),
        (_, Step::Key(_), _) => return Err("its parent is not an object".to_owned()),
        (_, Step::Index(_) | Step::Append, _) => return Err("its parent is not a list".to_owned()),
    }
    Ok(())
}

/// Makes a missing parent: a list if something is appended to it, else an object.
fn make(current: &mut Value, step: &Step, next: Option<&Step>) -> Result<(), String> {
    let Step::Key(key) = step else { return Ok(()) };
    if current.is_null() {
        *current = Value::Object(Map::new());
    }
    let Value::Object(map) = current else { return Ok(()) };
    let slot = map.entry(key.clone()).or_insert(Value::Null);
    if slot.is_null() {
        *slot = match next {
            Some(Step::Append) => Value::Array(Vec::new()),
            Some(Step::Index(_)) => {
                return Err("an index of a list that does not exist".to_owned());
            }
            _ => Value::Object(Map::new()),
        };
    }
    Ok(())
}

fn descend<'v>(value: &'v mut Value, step: &Step) -> Option<&'v mut Value> {
    match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(*index),
        Step::Append => None,
    }
}

#[cfg(test)]
mod tests {
    use super::apply;
    use crate::types::PatchOp::{self, Add, Remove, Replace};
    use serde_json::{Value, json};

    fn patched(op: PatchOp, path: &str, value: Value) -> Result<Value, String> {
        let mut document = json!({"spec": {
            "replicas": 1,
            "containers": [
                {"name": "main", "image": "a", "env": [{"name": "A"}], "r": {"p": 80}},
                {"name": "side/car", "image": "b"},
            ],
        }});
        apply(&mut document, op, path, Some(&value))?;
        Ok(document["spec"].take())
    }

    #[test]
    fn keys_and_parents_are_made_for_add_only() {
        assert_eq!(patched(Add, "/spec/replicas", json!(3)).unwrap()["replicas"], 3);
        let spec = patched(Add, "/spec/a/b/-", json!(1)).unwrap();
        assert_eq!(spec["a"]["b"], json!([1]));
        assert_eq!(patched(Add, "/spec/x~1y", json!(1)).unwrap()["x/y"], 1);
        assert!(patched(Add, "/spec/a/0", json!(1)).is_err());
        assert!(patched(Replace, "/spec/nope", json!(1)).is_err());
        assert!(patched(Remove, "/spec/nope", json!(1)).is_ok());
        assert!(patched(Remove, "/spec/no/pe", json!(1)).is_err());
        assert!(patched(Add, "", json!(1)).is_err());
    }

    #[test]
    fn lists_take_indexes_appends_and_selections() {
        let spec = patched(Add, "/spec/containers[?(@.name=='main')]/env/-", json!(7)).unwrap();
        assert_eq!(spec["containers"][0]["env"], json!([{"name": "A"}, 7]));
        let spec = patched(Replace, "/spec/containers[*]/image", json!("c")).unwrap();
        assert_eq!(spec["containers"][1]["image"], "c");
        let spec = patched(Remove, "/spec/containers[?(@.name==\"side~1car\")]", json!(0)).unwrap();
        assert_eq!(spec["containers"].as_array().unwrap().len(), 1);
        let spec = patched(Add, "/spec/containers[?(@.r.p=='80')]/seen", json!(true)).unwrap();
        assert_eq!(spec["containers"][0]["seen"], true);
        assert_eq!(patched(Add, "/spec/containers/0", json!(1)).unwrap()["containers"][0], 1);
        assert_eq!(patched(Add, "/spec/containers/2", json!(1)).unwrap()["containers"][2], 1);
        assert!(patched(Add, "/spec/containers/3", json!(1)).is_err());
        assert!(patched(Replace, "/spec/containers/-", json!(1)).is_err());
        assert!(patched(Add, "/spec/containers[?(@.name=='x')]/a", json!(1)).is_err());
        assert!(patched(Add, "/spec/replicas[*]", json!(1)).is_err());
        assert!(patched(Add, "/spec/containers[?(@.name!='x')]", json!(1)).is_err());
    }
}
