//! Small conveniences for documents.

use serde_json::{Map, Value};

/// Reading and defaulting by path.
pub(crate) trait ValueExt {
    /// The value below these field names.
    fn at(&self, path: &[&str]) -> Option<&Value>;
    /// The text below these field names, `""` when absent.
    fn text(&self, path: &[&str]) -> &str;
    /// The number below these field names.
    fn int(&self, path: &[&str]) -> Option<i64>;
    /// The list below these field names, empty when absent.
    fn list(&self, path: &[&str]) -> &[Value];
    /// The object at `name`, made if absent or null. On something that is no object: a scratch value is replaced.
    fn sub(&mut self, name: &str) -> &mut Value;
    /// Sets the field if it is absent or null; one whose default is text, if it is empty, too: typed servers do not
    /// tell empty text from none.
    fn default_to(&mut self, name: &str, value: impl Into<Value>);
    /// Removes a field.
    fn drop_field(&mut self, name: &str) -> Option<Value>;
    /// The items of the list at `name`.
    fn items_mut(&mut self, name: &str) -> std::slice::IterMut<'_, Value>;
}

impl ValueExt for Value {
    fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self, |value, step| value.get(step)).filter(|value| !value.is_null())
    }

    fn text(&self, path: &[&str]) -> &str {
        self.at(path).and_then(Value::as_str).unwrap_or_default()
    }

    fn int(&self, path: &[&str]) -> Option<i64> {
        self.at(path)?.as_i64()
    }

    fn list(&self, path: &[&str]) -> &[Value] {
        self.at(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn sub(&mut self, name: &str) -> &mut Value {
        if !self.is_object() {
            *self = Value::Object(Map::new());
        }
        let field = &mut self[name];
        if field.is_null() {
            *field = Value::Object(Map::new());
        }
        field
    }

    fn default_to(&mut self, name: &str, value: impl Into<Value>) {
        if let Some(map) = self.as_object_mut() {
            let value = value.into();
            let field = map.entry(name).or_insert(Value::Null);
            if field.is_null() || (value.is_string() && *field == "") {
                *field = value;
            }
        }
    }

    fn drop_field(&mut self, name: &str) -> Option<Value> {
        self.as_object_mut()?.remove(name)
    }

    fn items_mut(&mut self, name: &str) -> std::slice::IterMut<'_, Value> {
        match self.get_mut(name).and_then(Value::as_array_mut) {
            Some(list) => list.iter_mut(),
            None => [].iter_mut(),
        }
    }
}
