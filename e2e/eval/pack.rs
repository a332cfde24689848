//! What is broken, and what an agent should say of it.

use std::{fs, path::Path};

use serde_json::Value;

/// The shop's faults.
const SHOP: &str = include_str!("packs/shop.json");

/// A system and its faults.
pub(crate) struct Pack {
    /// The place of its components.
    pub(crate) namespace: String,
    pub(crate) project: String,
    pub(crate) environment: String,
    /// Arguments of `curtain` that deploy it.
    pub(crate) deploy: Vec<String>,
    pub(crate) cases: Vec<Case>,
}

/// A fault.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Where the cause is.
    pub(crate) component: String,
    /// Of these words, the cause that is told first has to have one.
    pub(crate) words: Vec<String>,
    /// Arguments of `curtain` that make it.
    pub(crate) make: Vec<String>,
    /// Arguments of `curtain` that end it.
    pub(crate) end: Vec<String>,
}

impl Pack {
    /// The pack in `file`, or the shop's.
    pub(crate) fn read(file: Option<&Path>) -> Result<Self, String> {
        let text = match file {
            Some(file) => fs::read_to_string(file)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))?,
            None => SHOP.to_owned(),
        };
        let pack: Value =
            serde_json::from_str(&text).map_err(|error| format!("the pack is no JSON: {error}"))?;
        let cases = pack["cases"].as_array().ok_or("the pack has no list \"cases\"")?;
        Ok(Self {
            namespace: text_of(&pack, "namespace")?,
            project: text_of(&pack, "project")?,
            environment: text_of(&pack, "environment")?,
            deploy: list_of(&pack, "deploy")?,
            cases: cases.iter().map(Case::read).collect::<Result<_, _>>()?,
        })
    }
}

impl Case {
    fn read(case: &Value) -> Result<Self, String> {
        Ok(Self {
            name: text_of(case, "name")?,
            component: text_of(case, "component")?,
            words: list_of(case, "words")?,
            make: list_of(case, "make")?,
            end: list_of(case, "end")?,
        })
    }
}

fn text_of(value: &Value, name: &str) -> Result<String, String> {
    let text = value[name].as_str();
    text.map(str::to_owned).ok_or_else(|| format!("{value} has no text {name:?}"))
}

fn list_of(value: &Value, name: &str) -> Result<Vec<String>, String> {
    let list = value[name].as_array().ok_or_else(|| format!("{value} has no list {name:?}"))?;
    list.iter()
        .map(|one| one.as_str().map(str::to_owned))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{name:?} of {value} is no list of texts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pack_of_the_shop_has_ten_faults_in_different_places() {
        let pack = Pack::read(None).unwrap();
        assert_eq!(pack.cases.len(), 10);
        for case in &pack.cases {
            assert!(case.make.contains(&case.component) && !case.words.is_empty(), "{}", case.name);
        }
    }

    #[test]
    fn what_a_pack_lacks_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pack.json");
        for (text, words) in [("no", "no JSON"), ("{}", "cases"), (r#"{"cases": []}"#, "namespace")]
        {
            fs::write(&file, text).unwrap();
            let error = Pack::read(Some(&file)).err().unwrap();
            assert!(error.contains(words), "{error}");
        }
    }
}
