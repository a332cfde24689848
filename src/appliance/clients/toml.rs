//! Editing TOML: comments and order survive.

use serde_json::Value as Json;
use toml_edit::{Array, DocumentMut, Item, Table, Value, value};

fn parse(text: &str) -> Result<DocumentMut, String> {
    text.parse::<DocumentMut>().map_err(|error| error.to_string())
}

pub(super) fn get(text: &str, table: &str, name: &str) -> Result<Option<Json>, String> {
    let document = parse(text)?;
    let item = document.get(table).and_then(|servers| servers.get(name));
    Ok(item.map(json))
}

pub(super) fn whole(text: &str) -> Result<Json, String> {
    Ok(json(parse(text)?.as_item()))
}

pub(super) fn set(text: &str, table: &str, name: &str, entry: &Json) -> Result<String, String> {
    let mut document = parse(text)?;
    let servers = document.entry(table).or_insert_with(|| {
        let mut servers = Table::new();
        servers.set_implicit(true);
        Item::Table(servers)
    });
    let servers = servers.as_table_like_mut().ok_or(format!("its {table:?} is not a table"))?;
    servers.insert(name, item(entry));
    Ok(document.to_string())
}

pub(super) fn unset(
    text: &str,
    table: &str,
    name: &str,
    with_table: bool,
) -> Result<String, String> {
    let mut document = parse(text)?;
    if let Some(servers) = document.get_mut(table).and_then(Item::as_table_like_mut) {
        servers.remove(name);
        if with_table && servers.is_empty() {
            document.remove(table);
        }
    }
    Ok(document.to_string())
}

fn item(entry: &Json) -> Item {
    match entry {
        Json::Object(map) => {
            let mut table = Table::new();
            for (key, entry) in map {
                table.insert(key, item(entry));
            }
            Item::Table(table)
        }
        other => scalar(other).map_or(Item::None, value),
    }
}

fn scalar(entry: &Json) -> Option<Value> {
    Some(match entry {
        Json::Bool(entry) => Value::from(*entry),
        Json::Number(entry) => {
            entry.as_i64().map(Value::from).or_else(|| entry.as_f64().map(Value::from))?
        }
        Json::String(entry) => Value::from(entry.as_str()),
        Json::Array(entries) => Value::Array(entries.iter().filter_map(scalar).collect::<Array>()),
        Json::Null | Json::Object(_) => return None,
    })
}

/// What a TOML item says, as JSON.
fn json(item: &Item) -> Json {
    fn of(value: &Value) -> Json {
        match value {
            Value::String(text) => Json::from(text.value().as_str()),
            Value::Integer(number) => Json::from(*number.value()),
            Value::Float(number) => Json::from(*number.value()),
            Value::Boolean(flag) => Json::from(*flag.value()),
            Value::Datetime(time) => Json::from(time.value().to_string()),
            Value::Array(values) => values.iter().map(of).collect(),
            Value::InlineTable(table) => table
                .iter()
                .map(|(key, value)| (key.to_owned(), of(value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
    match item {
        Item::None => Json::Null,
        Item::Value(value) => of(value),
        Item::Table(table) => table
            .iter()
            .map(|(key, item)| (key.to_owned(), json(item)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Item::ArrayOfTables(tables) => {
            tables.iter().map(|table| json(&Item::Table(table.clone()))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COMMENTED: &str =
        "# mine\nmodel = \"o9\" # keep\n\n[mcp_servers.other]\ncommand = \"x\"\n";

    #[test]
    fn comments_and_neighbours_survive_an_edit_and_removing_it_gives_the_former_text() {
        let entry = json!({ "command": "/c", "args": ["a", "b"], "env": { "CURTAIN_HOME": "/h" } });
        let edited = set(COMMENTED, "mcp_servers", "curtain", &entry).unwrap();
        assert!(edited.contains("# mine") && edited.contains("# keep"), "{edited}");
        assert!(edited.contains("[mcp_servers.curtain]"), "{edited}");
        assert_eq!(get(&edited, "mcp_servers", "curtain").unwrap(), Some(entry));
        assert_eq!(unset(&edited, "mcp_servers", "curtain", false).unwrap(), COMMENTED);
    }

    #[test]
    fn an_empty_file_gains_only_the_entry() {
        let edited = set("", "mcp_servers", "curtain", &json!({ "command": "/c" })).unwrap();
        assert_eq!(edited.trim(), "[mcp_servers.curtain]\ncommand = \"/c\"");
        assert_eq!(unset(&edited, "mcp_servers", "curtain", true).unwrap().trim(), "");
    }

    #[test]
    fn broken_files_are_refused() {
        assert!(set("a = ", "mcp_servers", "x", &json!({})).is_err());
        assert!(set("mcp_servers = 1", "mcp_servers", "x", &json!({})).is_err());
    }
}
