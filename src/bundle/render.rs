//! Rendering a bundle's templates for one instance.

use curtain_template::{Engine, Vars};
use serde_json::Value;

use crate::{Bundle, Error, document::Document};

/// The bundle's documents, ready to apply: the plain ones as they are, the templates rendered.
///
/// `generated` has a member per generated secret with its public parts only.
pub(crate) fn documents(
    bundle: &Bundle,
    values: &Value,
    instance: &Value,
    generated: &Value,
) -> Result<Vec<Document>, Error> {
    let vars =
        Vars::new().with("values", values).with("instance", instance).with("generated", generated);
    let engine = Engine::base();
    let mut documents = bundle.plain.clone();
    for template in &bundle.templates {
        let rendered = engine.render(&template.object, &vars).map_err(|error| Error::Broken {
            bundle: bundle.name().to_owned(),
            file: template.file.clone(),
            document: Some(template.index),
            why: error.to_string(),
        })?;
        if let Some(object) = rendered {
            documents.push(Document { file: template.file.clone(), index: template.index, object });
        }
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_in_a_template_names_file_document_path_and_expression() {
        let manifest =
            "apiVersion: curtain.dev/bundle/v1\nname: b\nversion: '1'\ntemplates: [t.yaml]\n";
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: \"${values.missing}\"}\n";
        let find = |path: &str| vec![(path.to_owned(), text.to_owned())];
        let bundle = Bundle::read("b", "bundles/b", manifest, &find).unwrap();
        let error = documents(&bundle, &json!({}), &json!({}), &json!({})).unwrap_err().to_string();
        assert!(error.starts_with("bundle b: bundles/b/t.yaml, document 1: data.x"), "{error}");
        assert!(error.contains("missing"), "{error}");
    }

    #[test]
    fn every_bundle_of_the_program_renders_for_an_instance() {
        let instance = json!({
            "name": "default", "image": "docker.io/library/curtain:0.1.0-0123456789ab", "build": "0123456789ab",
            "ports": {
                "portal": 8080, "mcp": 8081, "gateway": 19080, "api": 6443,
                "node": { "portal": 30080, "mcp": 30081, "gateway": 31908 },
            },
            "endpoints": {
                "portal": "http://localhost:8080", "api": "http://localhost:8080",
                "mcp": "http://localhost:8081/mcp", "observerMcp": "http://localhost:8081/observer/mcp",
                "gateway": "http://localhost:19080",
            },
        });
        for name in Bundle::builtin_names() {
            let bundle = Bundle::builtin(name).unwrap();
            let mut generated = serde_json::Map::new();
            for entry in &bundle.manifest.generate {
                generated.insert(entry.name.clone(), json!({ "certificate": "PEM" }));
            }
            let values = bundle.values(&Default::default()).unwrap();
            documents(&bundle, &values, &instance, &generated.into())
                .unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
