use super::super::KINDS;
use super::*;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/crds")
}

/// `CURTAIN_UPDATE=1 cargo test -p curtain-platform crds` rewrites the files.
#[test]
fn crds_are_checked_in() {
    let update = std::env::var_os("CURTAIN_UPDATE").is_some();
    let mut expected = Vec::new();
    for info in KINDS {
        let file = format!("{}.yaml", info.plural);
        let text = crd_yaml(info).unwrap();
        let path = manifests().join(&file);
        if update {
            std::fs::create_dir_all(manifests()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == text, "{file} is stale: run with CURTAIN_UPDATE=1");
        let parsed: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(parsed, crd(info), "{file} does not read back as it was written");
        expected.push(file);
    }
    let mut found: Vec<String> = std::fs::read_dir(manifests())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "files without a kind");
}

/// `upstream.txt` holds, for each kind, the digest of upstream's definition without its prose; see [`facts`].
#[test]
fn crds_equal_upstream() {
    let digests: BTreeMap<&str, &str> = include_str!("../upstream.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .collect();
    let mut wrong = String::new();
    for info in KINDS {
        let facts = facts(&crd(info));
        let digest = Sha256::digest(facts.as_bytes()).iter().take(8).fold(
            String::new(),
            |mut text, byte| {
                write!(text, "{byte:02x}").unwrap();
                text
            },
        );
        if digests.get(info.plural) != Some(&digest.as_str()) {
            writeln!(wrong, "{} {digest} {facts}", info.plural).unwrap();
        }
    }
    assert!(wrong.is_empty(), "these differ from upstream:\n{wrong}");
}

/// Names, scope, columns, subresources and schema as one canonical JSON text: sorted keys, no descriptions, examples or
/// list of what the root requires.
fn facts(crd: &Value) -> String {
    let version = &crd["spec"]["versions"][0];
    let properties = &version["schema"]["openAPIV3Schema"]["properties"];
    let all = json!([
        crd["spec"]["names"],
        crd["spec"]["scope"],
        version["additionalPrinterColumns"],
        version["subresources"],
        prose_free(&properties["spec"]),
        prose_free(&properties["status"]),
    ]);
    let mut text = String::new();
    canonical(&all, &mut text);
    text
}

fn prose_free(schema: &Value) -> Value {
    let Value::Object(object) = schema else { return schema.clone() };
    let keep = object.iter().filter(|(key, _)| !matches!(key.as_str(), "description" | "example"));
    let each = keep.map(|(key, value)| {
        let value = match key.as_str() {
            "properties" => value
                .as_object()
                .map(|p| p.iter().map(|(k, v)| (k.clone(), prose_free(v))).collect())
                .unwrap_or_default(),
            "items" | "additionalProperties" => prose_free(value),
            _ => value.clone(),
        };
        (key.clone(), value)
    });
    Value::Object(each.collect())
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            let sorted: BTreeMap<_, _> = object.iter().collect();
            out.push('{');
            for (i, (key, value)) in sorted.into_iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                write!(out, "{}:", json!(key)).unwrap();
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for (i, value) in values.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                canonical(value, out);
            }
            out.push(']');
        }
        scalar => write!(out, "{scalar}").unwrap(),
    }
}
