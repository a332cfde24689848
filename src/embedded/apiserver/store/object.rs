//! A stored object: canonical JSON bytes and the few fields that selecting needs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Namespace (empty for cluster-scoped objects) and name. Orders by namespace first, as lists do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
}

impl Key {
    /// A key from its parts.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// One version of one object. Never changed, only replaced.
#[derive(Debug)]
pub struct Object {
    /// Its resourceVersion.
    pub rv: u64,
    /// Where it is.
    pub key: Key,
    /// The object, keys sorted, no spaces, `metadata.resourceVersion` included.
    pub bytes: Bytes,
    /// Read when it is first asked for: of most objects nobody asks.
    head: OnceLock<Head>,
}

/// What selecting needs.
#[derive(Debug, Default)]
struct Head {
    uid: Box<str>,
    /// Sorted by name.
    labels: Box<[(Box<str>, Box<str>)]>,
}

#[derive(Deserialize)]
struct Parsed<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    labels: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
}

impl Head {
    /// Bytes without metadata give an empty head.
    fn read(bytes: &[u8]) -> Self {
        let Ok(parsed) = serde_json::from_slice::<Parsed<'_>>(bytes) else {
            return Self::default();
        };
        let labels = parsed.metadata.labels.unwrap_or_default().into_iter();
        Self {
            uid: parsed.metadata.uid.into_owned().into(),
            labels: labels.map(|(k, v)| (k.into_owned().into(), v.into_owned().into())).collect(),
        }
    }
}

impl Object {
    /// From its document.
    pub fn new(rv: u64, key: Key, value: &Value) -> Self {
        Self::stored(rv, key, serde_json::to_vec(value).unwrap_or_default().into())
    }

    /// From its canonical bytes.
    pub fn stored(rv: u64, key: Key, bytes: Bytes) -> Self {
        Self { rv, key, bytes, head: OnceLock::new() }
    }

    fn head(&self) -> &Head {
        self.head.get_or_init(|| Head::read(&self.bytes))
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        &self.head().uid
    }

    /// Does the text occur anywhere in it? A quick look that can save reading it.
    pub fn mentions(&self, text: &str) -> bool {
        std::str::from_utf8(&self.bytes).is_ok_and(|bytes| bytes.contains(text))
    }

    /// The object as a document. Costs far more memory than the bytes: for the moment of a write or a print only.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// The same with another `metadata.resourceVersion`.
    pub fn as_of(&self, rv: u64) -> Arc<Self> {
        let mut value = self.value();
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".into(), rv.to_string().into());
        }
        Arc::new(Self::new(rv, self.key.clone(), &value))
    }

    /// The label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        let labels = &self.head().labels;
        labels.binary_search_by(|(k, _)| (**k).cmp(name)).ok().map(|at| &*labels[at].1)
    }

    /// A scalar by its path of field names (`["spec", "nodeName"]`), as text; absent and null are `""`.
    pub fn field(&self, path: &[&str]) -> String {
        let mut at: &str = std::str::from_utf8(&self.bytes).unwrap_or("{}");
        for step in path {
            let Ok(mut object) = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(at)
            else {
                return String::new();
            };
            match object.remove(*step) {
                Some(raw) => at = raw.get(),
                None => return String::new(),
            }
        }
        match serde_json::from_str(at) {
            Ok(Value::String(text)) => text,
            Ok(Value::Null) | Err(_) => String::new(),
            Ok(other) => other.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_and_fields_are_read_without_a_document() {
        let bytes = br#"{"metadata":{"labels":{"a":"1","b":"\u0032"},"uid":"u"},"spec":{"nodeName":"n","x":{"y":3}}}"#;
        let object = Object::stored(4, Key::new("d", "p"), Bytes::from_static(bytes));
        assert_eq!(
            (object.label("a"), object.label("b"), object.label("c")),
            (Some("1"), Some("2"), None)
        );
        assert_eq!(object.uid(), "u");
        assert!(object.mentions("nodeName") && !object.mentions("missing"));
        assert_eq!(object.field(&["spec", "nodeName"]), "n");
        assert_eq!(object.field(&["spec", "x", "y"]), "3");
        assert_eq!(object.field(&["spec", "missing"]), "");
        assert_eq!(object.field(&["spec", "nodeName", "deeper"]), "");
    }
}
