//! Documents of a bundle: one Kubernetes object each, with where it came from.

use std::fmt;

use serde_json::Value;

use crate::Error;

/// One object of a bundle.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// The file it comes from, as in the repository.
    pub(crate) file: String,
    /// Which document of the file, from 1.
    pub(crate) index: usize,
    /// The object.
    pub(crate) object: Value,
}

/// What identifies an object in a cluster.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

impl Document {
    /// What identifies the object.
    pub(crate) fn identity(&self) -> Identity {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Identity {
            api_version: text(&self.object["apiVersion"]),
            kind: text(&self.object["kind"]),
            namespace: self.object["metadata"]["namespace"].as_str().map(str::to_owned),
            name: text(&self.object["metadata"]["name"]),
        }
    }

    /// When the object is applied: namespaces and definitions, then what others refer to, then the rest.
    pub(crate) fn phase(&self) -> Phase {
        match self.object["kind"].as_str().unwrap_or_default() {
            "Namespace" | "CustomResourceDefinition" => Phase::Foundation,
            "ServiceAccount" | "ClusterRole" | "ClusterRoleBinding" | "Role" | "RoleBinding"
            | "ConfigMap" | "Secret" | "Service" | "GatewayClass" => Phase::Setting,
            _ => Phase::Work,
        }
    }
}

/// The order of applying; objects of one phase are applied in parallel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Foundation,
    Setting,
    Work,
}

/// The documents of `text`. Empty documents are skipped but counted, so that an index is what an editor shows.
pub(crate) fn parse(bundle: &str, file: &str, text: &str) -> Result<Vec<Document>, Error> {
    let mut documents = Vec::new();
    for (index, part) in split(text).enumerate() {
        let index = index + 1;
        let broken = |why: String| Error::Broken {
            bundle: bundle.to_owned(),
            file: file.to_owned(),
            document: Some(index),
            why,
        };
        if part.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            continue;
        }
        // YAML 1.2, as Kubernetes means it: a namespace called `n` is not a boolean.
        let options = serde_saphyr::options! { strict_booleans: true };
        let object: Value = serde_saphyr::from_str_with_options(&part, options)
            .map_err(|error| broken(error.to_string()))?;
        for field in ["/apiVersion", "/kind", "/metadata/name"] {
            if object.pointer(field).and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(broken(format!("it has no {}", field[1..].replace('/', "."))));
            }
        }
        documents.push(Document { file: file.to_owned(), index, object });
    }
    Ok(documents)
}

/// Cuts a stream of documents at its `---` lines.
fn split(text: &str) -> impl Iterator<Item = String> {
    let mut parts = vec![String::new()];
    for line in text.lines() {
        if line == "---" || line.starts_with("--- ") {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    // A file that opens with a separator has nothing before it.
    if parts.first().is_some_and(|part| part.trim().is_empty()) && parts.len() > 1 {
        parts.remove(0);
    }
    parts.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_counted_and_known() {
        let text = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: n}\n---\n# nothing\n---\n\
                    apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n";
        let documents = parse("b", "f.yaml", text).unwrap();
        let shown: Vec<_> =
            documents.iter().map(|d| (d.index, d.identity().to_string(), d.phase())).collect();
        assert_eq!(
            shown,
            [
                (1, "ConfigMap n/a".to_owned(), Phase::Setting),
                (3, "Namespace n".to_owned(), Phase::Foundation)
            ]
        );
    }

    #[test]
    fn an_error_names_bundle_file_and_document() {
        let text =
            "apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\nkind: B\nmetadata: {name: b}\n";
        let error = parse("control", "bundles/control/x.yaml", text).unwrap_err().to_string();
        assert_eq!(
            error,
            "bundle control: bundles/control/x.yaml, document 2: it has no apiVersion"
        );
        let error = parse("control", "x.yaml", "a: [1\n").unwrap_err().to_string();
        assert!(error.starts_with("bundle control: x.yaml, document 1: "), "{error}");
    }
}
